// The examples do what their first lines say, over every transport.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { on, once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { test, describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { WebSocket } from 'ws';

import { TRANSPORTS, serveOnAnotherPort } from './transports.mjs';

test('each example is tested', () => {
  const tested = readFileSync(new URL(import.meta.url), 'utf8').matchAll(/await example\(t, '(\w+)'\)/g);
  const examples = readdirSync(new URL('../../examples/js/', import.meta.url)).map((file) => file.replace(/\.mjs$/, ''));
  assert.deepEqual([...tested].map(([, name]) => name).sort(), examples.sort());
});

for (const { name, options, origin: originOf, fetch } of TRANSPORTS)
  describe(`examples over ${name}`, () => {
    // The example, served, and where it is. Each transport has its own copy, with what that remembers.
    async function example(t, file) {
      const { default: app } = await import(new URL(`../../examples/js/${file}.mjs?${encodeURIComponent(name)}`, import.meta.url));
      const server = await serveOnAnotherPort(options, app);
      t.after(() => server.shutdown({ deadline: 0 }));
      return { origin: originOf(server.addr.port), server };
    }

    test('hello', async (t) => {
      const { origin } = await example(t, 'hello');
      assert.match(await (await fetch(origin)).text(), /It works/);
      assert.equal(await (await fetch(`${origin}/hello`)).text(), 'Hello, World!');
      assert.ok(Date.parse((await (await fetch(`${origin}/time`)).json()).now));
      assert.equal((await fetch(`${origin}/nowhere`)).status, 404);
    });

    test('json', async (t) => {
      const { origin } = await example(t, 'json');
      const post = (body) => fetch(`${origin}/notes`, { method: 'POST', body });
      const made = await post('{"title": "learn Carom"}');
      assert.equal(made.status, 201);
      assert.equal(made.headers.get('location'), '/notes/1');
      assert.equal((await post('{')).status, 400);
      assert.equal((await post('{}')).status, 422);
      assert.deepEqual(await (await fetch(`${origin}/notes`)).json(), [{ id: 1, title: 'learn Carom' }]);
      assert.equal((await fetch(`${origin}/notes/1`, { method: 'DELETE' })).status, 204);
      assert.equal((await fetch(`${origin}/notes/1`)).status, 404);
      assert.equal((await fetch(`${origin}/other`)).status, 404);
    });

    test('stream', async (t) => {
      const { origin } = await example(t, 'stream');
      const body = Buffer.alloc(2_000_000, 'carom');
      const sum = await (await fetch(`${origin}/upload`, { method: 'POST', body })).json();
      assert.deepEqual(sum, { bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') });
      const download = await fetch(`${origin}/download?bytes=1000001`);
      assert.equal(download.headers.get('content-length'), '1000001');
      assert.equal((await download.arrayBuffer()).byteLength, 1000001);
    });

    test('events', async (t) => {
      const { origin } = await example(t, 'events');
      const controller = new AbortController();
      const { headers, body } = await fetch(`${origin}/events`, { signal: controller.signal });
      assert.equal(headers.get('content-type'), 'text/event-stream');
      const { value } = await body.getReader().read();
      assert.match(new TextDecoder().decode(value), /^data: \d{4}-.*\n\n$/);
      controller.abort();
    });

    test('hono', async (t) => {
      const { origin } = await example(t, 'hono');
      assert.equal(await (await fetch(origin)).text(), 'Hello, Hono!');
      const user = await fetch(`${origin}/users/ann`);
      assert.equal(user.headers.get('x-served-by'), 'carom');
      assert.deepEqual(await user.json(), { name: 'ann' });
      assert.deepEqual(await (await fetch(`${origin}/echo`, { method: 'POST', body: '[1]' })).json(), [1]);
    });

    test('h3, another fetch-style framework', async (t) => {
      const { H3 } = await import('h3');
      const app = new H3().get('/hi/:name', (event) => ({ hi: event.context.params.name })).post('/echo', (event) => event.req.json());
      const server = await serveOnAnotherPort(options, app.fetch);
      t.after(() => server.shutdown({ deadline: 0 }));
      const origin = originOf(server.addr.port);
      assert.deepEqual(await (await fetch(`${origin}/hi/you`)).json(), { hi: 'you' });
      assert.deepEqual(await (await fetch(`${origin}/echo`, { method: 'POST', body: '{"a":1}' })).json(), { a: 1 });
    });

    test('chat', async (t) => {
      const { origin } = await example(t, 'chat');
      assert.match(await (await fetch(origin)).text(), /new WebSocket\('\/room/);
      assert.equal((await fetch(`${origin}/room`)).status, 426);
      assert.equal((await fetch(`${origin}/attic`)).status, 404);
      const [ann, bob] = ['ann', 'bob'].map((who) => {
        const client = new WebSocket(`${origin.replace('http', 'ws')}/room?name=${who}`, { rejectUnauthorized: false });
        const heard = on(client, 'message');
        return { client, hear: async () => String((await heard.next()).value[0]) };
      });
      await Promise.all([ann, bob].map(({ client }) => once(client, 'open')));
      bob.client.send('hello');
      const said = [];
      while (said.at(-1) !== 'bob: hello') said.push(await ann.hear());
      assert.deepEqual(said.sort(), ['ann is here', 'bob is here', 'bob: hello']);
      bob.client.close();
      assert.equal(await ann.hear(), 'bob has left');
      ann.client.send(new Uint8Array(1));
      assert.equal((await once(ann.client, 'close'))[0], 4000);
    });

    test('slow', async (t) => {
      const { origin, server } = await example(t, 'slow');
      assert.equal(await (await fetch(`${origin}/?ms=5`)).text(), 'after 5 ms\n');
      const said = new Promise((resolve) => {
        t.mock.method(console, 'log', resolve);
      });
      const controller = new AbortController();
      const leaving = fetch(`${origin}/?ms=60000`, { signal: controller.signal });
      while (server.pendingRequests < 1) await sleep(1);
      controller.abort();
      await assert.rejects(leaving);
      assert.match(await said, /the client has left/);
    });
  });
