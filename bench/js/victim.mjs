// What bench/attacks asks: node victim.mjs inline|thread|createServer|http|http2. It prints its port, and ends with its standard input.
import http from 'node:http';
import http2 from 'node:http2';
import { createServer } from '../../js/node.mjs';
import { serve, Response } from '../../js/index.mjs';

const [which] = process.argv.slice(2);
const MIB = 1 << 20;
const big = new Uint8Array(MIB).fill(97);
const text = 'x'.repeat(20_000);
const bodies = {
  '/': () => 'Hello, World!',
  '/text': () => text,
  '/big': () => big,
  '/fresh': () => new Uint8Array(big),
  '/string': () => 'x'.repeat(MIB),
};
const forEver = new Promise(() => {});

// Reads a piece of the content and no more, or all of it.
async function upload(path, content) {
  let length = 0;
  for await (const piece of content) {
    length += piece.length;
    if (path === '/hang') await forEver;
  }
  return String(length);
}

async function listener(request, response) {
  const body = bodies[request.url];
  response.end(body === undefined ? await upload(request.url, request) : body());
}

async function handler(request) {
  const { pathname } = new URL(request.url);
  const body = bodies[pathname];
  return new Response(body === undefined ? await upload(pathname, request.body) : body());
}

function show(port) {
  console.log(port);
}

const where = { port: 0, hostname: '127.0.0.1' };
if (which === 'inline' || which === 'thread') serve({ ...where, io: which, onListen: (addr) => show(addr.port) }, handler);
else {
  const makers = { createServer, http: http.createServer, http2: http2.createServer };
  const server = makers[which](listener);
  server.listen(where.port, where.hostname, () => show(server.address().port));
}
process.stdin.on('end', () => process.exit()).resume();
