// What a stranger does to a handler: leaves while it reads, asks for a tunnel; and what a refused response says of itself.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import net from 'node:net';
import { test } from 'node:test';

import { serve } from '../index.mjs';
import { raw } from './support.mjs';

// Runs `use(port, errors)` against a server; `errors` are the arguments of console.error.
async function serving(handler, use) {
  const errors = [];
  const { error } = console;
  console.error = (...args) => errors.push(args);
  const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {} }, handler);
  try {
    await use(server.addr.port, errors);
  } finally {
    console.error = error;
    await server.shutdown({ deadline: 0 });
  }
}

// A client that sends the head of a request and three of ten bytes; `leave` resets its connection.
function begin(port) {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc');
  return { leave: () => socket.resetAndDestroy() };
}

test('a client that leaves while its content is read is a line of the log', async () => {
  let reading, told;
  const began = new Promise((resolve) => {
    reading = resolve;
  });
  const ended = new Promise((resolve) => {
    told = resolve;
  });
  const handler = async (request, info) => {
    info.completed.catch(() => setTimeout(told, 0));
    const reader = request.body.getReader();
    await reader.read();
    reading();
    await reader.read();
  };
  await serving(handler, async (port, errors) => {
    const client = begin(port);
    await began;
    client.leave();
    await ended;
    assert.equal(errors.length, 1);
    assert.equal(errors[0].length, 1);
    assert.match(errors[0][0], /^carom: the handler failed: the client has gone \(client-\w+\)$/);
  });
});

test('the signal has aborted when it is first looked at after the client has left', async () => {
  let seen, reading, told;
  const ended = new Promise((resolve) => {
    told = resolve;
  });
  const began = new Promise((resolve) => {
    reading = resolve;
  });
  const looked = new Promise((resolve) => {
    seen = resolve;
  });
  const handler = async (request) => {
    const reader = request.body.getReader();
    await reader.read();
    reading();
    await reader.read().catch(() => {});
    seen([request.signal.aborted, request.signal.reason?.name]);
    setTimeout(told, 0); // what is made of the Response has happened then
    return new Response();
  };
  await serving(handler, async (port, errors) => {
    const client = begin(port);
    await began;
    client.leave();
    assert.deepEqual(await looked, [true, 'AbortError']);
    await ended;
    assert.deepEqual(errors, []);
  });
});

test('who listens for abort has the context in which the signal was looked at', async () => {
  const storage = new AsyncLocalStorage();
  let reading, heard;
  const began = new Promise((resolve) => {
    reading = resolve;
  });
  const aborted = new Promise((resolve) => {
    heard = resolve;
  });
  const handler = (request) =>
    storage.run('mine', async () => {
      request.signal.addEventListener('abort', () => heard(storage.getStore()));
      reading();
      await request.text().catch(() => {});
      return new Response();
    });
  await serving(handler, async (port) => {
    const client = begin(port);
    await began;
    client.leave();
    assert.equal(await aborted, 'mine');
  });
});

test('nobody makes a tunnel by CONNECT: 405, and no word in the log', async () => {
  let calls = 0;
  const handler = () => {
    calls++;
    return new Response('x');
  };
  await serving(handler, async (port, errors) => {
    const answer = await raw(port, 'CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n', (got) =>
      got.includes('\r\n\r\n'),
    );
    assert.match(answer, /^HTTP\/1\.1 405 Method Not Allowed\r\n/);
    assert.match(answer, /\r\nallow: ?\r\n/i);
    assert.deepEqual([calls, errors], [0, []]);
  });
});

test('a refused response names its request, without the query', async () => {
  const handler = () => new Response('x', { headers: { 'x-long': 'v'.repeat(60000), 'x-longer': 'v'.repeat(60000) } });
  await serving(handler, async (port, errors) => {
    const answer = await raw(port, 'PUT /a/path?secret=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    assert.match(answer, /^HTTP\/1\.1 500 /);
    assert.equal(errors.length, 1);
    assert.match(
      errors[0][1].message,
      /^response fields may take 65536 bytes in all \(maxResponseHead\), and these take 1200\d\d: x-long alone has 60000, in the response to PUT \/a\/path, of the server made at \/.*leaving\.test\.mjs:\d+$/,
    );
  });
});
