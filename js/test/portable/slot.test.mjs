// Slots of the portable engine: who waits for a page, what a message leaves behind.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import net from 'node:net';
import { test } from 'node:test';

import { counted, raw, serving } from './support.mjs';

const require = createRequire(import.meta.url);
const layout = require('../../src/memory/layout.js');
const { E } = require('../../src/portable/names.js');
const { Side } = require('../../src/portable/side.js');

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

test('there are as many slots as memory was given for, and who finds none is told', async (t) => {
  const [SLOTS, COUNT] = [32, 50];
  const [refused, answered] = [counted(COUNT - SLOTS), counted(COUNT)];
  const warn = t.mock.method(console, 'warn', () => {});
  const server = serving(t, { maxRingMemory: SLOTS * layout.RING_SLOT_SIZE }, async () => {
    await refused.all;
    return new Response('well');
  });
  const statuses = [];
  for (const client of clientsOf(t, server, COUNT, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'))
    client.once('data', (data) => {
      statuses.push(Number(data.latin1Slice(9, 12)));
      if (statuses.at(-1) === 503) refused.one();
      answered.one();
    });
  await answered.all;
  assert.deepEqual(
    [200, 503].map((status) => statuses.filter((one) => one === status).length),
    [SLOTS, COUNT - SLOTS],
  );
  assert.match(warn.mock.calls[0].arguments[0], /answered 503.*maxRingMemory/);
});

test('and who is one too many in flight', async (t) => {
  const warn = t.mock.method(console, 'warn', () => {});
  const server = serving(t, { maxInFlight: 1 }, () => new Promise(() => {}));
  clientsOf(t, server, 1, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  while (server.stats().requests < 1) await new Promise(setImmediate);
  assert.match(await raw(server.addr.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'), /^HTTP\/1.1 503 /);
  assert.match(warn.mock.calls[0].arguments[0], /^carom: 1 requests were answered 503/);
});

// A slot with a request in it, whose record does what `answers` has; say(flags, words) is a message of the program's.
function slotAlone(answers = {}) {
  const side = new Side({ turnSoon() {} }, 0, new SharedArrayBuffer(1 << 24), 1024);
  side.addBlock(0, new SharedArrayBuffer(layout.RING_BLOCK_SLOTS * layout.RING_SLOT_SIZE));
  const nowhere = { family: 3, port: 0, text: '' };
  const core = { number: 0, peer: nowhere, local: nowhere, guard: (act) => act() || true };
  const head = { method: 'POST', target: '/', fields: [], protocol: null, contentLength: -1 };
  const record = { head, core, content: 'coming', unread: 0, trailers: [], want() {}, release() {}, ...answers };
  side.handle(record);
  const slot = record.owner;
  const say = (flags, words) => {
    for (const [name, value] of Object.entries(words)) slot.words[layout[name]] = value;
    slot.words[layout.SLOT_FLAGS] = flags;
    slot.words[layout.SLOT_ECHO] = words.SLOT_ECHO ?? slot.generation;
    side.words[side.commands + (side.words[layout.RING_COMMAND_TAIL]++ & side.mask)] = slot.index;
    side.takeCommands();
  };
  return { side, slot, record, say };
}

test('fields that were lent come back once, though what is behind them waits', () => {
  const { side, slot, record, say } = slotAlone({ isFull: true, begin: () => 0, write: () => E.ECANCELED });
  side.lend(7, Buffer.alloc(0)); // no fields
  const flags = layout.FLAG_HEAD | layout.FLAG_DATA;
  say(flags, { SLOT_FIELDS_LOAN: 8, SLOT_STATUS: 200, SLOT_WHOLE_LOW: -1, SLOT_WHOLE_HIGH: -1, SLOT_DATA_LENGTH: 1 });
  assert.deepEqual([slot.blocked, side.returnTail], [true, 1]);
  side.lend(7, Buffer.from('of another')); // the program uses the number again
  record.isFull = false;
  slot.roomCame();
  assert.deepEqual([slot.blocked, side.loans.has(7), side.returnTail], [false, true, 1]);
});

test('a message for another request is counted, and the next one does not wait for it', () => {
  const { side, slot, say } = slotAlone();
  say(layout.FLAG_RELEASE, { SLOT_ECHO: slot.generation - 1, SLOT_NOTIFY: 1 });
  assert.deepEqual([slot.held, side.words[layout.RING_BAD_COMMANDS]], [true, 1]);
  assert.deepEqual([slot.words[layout.SLOT_FLAGS], slot.words[layout.SLOT_NOTIFY]], [0, 0]);
  assert.equal(slot.words[layout.SLOT_NEWS] & layout.NEWS_ROOM, layout.NEWS_ROOM);
});

test('room that was lent comes back with a slot whose program wants no more', () => {
  const { side, slot, say } = slotAlone();
  side.lend(3, Buffer.alloc(10));
  say(layout.FLAG_FETCH | layout.FLAG_RELEASE, { SLOT_ROOM_LOAN: 4 });
  assert.deepEqual([slot.held, side.loans.size, side.returnTail], [false, 0, 1]);
});

for (const [what, words] of [
  ['fields that are longer than a slot', { SLOT_FIELDS_LENGTH: 1 << 20 }],
  ['lent fields that end in the middle of a length', { SLOT_FIELDS_LOAN: 1 }],
  ['content that is longer than what is left', { SLOT_FIELDS_LENGTH: 0, SLOT_DATA_LENGTH: layout.RING_SLOT_SIZE }],
])
  test(`a message of ${what} is an error`, () => {
    const { side, slot, say } = slotAlone({ begin: () => 0, write: () => 0 });
    side.lend(0, Buffer.alloc(3));
    say(layout.FLAG_HEAD | layout.FLAG_DATA, { SLOT_STATUS: 200, SLOT_WHOLE_LOW: -1, SLOT_WHOLE_HIGH: -1, ...words });
    assert.equal(slot.words[layout.SLOT_NEWS] & layout.NEWS_ERROR, layout.NEWS_ERROR);
    assert.equal(slot.words[layout.SLOT_ERROR], E.EINVAL);
  });

test('of trailers that no page can hold as many come as fit', () => {
  const trailers = ['a', 'b', 'c', 'd'.repeat(layout.RING_PAGE_SIZE)];
  const { slot, say } = slotAlone({ content: 'whole', trailers, read: () => Buffer.alloc(0) });
  say(layout.FLAG_FETCH, { SLOT_ROOM_LOAN: 0 });
  assert.equal(slot.words[layout.SLOT_NEWS] & layout.NEWS_CONTENT_END, layout.NEWS_CONTENT_END);
  assert.equal(slot.words[layout.SLOT_TRAILERS_LENGTH], 6);
});
