// node:http, as one writes for it.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';

const page = Buffer.alloc(65536, 'x');
const large = Buffer.alloc(1024 * 1024, 'x');
const TEXT = { 'content-type': 'text/plain' };
const JSON_TYPE = { 'content-type': 'application/json' };
const routes = {
  '/hello': (request, response) => response.writeHead(200, TEXT).end('Hello, World!'),
  '/json': (request, response) =>
    response.writeHead(200, JSON_TYPE).end(JSON.stringify({ message: 'Hello, World!', number: 42, list: [1, 2, 3] })),
  '/echo': (request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => response.writeHead(200, JSON_TYPE).end(JSON.stringify(JSON.parse(Buffer.concat(chunks).toString()))));
  },
  '/read': ({ headers, url }, response) =>
    response.writeHead(200, TEXT).end(`${headers.host} ${headers['user-agent']} ${headers.accept} http://${headers.host}${url}`),
  '/await': async (request, response) => {
    await null;
    response.writeHead(200, TEXT).end('Hello, World!');
  },
  '/later': (request, response) => setTimeout(() => response.writeHead(200, TEXT).end('Hello, World!'), 1),
  '/slow': (request, response) => setTimeout(() => response.writeHead(200, TEXT).end('Hello, World!'), 10),
  '/64k': (request, response) => response.end(page),
  '/1m': (request, response) => response.end(large),
  '/count': (request, response) => {
    let bytes = 0;
    request.on('data', (piece) => {
      bytes += piece.length;
    });
    request.on('end', () => response.end(`${bytes}`));
  },
  '/whole': (request, response) => {
    const pieces = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => response.end(`${Buffer.concat(pieces).length}`));
  },
  '/sse': (request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (let n = 0; n < 10; n++) response.write(`data: ${n}\n\n`);
    response.end();
  },
};
const app = (request, response) => (routes[request.url] || ((_, r) => r.writeHead(404).end()))(request, response);
const { CERT, KEY } = process.env; // with them it speaks HTTP/2 and HTTP/1.1 over TLS
const server = CERT
  ? http2.createSecureServer({ cert: readFileSync(CERT), key: readFileSync(KEY), allowHTTP1: true }, app)
  : http.createServer(app);
server.listen(Number(process.argv[2]), '127.0.0.1');
