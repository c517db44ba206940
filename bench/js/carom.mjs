// node|bun|deno carom.mjs PORT [inline|thread]
import carom from '../../js/index.mjs';
import { makeApp } from './app.mjs';

const [port, io] = process.argv.slice(2);
carom.serve({ port: Number(port), hostname: '127.0.0.1', io, onListen() {} }, makeApp(carom.Response));
