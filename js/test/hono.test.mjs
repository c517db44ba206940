// A Hono app as it is, over every transport.
import assert from 'node:assert/strict';
import test from 'node:test';

import { TRANSPORTS, serveOnAnotherPort } from './transports.mjs';

const [major] = process.versions.node.split('.').map(Number);

async function app() {
  const { Hono } = await import('hono');
  const { setCookie } = await import('hono/cookie');
  const { stream, streamSSE, streamText } = await import('hono/streaming');
  const hono = new Hono();
  hono.get('/', (context) => context.text('Hello, Hono!'));
  hono.post('/json', async (context) => context.json({ got: await context.req.json() }, 201));
  hono.get('/events', (context) =>
    streamSSE(context, async (to) => {
      for (const data of ['a', 'b']) {
        await to.writeSSE({ data });
        await to.sleep(2);
      }
    }),
  );
  hono.get('/text', (context) =>
    streamText(context, async (to) => {
      for (const word of ['one', 'two']) await to.writeln(word);
    }),
  );
  hono.get('/big', (context) =>
    stream(context, async (to) => {
      for (let i = 0; i < 20; i++) await to.write(new Uint8Array(100000));
    }),
  );
  hono.get('/cookies', (context) => {
    setCookie(context, 'a', '1');
    setCookie(context, 'b', '2');
    return context.redirect('/');
  });
  hono.get('/fails', () => {
    throw new Error('as it should');
  });
  hono.onError((error, context) => context.text(error.message, 500));
  return hono;
}

for (const { name, options, origin, fetch } of TRANSPORTS)
  test(`Hono over ${name}`, { skip: major < 20 && 'Hono needs Node 20' }, async (t) => {
    const server = await serveOnAnotherPort(options, (await app()).fetch);
    const base = origin(server.addr.port);
    t.after(() => server.shutdown({ deadline: 0 }));

    await t.test('hello, and HEAD', async () => {
      const hello = await fetch(base);
      assert.match(hello.headers.get('content-type'), /^text\/plain; ?charset=utf-8$/i);
      assert.equal(await hello.text(), 'Hello, Hono!');
      const head = await fetch(base, { method: 'HEAD' }); // of which Hono takes the content away, and so the type that Bun infers late
      assert.deepEqual(
        [head.status, head.headers.get('content-type')?.toLowerCase(), head.headers.get('content-length')],
        [200, globalThis.Bun ? undefined : 'text/plain;charset=utf-8', null],
      );
    });
    await t.test('JSON body', async () => {
      for (const list of [[1], new Array(50000).fill('x')]) {
        const response = await fetch(`${base}/json`, {
          method: 'POST',
          body: JSON.stringify({ list }),
          headers: { 'content-type': 'application/json' },
        });
        assert.equal(response.status, 201);
        assert.deepEqual(await response.json(), { got: { list } });
      }
    });
    await t.test('streams', async () => {
      assert.equal(await (await fetch(`${base}/events`)).text(), 'data: a\n\ndata: b\n\n');
      assert.equal(await (await fetch(`${base}/text`)).text(), 'one\ntwo\n');
      assert.equal((await (await fetch(`${base}/big`)).arrayBuffer()).byteLength, 2000000);
    });
    await t.test('errors, redirects, cookies', async () => {
      const failed = await fetch(`${base}/fails`);
      assert.deepEqual([failed.status, await failed.text()], [500, 'as it should']);
      const response = await fetch(`${base}/cookies`, { redirect: 'manual' });
      assert.equal(response.status, 302);
      assert.match(response.headers.get('set-cookie'), /^a=1[^,]*, b=2[^,]*$/);
    });
  });
