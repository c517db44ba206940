import { makeApp } from './app.mjs';

Deno.serve({ port: Number(Deno.args[0]), hostname: '127.0.0.1', onListen() {} }, makeApp(Response));
