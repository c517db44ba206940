// Slots of the portable engine: who waits for a page, what a message leaves behind, and where a fault in it ends.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import net from 'node:net';
import { test } from 'node:test';

import { counted, quietly, raw, serving } from './support.mjs';

const { Record } = createRequire(import.meta.url)('../../src/portable/record.js');

// As many clients as there are, each of which has sent these bytes.
function clientsOf(t, { addr: { port } }, count, bytes) {
  return Array.from({ length: count }, () => {
    const client = net.connect(port, '127.0.0.1').on('error', () => {});
    client.write(bytes);
    t.after(() => client.destroy());
    return client;
  });
}

test('clients may leave while more of them wait for content than there are pages', async (t) => {
  const COUNT = 64;
  const [called, over] = [counted(COUNT), counted(COUNT)];
  const server = serving(t, {}, async (request) => {
    if (request.method === 'GET') return new Response('well');
    await called.one();
    await request.text().catch(() => {});
    await over.one();
    return new Response();
  });
  // Content with a trailer does not come with the head.
  const post = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n';
  const clients = clientsOf(t, server, COUNT, post);
  await called.all;
  for (const client of clients) client.resetAndDestroy();
  await over.all;
  assert.equal(await (await fetch(server.origin())).text(), 'well');
});

test('who leaves while his request waits for a page leaves nothing behind', async (t) => {
  const [COUNT, ROUNDS] = [40, 50];
  let clients = [];
  let [started, aborted] = [0, 0];
  const server = serving(t, { maxRingMemory: 1 << 20 }, ({ method, signal }) => {
    if (method === 'POST') return new Response('well');
    started++;
    for (const client of clients.splice(0)) client.resetAndDestroy(); // when the first one is called
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        aborted++;
        resolve(new Response());
      });
    });
  });
  const { port } = server.addr;
  for (let i = 0; i < ROUNDS; i++) {
    clients = Array.from({ length: COUNT }, () => net.connect(port, '127.0.0.1').on('error', () => {}));
    while (server.stats().connectionsAccepted < i * (COUNT + 1) + COUNT) await new Promise(setImmediate);
    // A head as long as this does not fit into a slot.
    for (const client of clients) client.write(`GET / HTTP/1.1\r\nHost: a\r\nCookie: a=${'b'.repeat(2500)}\r\n\r\n`);
    while (clients.length > 0 || server.stats().recordsInFlight > 0) await new Promise(setImmediate);
    assert.match(await raw(port, 'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'), /well$/);
    assert.equal(aborted, started);
  }
});

test('a fault in a message ends its connection, and not the process', async (t) => {
  const { respond } = Record.prototype;
  const told = quietly(t);
  t.after(() => Object.assign(Record.prototype, { respond }));
  Record.prototype.respond = () => {
    throw new TypeError('faulty');
  };
  const server = serving(t, {}, () => new Response('well'));
  assert.equal(await raw(server.addr.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'), '');
  assert.match(told[0], /which ends a connection: TypeError: faulty/);
  Object.assign(Record.prototype, { respond });
  assert.equal(await (await fetch(server.origin())).text(), 'well');
});
