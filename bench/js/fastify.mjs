// fastify, as one writes for it.
import { createRequire } from 'node:module';

const fastify = createRequire(new URL('../../js/package.json', import.meta.url))('fastify');
const page = Buffer.alloc(65536, 'x');
const app = fastify();
const text = (reply, words) => reply.type('text/plain').send(words);
const after = (milliseconds) => (request, reply) => {
  setTimeout(() => text(reply, 'Hello, World!'), milliseconds);
};

app.get('/hello', (request, reply) => text(reply, 'Hello, World!'));
app.get('/json', (request, reply) => {
  reply.send({ message: 'Hello, World!', number: 42, list: [1, 2, 3] });
});
app.post('/echo', (request, reply) => {
  reply.send(request.body);
});
app.get('/read', ({ headers, url }, reply) =>
  text(reply, `${headers.host} ${headers['user-agent']} ${headers.accept} http://${headers.host}${url}`),
);
app.get('/await', async (request, reply) => {
  await null;
  return text(reply, 'Hello, World!');
});
app.get('/later', after(1));
app.get('/slow', after(10));
app.get('/64k', (request, reply) => {
  reply.send(page);
});
app.get('/sse', (request, reply) => {
  reply.hijack();
  reply.raw.writeHead(200, { 'content-type': 'text/event-stream' });
  for (let n = 0; n < 10; n++) reply.raw.write(`data: ${n}\n\n`);
  reply.raw.end();
});
app.listen({ port: Number(process.argv[2]), host: '127.0.0.1' });
