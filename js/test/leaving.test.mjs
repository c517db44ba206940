// What a client can do to a handler: leave while it reads, or ask for a tunnel; and what the error of a refused response says.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import net from 'node:net';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { serve, Response } from '../index.mjs';
import { raw, nativeOnly } from './support.mjs';

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

// Answers at once, and reads what it has begun to read.
const reads = {
  text: (request) => request.text().then((text) => text.length),
  clone: (request) => {
    const copy = request.clone();
    return Promise.all([request.arrayBuffer(), copy.text()]).then(([{ byteLength }, text]) =>
      byteLength === text.length ? byteLength : -1,
    );
  },
  reader: async (request, answered) => {
    const reader = request.body.getReader();
    let length = (await reader.read()).value.length;
    await answered;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return length;
      length += value.length;
      await new Promise(setImmediate);
    }
  },
};

for (const [how, read] of Object.entries(reads))
  test(`content whose reading has begun is read to its end, after the response: ${how}`, async () => {
    let tell, told;
    const answered = new Promise((resolve) => {
      tell = resolve;
    });
    const handler = async (request, info) => {
      told = read(request, answered);
      info.completed.then(tell);
      return new Response('early');
    };
    await serving(handler, async (port, errors) => {
      const socket = net.connect(port, '127.0.0.1');
      let text = '';
      const early = async () => {
        while (!text.includes('early')) text += (await once(socket, 'data'))[0];
        text = '';
      };
      socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\nabc');
      await early();
      socket.write('x'.repeat(199_997));
      assert.equal(await told, 200_000);
      socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc'); // on the same connection
      await early();
      assert.equal(await told, 3);
      socket.destroy();
      assert.deepEqual(errors, []);
    });
  });

test('a body that is cancelled after the response is not waited for', async () => {
  let reader;
  const handler = async (request, info) => {
    reader = request.body.getReader();
    await reader.read();
    info.completed.then(() => reader.cancel());
    return new Response('early');
  };
  await serving(handler, async (port) => {
    const got = await raw(
      port,
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n${'x'.repeat(1000)}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
      (text) => text.split('HTTP/1.1 ').length === 3,
    );
    assert.match(got, /early.*HTTP\/1\.1 500/s); // a GET has no body that could be read: the second one throws
  });
});

test('a stream is cancelled though its first chunk is awaited', async () => {
  let reading, heard;
  const began = new Promise((resolve) => {
    reading = resolve;
  });
  const cancelled = new Promise((resolve) => {
    heard = resolve;
  });
  const pull = () => {
    reading();
    return new Promise(() => {});
  };
  const handler = () => new Response(new ReadableStream({ pull, cancel: heard }), { headers: { 'content-encoding': 'gzip' } });
  await serving(handler, async (port) => {
    const client = begin(port);
    await began;
    await new Promise(setImmediate);
    client.leave();
    await cancelled;
  });
});

test('a stream is cancelled in the context in which it was given', async () => {
  const storage = new AsyncLocalStorage();
  const cancelled = new Promise((resolve) => {
    const body = () =>
      new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1000)), cancel: () => resolve(storage.getStore()) });
    const handler = () => storage.run('of the request', async () => new Response(body()));
    serving(handler, async (port) => {
      await raw(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', () => true);
      await cancelled;
    });
  });
  assert.equal(await cancelled, 'of the request');
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

// Asks, gives what comes first, and leaves when that has come.
async function leaveBehind(port, first) {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  let got = '';
  while (!got.includes(first)) got += (await once(socket, 'data'))[0];
  socket.resetAndDestroy();
}

for (const piece of ['', 'a piece'])
  test(`a stream of node that waits behind "${piece}" is closed when its client leaves, and nothing is said of that`, async () => {
    let closed;
    const handler = () => {
      const stream = new PassThrough();
      if (piece !== '') stream.write(piece);
      closed = once(stream, 'close');
      return new Response(stream);
    };
    await serving(handler, async (port, errors) => {
      await leaveBehind(port, piece || '\r\n\r\n');
      await closed;
      for (let i = 0; i < 3; i++) await new Promise(setImmediate);
      assert.deepEqual(errors, []);
    });
  });

test('a shutdown does not wait behind its deadline for who has begun to read, and has answered', async () => {
  const { setTimeout: native } = globalThis;
  globalThis.setTimeout = (act, ms, ...rest) => native(act, ms === 30_000 ? 2 ** 31 - 1 : ms, ...rest); // the time to read on does not end
  try {
    const handler = async (request) => {
      await request.body.getReader().read();
      return new Response('enough');
    };
    const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {} }, handler);
    const socket = net.connect(server.addr.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(9000)}`);
    await once(socket, 'data');
    await server.shutdown({ deadline: 0 });
    socket.destroy();
  } finally {
    globalThis.setTimeout = native;
  }
});

for (const method of ['HEAD', 'GET'])
  test(`the file of a stream is closed when its content is not sent: ${method}`, async () => {
    let closed;
    const handler = () => {
      const stream = createReadStream(fileURLToPath(import.meta.url));
      closed = once(stream, 'close');
      return new Response(stream, { headers: method === 'GET' ? { 'x-long': 'x'.repeat(100_000) } : {} });
    };
    await serving(handler, async (port) => {
      await raw(port, `${method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      await closed;
    });
  });

test('what is aborted by the signal of the request is no error of a generator, and of a handler a line of the log', async () => {
  let told;
  const heard = () =>
    new Promise((resolve) => {
      told = resolve;
    });
  async function* pieces(signal) {
    try {
      yield 'a piece';
      await delay(1e6, null, { signal });
    } finally {
      setTimeout(told, 0);
    }
  }
  const handler = ({ signal }) => new Response(pieces(signal));
  await serving(handler, async (port, errors) => {
    const ended = heard();
    await leaveBehind(port, 'a piece');
    await ended;
    assert.deepEqual(errors, []);
  });
  const waits = async ({ signal }, info) => {
    info.inform(103);
    await delay(1e6, null, { signal }).finally(() => setTimeout(told, 0));
  };
  await serving(waits, async (port, errors) => {
    const ended = heard();
    await leaveBehind(port, '103');
    await ended;
    assert.deepEqual([errors.length, errors[0].length], [1, 1]);
  });
});

// A connection that is open, of a client that reads nothing.
async function connected(port) {
  const socket = net.connect(port, '127.0.0.1');
  socket.write('GET /before HTTP/1.1\r\nHost: a\r\n\r\n');
  await once(socket, 'readable');
  return socket;
}

// What makes a batch is known where the engine is in the loop of JavaScript.
const elsewhere = !!(globalThis.Bun || globalThis.Deno) && 'the engine has a thread of its own';

const batches = nativeOnly('rates', 'a handler may be called for a request whose client has left meanwhile');

test('while there is more than one batch, only who is there is answered, or has asked for more', {
  skip: elsewhere || batches,
}, async () => {
  const seen = [];
  const handler = (request) => {
    seen.push(`${request.method} ${new URL(request.url).pathname}`);
    return new Response(request.url.endsWith('/large') ? 'x'.repeat(300_000) : ''); // as much as ends a batch
  };
  await serving(handler, async (port) => {
    const sockets = [];
    const lines = [...Array(8).fill('GET /large'), 'GET /a', 'HEAD /b', 'POST /c', 'GET /d']; // more than a turn of the engine deals with
    for (const _ of lines) sockets.push(await connected(port));
    seen.length = 0;
    await new Promise(setImmediate); // what is sent now, with its FIN, is there when the loop polls again
    for (const line of lines) sockets.shift().end(`${line} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`);
    assert.match(await raw(port, 'GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'), /^HTTP\/1.1 200 /);
    const others = seen.filter((line) => line !== 'GET /large');
    assert.deepEqual(others, ['POST /c', 'GET /last']);
  });
});

test('while handlers take long, those of clients that have left meanwhile are not called', { skip: elsewhere || batches }, async () => {
  const sockets = [];
  let called = 0;
  const handler = (request) => {
    if (request.url.endsWith('/long')) {
      if (called++ === 0) for (const socket of sockets) socket.resetAndDestroy();
      for (const begun = performance.now(); performance.now() - begun < 15; ); // longer than a batch
    }
    return new Response('');
  };
  await serving(handler, async (port) => {
    for (let i = 0; i < 24; i++) sockets.push(await connected(port));
    await new Promise(setImmediate);
    for (const socket of sockets) socket.write('GET /long HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.match(await raw(port, 'GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'), /^HTTP\/1.1 200 /);
    assert.ok(called < 24, `${called} of 24 were`);
  });
});
