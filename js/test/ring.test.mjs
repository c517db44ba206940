// Rare cases of a server, tested on its parts: field lines for the ring, a batch of events, loans, and what options become.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const require = createRequire(import.meta.url);
const { decodeFields, ipv6Text, writeFields, writeShort } = require('../src/ring/codec.js');
const { copyOf, ownBytes, share, giveBack } = require('../src/ring/copies.js');
const { Ring } = require('../src/ring/ring.js');
const { Sockets } = require('../src/ring/sockets.js');
const native = require('../src/ring/native.js');
const { open } = require('../src/engine/engine.js');
const { Exchange } = require('../src/exchange/exchange.js');
const { Output } = require('../src/exchange/output.js');
const { addressOf, deadlineOf, settingsOf } = require('../src/engine/options.js');
const { meantBy } = require('../src/engine/option-names.js');
const { urlsOf } = require('../src/ring/urls.js');
const {
  RING_BLOCKS_BACK,
  RING_CONTROL_WORDS,
  RING_EVENT_HEAD,
  RING_EVENT_TAIL,
  RING_RETURN_TAIL,
  RING_SLOT_SIZE,
  SOCKETS_MESSAGES_HEAD,
  SOCKETS_ROOM_WANTED,
  SLOT_FLAGS,
  SLOT_LENGTH_HIGH,
  SLOT_LENGTH_LOW,
  SLOT_PIECE_LENGTH,
  SLOT_PIECE_PAGE,
  SLOT_REASON,
  NEWS_CONTENT,
  NEWS_CONTENT_END,
  NEWS_ENDED,
} = require('../src/memory/layout.js');

test('a short text is written whole, or not at all', () => {
  const bytes = Buffer.alloc(100);
  for (const letter of ['a', 'é', '€', '😀']) {
    const each = Buffer.byteLength(letter);
    for (let count = 1; count * each < 100; count++) {
      const text = letter.repeat(count);
      assert.equal(writeShort(bytes, 0, count * each, text), count * each);
      assert.equal(bytes.toString('utf8', 0, count * each), text);
      assert.equal(writeShort(bytes, 0, count * each - 1, text), -1);
    }
  }
});

test('a field that has another value than the last time is written with it', () => {
  const bytes = Buffer.alloc(1000);
  for (const fields of [
    ['a', '1', 'b', '2'],
    ['a', '2', 'b', '2'],
    ['b', '2', 'a', '2'],
  ])
    assert.deepEqual(decodeFields(bytes, 0, writeFields(bytes, 0, 1000, fields)), fields);
});

const ringOf = (inline) => new Ring(0, 32, inline, false);

test('an exception in a batch is thrown later, and the others of the batch are heard', (t) => {
  const ring = ringOf(true);
  const raised = [];
  const heard = [];
  t.mock.method(globalThis, 'setImmediate', (raise, error) => raised.push(error.message));
  ring.slots = ['first', 'second', 'third'];
  ring.takeNews = (slot) => {
    heard.push(slot);
    if (slot !== 'third') throw new Error(slot);
  };
  for (let i = 0; i < 3; i++) ring.control[RING_CONTROL_WORDS + i] = i;
  ring.control[RING_EVENT_TAIL] = 3;
  assert.equal(ring.takeEvents(null, null), false);
  assert.deepEqual(heard, ['first', 'second', 'third']);
  assert.deepEqual(raised, ['first', 'second']);
});

test('a loan that has come back is used again', () => {
  const ring = ringOf(true);
  const bytes = [new Uint8Array(1), new Uint8Array(2), new Uint8Array(3)];
  assert.deepEqual(
    bytes.map((each) => ring.loans.take(each)),
    [0, 1, 2],
  );
  ring.control[ring.returns] = 2;
  ring.control[ring.returns + 1] = 0;
  ring.control[RING_RETURN_TAIL] = 2;
  ring.takeReturns();
  assert.deepEqual(ring.loans.lent.slice(0, 3), [null, bytes[1], null]);
  assert.deepEqual([ring.loans.take(bytes[0]), ring.loans.take(bytes[2])], [0, 2]);
});

test('what a burst has lent leaves no more than a few numbers', () => {
  const { loans } = ringOf(true);
  const bytes = new Uint8Array(1);
  for (let i = 0; i < 1000; i++) assert.equal(loans.take(bytes), i);
  for (let i = 1; i < 1000; i++) assert.equal(loans.give(i), bytes);
  assert.equal(loans.lent.length, 512);
  const low = Array.from({ length: 255 }, () => loans.take(bytes));
  assert.equal(Math.max(...low), 255);
  assert.equal(new Set(low).size, 255);
});

// Sizes that no other test here uses, so that memory which is used again is known.
test('bytes that several responses have are copied once, until the last one is sent', () => {
  const bytes = new Uint8Array(600_000).fill(97);
  const copy = copyOf(bytes);
  assert.notEqual(copy.buffer, bytes.buffer);
  assert.equal(copyOf(bytes), copy);
  giveBack(copy);
  assert.equal(copyOf(bytes), copy);
  bytes[599_999] = 98;
  const other = copyOf(bytes);
  assert.notEqual(other.buffer, copy.buffer);
  assert.deepEqual([copy[599_999], other[599_999]], [97, 98]);
  assert.notEqual(copyOf(bytes.subarray(1)).buffer, other.buffer);
  giveBack(copy);
  assert.notEqual(copyOf(new Uint8Array(600_001)).buffer, copy.buffer); // one has it still
  giveBack(copy);
  assert.equal(copyOf(new Uint8Array(600_002)).buffer, copy.buffer);
});

test('text that several responses have is encoded once, until the last one is sent', () => {
  const text = 'é'.repeat(100_000);
  const copy = ownBytes(text, false);
  assert.equal(Buffer.from(copy).toString(), text);
  assert.equal(ownBytes('é'.repeat(100_000), false), copy);
  const other = ownBytes(`${text.slice(1)}e`, false);
  assert.equal(Buffer.from(other).toString(), `${text.slice(1)}e`);
  giveBack(copy);
  assert.equal(ownBytes(text, false), copy);
  giveBack(copy);
  giveBack(copy);
  assert.notEqual(ownBytes('x'.repeat(200_000), false).buffer, other.buffer);
  assert.equal(copy[0], 'x'.charCodeAt(0)); // its memory is used again,
  assert.equal(Buffer.from(ownBytes(text, false)).toString(), text); // and it is no copy of that text any more
});

test('a copy that somebody else looks at is nobody else’s any more', () => {
  const bytes = new Uint8Array(300_000).fill(97);
  const copy = copyOf(bytes);
  share(copy);
  giveBack(copy);
  for (let i = 0; i < 3; i++) assert.notEqual(copyOf(bytes).buffer, copy.buffer);
});

test('a batch has fewer events while answers are large', () => {
  const ring = ringOf(true);
  const sizes = [];
  for (const lent of [0, 300_000, 300_000, 300_000, 0, 0, 0, 0]) {
    ring.lentNow = lent;
    ring.measureBatch();
    sizes.push(ring.batch);
  }
  assert.deepEqual(sizes, [512, 256, 128, 64, 128, 256, 512, 512]);
  for (let i = 0; i < 20; i++) {
    ring.lentNow = 300_000;
    ring.measureBatch();
  }
  assert.equal(ring.batch, 1);
  ring.slots = [{}, {}];
  ring.takeNews = () => {};
  ring.control[RING_EVENT_TAIL] = 2;
  assert.equal(ring.takeEvents(null, null), true);
  assert.equal(ring.takeEvents(null, null), false);
});

test('tables by number end where the last one is, after a burst', (t) => {
  const ring = ringOf(true);
  t.mock.method(require('../src/ring/native.js'), 'forgetConnection', () => {});
  ring.blocks = [{}, {}];
  ring.slots = Array.from({ length: 32 }, () => ({}));
  ring.slotCount = 32;
  ring.control[ring.blockWords] = 1; // the engine has that one still
  ring.control[RING_BLOCKS_BACK] = 1;
  ring.takeBlocksBack();
  assert.deepEqual([ring.blocks.length, ring.slots.length, ring.slotCount], [1, 16, 16]);
  const closed = [];
  ring.observer = { closed: (made) => closed.push(made) };
  const one = (made) => ({ connection: {}, made });
  ring.connections = [undefined, one('a'), one('b'), one('c')];
  const goes = (number) => ring.gone.push({ number, reason: '', received: 0, sent: 0 });
  goes(2);
  ring.control[RING_EVENT_TAIL] = 1; // the news of an exchange, which come first
  ring.tellGone();
  assert.deepEqual(closed, []);
  ring.eventHead = 1;
  ring.tellGone();
  assert.equal(ring.connections.length, 4);
  goes(3);
  ring.tellGone();
  assert.equal(ring.connections.length, 2);
  assert.deepEqual(closed, ['b', 'c']);
});

test('who waits for a loan goes on in turn, and waits behind one who finds none', () => {
  const ring = ringOf(true);
  const pumped = [];
  let left = 2;
  for (let i = 0; i < 5; i++) {
    const output = {
      starving: false,
      pump() {
        pumped.push(i);
        if (left-- <= 0) ring.starve(output);
      },
    };
    ring.starve(output);
  }
  ring.feed();
  assert.deepEqual(pumped, [0, 1, 2]);
  left = 9;
  ring.feed();
  assert.deepEqual(pumped, [0, 1, 2, 2, 3, 4]);
});

test('a message that finds no loan waits, though the engine has taken what was before it', () => {
  const sockets = Object.create(Sockets.prototype);
  const memory = new ArrayBuffer(4096 + 256 * 1024);
  const ring = { inline: true, lend: () => -1, wakeEngine() {} };
  const fresh = { ring, memory, words: new Int32Array(memory), bytes: Buffer.from(memory), messages: 4096, waiting: [] };
  Object.assign(sockets, fresh, { messagesTail: 64, messagesHead: 0 });
  sockets.words[SOCKETS_MESSAGES_HEAD] = 64;
  sockets.sendBytes(1, 1, new Uint8Array(10_000));
  assert.equal(sockets.waiting.length, 1);
  assert.equal(sockets.words[SOCKETS_ROOM_WANTED], 1);
  ring.lend = () => 0;
  sockets.pump();
  assert.deepEqual([sockets.waiting.length, sockets.messagesTail], [0, 80]);
});

test('what was heard is told when it is dealt with: inline behind the batch, else in the next call', () => {
  for (const inline of [true, false]) {
    const ring = ringOf(inline);
    ring.slots = [{}];
    ring.takeNews = () => {};
    ring.open = false;
    ring.control[RING_EVENT_TAIL] = 30;
    ring.drain(null, null, null);
    assert.equal(ring.control[RING_EVENT_HEAD], inline ? 30 : 0);
    ring.drain(null, null, null);
    assert.equal(ring.control[RING_EVENT_HEAD], 30);
  }
});

test('what is lent is counted, and the number of a loan that was refused is free', (t) => {
  const ring = ringOf(true);
  const native = require('../src/ring/native.js');
  const results = [0, 0, -1, 0];
  t.mock.method(native, 'lend', () => results.shift());
  const loans = [10, 20, 30, 40].map((length) => ring.lend(new Uint8Array(length)));
  assert.deepEqual(loans, [0, 1, -1, 2]);
  assert.equal(ring.lentNow, 70);
});

test('the time for content behind its response stands still while it is read', async (t) => {
  const timers = [];
  const unref = t.mock.fn();
  class Timer {
    cleared = false;
    unref = unref;
  }
  t.mock.method(globalThis, 'setTimeout', () => timers[timers.push(new Timer()) - 1]);
  t.mock.method(globalThis, 'clearTimeout', (timer) => {
    if (timer !== undefined) timer.cleared = true;
  });
  const block = new ArrayBuffer(RING_SLOT_SIZE);
  const words = new Int32Array(block);
  const slot = { words, bytes: Buffer.from(block), ring: { pages: Buffer.from('abc'), post() {}, mostRoom: () => 0 } };
  words[SLOT_LENGTH_LOW] = words[SLOT_LENGTH_HIGH] = -1;
  const exchange = new Exchange(slot, 1);
  const tell = (news) => {
    words[SLOT_FLAGS] = 0;
    exchange.hear(news);
  };
  exchange.keepContent();
  const first = exchange.read();
  [words[SLOT_PIECE_PAGE], words[SLOT_PIECE_LENGTH]] = [1, 3];
  tell(NEWS_CONTENT);
  assert.equal(Buffer.from(await first).toString(), 'abc');
  words[SLOT_REASON] = native.reasons().indexOf('complete');
  tell(NEWS_ENDED);
  assert.deepEqual([timers.length, timers[0].cleared, unref.mock.callCount()], [1, false, 1]); // nor does it keep the process
  const second = exchange.read();
  assert.deepEqual([timers.length, timers[0].cleared], [1, true]);
  words[SLOT_PIECE_LENGTH] = 0;
  tell(NEWS_CONTENT_END);
  assert.equal(await second, null);
  assert.equal(exchange.released, true);
});

test('a handle whose server is over answers nothing', async () => {
  const engine = open({ port: 0, hostname: '127.0.0.1', io: 'inline' }, () => {});
  const { handle } = engine;
  assert.equal(native.stats(handle).requests, 0);
  await engine.shutdown();
  await new Promise(setImmediate); // it is told before all is freed
  assert.deepEqual([native.stats(handle), native.backend(handle)], [undefined, undefined]);
  for (const call of [native.start, native.replaceTls, native.adjust]) assert.ok(call(handle, {}) < 0);
});

test('a server that cannot listen leaves nothing', (t) => {
  const discard = t.mock.method(native, 'discard');
  assert.throws(() => open({ port: 0, hostname: 'no address', io: 'inline' }, () => {}), { code: 'CAROM_EADDRESS' });
  assert.equal(discard.mock.callCount(), 1);
});

// An engine on a thread may take all that a stream gives, so that it never has to wait.
test('a stream that need not wait gives the loop a turn', async () => {
  let turns = 0;
  setImmediate(() => turns++);
  await Output.prototype.ready.call({ buffered: 0, waiting: null });
  assert.equal(turns, 1);
});

test('what options come to', () => {
  assert.equal(settingsOf({ keepAlive: 0.5 }).keepAlive, 1);
  for (const hostname of ['::1', '[::1]']) assert.equal(addressOf({ hostname, port: 1 }), '[::1]:1');
  assert.equal(addressOf({ hostname: '127.0.0.1', port: 1 }), '127.0.0.1:1');
  assert.deepEqual([deadlineOf(0), deadlineOf(2 ** 32 - 2), deadlineOf(2 ** 32), deadlineOf()], [0, 2 ** 32 - 2, -1, -1]);
});

test('an option with two letters exchanged is told', () => {
  assert.equal(meantBy('keepAilve', ['keepAlive']), 'keepAlive');
  assert.equal(meantBy('keepAxxve', ['keepAlive']), undefined);
  for (const near of ['eepAlive', 'keepAliv', 'keepAlivee', 'xkeepAlive', 'KEEPALIVE', 'keepAlvie', 'keepxlive', 'keepAlixe'])
    assert.equal(meantBy(near, ['keepAlive']), 'keepAlive', near);
  for (const far of ['epAlive', 'keepAli', 'xxkeepAlive', 'keepAliveee', 'keepvlAie', 'keep'])
    assert.equal(meantBy(far, ['keepAlive']), undefined, far);
  assert.deepEqual([meantBy('pat', ['path']), meantBy('paths', ['path']), meantBy('fu', ['fd'])], [undefined, 'path', undefined]);
});

test('an address of IPv6 is short where more than one group is zero', () => {
  const textOf = (hex) => ipv6Text(Buffer.from(hex, 'hex'), 0);
  assert.equal(textOf('20010db8000000010001000100010001'), '2001:db8:0:1:1:1:1:1');
  assert.equal(textOf('20010db8000000010000000000000001'), '2001:db8:0:1::1');
  assert.equal(textOf('00000000000000000000000000000001'), '::1');
  assert.equal(textOf('00000000000000000000ffff7f000001'), '127.0.0.1');
});

// Of some thousand some lie in the same place of the cache.
test('a URL is that of its target and its host, wherever the one ends', () => {
  const urls = urlsOf(false);
  for (let i = 0; i < 5000; i++) {
    const bytes = Buffer.from(`/${i}ab`);
    const end = bytes.length - 2;
    const one = urls.find(bytes, 0, end, end, 2); // "/1" and "ab"
    one.url = 'known';
    const other = urls.find(bytes, 0, end + 1, end + 1, 1); // "/1a" and "b"
    assert.equal(other.url, '');
  }
});

test('a length of more than 31 bits', () => {
  const block = new ArrayBuffer(RING_SLOT_SIZE);
  const words = new Int32Array(block);
  const exchange = new Exchange({ words, bytes: Buffer.from(block), ring: {} }, 1);
  for (const length of [0, 3 * 2 ** 30, 2 ** 32, 5 * 2 ** 32 + 7]) {
    words[SLOT_LENGTH_LOW] = length % 2 ** 32;
    words[SLOT_LENGTH_HIGH] = Math.floor(length / 2 ** 32);
    assert.equal(exchange.contentLength, length);
  }
});

test('who does not wait for room need not hear that the client has gone', async (t) => {
  const unheard = t.mock.fn();
  process.prependListener('unhandledRejection', unheard);
  const output = new Output({});
  output.buffered = 1_000_000;
  output.ready();
  output.close('client-reset');
  await new Promise(setImmediate);
  process.removeListener('unhandledRejection', unheard);
  assert.equal(unheard.mock.callCount(), 0);
});

test('a clone of bytes keeps them when the first was sent', () => {
  const { extract, clone } = require('../src/fetch/body.js');
  const body = extract(Buffer.alloc(16_384, 'a'));
  const other = clone(body);
  giveBack(body.source);
  copyOf(Buffer.alloc(16_384, 'b')); // which may have the memory of what is done with
  assert.equal(Buffer.from(other.source).toString(), 'a'.repeat(16_384));
});

test('a view of a buffer is its own bytes', () => {
  const { toBytes } = require('../src/serve/flow.js');
  const { buffer } = new Uint8Array([1, 2, 3, 4]);
  for (const view of [new DataView(buffer, 1, 2), new Int8Array(buffer, 1, 2)]) assert.deepEqual(toBytes(view), new Uint8Array([2, 3]));
});
