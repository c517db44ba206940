import { makeApp } from './app.mjs';

const { CERT, KEY } = process.env;
const tls = CERT ? { cert: Bun.file(CERT), key: Bun.file(KEY) } : undefined;
Bun.serve({ tls, port: Number(process.argv[2]), hostname: '127.0.0.1', fetch: makeApp(Response) });
