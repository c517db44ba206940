// Fastify 5 runs on carom/node by its serverFactory, over every transport.
import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import test from 'node:test';
import { skip, createServer } from './support.mjs';
import { TRANSPORTS } from '../transports.mjs';

const [major] = process.versions.node.split('.').map(Number);
const old = major < 20 && 'Fastify 5 needs Node 20';
const here = path.dirname(fileURLToPath(import.meta.url));

for (const { name, options, origin, fetch } of TRANSPORTS)
  test(`Fastify over ${name}`, { skip: skip || old }, async (t) => {
    const { default: Fastify } = await import('fastify');
    const { default: files } = await import('@fastify/static');
    const fastify = Fastify({ serverFactory: (handler) => createServer(options, handler) });
    fastify.register(files, { root: here, prefix: '/files/' });
    fastify.get('/', async () => ({ hello: 'world' }));
    fastify.post('/json', async (request, reply) => {
      reply.code(201);
      return { got: request.body, ip: request.ip };
    });
    fastify.get('/pipe', (request, reply) => {
      reply.type('text/plain').send(createReadStream(path.join(here, 'fastify.test.mjs')));
    });
    fastify.get('/trailer', (request, reply) => {
      reply.trailer('x-sum', async () => '42');
      reply.send('with a trailer');
    });
    fastify.get('/fails', async () => {
      throw new Error('as it should');
    });
    await fastify.listen({ port: 0, host: '127.0.0.1' });
    const base = origin(fastify.server.address().port);
    t.after(() => fastify.close());

    await t.test('hello', async () => {
      const response = await fetch(base);
      assert.equal(response.headers.get('content-type'), 'application/json; charset=utf-8');
      assert.deepEqual(await response.json(), { hello: 'world' });
    });
    await t.test('JSON body', async () => {
      for (const list of [[1], new Array(50000).fill('x')]) {
        const response = await fetch(`${base}/json`, {
          method: 'POST',
          body: JSON.stringify({ list }),
          headers: { 'content-type': 'application/json' },
        });
        assert.equal(response.status, 201);
        assert.deepEqual(await response.json(), { got: { list }, ip: '127.0.0.1' });
      }
      const bad = await fetch(`${base}/json`, { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } });
      assert.equal(bad.status, 400);
    });
    await t.test('static files', async () => {
      const response = await fetch(`${base}/files/fastify.test.mjs`);
      assert.equal(response.status, 200);
      assert.equal(Number(response.headers.get('content-length')), (await response.arrayBuffer()).byteLength);
      const head = await fetch(`${base}/files/fastify.test.mjs`, { method: 'HEAD' });
      assert.equal(head.headers.get('content-length'), response.headers.get('content-length'));
      assert.equal((await fetch(`${base}/files/none`)).status, 404);
    });
    await t.test('streams and trailers', async () => {
      assert.match(await (await fetch(`${base}/pipe`)).text(), /Fastify 5 runs/);
      assert.equal(await (await fetch(`${base}/trailer`)).text(), 'with a trailer');
    });
    await t.test('errors', async () => {
      assert.equal((await fetch(`${base}/fails`)).status, 500);
      assert.equal((await fetch(`${base}/nothing`)).status, 404);
    });
  });
