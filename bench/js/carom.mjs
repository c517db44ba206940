// node|bun|deno carom.mjs PORT [inline|thread] [ours]: ReadableStream is the runtime's, or ours
import { readFileSync } from 'node:fs';
import carom from '../../js/index.mjs';
import { makeApp } from './app.mjs';

const [port, io, streams] = process.argv.slice(2);
const { CERT, KEY } = process.env;
const tls = CERT ? { cert: readFileSync(CERT), key: readFileSync(KEY) } : {};
carom.serve(
  { ...tls, port: Number(port), hostname: '127.0.0.1', io, onListen() {} },
  makeApp(carom.Response, streams === 'ours' ? carom.ReadableStream : undefined),
);
