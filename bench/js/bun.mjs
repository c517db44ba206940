import { makeApp } from './app.mjs';

Bun.serve({ port: Number(process.argv[2]), hostname: '127.0.0.1', fetch: makeApp(Response) });
