// WebSockets whose client takes less than it is given, over sockets: what was refused is sent when there is room, whoever waits for that
// is told, and nobody who waits keeps the process from all others.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';

import { serve, upgradeWebSocket, upgradeWebSocketStream, Response } from '../index.mjs';
import { PATIENT, isPortable } from './support.mjs';
import { WAYS } from './transports.mjs';
import { Ws, handshaken, handshakenH2, maskedFrame } from './ws-client.mjs';

const require = createRequire(import.meta.url);
const MIB = 1 << 20;

// A server that makes each request for a WebSocket a stream, which `act` is given with its two ends, and answers others 'alive'.
function streaming(t, io, options, act) {
  const server = serve({ port: 0, hostname: '127.0.0.1', io, onListen() {}, ...PATIENT }, (request) => {
    if (request.headers.get('upgrade') === null) return new Response('alive');
    const { stream, response } = upgradeWebSocketStream(request, options);
    stream.closed.catch(() => {});
    stream.opened.then((ends) => act(ends, stream)).catch(() => {});
    return response;
  });
  t.after(() => server.shutdown({ deadline: 0 }));
  return { url: `ws://127.0.0.1:${server.addr.port}/`, isAlive: async () => (await (await fetch(server.origin())).text()) === 'alive' };
}

// A server with handlers for all its sockets.
function handling(t, io, websocket) {
  const server = serve({ port: 0, hostname: '127.0.0.1', io, onListen() {}, ...PATIENT, websocket }, (request, info) =>
    info.upgrade(request) ? undefined : new Response('alive'),
  );
  t.after(() => server.shutdown({ deadline: 0 }));
  return `ws://127.0.0.1:${server.addr.port}/`;
}

function promised() {
  const made = {};
  made.promise = new Promise((resolve) => {
    made.resolve = resolve;
  });
  return made;
}

// The lengths of the next messages of a client.
async function lengths(client, count) {
  const had = [];
  const all = promised();
  client.on('message', (data) => {
    had.push(data.length ?? data.byteLength);
    if (had.length === count) all.resolve(had);
  });
  return all.promise;
}

// Waits until so many bytes have come.
async function taken(socket, count) {
  let have = 0;
  while (have < count) {
    const bytes = socket.read();
    if (bytes === null) await once(socket, 'readable');
    else have += bytes.length;
  }
  return have;
}

for (const io of WAYS)
  describe(`${io}: a stream`, () => {
    test('a message as long as the limit goes behind a short one, and one that is longer, too', async (t) => {
      const { url } = streaming(t, io, undefined, async ({ writable }) => {
        const writer = writable.getWriter();
        writer.write('x');
        writer.write(new Uint8Array(MIB));
        writer.write('y');
        writer.write(new Uint8Array(3 * MIB));
      });
      const client = new Ws(url);
      t.after(() => client.terminate());
      assert.deepEqual(await lengths(client, 4), [1, MIB, 1, 3 * MIB]);
    });

    test('an echo whose client sends much and reads nothing waits for it, and for nothing else', async (t) => {
      const [COUNT, SIZE] = [400, 60_000]; // 24 MB: more than kernels hold
      const { url, isAlive } = streaming(t, io, { writeLimit: SIZE + 1000 }, ({ readable, writable }) => readable.pipeTo(writable));
      const socket = await handshaken(url);
      const frame = maskedFrame(2, 'x'.repeat(SIZE));
      for (let i = 0; i < COUNT; i++) socket.write(frame);
      for (let i = 0; i < 20; i++) assert.ok(await isAlive());
      assert.ok(socket.writableLength > 0, 'the kernels have taken all: this tests nothing');
      assert.equal(await taken(socket, COUNT * (SIZE + 4)), COUNT * (SIZE + 4));
      socket.destroy();
    });

    test('messages and a Close in one piece: what is not read yet is read, and others are served', async (t) => {
      const [COUNT, SIZE] = [470, 40]; // more than what is read ahead
      const closed = promised();
      const read = promised();
      const { url, isAlive } = streaming(t, io, undefined, ({ readable, writable }, stream) => {
        closed.resolve(stream.closed);
        read.resolve(readable.pipeTo(writable).catch(({ name }) => name));
      });
      const socket = await handshaken(url);
      const frames = Array.from({ length: COUNT }, () => maskedFrame(1, 'x'.repeat(SIZE)));
      socket.write(Buffer.concat([...frames, maskedFrame(8, '\x03\xe8bye')]));
      await closed.promise;
      assert.ok(await isAlive());
      assert.deepEqual(await closed.promise, { closeCode: 1000, reason: 'bye' });
      assert.equal(await read.promise, 'InvalidStateError');
      socket.destroy();
    });

    test('a message that is longer than any limit goes behind the answer to a ping', async (t) => {
      const { url } = streaming(t, io, undefined, async ({ readable, writable }) => {
        const writer = writable.getWriter();
        for await (const text of readable) await writer.write(text.repeat(3 * MIB));
      });
      const socket = await handshaken(url);
      socket.write(Buffer.concat([maskedFrame(9, 'are you there?'), maskedFrame(1, 'x')]));
      await taken(socket, 3 * MIB);
      socket.destroy();
    });

    test("onLimit: 'close' rejects the write that was too much", async (t) => {
      const outcome = promised();
      const { url, isAlive } = streaming(t, io, { writeLimit: 1000, onLimit: 'close' }, async ({ writable }) => {
        const writer = writable.getWriter();
        const write = async () => {
          for (;;) await writer.write(new Uint8Array(900)); // until one has not left when the next is given
        };
        outcome.resolve(write().catch(({ name }) => name));
      });
      const socket = await handshaken(url);
      assert.equal(await outcome.promise, 'InvalidStateError');
      assert.ok(await isAlive());
      socket.destroy();
    });
  });

for (const io of WAYS)
  describe(`${io}: handlers`, () => {
    test('what was refused goes when ready() says so, and drain is called', async (t) => {
      const told = [];
      const url = handling(t, io, {
        drain: (ws) => told.push(ws.bufferedAmount),
        async open(ws) {
          ws.send('x');
          assert.equal(ws.send(new Uint8Array(MIB)), 0);
          let times = 0;
          while (ws.send(new Uint8Array(MIB)) === 0 && ws.readyState === 1) {
            times++;
            await ws.ready();
          }
          const said = JSON.stringify([times, told]);
          await ws.ready();
          ws.send(said);
        },
      });
      const client = new Ws(url);
      t.after(() => client.terminate());
      const messages = [];
      const last = promised();
      client.on('message', (data, isBinary) => {
        messages.push(isBinary ? (data.length ?? data.byteLength) : String(data));
        if (messages.length === 3) last.resolve();
      });
      await last.promise;
      assert.deepEqual(messages, ['x', MIB, JSON.stringify([1, [0]])]);
    });

    test('over HTTP/2 what leaves when the window opens is known at once, without other traffic', async (t) => {
      const SIZE = 60_000;
      const opened = promised();
      const url = handling(t, io, { pingInterval: false, writeBuffer: 130_000, open: opened.resolve });
      const client = await handshakenH2(url);
      const ws = await opened.promise;
      for (let i = 0; i < 2; i++) assert.equal(ws.send(new Uint8Array(SIZE)), SIZE);
      await client.received(65_535);
      client.open(SIZE);
      await client.received(2 * (SIZE + 4));
      if (io === 'inline' && !isPortable) assert.equal(ws.bufferedAmount, 0); // the turn in which it left is over
      while (ws.bufferedAmount > 0) await new Promise(setImmediate);
      assert.equal(ws.send(new Uint8Array(SIZE)), SIZE);
      await client.received(65_535 + SIZE);
      assert.equal(ws.send(new Uint8Array(MIB)), 0);
      const ready = ws.ready();
      client.open(SIZE);
      await ready;
      client.destroy();
    });

    test('ready() of a socket that has ended takes a turn of the loop', async (t) => {
      const outcome = promised();
      const url = handling(t, io, {
        open(ws) {
          ws.terminate();
          let turned = false;
          setImmediate(() => {
            turned = true;
          });
          outcome.resolve(ws.ready().then(() => turned));
        },
      });
      const client = new Ws(url);
      client.on('error', () => {});
      assert.equal(await outcome.promise, true);
    });
  });

// Messages beyond what is held for who does not look, and the client's Close, in one piece.
const BURST = 500;
const burst = () =>
  Buffer.concat([...Array.from({ length: BURST }, (_, i) => maskedFrame(1, `${i}`.padEnd(40))), maskedFrame(8, '\x03\xe8bye')]);

for (const io of WAYS)
  describe(`${io}: the end comes behind messages that nobody takes`, () => {
    test('who listens to it alone is told', async (t) => {
      const ended = promised();
      const server = serve({ port: 0, hostname: '127.0.0.1', io, onListen() {}, ...PATIENT }, (request) => {
        const { socket, response } = upgradeWebSocket(request);
        socket.onclose = ({ code, reason }) => ended.resolve([code, reason, socket.readyState]);
        return response;
      });
      t.after(() => server.shutdown({ deadline: 0 }));
      const client = await handshaken(`ws://127.0.0.1:${server.addr.port}/`);
      client.write(burst());
      assert.deepEqual(await ended.promise, [1000, 'bye', 3]);
      client.destroy();
    });

    test('who listens late has the messages, then the end', async (t) => {
      const made = promised();
      const server = serve({ port: 0, hostname: '127.0.0.1', io, onListen() {}, ...PATIENT }, (request) => {
        const { socket, response } = upgradeWebSocket(request);
        made.resolve(socket);
        return response;
      });
      t.after(() => server.shutdown({ deadline: 0 }));
      const client = await handshaken(`ws://127.0.0.1:${server.addr.port}/`);
      client.write(burst());
      const socket = await made.promise;
      while (socket.readyState < 2) await new Promise(setImmediate);
      const heard = [];
      const ended = promised();
      socket.onmessage = ({ data }) => heard.push(data.trim());
      socket.onclose = ({ code }) => ended.resolve(code);
      assert.equal(await ended.promise, 1000);
      assert.deepEqual(
        heard,
        Array.from({ length: BURST }, (_, i) => `${i}`),
      );
      client.destroy();
    });

    test('a stream that is not read has ended, and can still be read', async (t) => {
      const opened = promised();
      const { url } = streaming(t, io, undefined, (ends, stream) => opened.resolve([ends, stream]));
      const client = await handshaken(url);
      client.write(burst());
      const [{ readable, writable }, stream] = await opened.promise;
      assert.deepEqual(await stream.closed, { closeCode: 1000, reason: 'bye' });
      await assert.rejects(writable.getWriter().write('x'), { name: 'InvalidStateError' });
      const heard = [];
      for await (const text of readable) heard.push(text.trim());
      assert.deepEqual(
        heard,
        Array.from({ length: BURST }, (_, i) => `${i}`),
      );
      client.destroy();
    });

    test('what is left of a stream that is given up is dropped', async (t) => {
      const opened = promised();
      const { url } = streaming(t, io, undefined, (ends, stream) => opened.resolve([ends, stream]));
      const client = await handshaken(url);
      client.write(burst());
      const [{ readable }, stream] = await opened.promise;
      await stream.closed;
      const reader = readable.getReader();
      assert.equal((await reader.read()).value.trim(), '0');
      await reader.cancel();
      assert.deepEqual(await reader.read(), { done: true, value: undefined });
      client.destroy();
    });
  });

test('who was refused, and sent less meanwhile, hears when there is room for the first', async () => {
  const { WebSocketConnection, setNumber } = require('../src/websocket/connection.js');
  const { ASK_DRAIN } = require('../src/memory/layout.js');
  const asked = [];
  let left = 0;
  const sockets = { left: () => left, sendBytes() {}, ask: (kind, _, value) => asked.push([kind, value]) };
  const settings = { binaryType: 'uint8array', writeBuffer: 800, writeLimit: 1000, onLimit: 'refuse' };
  const ws = new WebSocketConnection(sockets, null, {}, settings, undefined, null);
  setNumber(ws, 1);
  ws.hearOpened('', false);
  const send = (length) => ws.send(new Uint8Array(length));
  assert.deepEqual([send(900), send(500)], [-1, 0]);
  let isReady = false;
  ws.ready().then(() => {
    isReady = true;
  });
  left = 600;
  assert.equal(send(350), 350); // before it is told that 600 have left
  ws.hearDrained();
  assert.deepEqual(asked, [[ASK_DRAIN, 500]]);
  await null;
  assert.equal(isReady, false);
  left = 800;
  ws.hearDrained();
  await null;
  assert.equal(isReady, true);
  assert.equal(send(500), -1); // taken, and full again
});
