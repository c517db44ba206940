// How often content is copied on its way to the handler: the engine copies it into memory that JavaScript lends it, and what the handler
// gets is that memory.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { createRequire } from 'node:module';
import net from 'node:net';
import { test } from 'node:test';

import { serve, Response } from '../index.mjs';

const require = createRequire(import.meta.url);
const native = require('../src/ring/native.js');
const { Input } = require('../src/exchange/input.js');
const { SLOT_PIECE_LENGTH } = require('../src/memory/layout.js');
const QUIET = { port: 0, hostname: '127.0.0.1', onListen() {} };
const MIB = 1 << 20;
const isNode = !process.versions.bun && !globalThis.Deno;
const WAYS = isNode ? ['inline', 'thread'] : ['thread'];

// The rooms that were lent while `run` ran: of each its buffer, and its length.
async function lentWhile(run) {
  const { lendRoom } = native;
  const rooms = [];
  native.lendRoom = (server, ring, loan, bytes) => {
    rooms.push({ buffer: bytes.buffer, length: bytes.length });
    return lendRoom(server, ring, loan, bytes);
  };
  try {
    await run();
  } finally {
    native.lendRoom = lendRoom;
  }
  return rooms;
}

const patternOf = (length) => Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255));

// What the handler makes of an upload. So much of the content as `first` says comes with the head, and the rest once that is `taken`.
async function upload(t, io, content, handler, options = {}) {
  const { head = `Content-Length: ${content.length}`, encode = (piece) => piece, first = 0, taken = null } = options;
  let result;
  const done = new Promise((resolve, reject) => {
    result = { resolve, reject };
  });
  const server = serve({ ...QUIET, io }, (request) => {
    handler(request).then(result.resolve, result.reject);
    return done.then(() => new Response('x'));
  });
  const socket = net.connect(server.addr.port, '127.0.0.1');
  t.after(async () => {
    socket.destroy();
    await server.shutdown({ deadline: 0 });
  });
  socket.on('error', () => {});
  socket.write(Buffer.concat([Buffer.from(`POST / HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n`), content.subarray(0, first)]));
  await taken;
  for (let at = first; at < content.length; at += 16384) socket.write(encode(content.subarray(at, at + 16384)));
  if (encode(content) !== content) socket.write('0\r\n\r\n');
  return done;
}

const chunked = {
  head: 'Transfer-Encoding: chunked',
  encode: (piece) => Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]),
};

test('room for a piece is twice as large when the last was filled, and half when that was not half full', () => {
  const input = new Input();
  const given = [32768, 65536, 131072, 262144, 262144, 100_000, 131072, 131072, 20_000, 10_000];
  const sizes = given.map((length) => {
    input.room = input.roomForPiece(8 * MIB, MIB);
    input.loan = 1;
    const size = input.room.length;
    const words = [];
    words[SLOT_PIECE_LENGTH] = Math.min(length, size);
    assert.equal(input.take({ words }, true).length, Math.min(length, size));
    return size;
  });
  assert.deepEqual(sizes, [32768, 65536, 131072, 262144, 262144, 262144, 131072, 262144, 262144, 131072]);
});

for (const io of WAYS) {
  for (const how of ['arrayBuffer', 'bytes'])
    test(`${io}: ${how}() is the memory that the engine has filled`, async (t) => {
      const content = patternOf(65536);
      let got;
      const rooms = await lentWhile(async () => {
        got = await upload(t, io, content, (request) => request[how]());
      });
      assert.equal(Buffer.compare(Buffer.from(got), content), 0);
      assert.deepEqual(
        rooms.map(({ length }) => length),
        [65536],
      );
      assert.equal(how === 'bytes' ? got.buffer : got, rooms[0].buffer);
    });

  test(`${io}: the buffer grows with what has come, and not more than sixteenfold`, async (t) => {
    const content = patternOf(MIB);
    let got;
    const read = async () => {
      got = await upload(t, io, content, (request) => request.arrayBuffer());
    };
    const rooms = await lentWhile(read);
    assert.equal(Buffer.compare(Buffer.from(got), content), 0);
    assert.deepEqual(
      rooms.map(({ buffer }) => buffer.byteLength),
      [65536, MIB],
    );
    assert.equal(got, rooms[1].buffer);
    const again = await lentWhile(read);
    assert.deepEqual(
      again.map(({ buffer }, i) => buffer === rooms[i].buffer),
      [true, false],
      'what was outgrown is used again, what was given away is not',
    );
  });

  test(`${io}: text and JSON are read from one buffer`, async (t) => {
    const content = Buffer.from(JSON.stringify({ text: 'ä'.repeat(30000) }));
    const rooms = await lentWhile(async () => {
      assert.equal(await upload(t, io, content, (request) => request.text()), content.toString());
      assert.deepEqual(await upload(t, io, content, (request) => request.json()), JSON.parse(content));
    });
    assert.deepEqual(
      rooms.map(({ length }) => length),
      [content.length, content.length],
    );
    assert.equal(rooms[0].buffer, rooms[1].buffer, 'the memory is used again');
  });

  for (const [name, options] of Object.entries({ 'of known length': {}, chunked }))
    test(`${io}: pieces of a stream ${name} are memory of their own, filled by the engine`, async (t) => {
      const content = patternOf(MIB);
      const pieces = [];
      const rooms = await lentWhile(() =>
        upload(
          t,
          io,
          content,
          async (request) => {
            for await (const piece of request.body) pieces.push(piece);
          },
          options,
        ),
      );
      assert.equal(Buffer.compare(Buffer.concat(pieces), content), 0);
      assert.equal(new Set(pieces.map(({ buffer }) => buffer)).size, pieces.length);
      // Streams transfer buffers, so they are not the same objects as those that were lent: their lengths are.
      const long = pieces.filter((piece) => piece.length > 16384 && piece.buffer.byteLength >= 32768);
      assert.ok(long.length > 0 && long.length <= rooms.length, `${long.length} of ${pieces.length} pieces, ${rooms.length} rooms`);
    });

  test(`${io}: nothing but content is in the buffer of a piece`, async (t) => {
    const { lendRoom } = native;
    native.lendRoom = (server, ring, loan, bytes) => {
      bytes.fill(115);
      return lendRoom(server, ring, loan, bytes);
    };
    t.after(() => {
      native.lendRoom = lendRoom;
    });
    const first = 20_000; // what comes with the head: more than half of a room, and less than all of it
    let took;
    const taken = new Promise((resolve) => {
      took = resolve;
    });
    const pieces = [];
    await upload(
      t,
      io,
      Buffer.alloc(100_000, 1),
      async (request) => {
        for await (const piece of request.body) {
          pieces.push(piece);
          took();
        }
      },
      { first, taken },
    );
    assert.deepEqual([pieces[0].length, pieces[0].buffer.byteLength], [first, 32768]);
    for (const { buffer } of pieces) assert.ok(!new Uint8Array(buffer).includes(115));
  });

  test(`${io}: a BYOB reader's buffer is what the engine fills`, async (t) => {
    const content = patternOf(100_000);
    const pieces = [];
    const rooms = await lentWhile(() =>
      upload(t, io, content, async (request) => {
        const reader = request.body.getReader({ mode: 'byob' });
        let view = new Uint8Array(10_000);
        for (;;) {
          const { done, value } = await reader.read(view);
          if (done) return;
          pieces.push(Buffer.from(value));
          view = new Uint8Array(value.buffer);
        }
      }),
    );
    assert.equal(Buffer.compare(Buffer.concat(pieces), content), 0);
    if (process.versions.bun) assert.equal(rooms.length, 0, 'a buffer that the program still has is not lent');
    else assert.ok(rooms.length >= pieces.length);
    for (const { length } of rooms) assert.equal(length, 10_000);
  });

  test(`${io}: what finds no room comes all the same`, async (t) => {
    const content = patternOf(200_000);
    const { lendRoom } = native;
    native.lendRoom = () => -1;
    t.after(() => {
      native.lendRoom = lendRoom;
    });
    for (const read of [
      (request) => request.arrayBuffer(),
      async (request) => {
        const pieces = [];
        for await (const piece of request.body) pieces.push(piece);
        return Buffer.concat(pieces);
      },
      async (request) => {
        const reader = request.body.getReader({ mode: 'byob' });
        const pieces = [];
        for (;;) {
          const { done, value } = await reader.read(new Uint8Array(1000));
          if (done) return Buffer.concat(pieces);
          pieces.push(Buffer.from(value));
        }
      },
    ])
      assert.equal(Buffer.compare(Buffer.from(await upload(t, io, content, read)), content), 0);
  });
}

// Clients that promise content, and how they send it. A handler reads each whole; `asked` counts those that have begun.
function uploads(t, read = (request) => request.bytes()) {
  const state = { asked: 0, sockets: [], rooms: [] };
  state.server = serve({ ...QUIET, io: WAYS[0], contentRate: false }, async (request) => {
    const bytes = read(request);
    state.asked++;
    return new Response(await bytes.then(({ length }) => `${length}`).catch(() => 'gone'));
  });
  const { lendRoom } = native;
  native.lendRoom = (server, ring, loan, bytes) => {
    state.rooms.push({ buffer: bytes.buffer, length: bytes.length });
    return lendRoom(server, ring, loan, bytes);
  };
  t.after(async () => {
    native.lendRoom = lendRoom;
    for (const socket of state.sockets) socket.destroy();
    await state.server.shutdown({ deadline: 0 });
  });
  state.send = (promised, content) => {
    const socket = net.connect(state.server.addr.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${promised}\r\n\r\n`);
    if (content > 0) socket.write(Buffer.alloc(content));
    state.sockets.push(socket);
    return socket;
  };
  state.lent = () => state.rooms.reduce((sum, { length }) => sum + length, 0);
  return state;
}

const until = async (holds) => {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
};

const answer = (socket) =>
  new Promise((resolve) => {
    socket.once('data', (data) => resolve(String(data).split('\r\n\r\n')[1]));
  });

test('rooms that are lent are bounded, and come back when clients leave', async (t) => {
  const all = uploads(t);
  const clients = 400;
  for (let i = 0; i < clients; i++) all.send(65536, 0);
  await until(() => all.asked === clients);
  const { length } = all.rooms;
  assert.ok(length > 256 && length < clients, `${length} of them have found room`);
  assert.ok(all.lent() <= 16 * MIB && all.lent() > 15 * MIB, `${all.lent()} bytes are lent`);
  assert.equal(all.rooms[0].length, 65536);
  assert.ok(all.rooms.every((room) => room.length >= 4096));
  // Whose buffers are handed on meanwhile; their memory stays.
  const moved = all.rooms.map(({ buffer }) => structuredClone(buffer, { transfer: [buffer] }));
  for (const socket of all.sockets) socket.destroy();
  await until(() => all.server.pendingRequests === 0);
  assert.equal(moved.length, length);
  all.send(65536, 0);
  await until(() => all.asked === clients + 1);
  assert.deepEqual([all.rooms.length, all.rooms.at(-1).length], [length + 1, 65536]);
});

// The handlers read whole, and piece by piece.
for (const [how, read] of Object.entries({
  'read whole': (request) => request.bytes(),
  'read in pieces': (request) => request.body.getReader().read(),
}))
  test(`promises that are ${how} make no more room than may be lent`, async (t) => {
    const all = uploads(t, read);
    const clients = 1000;
    for (let i = 0; i < 2; i++) {
      globalThis.gc?.();
      await new Promise(setImmediate); // what the test before had
    }
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < clients; i++) all.send(65536, 0);
    await until(() => all.asked === clients);
    const made = process.memoryUsage().arrayBuffers - before;
    assert.ok(made < 32 * MIB, `${made} bytes of room for ${clients} promises of 64 KiB`);
  });

test('uploads that stall with all the room they can get leave some to another', async (t) => {
  const all = uploads(t);
  all.send(16 * MIB, MIB + 1); // and no more
  await until(() => all.rooms.some(({ buffer }) => buffer.byteLength === 16 * MIB));
  for (let i = 0; i < 16; i++) all.send(65_536, 0);
  await until(() => all.asked === 17);
  const before = all.rooms.length;
  assert.equal(await answer(all.send(65_536, 65_536)), '65536');
  assert.deepEqual(
    all.rooms.slice(before).map(({ length }) => length),
    [65_536],
  );
});

test('content of 40 MiB is copied once to its end', async (t) => {
  const all = uploads(t);
  const length = 40 * MIB;
  assert.equal(await answer(all.send(length, length)), `${length}`);
  assert.equal(all.lent(), length);
});

// Of HTTP/2 the end may come behind the content, by itself.
for (const io of WAYS)
  test(`${io}: content over HTTP/2 has come when its stream ends`, { skip: !isNode && "the client is Node's" }, async (t) => {
    const told = [];
    const server = serve({ ...QUIET, io }, async (request) => {
      if (request.method === 'POST') told.push((await request.text()).length);
      return new Response(`${told}`);
    });
    const client = http2.connect(`http://127.0.0.1:${server.addr.port}`);
    t.after(async () => {
      client.destroy();
      await server.shutdown({ deadline: 0 });
    });
    const answerTo = async (stream) => {
      const pieces = [];
      stream.on('data', (piece) => pieces.push(piece));
      await once(stream, 'end');
      return String(Buffer.concat(pieces));
    };
    const post = client.request({ ':method': 'POST', 'content-length': 20_000 }, { endStream: false });
    const posted = answerTo(post);
    await new Promise((resolve) => {
      post.write(Buffer.alloc(20_000), resolve);
    });
    for (let i = 0; i < 3; i++) assert.equal(await answerTo(client.request()), '', 'it is read before its end');
    post.end();
    assert.equal(await posted, '20000');
    assert.equal(await answerTo(client.request()), '20000');
    while (server.pendingRequests > 0) await new Promise(setImmediate);
  });
