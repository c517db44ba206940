// The frames of a WebSocket of the portable engine, on a wire of this test's and by a clock of this test's: what is read of bytes however
// they come, what is sent, and how it ends.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import zlib from 'node:zlib';

const { WebSocket } = createRequire(import.meta.url)('../../src/portable/websocket.js');

const USUAL = {
  pingInterval: false,
  pongTimeout: false,
  closeTimeout: 5000,
  maxMessage: 70_000,
  maxFragments: 3,
  writeBuffer: 1000,
  writeLimit: 2000,
  threshold: 10,
  level: 6,
};
const FIN = 0x80;
const PACKED = 0x40;
const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10];

// A frame as a client sends it, with a mask. `size`: how its length is written: in 1, 3 or 9 bytes.
function framed(first, payload = '', size = payload.length < 126 ? 1 : payload.length < 65536 ? 3 : 9) {
  const bytes = Buffer.from(payload);
  const head = Buffer.alloc(1 + size + 4);
  head[0] = first;
  head[1] = FIN | (size === 1 ? bytes.length : size === 3 ? 126 : 127);
  if (size === 3) head.writeUInt16BE(bytes.length, 2);
  if (size === 9) head.writeBigUInt64BE(BigInt(bytes.length), 2);
  head.set([1, 2, 3, 4], 1 + size);
  return Buffer.concat([head, bytes.map((byte, i) => byte ^ ((i & 3) + 1))]);
}

const short = (data) => (data.length > 60 ? `${data.length}` : data.toString('latin1'));

// A socket with what became of it: `heard` of its owner, `sent` and `done` of its wire, `due`: the time and the deed of its timer.
function open({ deflate = false, begins = true, ...settings } = {}) {
  const heard = [];
  const done = [];
  const sent = [];
  const owner = {
    opened: () => heard.push('opened'),
    message: (data, isBinary) => heard.push(`${isBinary ? 'binary' : 'text'} ${short(data)}`),
    control: (name, data) => heard.push(`${name} ${short(data)}`),
    failed: (code) => heard.push(`failed ${code}`),
    closed: (code, reason, clean) => heard.push(`closed ${code} ${reason} ${clean}`),
    left: () => heard.push('left'),
  };
  const wire = { queued: 0, send: (bytes) => sent.push(bytes), touch() {} };
  wire.receive = (on) => done.push(on ? 'on' : 'off');
  wire.end = (unread) => done.push(`end ${unread}`);
  wire.abort = (reason, reset) => done.push(`abort ${reason} ${reset}`);
  const counts = Object.fromEntries(
    ['Accepted', 'sOpen', 'MessagesReceived', 'BytesReceived', 'MessagesSent', 'BytesSent', 'BytesSaved'].map((name) => [
      `webSocket${name === 'Accepted' ? 's' : ''}${name}`,
      0,
    ]),
  );
  const server = { counts, closedCounts: { 1000: 0, 1001: 0, 1002: 0, 1005: 0, 1006: 0, other: 0 } };
  const all = { socket: null, heard, done, sent, wire, counts, closedCounts: server.closedCounts, due: null };
  all.socket = new WebSocket(server, { ...USUAL, ...settings }, '', deflate, owner);
  all.socket.keepTime = (milliseconds, act) => {
    all.due = milliseconds === false ? null : [milliseconds, act];
  };
  if (begins) all.socket.begin(wire);
  return all;
}

// What the owner hears when these bytes come, with pieces that end there.
function heardOf(bytes, ends, settings) {
  const { socket, heard } = open(settings);
  let at = 0;
  for (const end of ends) {
    socket.received(bytes.subarray(at, end));
    at = end;
  }
  return heard.slice(1);
}

// However the bytes come, this is heard.
function assertHeard(frames, expected, settings) {
  const bytes = Buffer.concat(frames);
  const { length } = bytes;
  assert.deepEqual(heardOf(bytes, [length], settings), expected);
  const cuts = length < 300 ? Array.from({ length: length - 1 }, (_, i) => i + 1) : [1, 2, 3, 9, 10, 14, length - 1];
  for (const cut of cuts) assert.deepEqual(heardOf(bytes, [cut, length], settings), expected, `cut at ${cut}`);
  if (length < 300) assert.deepEqual(heardOf(bytes, [...cuts, length], settings), expected, 'byte by byte');
}

test('messages are read, however long and in however many frames', () => {
  for (const length of [0, 1, 4, 5, 125, 126, 127, 65535, 65536])
    assertHeard([framed(FIN | BINARY, 'x'.repeat(length))], [`binary ${short(Buffer.alloc(length, 'x'))}`]);
  assertHeard([framed(FIN | TEXT, 'one'), framed(FIN | BINARY, 'two')], ['text one', 'binary two']);
  assertHeard([framed(TEXT, 'a'), framed(CONTINUATION, 'b'), framed(FIN | CONTINUATION, 'c')], ['text abc']);
  assertHeard([framed(BINARY, 'a'), framed(FIN | PING, 'p'), framed(FIN | CONTINUATION, 'c')], ['ping p', 'binary ac']);
  assertHeard([framed(FIN | PONG, 'x'.repeat(125)), framed(FIN | PONG)], ['pong 125', 'pong ']);
});

test('what breaks the protocol is refused, and nothing is read behind it', () => {
  const behind = framed(FIN | TEXT, 'behind');
  for (const frames of [
    [framed(FIN | 0x20 | TEXT, 'a')],
    [framed(FIN | 0x10 | TEXT, 'a')],
    [framed(FIN | PACKED | TEXT, 'a')],
    ...[3, 7, 11, 15].map((opcode) => [framed(FIN | opcode, 'a')]),
    [framed(PING, 'a')],
    [framed(FIN | PACKED | PING, 'a')],
    [framed(FIN | CONTINUATION, 'a')],
    [framed(TEXT, 'a'), framed(FIN | TEXT, 'b')],
    [framed(TEXT, 'a'), framed(FIN | BINARY, 'b')],
    [framed(FIN | PING, 'x'.repeat(126))],
    [framed(FIN | BINARY, 'x'.repeat(125), 3)],
    [framed(FIN | BINARY, 'x'.repeat(126), 9)],
    [framed(FIN | BINARY, 'x'.repeat(65535), 9)],
    [Buffer.from([FIN | BINARY, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4])],
    [Buffer.from([FIN | BINARY, 1, 1, 2, 3, 4])], // without a mask
    [framed(FIN | CLOSE, 'a')],
    ...[0, 999, 1004, 1005, 1006, 1015, 2999, 5000].map((code) => [framed(FIN | CLOSE, Buffer.from([code >> 8, code & 255]))]),
  ])
    assertHeard([...frames, behind], ['failed 1002']);
  assert.deepEqual(heardOf(Buffer.from([FIN | 3]), [1]), ['failed 1002']); // the first byte says it
});

test('no message is longer than the limit, and has more frames', () => {
  const settings = { maxMessage: 5, maxFragments: 3 };
  assertHeard([framed(FIN | BINARY, '12345')], ['binary 12345'], settings);
  assertHeard([framed(FIN | BINARY, '123456')], ['failed 1009'], settings);
  assertHeard([framed(BINARY, '123'), framed(FIN | CONTINUATION, '45')], ['binary 12345'], settings);
  assertHeard([framed(BINARY, '123'), framed(FIN | CONTINUATION, '456')], ['failed 1009'], settings);
  assert.deepEqual(heardOf(framed(FIN | BINARY, '123456'), [6], settings), ['failed 1009']); // its head says it
  const three = [framed(BINARY, '1'), framed(CONTINUATION, '2')];
  assertHeard([...three, framed(FIN | CONTINUATION, '3')], ['binary 123'], settings);
  assertHeard([...three, framed(CONTINUATION, '3'), framed(FIN | CONTINUATION, '4')], ['failed 1008'], settings);
});

test('text is UTF-8', () => {
  const euro = Buffer.from('\u20ac');
  assertHeard([framed(FIN | TEXT, euro)], [`text ${euro.toString('latin1')}`]);
  assertHeard([framed(TEXT, euro.subarray(0, 1)), framed(FIN | CONTINUATION, euro.subarray(1))], [`text ${euro.toString('latin1')}`]);
  assertHeard([framed(FIN | TEXT, euro.subarray(0, 2))], ['failed 1007']);
  assertHeard([framed(FIN | TEXT, Buffer.from([0xed, 0xa0, 0x80]))], ['failed 1007']);
  assertHeard([framed(FIN | BINARY, euro.subarray(0, 2))], [`binary ${euro.toString('latin1', 0, 2)}`]);
  // What can become no text is refused before its end.
  assertHeard([framed(TEXT, 'a'), framed(CONTINUATION, Buffer.from([0xc0]))], ['failed 1007']);
  assertHeard([framed(TEXT, euro.subarray(0, 2)), framed(CONTINUATION, 'a')], ['failed 1007']);
  assertHeard([framed(FIN | CLOSE, Buffer.from([3, 0xe8, 0xc0]))], ['failed 1007']);
});

test('text that can become none is refused before its frame is whole', () => {
  const euro = Buffer.from('\u20ac');
  const wrong = framed(FIN | TEXT, Buffer.concat([euro, Buffer.from([0xf4, 0x90]), Buffer.alloc(100, 'x')]));
  assert.deepEqual(heardOf(wrong, [11]), ['failed 1007']);
  assert.deepEqual(heardOf(wrong, [1, 2, 5, 6, 7, 8, 9, 10, 11]), ['failed 1007']);
  assert.deepEqual(heardOf(wrong, [7, 11]), ['failed 1007']);
  assert.deepEqual(heardOf(wrong, [10]), []); // F4 may begin a character
  assert.deepEqual(heardOf(framed(FIN | BINARY, Buffer.alloc(100, 0xff)), [50]), []);
  const begun = framed(TEXT, euro.subarray(0, 2));
  const second = framed(FIN | CONTINUATION, Buffer.concat([euro.subarray(2), Buffer.from('ab\xff', 'latin1'), Buffer.alloc(100, 'x')]));
  const all = Buffer.concat([begun, framed(FIN | PING, 'p'), second]);
  const at = all.length - 100;
  assert.deepEqual(heardOf(all, [at - 1]), ['ping p']);
  assert.deepEqual(heardOf(all, [at]), ['ping p', 'failed 1007']);
  assert.deepEqual(heardOf(all, [at - 3, at - 1, at]), ['ping p', 'failed 1007']);
  const settings = { deflate: true };
  assert.deepEqual(heardOf(framed(FIN | PACKED | TEXT, Buffer.alloc(100, 0xff)), [50], settings), []);
});

test('text that came while nothing was read is looked at with what comes behind it', () => {
  for (const last of ['x', '\xff']) {
    const { socket, heard } = open();
    const bytes = framed(FIN | TEXT, Buffer.from(`${'\xc3\xa9'.repeat(20)}${last}${'x'.repeat(50)}`, 'latin1'));
    socket.received(bytes.subarray(0, 9));
    socket.pause(true);
    socket.received(bytes.subarray(9, 20));
    socket.received(bytes.subarray(20, 30));
    socket.isPaused = false; // it will be read in the next turn
    socket.received(bytes.subarray(30, 48));
    socket.received(bytes.subarray(48));
    assert.deepEqual(heard.slice(1), [last === 'x' ? 'text 91' : 'failed 1007']);
  }
});

const packed = (text) => zlib.deflateRawSync(text, { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);

test('a compressed message is inflated, and not beyond the limit', () => {
  const settings = { deflate: true, maxMessage: 1000 };
  const zeros = packed('0'.repeat(1000));
  assertHeard([framed(FIN | PACKED | TEXT, zeros)], ['text 1000'], settings);
  assertHeard([framed(PACKED | TEXT, zeros.subarray(0, 3)), framed(FIN | CONTINUATION, zeros.subarray(3))], ['text 1000'], settings);
  assertHeard([framed(FIN | PACKED | BINARY, packed('0'.repeat(1001)))], ['failed 1009'], settings);
  assertHeard([framed(FIN | PACKED | BINARY, Buffer.from([0xff, 0xff, 0xff]))], ['failed 1007'], settings);
  assertHeard([framed(FIN | PACKED | TEXT, packed(Buffer.from([0xc0])))], ['failed 1007'], settings);
  assertHeard([framed(PACKED | TEXT, zeros), framed(FIN | PACKED | CONTINUATION, '')], ['failed 1002'], settings);
  assertHeard([framed(FIN | TEXT, 'plain')], ['text plain'], settings);
  // What is longer when compressed is let in, as far as that can be.
  assertHeard([framed(FIN | PACKED | BINARY, Buffer.alloc(1314, 0xff))], ['failed 1007'], settings);
  assertHeard([framed(FIN | PACKED | BINARY, Buffer.alloc(1315, 0xff))], ['failed 1009'], settings);
});

test('a ping is answered, unless too much waits', () => {
  const { socket, sent, wire, heard } = open();
  socket.received(framed(FIN | PING, 'abc'));
  wire.queued = 1000;
  socket.received(framed(FIN | PING, 'def'));
  assert.deepEqual(sent, [Buffer.from([FIN | PONG, 3, 97, 98, 99])]);
  assert.deepEqual(heard, ['opened', 'ping abc', 'ping def']);
});

test('who closes is answered with the same, and that is the end', () => {
  for (const [payload, closed] of [
    ['', 'closed 1005  true'],
    ...[1000, 1003, 1007, 1014, 3000, 4999].map((code) => [`${String.fromCharCode(code >> 8, code & 255)}`, `closed ${code}  true`]),
    ['\x03\xe8bye', 'closed 1000 bye true'],
  ]) {
    const bytes = Buffer.from(payload, 'latin1');
    const { socket, sent, heard, done, counts } = open();
    assert.equal(counts.webSocketsOpen, 1);
    socket.received(Buffer.concat([framed(FIN | CLOSE, bytes), framed(FIN | TEXT, 'behind')]));
    assert.deepEqual(sent, [Buffer.concat([Buffer.from([FIN | CLOSE, bytes.length]), bytes])]);
    assert.deepEqual([heard, done, counts.webSocketsOpen], [['opened', closed], ['on', 'end true'], 0]);
  }
});

test('lengths of what is sent', () => {
  const { socket, sent, counts } = open();
  for (const [length, head] of [
    [0, [0]],
    [125, [125]],
    [126, [126, 0, 126]],
    [65535, [126, 255, 255]],
    [65536, [127, 0, 0, 0, 0, 0, 1, 0, 0]],
  ]) {
    socket.send(Buffer.alloc(length, 'x'), length > 125, false);
    assert.deepEqual(sent.pop(), Buffer.concat([Buffer.from([FIN | (length > 125 ? BINARY : TEXT), ...head]), Buffer.alloc(length, 'x')]));
  }
  socket.ping(Buffer.from('a'));
  socket.pong(Buffer.from('b'));
  assert.deepEqual(sent, [Buffer.from([FIN | PING, 1, 97]), Buffer.from([FIN | PONG, 1, 98])]);
  assert.deepEqual([counts.webSocketMessagesSent, counts.webSocketBytesSent, counts.webSocketBytesSaved], [5, 131_322, 0]);
});

test('what is long enough, and becomes shorter, is compressed', () => {
  const { socket, sent, counts } = open({ deflate: true });
  socket.send(Buffer.alloc(9, 'x'), false, false);
  socket.send(Buffer.alloc(10, 'x'), false, true);
  socket.send(Buffer.from('0123456789abcdef'), false, false);
  assert.deepEqual(
    sent.map(([first]) => first),
    [FIN | TEXT, FIN | TEXT, FIN | TEXT],
  );
  socket.send(Buffer.alloc(10, 'x'), true, false);
  const whole = packed('x'.repeat(10));
  assert.deepEqual(sent[3], Buffer.concat([Buffer.from([FIN | PACKED | BINARY, whole.length]), whole]));
  assert.equal(counts.webSocketBytesSaved, 10 - whole.length);
});

test('so much may wait', () => {
  const { socket, wire } = open();
  for (const [queued, length, isAdmitted] of [
    [0, 5000, true],
    [254, 2001, true],
    [255, 2001, false],
    [254, 1746, true],
    [1, 1999, true],
    [1, 2000, false],
    [2000, 0, true],
    [2000, 1, false],
  ]) {
    wire.queued = queued;
    assert.equal(socket.admits(length), isAdmitted, `${length} behind ${queued}`);
  }
});

test('what broke the protocol is closed by its owner, or when that takes too long', () => {
  for (const byOwner of [true, false]) {
    const all = open();
    all.socket.received(framed(FIN | 3));
    assert.deepEqual(all.done, ['on', 'off']);
    all.socket.pause(false); // which its owner may say, but nothing more is read
    all.socket.received(framed(FIN | TEXT, 'a'));
    const [milliseconds, act] = all.due;
    assert.equal(milliseconds, 5000);
    if (byOwner) all.socket.close(1002, Buffer.from('no'));
    else act();
    assert.deepEqual(all.sent, [Buffer.from([FIN | CLOSE, byOwner ? 4 : 2, 3, 0xea, ...(byOwner ? [110, 111] : [])])]);
    assert.deepEqual(all.heard, ['opened', 'failed 1002', 'closed 1002  false']);
    assert.deepEqual(all.done, ['on', 'off', 'end true']);
    assert.equal(all.closedCounts[1002], 1);
  }
});

test('a close waits for that of the client, as long as that takes some of what waits', () => {
  const all = open();
  const { socket, wire, done, heard, sent } = all;
  wire.queued = 10;
  socket.close(1000, Buffer.from('bye'));
  socket.close(1001, Buffer.alloc(0));
  socket.send(Buffer.from('late'), false, false);
  socket.ping(Buffer.alloc(0));
  assert.deepEqual(sent, [Buffer.from('\x88\x05\x03\xe8bye', 'latin1')]);
  const [milliseconds, act] = all.due;
  assert.equal(milliseconds, 5000);
  socket.sent();
  all.due = null;
  act(); // some went: it may take as long again
  assert.equal(all.due[0], 5000);
  wire.queued = 0;
  all.due = null;
  socket.sent(); // all of it: now the client has its time
  all.due[1]();
  assert.deepEqual(heard, ['opened', 'left', 'left', 'closed 1006  false']);
  assert.deepEqual(done.slice(-1), ['abort canceled true']);
});

test('a close of a client that takes nothing is the end', () => {
  const all = open();
  all.wire.queued = 10;
  all.socket.close(1000, Buffer.alloc(0));
  all.due[1]();
  assert.deepEqual(all.heard, ['opened', 'closed 1006  false']);
});

test('while a close waits messages are not told, and the Close that comes is the end', () => {
  const { socket, heard, done, sent, closedCounts } = open();
  socket.close(0, Buffer.alloc(0));
  socket.received(Buffer.concat([framed(FIN | TEXT, 'a'), framed(FIN | PING, 'b'), framed(FIN | CLOSE, Buffer.from([3, 0xe9]))]));
  assert.deepEqual(heard, ['opened', 'closed 1001  true']);
  assert.deepEqual(sent, [Buffer.from([FIN | CLOSE, 0])]);
  assert.equal(done.at(-1), 'end true');
  assert.equal(closedCounts[1001], 1);
  const broken = open();
  broken.socket.close(0, Buffer.alloc(0));
  broken.socket.received(framed(FIN | 3));
  assert.deepEqual([broken.heard, broken.done.at(-1)], [['opened', 'closed 1002  false'], 'end true']);
});

test('a client that leaves without a Close is told of, when what came before was read', () => {
  const { socket, heard, done } = open();
  socket.pause(true);
  socket.received(framed(FIN | TEXT, 'a'));
  socket.peerDone();
  assert.deepEqual(heard, ['opened']);
  socket.isPaused = false;
  socket.read();
  assert.deepEqual(heard, ['opened', 'text a', 'closed 1006  false']);
  socket.lost();
  socket.abort();
  assert.deepEqual(heard.length, 3);
  assert.deepEqual(done, ['on', 'off', 'end true']);
});

test('who is lost or given up is told of once', () => {
  const lost = open();
  lost.socket.lost();
  lost.socket.received(framed(FIN | TEXT, 'a'));
  assert.deepEqual([lost.heard, lost.done], [['opened', 'closed 1006  false'], ['on']]);
  const early = open({ begins: false });
  early.socket.abort();
  assert.deepEqual(early.heard, ['closed 1006  false']);
  early.socket.begin(early.wire);
  assert.deepEqual([early.heard.length, early.done], [1, ['abort canceled true']]);
  const closing = open({ begins: false });
  closing.socket.close(1001, Buffer.from('x'));
  closing.socket.begin(closing.wire);
  assert.deepEqual(closing.sent, [Buffer.from([FIN | CLOSE, 3, 3, 0xe9, 120])]);
});

test('who is at the limit is cut off where that is asked for', () => {
  for (const closeAtLimit of [true, false]) {
    const { socket, heard } = open({ closeAtLimit });
    socket.cutOff();
    assert.equal(heard.includes('closed 1006  false'), closeAtLimit);
  }
});

test('when one side was silent for an interval a ping follows, and a pong is due', () => {
  const all = open({ pingInterval: 100, pongTimeout: 40 });
  const { socket, sent, heard } = all;
  const next = (milliseconds) => {
    const [at, act] = all.due;
    assert.equal(at, milliseconds);
    all.due = null;
    act();
  };
  socket.received(framed(FIN | PONG));
  socket.send(Buffer.from('a'), false, false);
  sent.pop();
  next(100); // both sides spoke
  assert.equal(sent.length, 0);
  socket.received(framed(FIN | PONG));
  next(100); // we were silent
  assert.deepEqual(sent.pop(), Buffer.from([FIN | PING, 0]));
  socket.received(framed(FIN | PONG));
  next(40);
  socket.send(Buffer.from('a'), false, false);
  sent.pop();
  socket.isPaused = true; // what came is not read: it counts
  next(60); // the client spoke since, and so did we
  assert.equal(sent.length, 0);
  next(100); // nobody did
  assert.equal(sent.length, 1);
  next(40); // whom we do not read we do not accuse
  socket.isPaused = false;
  next(60);
  assert.ok(!heard.includes('closed 1006  false'));
  next(40);
  assert.equal(heard.at(-1), 'closed 1006  false');
});

test('without a time for pongs pings follow all the same', () => {
  const all = open({ pingInterval: 100 });
  for (let i = 1; i < 4; i++) {
    assert.equal(all.due[0], 100);
    all.due[1]();
    assert.equal(all.sent.length, i);
  }
});
