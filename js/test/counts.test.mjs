// What can be counted exactly: calls between JavaScript and the engine, allocations, memory that comes back.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { serve, Response } from '../index.mjs';

const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const quiet = { port: 0, hostname: '127.0.0.1', onListen() {} };
const big = new Uint8Array(65536);

// Answers of every kind with a body that is known.
const KINDS = {
  text: () => new Response('Hello, World!'),
  json: () => Response.json({ a: 1 }),
  bytes: () => new Response(new Uint8Array([1, 2, 3])),
  large: () => new Response(big),
  'long text': () => new Response('x'.repeat(10000)),
  later: async () => {
    await null;
    return new Response('later');
  },
  'read body': async (request) => new Response(await request.text()),
};

// A server for as long as its test runs.
function open(t, options, handler) {
  const server = serve({ ...quiet, ...options }, handler);
  t.after(() => server.shutdown({ deadline: 0 }));
  return server;
}

// So many requests at once, whose answers are as long as one another, until all of them are here. Bytes are only
// counted once the first head has said how many there will be.
async function ask(server, count, text = REQUEST) {
  const socket = net.connect(server.addr.port, '127.0.0.1');
  socket.write(text.repeat(count));
  let head = '';
  let length = 0;
  let all = Infinity;
  for await (const data of socket) {
    length += data.length;
    if (all === Infinity) {
      head += data.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end >= 0) all = count * (end + 4 + Number(/content-length: (\d+)/i.exec(head)[1]));
    }
    if (length >= all) break;
  }
}

test('inline: a batch is one call into JavaScript, whatever its size', async (t) => {
  const server = open(t, { io: 'inline' }, () => new Response('x'));
  await ask(server, 1);
  for (const count of [1, 8, 32]) {
    const { calls } = server.stats();
    await ask(server, count);
    assert.equal(server.stats().calls - calls, 1, `${count} requests`);
  }
});

// For V8 each is a call of a hundred instructions, and nobody else is there.
test('inline: requests need no atomic access', async (t) => {
  const server = open(t, { io: 'inline' }, () => new Response('x'));
  await ask(server, 1);
  let accesses = 0;
  for (const name of ['load', 'store', 'exchange', 'or']) {
    const real = Atomics[name];
    t.after(() => {
      Atomics[name] = real;
    });
    Atomics[name] = (...values) => {
      accesses++;
      return real(...values);
    };
  }
  await ask(server, 1);
  await ask(server, 8);
  assert.equal(accesses, 0);
});

test('thread: a batch is one wake-up at most', async (t) => {
  const server = open(t, { io: 'thread' }, () => new Response('x'));
  await ask(server, 1);
  const { calls } = server.stats();
  await ask(server, 32);
  assert.ok(server.stats().calls - calls <= 2); // the batch may arrive in two pieces
});

for (const io of ['inline', 'thread']) {
  for (const [kind, handler] of Object.entries(KINDS)) {
    test(`${io}: the engine asks for no memory once it is warm: ${kind}`, async (t) => {
      const server = open(t, { io, poolFloor: 512 }, handler);
      const text = kind === 'read body' ? 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde' : REQUEST;
      for (let i = 0; i < 20; i++) await ask(server, 16, text);
      const { allocations } = server.stats();
      for (let i = 0; i < 60; i++) await ask(server, 16, text);
      assert.equal(server.stats().allocations - allocations, 0);
    });
  }

  test(`${io}: what is lent comes back, and what was held is let go`, async (t) => {
    const server = open(t, { io }, () => new Response(new Uint8Array(100000)));
    const round = async (times) => {
      for (let i = 0; i < times; i++) await ask(server, 4);
      while (server.pendingRequests > 0) await sleep(5);
    };
    // What is let go is gone after a few collections; how soon after one is the runtime's to say.
    const held = async (enough) => {
      let bytes = Infinity;
      for (let i = 0; i < 50 && bytes > enough; i++) {
        global.gc();
        await sleep(5);
        bytes = process.memoryUsage().arrayBuffers;
      }
      return bytes;
    };
    await round(20);
    const before = await held(-1);
    await round(200);
    const after = await held(before + 10 * 100000);
    assert.ok(after - before <= 10 * 100000, `${before} to ${after} bytes`);
  });

  test(`${io}: a stream that its client does not take is not read ahead without end`, async (t) => {
    const most = 32 << 20; // the kernel's buffers, and ours
    let pulled = 0;
    const server = open(
      t,
      { io },
      () =>
        new Response(
          new ReadableStream({
            pull(controller) {
              pulled += 65536;
              if (pulled > most)
                controller.close(); // it would be pulled for ever, and nothing else have its turn
              else controller.enqueue(new Uint8Array(65536));
            },
          }),
        ),
    );
    const socket = net.connect(server.addr.port, '127.0.0.1', () => socket.write(REQUEST));
    socket.pause();
    let last = -1;
    while (pulled !== last) {
      last = pulled;
      await sleep(200);
    }
    socket.destroy();
    assert.ok(pulled <= most, `${pulled} bytes`);
  });
}

for (const io of ['inline', 'thread'])
  test(`${io}: what could not listen leaves nothing`, async (t) => {
    const server = open(t, { io }, () => new Response());
    const held = () => ({ descriptors: readdirSync('/proc/self/fd').length, memory: server.stats().memory });
    const before = held();
    for (let i = 0; i < 10; i++)
      assert.throws(() => serve({ ...quiet, io, port: server.addr.port }, () => {}), { code: 'CAROM_EADDRINUSE' });
    assert.throws(() => serve({ ...quiet, io, routes: { health: new Response() } }, () => {}), TypeError);
    assert.deepEqual(held(), before);
  });

for (const io of ['inline', 'thread'])
  test(`${io}: a server that has ended leaves no memory of its rings`, async () => {
    const held = async (enough) => {
      for (let i = 0; i < 50; i++) {
        global.gc();
        await sleep(5);
        if (process.memoryUsage().arrayBuffers <= enough) break;
      }
      return process.memoryUsage().arrayBuffers;
    };
    const before = await held(0);
    for (let i = 0; i < 4; i++) await serve({ ...quiet, io }, () => {}).shutdown({ deadline: 0 });
    const after = await held(before + 1_000_000); // a ring has more than 2 MB
    assert.ok(after - before <= 1_000_000, `${before} to ${after} bytes`);
  });
