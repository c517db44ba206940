// The standard object and the streams of a WebSocket over sockets: the client is `ws`, or whatever the runtime has in its place.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';

import { serve, upgradeWebSocket, upgradeWebSocketStream, Response } from '../index.mjs';
import { raw } from './support.mjs';
import { framesOf, handshaken, maskedFrame } from './ws-client.mjs';

const { WebSocket: Client } = createRequire(import.meta.url)('ws');
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n';

// A server whose handler makes each request a socket, which `act` is given.
function serving(t, act, options) {
  const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {} }, (request) => {
    const { socket, response } = upgradeWebSocket(request, options);
    return act(socket, response, request) || response;
  });
  t.after(() => server.shutdown({ deadline: 0 }));
  return server.addr.port;
}

function connect(t, port, ...given) {
  const client = new Client(`ws://127.0.0.1:${port}/chat?a=b`, ...given);
  t.after(() => client.terminate());
  client.messages = [];
  client.on('message', (data, isBinary) => client.messages.push(isBinary ? [...new Uint8Array(data)] : String(data)));
  client.closed = new Promise((resolve) => {
    client.on('close', (code, reason) => resolve([code, String(reason)]));
  });
  client.on('error', () => {});
  return client;
}

const until = (client, count) =>
  new Promise((resolve) => {
    const look = () => client.messages.length >= count && resolve();
    client.on('message', look);
    look();
  });

test('messages go both ways', async (t) => {
  const port = serving(t, (socket) => {
    socket.binaryType = 'arraybuffer';
    socket.onmessage = ({ data }) => socket.send(data);
  });
  const client = connect(t, port);
  await once(client, 'open');
  for (const data of ['héllo', '', new Uint8Array([0, 1, 255]), new Uint8Array(0)]) client.send(data);
  client.send('x'.repeat(200000));
  await until(client, 5);
  assert.deepEqual(client.messages, ['héllo', '', [0, 1, 255], [], 'x'.repeat(200000)]);
});

test('a Blob comes, and goes, in its place', async (t) => {
  const port = serving(t, (socket) => {
    socket.onmessage = ({ data }) => {
      socket.send(data);
      socket.send('after');
    };
  });
  const client = connect(t, port);
  await once(client, 'open');
  client.send(new Uint8Array([1, 2]));
  await until(client, 2);
  assert.deepEqual(client.messages, [[1, 2], 'after']);
});

test('the handshake has what it was given', async (t) => {
  let socket;
  const port = serving(
    t,
    (made, response) => {
      socket = made;
      response.headers.append('set-cookie', 'a=1');
      response.headers.append('set-cookie', 'b=2');
    },
    { protocol: 'chat', headers: { 'x-a': '1' } },
  );
  const answer = await raw(
    port,
    `GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n${KEY}Sec-WebSocket-Protocol: other, chat\r\n\r\n`,
    (got) => got.endsWith('\r\n\r\n'),
  );
  assert.match(answer, /^HTTP\/1\.1 101 /);
  assert.match(answer, /\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/i);
  assert.match(answer, /\r\nsec-websocket-protocol: chat\r\n/i);
  for (const field of ['set-cookie: a=1', 'set-cookie: b=2', 'x-a: 1']) assert.match(answer.toLowerCase(), new RegExp(`\r\n${field}\r\n`));
  assert.equal(socket.protocol, 'chat');
});

describe('the end', () => {
  test('by the client', async (t) => {
    let event;
    const closed = new Promise((resolve) => {
      event = resolve;
    });
    const port = serving(t, (socket) => {
      socket.onclose = event;
    });
    const client = connect(t, port);
    await once(client, 'open');
    client.close(4001, 'enough');
    const { code, reason, wasClean, target } = await closed;
    assert.deepEqual([code, reason, wasClean, target.readyState], [4001, 'enough', true, 3]);
    assert.equal((await client.closed)[0], 4001);
  });

  test('by the server: what was sent comes before', async (t) => {
    for (const [given, code] of [
      [[], 1005],
      [[3000, 'why'], 3000],
      [[undefined, 'why'], 1000],
    ]) {
      const port = serving(t, (socket) => {
        socket.onopen = () => {
          for (let i = 0; i < 100; i++) socket.send(String(i));
          socket.close(...given);
        };
      });
      const client = connect(t, port);
      assert.deepEqual(await client.closed, [code, given[1] || '']);
      assert.equal(client.messages.length, 100);
    }
  });

  test('by a reset is an error', async (t) => {
    const events = [];
    let over;
    const ended = new Promise((resolve) => {
      over = resolve;
    });
    const port = serving(t, (socket) => {
      socket.onerror = () => events.push('error');
      socket.onclose = ({ code, wasClean }) => {
        events.push(code, wasClean);
        over();
      };
    });
    const client = connect(t, port);
    await once(client, 'open');
    client.terminate();
    await ended;
    assert.deepEqual(events, ['error', 1006, false]);
  });

  test('by a listener that throws: 1011, and others go on', async (t) => {
    const { error: print } = console;
    console.error = () => {};
    t.after(() => {
      console.error = print;
    });
    const port = serving(t, (socket) => {
      socket.onmessage = ({ data }) => {
        if (data === 'throw') throw new Error('as it should');
        socket.send(data);
      };
    });
    const [first, second] = [connect(t, port), connect(t, port)];
    await Promise.all([once(first, 'open'), once(second, 'open')]);
    first.send('throw');
    assert.equal((await first.closed)[0], 1011);
    second.send('still here');
    await until(second, 1);
    assert.deepEqual(second.messages, ['still here']);
  });

  test('of what was never one: another answer, an origin', async (t) => {
    const ends = [];
    const port = serving(
      t,
      (socket, response, request) => {
        ends.push(
          new Promise((resolve) => {
            socket.onclose = ({ code }) => resolve(code);
          }),
        );
        return request.headers.has('origin') ? response : new Response('no', { status: 418 });
      },
      { origins: ['https://a.test'] },
    );
    const ask = (field) => raw(port, `GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n${KEY}${field}\r\n`);
    assert.match(await ask(''), /^HTTP\/1\.1 418 /);
    assert.match(await ask('Origin: https://b.test\r\n'), /^HTTP\/1\.1 403 /);
    assert.deepEqual(await Promise.all(ends), [1006, 1006]);
  });
});

test('nothing waits for a client that is not connected yet, whoever had the place before it', async (t) => {
  const seen = [];
  let ended;
  const port = serving(t, (socket) => {
    queueMicrotask(() => seen.push(socket.readyState, socket.bufferedAmount));
    socket.onopen = () => socket.send('x'.repeat(1000));
    socket.onclose = () => ended();
  });
  for (let i = 0; i < 2; i++) {
    const over = new Promise((resolve) => {
      ended = resolve;
    });
    const client = connect(t, port);
    await until(client, 1);
    client.close();
    await over;
  }
  assert.deepEqual(seen, [0, 0, 0, 0]);
});

test('messages before the first listener are kept', async (t) => {
  const port = serving(t, (socket) => {
    socket.onopen = async () => {
      await new Promise((resolve) => setTimeout(resolve, 20)); // they have come, or come later: both must do
      socket.onmessage = ({ data }) => socket.send(data);
    };
  });
  const client = connect(t, port);
  client.on('open', () => {
    for (let i = 0; i < 50; i++) client.send(`${i}${'x'.repeat(5000)}`);
  });
  await until(client, 50);
  assert.deepEqual(
    client.messages,
    Array.from({ length: 50 }, (_, i) => `${i}${'x'.repeat(5000)}`),
  );
});

describe('streams', () => {
  test('echo by a pipe, and end', async (t) => {
    let end;
    const closed = new Promise((resolve) => {
      end = resolve;
    });
    const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {} }, (request) => {
      const { stream, response } = upgradeWebSocketStream(request);
      end(stream.closed);
      stream.opened.then(({ readable, writable }) => readable.pipeTo(writable)).catch(() => {});
      return response;
    });
    t.after(() => server.shutdown({ deadline: 0 }));
    const client = connect(t, server.addr.port);
    await once(client, 'open');
    for (let i = 0; i < 200; i++) client.send('x'.repeat(20000) + i);
    client.send(new Uint8Array([1]));
    await until(client, 201);
    assert.equal(client.messages[199], `${'x'.repeat(20000)}199`);
    assert.deepEqual(client.messages[200], [1]);
    client.close(4000, 'bye');
    assert.deepEqual(await closed, { closeCode: 4000, reason: 'bye' });
  });

  test('what came before a broken frame is answered', async (t) => {
    for (const io of [undefined, 'thread']) {
      const server = serve({ port: 0, hostname: '127.0.0.1', io, onListen() {} }, (request) => {
        const { stream, response } = upgradeWebSocketStream(request);
        stream.opened.then(({ readable, writable }) => readable.pipeTo(writable)).catch(() => {});
        return response;
      });
      t.after(() => server.shutdown({ deadline: 0 }));
      const client = await handshaken(`ws://127.0.0.1:${server.addr.port}/`);
      client.write(Buffer.concat([maskedFrame(1, 'one'), maskedFrame(1, 'two'), maskedFrame(3, ''), maskedFrame(1, 'never')]));
      const heard = [];
      for await (const { opcode, text } of framesOf(client)) heard.push([opcode, text]);
      assert.deepEqual(heard, [
        [1, 'one'],
        [1, 'two'],
        [8, '\x03\xea'],
      ]);
    }
  });

  test('a client that does not read holds up the writer', async (t) => {
    const MANY = 256; // 16 MiB: more than kernels hold
    let written = 0;
    let release;
    const held = new Promise((resolve) => {
      release = resolve;
    });
    const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {} }, (request) => {
      const { stream, response } = upgradeWebSocketStream(request);
      stream.opened.then(async ({ writable }) => {
        const writer = writable.getWriter();
        for (; written < MANY; written++) {
          const done = writer.write(new Uint8Array(65536));
          const timer = setTimeout(release, 200); // it waits: for how long does not matter
          await done;
          clearTimeout(timer);
        }
        release();
        await writer.close();
      });
      return response;
    });
    t.after(() => server.shutdown({ deadline: 0 }));
    const client = connect(t, server.addr.port);
    client.removeAllListeners('message');
    let bytes = 0;
    client.on('message', (data) => {
      bytes += data.length ?? data.byteLength;
    });
    await once(client, 'open');
    if (globalThis.Bun === undefined) {
      client.pause();
      await held;
      assert.ok(written < MANY, `${written} messages of 64 KiB were written to a client that reads nothing`);
      client.resume();
    }
    assert.equal((await client.closed)[0], 1005);
    assert.equal(bytes, MANY * 65536);
  });
});
