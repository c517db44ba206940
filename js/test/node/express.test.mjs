// Express 5 runs unchanged on carom/node, over every transport.
import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { pipeline } from 'node:stream';
import test from 'node:test';
import { skip, start } from './support.mjs';
import { TRANSPORTS } from '../transports.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));

async function app() {
  const { default: express } = await import('express');
  const app = express();
  app.get('/', (req, res) => {
    res.send('Hello World!');
  });
  app.post('/json', express.json(), (req, res) => {
    res.status(201).json({ got: req.body, ip: req.ip });
  });
  app.use('/files', express.static(here));
  app.get('/pipe', (req, res) => {
    createReadStream(path.join(here, 'express.test.mjs')).pipe(res);
  });
  app.get('/big', (req, res) => {
    let left = 400;
    const step = () => {
      while (left-- > 0)
        if (!res.write('y'.repeat(10000))) {
          res.once('drain', step);
          return;
        }
      res.end();
    };
    step();
  });
  app.post('/echo', (req, res) => {
    pipeline(req, res, () => {});
  });
  app.get('/fails', () => {
    throw new Error('as it should');
  });
  app.get('/redirect', (req, res) => {
    res.cookie('a', '1').cookie('b', '2').redirect('/');
  });
  app.get('/connection', (req, res) => {
    const { protocol, secure, httpVersion: version, socket } = req;
    res.json({ protocol, secure, version, socket: { alpn: socket.alpnProtocol, version: socket.getProtocol() } });
  });
  app.set('env', 'test');
  return app;
}

for (const { name, alpn, tls, options, origin, fetch } of TRANSPORTS)
  test(`Express over ${name}`, { skip }, async (t) => {
    const { server, port } = await start(t, await app(), options);
    const base = origin(port);
    t.after(
      () =>
        new Promise((resolve) => {
          server.close(resolve);
          server.closeAllConnections();
        }),
    );

    await t.test('hello', async () => {
      const response = await fetch(base);
      assert.equal(response.headers.get('x-powered-by'), 'Express');
      assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8');
      const etag = response.headers.get('etag');
      assert.ok(etag);
      assert.equal(await response.text(), 'Hello World!');
      const again = await fetch(base, { headers: { 'if-none-match': etag, 'cache-control': 'max-age=0' } });
      assert.equal(again.status, 304);
    });
    await t.test('what it knows of the connection', async () => {
      const { socket, ...seen } = await (await fetch(`${base}/connection`)).json();
      assert.deepEqual(seen, { protocol: tls ? 'https' : 'http', secure: tls, version: alpn.startsWith('h2') ? '2.0' : '1.1' });
      assert.deepEqual(socket, tls ? { alpn, version: 'TLSv1.3' } : { alpn: false, version: null });
    });
    await t.test('HEAD', async () => {
      const response = await fetch(base, { method: 'HEAD' });
      assert.equal(response.headers.get('content-length'), '12');
    });
    await t.test('JSON body', async () => {
      for (const list of [[1], new Array(20000).fill('x')]) {
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
      const response = await fetch(`${base}/files/express.test.mjs`);
      assert.equal(response.status, 200);
      assert.equal(Number(response.headers.get('content-length')), (await response.arrayBuffer()).byteLength);
      const part = await fetch(`${base}/files/express.test.mjs`, { headers: { range: 'bytes=0-9' } });
      assert.equal(part.status, 206);
      assert.equal((await part.text()).length, 10);
      assert.equal((await fetch(`${base}/files/none`)).status, 404);
    });
    await t.test('streams', async () => {
      assert.match(await (await fetch(`${base}/pipe`)).text(), /Express 5 runs unchanged/);
      assert.equal((await (await fetch(`${base}/big`)).text()).length, 4000000);
      const body = 'z'.repeat(1000000);
      assert.equal(await (await fetch(`${base}/echo`, { method: 'POST', body })).text(), body);
    });
    await t.test('errors, redirects, cookies', async () => {
      assert.equal((await fetch(`${base}/fails`)).status, 500);
      const response = await fetch(`${base}/redirect`, { redirect: 'manual' });
      assert.equal(response.status, 302);
      assert.match(response.headers.get('set-cookie'), /^[^,]+, [^,]+$/);
    });
  });
