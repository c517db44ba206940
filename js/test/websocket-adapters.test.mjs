// Apps that were written for Hono's helper or for crossws, each with the real package.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { serve, Response } from '../index.mjs';

const { WebSocket: Client } = createRequire(import.meta.url)('ws');
const [major] = process.versions.node.split('.').map(Number);

function listening(t, handler) {
  const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {} }, handler);
  t.after(() => server.shutdown({ deadline: 0 }));
  return server.addr.port;
}

function connect(t, port, path, ...given) {
  const client = new Client(`ws://127.0.0.1:${port}${path}`, ...given);
  t.after(() => client.terminate());
  const messages = [];
  client.on('message', (data, isBinary) => messages.push(isBinary ? [...new Uint8Array(data)] : String(data)));
  const until = (count) =>
    new Promise((resolve) => {
      const look = () => messages.length >= count && resolve();
      client.on('message', look);
      look();
    });
  client.on('error', () => {});
  const ended = new Promise((resolve) => {
    client.on('close', (code, reason) => resolve([code, String(reason)]));
  });
  return { client, messages, until, ended };
}

test('Hono', { skip: major < 20 && 'Hono needs Node 20' }, async (t) => {
  const { Hono } = await import('hono');
  const { cors } = await import('hono/cors');
  const { upgradeWebSocket } = await import('../hono.mjs');
  const calls = [];
  let over;
  const closed = new Promise((resolve) => {
    over = resolve;
  });
  const app = new Hono();
  app.use(cors());
  app.use(async (context, next) => {
    context.header('x-before', '1');
    await next();
    context.header('x-after', '2');
    context.res.headers.append('set-cookie', 'a=1');
  });
  app.get(
    '/ws/:name',
    upgradeWebSocket((context) => ({
      onOpen(event, ws) {
        calls.push([event.type, ws.readyState, ws.protocol, ws.url.pathname]);
        ws.send(`hello ${context.req.param('name')}`);
      },
      onMessage(event, ws) {
        ws.send(event.data);
      },
      onClose(event) {
        calls.push([event.type, event.code, event.reason]);
        over();
      },
    })),
    (context) => context.text('for WebSockets'),
  );
  const port = listening(t, app.fetch);
  const { client, messages, until } = connect(t, port, '/ws/ann', ['chat', 'other']);
  const fields = new Promise((resolve) => {
    if (globalThis.Bun === undefined) client.on('upgrade', (response) => resolve(response.headers));
    else client.on('open', () => resolve(null)); // Bun's `ws` does not tell
  });
  await until(1);
  client.send('text');
  client.send(new Uint8Array([1, 2]));
  await until(3);
  assert.deepEqual(messages, ['hello ann', 'text', [1, 2]]);
  assert.equal(client.protocol, 'chat');
  const got = await fields;
  if (got !== null)
    assert.deepEqual(
      [got['x-before'], got['x-after'], got['access-control-allow-origin'], String(got['set-cookie'])],
      ['1', '2', '*', 'a=1'],
    );
  client.close(4000, 'bye');
  await closed;
  assert.deepEqual(calls, [
    ['open', 1, 'chat', '/ws/ann'],
    ['close', 4000, 'bye'],
  ]);
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/ws/ann`)).text(), 'for WebSockets');
});

test('crossws', { skip: major < 20 && 'crossws needs Node 20' }, async (t) => {
  const { caromAdapter } = await import('../crossws.mjs');
  const calls = [];
  let over;
  const closed = new Promise((resolve) => {
    over = resolve;
  });
  const adapter = caromAdapter({
    carom: { maxMessage: 1000 },
    hooks: {
      upgrade(request) {
        if (new URL(request.url).pathname === '/no') throw new Response('not you', { status: 403 });
        return { headers: { 'x-a': '1' }, protocol: 'chat', context: { user: 'ann' } };
      },
      open(peer) {
        calls.push(['open', peer.remoteAddress, peer.context.user, peer.websocket.protocol]);
        peer.subscribe('room');
      },
      message(peer, message) {
        if (message.text() === 'all') peer.publish('room', 'to all others');
        else peer.send(message.rawData instanceof ArrayBuffer ? message.uint8Array() : { text: message.text() });
      },
      close(peer, { code, reason }) {
        calls.push(['close', code, reason]);
        over();
      },
    },
  });
  const port = listening(t, (request, info) => adapter.handleUpgrade(request, info));
  const first = connect(t, port, '/', 'chat');
  const second = connect(t, port, '/', 'chat');
  await Promise.all([once(first.client, 'open'), once(second.client, 'open')]);
  first.client.send('x');
  first.client.send(new Uint8Array([7]));
  await first.until(2);
  assert.deepEqual(first.messages, ['{"text":"x"}', [7]]);
  first.client.send('all');
  await second.until(1);
  assert.deepEqual(second.messages, ['to all others']);
  adapter.publish('room', 'to all');
  await Promise.all([first.until(3), second.until(2)]);
  first.client.close(4000, 'bye');
  await closed;
  assert.deepEqual(calls, [
    ['open', '127.0.0.1', 'ann', 'chat'],
    ['open', '127.0.0.1', 'ann', 'chat'],
    ['close', 4000, 'bye'],
  ]);
  second.client.send('x'.repeat(1001));
  assert.equal((await second.ended)[0], 1009);
  const refused = connect(t, port, '/no', 'chat');
  assert.equal((await refused.ended)[0], 1006);
});

test('Hono: a context closes, and says what bytes are', { skip: major < 20 && 'Hono needs Node 20' }, async (t) => {
  const { Hono } = await import('hono');
  const { upgradeWebSocket } = await import('../hono.mjs');
  const heard = [];
  const app = new Hono();
  app.get('/ws', (context) => {
    context.header('content-type', 'a/b'); // is of no 101
    return upgradeWebSocket(context, {
      onOpen(_, ws) {
        heard.push(ws.binaryType, ws.protocol);
        ws.binaryType = 'blob';
      },
      async onMessage({ data }, ws) {
        heard.push(data instanceof Blob && (await data.text()));
        ws.close(4001, 'enough');
      },
    });
  });
  app.onError((error, context) => context.text(error.message, 400));
  const port = listening(t, app.fetch);
  const { client, ended } = connect(t, port, '/ws');
  await once(client, 'open');
  client.send(new TextEncoder().encode('bytes'));
  assert.equal((await ended)[0], 4001);
  assert.deepEqual(heard, ['arraybuffer', null, 'bytes']);
  const refused = await fetch(`http://127.0.0.1:${port}/ws`);
  assert.deepEqual([refused.status, await refused.text()], [400, 'upgradeWebSocket: the request does not ask for a WebSocket']);
});

test('crossws: hooks that are found for each request, and none for upgrades', {
  skip: major < 20 && 'crossws needs Node 20',
}, async (t) => {
  const { caromAdapter } = await import('../crossws.mjs');
  const answering = (text) => ({ message: (peer, message) => peer.send(`${text} ${message.text()}`) });
  const fixed = caromAdapter({ hooks: answering('fixed') });
  const found = caromAdapter({
    resolve: (request) =>
      new URL(request.url).pathname === '/found' && {
        ...answering('found'),
        upgrade: () => ({ headers: { 'sec-websocket-protocol': 'chat', 'x-found': '1' } }),
      },
  });
  const adapters = { '/fixed': fixed, '/found': found, '/nothing': found };
  const port = listening(t, (request, info) => adapters[new URL(request.url).pathname].handleUpgrade(request, info));
  for (const [path, ...protocol] of [['/fixed'], ['/found', 'chat']]) {
    const { client, messages, until } = connect(t, port, path, protocol);
    await once(client, 'open');
    client.send('x');
    await until(1);
    assert.deepEqual(messages, [`${path.slice(1)} x`]);
    assert.equal(client.protocol, protocol.join());
  }
  await once(connect(t, port, '/nothing').client, 'open'); // without hooks
});
