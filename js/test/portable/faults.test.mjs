// Faults of the portable engine itself: whatever the runtime called when it met one, a connection ends, and not the process.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { createRequire } from 'node:module';
import net from 'node:net';
import { test } from 'node:test';

import { quietly, raw, serving, upgradeWebSocket } from './support.mjs';

const engine = (name) => createRequire(import.meta.url)(`../../src/portable/${name}.js`);
const { Chunks } = engine('chunks');
const { Connection } = engine('connection');
const { Http1 } = engine('http1');
const { Record } = engine('record');
const { Side } = engine('side');
const { Slot } = engine('slot');
const { Sockets } = engine('sockets');

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n';

// Sends this, and waits for the end.
const send =
  (text) =>
  ({ addr: { port } }) =>
    raw(port, text).catch(() => {});

function idle({ addr: { port } }) {
  return once(net.connect(port, '127.0.0.1').resume(), 'close');
}

// A request of HTTP/2, which is answered, or given up when it has begun.
async function stream(server, isGivenUp) {
  const session = http2.connect(server.origin()).on('error', () => {});
  const closed = once(session, 'close');
  const request = session.request().on('error', () => {});
  request.resume();
  if (isGivenUp) {
    while (server.stats().requests === 0) await new Promise(setImmediate);
    request.close(http2.constants.NGHTTP2_CANCEL);
  }
  await closed; // for all of the connection ends
}

const silent = () => new Promise(() => {});

for (const { what, of, name, options = {}, handler = () => new Response(), meet } of [
  { what: 'bytes that come', of: Chunks, name: 'read', meet: send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1') },
  { what: 'a connection that comes', of: Connection, name: 'listen', meet: send(`${GET}\r\n`) },
  { what: 'a request for the program', of: Slot, name: 'begin', meet: send(`${GET}\r\n`) },
  { what: 'a message of the program', of: Record, name: 'respond', meet: send(`${GET}\r\n`) },
  { what: 'the time for a first byte', of: Connection, name: 'end', options: { firstByteTimeout: 10 }, meet: idle },
  {
    what: 'the time for a handler',
    of: Record,
    name: 'refuse',
    options: { handlerTimeout: 1000 }, // long enough for the next request to be answered within it
    handler: silent,
    meet: send(`${GET}\r\n`),
  },
  { what: 'a turn', of: Side, name: 'takeCommands', meet: send(`${GET}Connection: close\r\n\r\n`) },
  {
    what: 'the end of a response of HTTP/2',
    of: Record,
    name: 'sent',
    handler: () => new Response('x'),
    meet: (server) => stream(server, false),
  },
  { what: 'the end of a stream', of: Record, name: 'cancelWhole', handler: silent, meet: (server) => stream(server, true) },
  {
    what: 'a message to a WebSocket',
    of: Sockets,
    name: 'ask',
    options: { websocket: {} },
    handler: (request) => {
      const { socket, response } = upgradeWebSocket(request);
      socket.onopen = () => socket.close();
      return response;
    },
    meet: send(
      `${GET}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${'A'.repeat(22)}==\r\n\r\n`,
    ),
  },
])
  test(`a fault in ${what} ends a connection at most`, async (t) => {
    const told = quietly(t);
    const server = serving(t, options, (request) => (request.url.endsWith('/well') ? new Response('well') : handler(request)));
    const right = of.prototype[name];
    t.after(() => Object.assign(of.prototype, { [name]: right }));
    of.prototype[name] = () => {
      of.prototype[name] = right;
      throw new TypeError('faulty');
    };
    await meet(server);
    assert.match(told[0], /^carom: a fault of the portable engine.*: TypeError: faulty/);
    assert.equal(await (await fetch(`${server.origin()}/well`)).text(), 'well');
  });

test('a fault in the end of a shutdown does not hold it', async (t) => {
  const told = quietly(t);
  const { lost } = Http1.prototype;
  t.after(() => Object.assign(Http1.prototype, { lost }));
  const server = serving(t, {}, silent);
  const client = net.connect(server.addr.port, '127.0.0.1').on('error', () => {});
  client.write(`${GET}\r\n`);
  while (server.stats().requests === 0) await new Promise(setImmediate);
  Http1.prototype.lost = () => {
    throw new TypeError('faulty');
  };
  const gone = once(client, 'close');
  await server.shutdown({ deadline: 0 });
  await gone;
  assert.match(told[0], /TypeError: faulty/);
});
