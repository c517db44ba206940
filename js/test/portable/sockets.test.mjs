// The engine's side of the WebSockets of a ring, in memory of this test's: what the program asks for in one log, what it is told in the
// other, and what of its messages has left.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const require = createRequire(import.meta.url);
const layout = require('../../src/memory/layout.js');
const { E } = require('../../src/portable/names.js');
const { Sockets } = require('../../src/portable/sockets.js');

const MOST = 8;
const NAMES = Object.fromEntries(Object.keys(layout).flatMap((name) => (name.startsWith('TOLD_') ? [[layout[name], name.slice(5)]] : [])));
const HEAD = ['Host', 'a', 'Sec-WebSocket-Version', '13', 'Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='];
const NUMBERS = { webSocketsRefused: 0, webSocketsOpen: 0, webSocketsAccepted: 0, webSocketMessagesSent: 0, webSocketBytesSent: 0 };

// A program with its logs: `ask` writes and is heard, `told` reads what was told since, and `opened` makes a socket of a request.
function programOf({ size = 4096, ...given } = {}) {
  const side = { slots: [], loans: new Map(), takeLoan: (number) => side.loans.get(number) };
  side.server = { counts: { ...NUMBERS }, closedCounts: {}, turnSoon() {} };
  const sockets = new Sockets(side, new SharedArrayBuffer(4096 + 2 * size), MOST, size, size);
  const settings = { maxMessage: 1 << 20, writeBuffer: 100, writeLimit: 200, pingInterval: -1, ...given };
  assert.equal(sockets.addSettings(settings), 0);
  const { words, bytes } = sockets;
  let readAt = 0;

  function ask(kind, number, value = 0, content = '', flags = 0) {
    const data = Buffer.from(content);
    const length = layout.ENTRY_HEAD + data.length;
    const tail = words[layout.SOCKETS_MESSAGES_TAIL];
    let at = tail & (size - 1);
    let next = tail;
    if (at + length > size) {
      words.set([size - at, layout.ENTRY_PADDING, 0, 0], (words[layout.SOCKETS_MESSAGES_BYTE] + at) >> 2);
      next += size - at;
      at = 0;
    }
    const byte = words[layout.SOCKETS_MESSAGES_BYTE] + at;
    words.set([length, layout[`ASK_${kind}`] | (flags << 16), number, value], byte >> 2);
    bytes.set(data, byte + layout.ENTRY_HEAD);
    words[layout.SOCKETS_MESSAGES_TAIL] = (next + ((length + layout.ENTRY_ALIGN - 1) & -layout.ENTRY_ALIGN)) | 0;
    sockets.takeMessages();
  }

  // At most `most` entries: { name, flags, number, value, bytes }.
  function told(most = Infinity) {
    const all = [];
    while (all.length < most && readAt !== words[layout.SOCKETS_NEWS_TAIL]) {
      const at = readAt & (size - 1);
      const byte = words[layout.SOCKETS_NEWS_BYTE] + at;
      const [length, kind, number, value] = words.subarray(byte >> 2, (byte >> 2) + 4);
      assert.ok(at + length <= size, 'an entry runs over the end of its log');
      const name = NAMES[kind & 0xffff];
      if (kind !== layout.ENTRY_PADDING)
        all.push({ name, flags: kind >> 16, number, value, bytes: Buffer.from(bytes.subarray(byte + layout.ENTRY_HEAD, byte + length)) });
      readAt = (readAt + ((length + layout.ENTRY_ALIGN - 1) & -layout.ENTRY_ALIGN)) | 0;
    }
    words[layout.SOCKETS_NEWS_HEAD] = readAt;
    return all;
  }

  // A slot with a request that asks for a WebSocket; its calls are noted.
  function slotOf(fields = [], upgrade = () => 0) {
    const slot = { held: true, generation: 7, calls: [] };
    slot.give = () => slot.calls.push('give');
    slot.release = () => slot.calls.push('release');
    slot.core = { secure: false, delays: [], guard: (act) => act(), later: (delay, act) => slot.core.delays.push([delay, act]) };
    slot.record = {
      over: false,
      owner: slot,
      head: { version: 11, method: 'GET', fields: [...HEAD, ...fields] },
      core: slot.core,
      upgrade: (response) => {
        slot.response = response;
        return upgrade();
      },
      respond: ({ status }) => {
        slot.status = status;
        return 0;
      },
      exchange: {
        becomes: (record, socket) => {
          slot.socket = socket;
        },
      },
    };
    side.slots.push(slot);
    return slot;
  }

  function accept(number, slot, { generation = 7, settingsNumber = 0, fields = '' } = {}) {
    const head = Buffer.alloc(12);
    for (const [i, word] of [side.slots.indexOf(slot), generation, settingsNumber].entries()) head.writeInt32LE(word, 4 * i);
    ask('ACCEPT', number, 0, Buffer.concat([head, Buffer.from(fields)]));
  }

  function opened(number) {
    const slot = slotOf();
    accept(number, slot);
    slot.wire = { queued: 0, sent: [], state: [], receive: (on) => slot.wire.state.push(on), touch() {}, end() {}, abort() {} };
    slot.wire.send = (piece) => slot.wire.sent.push(piece);
    slot.socket.begin(slot.wire);
    told();
    return slot;
  }

  return { sockets, side, words, ask, told, slotOf, accept, opened };
}

const lines = (all) => all.map(({ name, number, value, bytes }) => `${name} ${number} ${value} ${bytes.toString('latin1')}`.trim());

test('a request becomes a socket', () => {
  const { side, slotOf, accept, told } = programOf();
  const slot = slotOf();
  accept(3, slot, { fields: '\x01\0\x02\0Xyz' });
  assert.deepEqual(slot.response.fields.slice(0, 2), ['X', 'yz']);
  assert.deepEqual([slot.calls, slot.record.owner, told()], [['give'], null, []]);
  slot.socket.begin({ receive() {} });
  assert.deepEqual(told(), [{ name: 'OPENED', flags: 0, number: 3, value: 0, bytes: Buffer.alloc(0) }]);
  assert.equal(side.server.counts.webSocketsAccepted, 1);
});

test('what was agreed on is told', () => {
  const { slotOf, accept, told } = programOf({ deflate: 1, protocols: 'a, chat' });
  const slot = slotOf(['Sec-WebSocket-Protocol', 'chat', 'Sec-WebSocket-Extensions', 'permessage-deflate']);
  accept(3, slot);
  slot.socket.begin({ receive() {} });
  assert.deepEqual(told(), [{ name: 'OPENED', flags: layout.ENTRY_COMPRESSED, number: 3, value: 0, bytes: Buffer.from('chat') }]);
});

test('what does not fit is not accepted', () => {
  const { side, slotOf, accept, told } = programOf();
  const slot = slotOf();
  accept(1, slot, { generation: 8 });
  accept(1, slot, { settingsNumber: 1 });
  accept(1, {});
  slot.held = false;
  accept(1, slot);
  assert.deepEqual([slot.calls, told()], [[], []]);
  for (const [other, error] of [
    [slotOf(['Origin', 'http://b']), E.EPROTOCOL],
    [slotOf([], () => E.ESTATE), E.ESTATE],
    [Object.assign(slotOf(), { is: 'gone' }), E.ECANCELED],
  ]) {
    if (other.is === 'gone') other.record.over = true;
    accept(2, other);
    assert.deepEqual([other.calls, lines(told())], [['release'], [`REFUSED 2 ${error}`]]);
  }
  const named = slotOf();
  accept(2, named, { fields: '\x07\0\x01\0Upgradex' });
  assert.deepEqual(lines(told()), [`REFUSED 2 ${E.EFIELD}`]);
  assert.deepEqual([side.slots[1].status, side.server.counts.webSocketsRefused], [403, 1]);
});

test('what is told comes in its order, however little room there is', () => {
  let seed = 1;
  const random = (below) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const { opened, told, sockets } = programOf();
  const slots = [1, 2].map(opened);
  const given = [[], []];
  const got = [[], []];
  const take = (most) => {
    for (const { name, number, value, bytes } of told(most)) {
      const list = got[number - 1];
      if (name === 'MORE') list.at(-1).text += bytes.toString();
      else list.push({ name, value, text: bytes.toString() });
    }
    sockets.takeMessages();
  };
  for (let i = 0; i < 400; i++) {
    const which = random(2);
    const length = [0, 1, 15, 16, 17, 100, 2000, 4064, 4080, 4081, 9000][random(11)];
    const text = String.fromCharCode(97 + (i % 26)).repeat(length);
    const { owner } = slots[which].socket;
    if (random(5) === 0) {
      owner.failed(i);
      given[which].push({ name: 'FAILED', value: i, text: '' });
    } else {
      owner.message(Buffer.from(text), i % 2 === 1);
      given[which].push({ name: i % 2 === 1 ? 'BINARY' : 'TEXT', value: length, text });
    }
    take(random(6));
  }
  while (sockets.waiting.length > 0) take(Infinity);
  take(Infinity);
  assert.deepEqual(got, given);
});

test('a client whose news find no room is not read until they do', () => {
  const { opened, told, sockets, ask } = programOf();
  const [first, second] = [1, 2].map(opened);
  first.socket.owner.message(Buffer.alloc(5000), true);
  assert.equal(first.wire.state.at(-1), false);
  second.socket.owner.failed(1); // behind it, though there is room for that
  assert.equal(second.wire.state.at(-1), false);
  ask('RESUME', 1);
  assert.equal(first.wire.state.at(-1), false);
  ask('PAUSE', 2);
  assert.deepEqual(lines(told()).length, 1);
  sockets.takeMessages();
  assert.deepEqual([first.wire.state.at(-1), second.wire.state.at(-1)], [true, false]); // the program holds the other
  ask('RESUME', 2);
  assert.equal(second.wire.state.at(-1), true);
});

test('the program asks, and each socket does it', () => {
  const { opened, ask, told, side } = programOf({ pings: true, pongs: false });
  const { wire, socket } = opened(1);
  ask('TEXT', 1, 0, 'a');
  ask('BINARY', 1, 0, 'b');
  side.loans.set(5, Buffer.from('lent'));
  ask('TEXT', 1, 5, '', layout.ENTRY_LENT);
  ask('PING', 1, 0, 'p');
  ask('PONG', 1, 0, 'q');
  ask('TEXT', 2, 0, 'nobody');
  ask('CLOSE', 2, 1000);
  ask('CLOSE', 1, 1000, 'bye');
  assert.deepEqual(
    wire.sent.map((piece) => piece.toString('latin1')),
    ['\x81\x01a', '\x82\x01b', '\x81\x04lent', '\x89\x01p', '\x8a\x01q', '\x88\x05\x03\xe8bye'],
  );
  assert.equal(socket.state, 'closing');
  ask('ABORT', 1);
  assert.deepEqual(told(), [{ name: 'CLOSED', flags: 0, number: 1, value: 1006, bytes: Buffer.alloc(0) }]);
  const other = opened(3).socket.owner;
  other.control('ping', Buffer.from('x'));
  other.control('pong', Buffer.from('y'));
  assert.deepEqual(lines(told()), ['PING 3 0 x']);
  other.closed(1000, 'bye', true);
  assert.deepEqual(told(), [{ name: 'CLOSED', flags: layout.ENTRY_CLEAN, number: 3, value: 1000, bytes: Buffer.from('bye') }]);
});

test('the log of what is asked for may come round', () => {
  const { opened, ask } = programOf();
  const { wire } = opened(1);
  for (let i = 0; i < 30; i++) {
    ask('BINARY', 1, 0, Buffer.alloc(1000 + i, i));
    assert.deepEqual(wire.sent.pop().subarray(4), Buffer.alloc(1000 + i, i));
  }
});

test('the program is told what has left, and when there is room', () => {
  const { opened, ask, told, words } = programOf();
  const { wire, socket } = opened(3);
  const left = () => words[layout.SOCKETS_LEFT_WORD + 2];
  wire.queued = 1; // something waits before
  ask('BINARY', 3, 0, Buffer.alloc(60), layout.ENTRY_DRAIN);
  wire.queued = 62;
  assert.equal(left(), 0);
  wire.queued = 51;
  socket.sent();
  assert.deepEqual([left(), told()], [9, []]);
  wire.queued = 50;
  socket.sent();
  assert.deepEqual([left(), lines(told())], [10, ['DRAINED 3 0']]);
  wire.queued = 0;
  socket.sent();
  assert.deepEqual([left(), told()], [60, []]); // it was told once
  ask('BINARY', 3, 0, Buffer.alloc(70));
  wire.queued = 70;
  ask('DRAIN', 3, 30);
  wire.queued = 31;
  socket.sent();
  assert.deepEqual(told(), []);
  wire.queued = 30;
  socket.sent();
  wire.queued = 10;
  socket.sent();
  assert.deepEqual([left(), lines(told())], [120, ['DRAINED 3 0']]);
});

test('a message for which there is no room is dropped, and told', () => {
  for (const closeAtLimit of [0, 1]) {
    const { opened, ask, told } = programOf({ closeAtLimit });
    const { wire } = opened(1);
    wire.queued = 150;
    ask('BINARY', 1, 0, Buffer.alloc(51));
    assert.deepEqual([wire.sent, lines(told())], [[], ['DROPPED 1 51', ...(closeAtLimit ? ['CLOSED 1 1006'] : [])]]);
  }
});

test('what is published goes to who has subscribed, but not to who says it', () => {
  const { opened, ask, side } = programOf();
  const slots = [1, 2, 3].map(opened);
  const sent = () => slots.map(({ wire }) => wire.sent.splice(0).map((piece) => piece.toString('latin1')));
  for (const number of [1, 2]) ask('SUBSCRIBE', number, 0, 'room');
  ask('SUBSCRIBE', 3, 0, 'other');
  ask('PUBLISH_TEXT', 1, 0, '\x04\0\0\0roomhi');
  assert.deepEqual(sent(), [[], ['\x81\x02hi'], []]);
  ask('PUBLISH_BINARY', 0, 0, '\x04\0\0\0roomhi');
  assert.deepEqual(sent(), [['\x82\x02hi'], ['\x82\x02hi'], []]);
  side.loans.set(9, Buffer.from('lent'));
  ask('PUBLISH_TEXT', 0, 9, '\x05\0\0\0other', layout.ENTRY_LENT);
  assert.deepEqual(sent(), [[], [], ['\x81\x04lent']]);
  ask('UNSUBSCRIBE', 2, 0, 'room');
  slots[0].socket.abort();
  ask('PUBLISH_TEXT', 0, 0, '\x04\0\0\0roomhi');
  assert.deepEqual(sent(), [[], [], []]);
  assert.deepEqual([...side.server.topics.keys()], ['other']);
});

test('a shutdown closes one socket after another, in half of its time', () => {
  const { sockets, opened, slotOf, accept, told } = programOf();
  const slots = [1, 2, 3, 4].map(opened);
  sockets.drain(800);
  assert.deepEqual(
    slots.map(({ core }) => core.delays[0][0]),
    [0, 100, 200, 300],
  );
  slots[1].core.delays[0][1]();
  assert.deepEqual(slots[1].wire.sent, [Buffer.from([0x88, 2, 3, 0xe9])]);
  const late = slotOf();
  accept(5, late);
  const sent = [];
  late.socket.begin({ queued: 0, receive() {}, touch() {}, send: (piece) => sent.push(piece) });
  assert.deepEqual([sent, lines(told())], [[Buffer.from([0x88, 2, 3, 0xe9])], ['OPENED 5 0']]);
  late.socket.lost();
  for (const { socket } of slots) socket.lost();
  const endless = programOf();
  const one = [1, 2].map(endless.opened);
  endless.sockets.drain(-1);
  assert.deepEqual(
    one.map(({ core }) => core.delays[0][0]),
    [0, 2500],
  );
});

test('what was read is said, and who waits for room is woken', () => {
  const { sockets, side, words, opened, ask } = programOf();
  opened(1);
  ask('BINARY', 1, 0, 'x');
  assert.equal(words[layout.SOCKETS_MESSAGES_HEAD], words[layout.SOCKETS_MESSAGES_TAIL]);
  side.hasNews = false;
  sockets.takeMessages();
  assert.equal(side.hasNews, false);
  words[layout.SOCKETS_ROOM_WANTED] = 1;
  sockets.takeMessages();
  assert.deepEqual([side.hasNews, words[layout.SOCKETS_ROOM_WANTED]], [true, 0]);
  ask('PUBLISH_TEXT', 0, 0, '\x04\0\0\0nonex'); // to nobody
  ask('UNSUBSCRIBE', 1, 0, 'none');
  assert.equal(side.server.topics.size, 0);
});

test('a message goes as it is where that is asked for', () => {
  const { ask, slotOf, accept } = programOf({ deflate: 1 });
  const slot = slotOf(['Sec-WebSocket-Extensions', 'permessage-deflate']);
  accept(1, slot);
  const firsts = [];
  slot.socket.begin({ queued: 0, receive() {}, touch() {}, send: ([first]) => firsts.push(first) });
  slot.socket.server.counts.webSocketBytesSaved = 0;
  ask('SUBSCRIBE', 1, 0, 'room');
  const long = 'x'.repeat(64);
  ask('TEXT', 1, 0, long, layout.ENTRY_PLAIN);
  ask('TEXT', 1, 0, long);
  ask('TEXT', 1, 0, long.slice(1)); // which is not worth it
  ask('PUBLISH_TEXT', 0, 0, `\x04\0\0\0room${long}`, layout.ENTRY_PLAIN);
  ask('PUBLISH_TEXT', 0, 0, `\x04\0\0\0room${long}`);
  assert.deepEqual(firsts, [0x81, 0xc1, 0x81, 0x81, 0xc1]);
});

test('settings have defaults, and are off below zero', () => {
  const usual = { maxFragments: 1024, pingInterval: 25_000, pongTimeout: 20_000, closeTimeout: 5000, closeAtLimit: false, deflates: false };
  const { sockets } = programOf();
  const told = (number) => Object.fromEntries(Object.keys(usual).map((name) => [name, sockets.settings[number][name]]));
  sockets.addSettings({});
  assert.deepEqual(told(1), usual);
  const { level, threshold, protocols, origins } = sockets.settings[1];
  assert.deepEqual([level, threshold, protocols, origins], [1, 64, [], []]);
  assert.equal(
    sockets.addSettings({ pingInterval: -1, pongTimeout: -1, closeTimeout: -1, maxFragments: 2, closeAtLimit: 1, deflate: 2 }),
    2,
  );
  assert.deepEqual(told(2), {
    maxFragments: 2,
    pingInterval: false,
    pongTimeout: false,
    closeTimeout: false,
    closeAtLimit: true,
    deflates: true,
  });
});
