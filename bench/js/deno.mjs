import { makeApp } from './app.mjs';

const [CERT, KEY] = [Deno.env.get('CERT'), Deno.env.get('KEY')];
const tls = CERT ? { cert: Deno.readTextFileSync(CERT), key: Deno.readTextFileSync(KEY) } : {};
Deno.serve({ ...tls, port: Number(Deno.args[0]), hostname: '127.0.0.1', onListen() {} }, makeApp(Response));
