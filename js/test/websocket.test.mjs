// WebSockets of serve(), with handlers for the whole server: what a client sends and sees, with the clients of `ws` and of the runtime.
import assert from 'node:assert/strict';
import { constants } from 'node:buffer';
import { once } from 'node:events';
import http2 from 'node:http2';
import { describe, test } from 'node:test';

import { Response, serve } from '../index.mjs';
import { WAYS, isNode, own } from './transports.mjs';
import { CLIENTS, connect, echo, events, serving } from './websocket-serving.mjs';
import { Ws, framesOf, handshaken, maskedFrame } from './ws-client.mjs';

for (const io of WAYS)
  for (const [name, Client] of Object.entries(CLIENTS))
    describe(`${io}, ${name}`, () => {
      test('text is a string, bytes are a Uint8Array, of any size', () =>
        serving(
          io,
          {
            ...echo,
            message(ws, data, isBinary) {
              assert.equal(isBinary, data instanceof Uint8Array);
              assert.equal(ws.send(data), data.length < 65536 ? Buffer.byteLength(data) || 1 : -1);
            },
          },
          async (url) => {
            const { socket, next } = await connect(Client, url);
            for (const text of ['', 'a', 'grüße €', 'x'.repeat(2730), 'ä'.repeat(2731), 'ö'.repeat(200_000)]) {
              socket.send(text);
              assert.deepEqual(await next(), ['message', text]);
            }
            for (const length of [0, 1, 8192, 8193, 65000, 700_000]) {
              const bytes = new Uint8Array(length).map((_, i) => i * 7 + (i >> 8));
              socket.send(bytes);
              const [, got] = await next();
              assert.equal(Buffer.compare(got, bytes), 0);
            }
            socket.close();
            await next();
          },
        ));

      test('open, message, close: each is called in turn, and knows its data', async () => {
        const told = events();
        await serving(
          io,
          {
            open: (ws) => told.push('open', ws.data, ws.readyState, ws.remoteAddress, ws.protocol),
            message: (ws, data) => told.push('message', data, ws.data),
            close: (ws, code, reason, clean) => told.push('close', code, reason, clean, ws.readyState, ws.send('late'), ws.bufferedAmount),
          },
          async (url) => {
            const { socket, next } = await connect(Client, url, ['chat']);
            assert.equal(socket.protocol, 'chat');
            socket.send('hello');
            socket.close(3456, 'bye');
            assert.deepEqual(await told.next(), ['open', 42, 1, '127.0.0.1', 'chat']);
            assert.deepEqual(await told.next(), ['message', 'hello', 42]);
            assert.deepEqual(await told.next(), ['close', 3456, 'bye', true, 3, 0, 0]);
            assert.deepEqual(await next(), ['close', 3456, 'bye', true]);
          },
          { data: 42, protocol: 'chat' },
        );
      });

      test('the server closes, with a code and a reason', async () => {
        const told = events();
        await serving(
          io,
          {
            open(ws) {
              ws.send('last');
              ws.close(4001, 'enough');
              assert.equal(ws.readyState, 2);
              assert.equal(ws.send('more'), 0);
              ws.close();
            },
            close: (_, code, reason, clean) => told.push(code, clean), // whether the client repeats the reason is its own choice
          },
          async (url) => {
            const { next } = await connect(Client, url);
            assert.deepEqual(await next(), ['message', 'last']);
            assert.deepEqual(await next(), ['close', 4001, 'enough', true]);
            assert.deepEqual(await told.next(), [4001, true]);
          },
        );
      });

      test('topics: to all others, and to all', async () => {
        const opened = events();
        await serving(
          io,
          {
            open(ws) {
              ws.subscribe('news');
              assert.ok(ws.isSubscribed('news'));
              opened.push(ws);
            },
            message(ws, data) {
              assert.equal(ws.publish('nobody', data), 0);
              assert.equal(ws.publish('news', data), data.length);
              ws.send('done');
            },
          },
          async (url, server) => {
            const [one, two, three] = [await connect(Client, url), await connect(Client, url), await connect(Client, url)];
            for (let i = 0; i < 3; i++) await opened.next();
            assert.equal(server.subscriberCount('news'), 3);
            one.socket.send('hello');
            assert.deepEqual(await one.next(), ['message', 'done']);
            for (const other of [two, three]) assert.deepEqual(await other.next(), ['message', 'hello']);
            const long = new Uint8Array(20_000).fill(7);
            assert.equal(server.publish('news', 'to all'), 6);
            assert.equal(server.publish('news', long), 20_000);
            for (const each of [one, two, three]) {
              assert.deepEqual(await each.next(), ['message', 'to all']);
              assert.deepEqual(await each.next(), ['message', long]);
            }
            assert.equal(server.publish('others', 'x'), 0);
          },
        );
      });

      test('what a socket is subscribed to, and text and bytes to the others', async () => {
        await serving(
          io,
          {
            open(ws) {
              assert.deepEqual(ws.subscriptions, []);
              for (const topic of ['news', 'rest', 'more', 'news']) ws.subscribe(topic);
              ws.unsubscribe('rest');
              ws.send('open');
            },
            message(ws, data) {
              assert.deepEqual(ws.subscriptions, ['news', 'more']);
              ws.subscriptions.pop(); // it is the program's
              assert.equal(ws.publishText('news', data), 5);
              assert.equal(ws.publishBinary('more', Uint8Array.of(1, 2).buffer), 2);
              assert.equal(ws.publishText('rest', data), 0);
              assert.throws(() => ws.publishText('news', new Uint8Array(1)), TypeError);
              assert.throws(() => ws.publishBinary('news', 'text'), TypeError);
              ws.close();
            },
            close(ws) {
              assert.deepEqual(ws.subscriptions, []);
            },
          },
          async (url) => {
            const [one, two] = [await connect(Client, url), await connect(Client, url)];
            for (const each of [one, two]) assert.deepEqual(await each.next(), ['message', 'open']);
            one.socket.send('hello');
            assert.deepEqual((await one.next()).slice(0, 2), ['close', 1000]); // 1011, if an assertion has failed
            assert.deepEqual(await two.next(), ['message', 'hello']);
            assert.deepEqual(await two.next(), ['message', Uint8Array.of(1, 2)]);
          },
        );
      });

      test('a handler that throws ends its own socket with 1011, and no other', async () => {
        const told = events();
        await serving(
          io,
          {
            message(ws, data) {
              if (data === 'throw') throw new Error('on purpose');
              if (data === 'reject') return Promise.reject(new Error('later'));
              ws.send(data);
            },
            error: (ws, error) => told.push(error.message),
          },
          async (url) => {
            const [one, two, three] = [await connect(Client, url), await connect(Client, url), await connect(Client, url)];
            one.socket.send('throw');
            assert.deepEqual(await one.next(), ['close', 1011, '', true]);
            two.socket.send('reject');
            assert.deepEqual(await two.next(), ['close', 1011, '', true]);
            three.socket.send('on');
            assert.deepEqual(await three.next(), ['message', 'on']);
            assert.deepEqual([await told.next(), await told.next()], [['on purpose'], ['later']]);
          },
        );
      });
    });

// ---------------------------------------------------------------- with one client

test('over HTTP/2 a handler that makes no WebSocket is answered for', { skip: !isNode }, async () => {
  const server = serve({
    port: 0,
    hostname: '127.0.0.1',
    onListen() {},
    ...own,
    websocket: echo,
    fetch: (request) => new Response(request.method, { status: request.url.endsWith('/missing') ? 404 : 200 }),
  });
  const session = http2.connect(server.origin(), { ca: own.cert });
  await once(session, 'remoteSettings');
  for (const [target, status] of [
    ['/', 400],
    ['/missing', 404],
  ]) {
    const stream = session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': target, 'sec-websocket-version': '13' });
    const [fields] = await once(stream, 'response');
    assert.equal(fields[':status'], status);
    stream.destroy();
  }
  session.destroy();
  await server.shutdown({ deadline: 0 });
});

// ---------------------------------------------------------------- counts

test('messages that come together cost one call into JavaScript, and their answers none', { skip: !isNode }, async () => {
  await serving('inline', echo, async (url, server) => {
    const socket = await handshaken(url);
    const answers = async (length) => {
      let have = 0;
      while (have < length) {
        const bytes = socket.read();
        if (bytes === null) await once(socket, 'readable');
        else have += bytes.length;
      }
    };
    socket.write(maskedFrame(1, 'first'));
    await answers(7);
    const before = server.stats().calls;
    socket.write(Buffer.concat(Array.from({ length: 16 }, () => maskedFrame(1, 'hello'))));
    await answers(16 * 7);
    assert.equal(server.stats().calls - before, 1);
    socket.destroy();
  });
});

// ---------------------------------------------------------------- options

test('a message of more than maxFragments frames closes with 1008', { skip: !isNode }, async () => {
  await serving('inline', { ...echo, maxFragments: 2 }, async (url) => {
    const socket = await handshaken(url);
    const frame = (opcode, text, isLast) => {
      const bytes = maskedFrame(opcode, text);
      if (!isLast) bytes[0] &= 0x7f;
      return bytes;
    };
    socket.write(Buffer.concat([frame(1, 'a', false), frame(0, 'b', true)]));
    const heard = [];
    for await (const { opcode, text } of framesOf(socket)) {
      heard.push(opcode === 8 ? Buffer.from(text, 'latin1').readUInt16BE() : text);
      if (opcode === 1) socket.write(Buffer.concat([frame(1, 'c', false), frame(0, '', false), frame(0, 'd', true)]));
    }
    assert.deepEqual(heard, ['ab', 1008]);
  });
});

test('options are checked', () => {
  const wrong = [
    [{ mesage() {} }, /websocket\.message is meant/],
    [{ message: 5 }, /must be a function/],
    [{ maxMessage: 0 }, RangeError],
    [{ maxMessage: 'big' }, RangeError],
    [{ maxMessage: constants.MAX_STRING_LENGTH + 1 }, RangeError],
    [{ maxFragments: 0 }, RangeError],
    [{ onLimit: 'drop' }, /'refuse' or 'close'/],
    [{ deflate: true }, TypeError],
    [{ deflate: { windowBits: 8 } }, RangeError],
    [{ deflate: { windowbits: 9 } }, /windowBits is meant/],
    [{ protocols: 'chat' }, /array/],
    [{ protocols: ['a b'] }, TypeError],
    [{ origins: ['nonsense'] }, TypeError],
    [{ binaryType: 'blob' }, TypeError],
    [5, TypeError],
  ];
  for (const [websocket, problem] of wrong)
    assert.throws(() => serve({ port: 0, onListen() {}, websocket, fetch: () => new Response() }), problem, JSON.stringify(websocket));
});

test('without handlers upgrade throws, and extended CONNECT is not announced', async () => {
  const server = serve({
    port: 0,
    hostname: '127.0.0.1',
    onListen() {},
    ...own,
    fetch(request, info) {
      assert.throws(() => info.upgrade(request), /websocket/);
      return new Response('fine');
    },
  });
  try {
    if (isNode) {
      const session = http2.connect(server.origin(), { ca: own.cert });
      await once(session, 'remoteSettings');
      assert.ok(!session.remoteSettings.enableConnectProtocol);
      const stream = session.request({ ':path': '/' }).setEncoding('utf8');
      assert.equal(await once(stream, 'data').then(([text]) => text), 'fine');
      session.destroy();
    }
  } finally {
    await server.shutdown({ deadline: 0 });
  }
});

test('a reload brings other handlers of WebSockets, for those to come', async () => {
  const answering = (text) => ({ message: (ws) => ws.send(text) });
  await serving(WAYS[0], answering('old'), async (url, server) => {
    const fetch = (request, info) => (info.upgrade(request) ? undefined : new Response('no socket'));
    const first = await connect(Ws, url);
    server.reload({ fetch, websocket: answering('new') });
    assert.throws(() => server.reload({ fetch, websocket: { ...answering('wrong'), maxMessage: 0 } }), /maxMessage must be/);
    server.reload(fetch); // and leaves the rest as it is
    const second = await connect(Ws, url);
    for (const [{ socket, next }, text] of [
      [first, 'old'],
      [second, 'new'],
    ]) {
      socket.send('');
      assert.deepEqual(await next(), ['message', text]);
    }
  });
});

// A client that is faster than its handler costs no memory here: what it sends stays with it.
test('a handler that never finishes is given no more than it has begun', { skip: !isNode }, async () => {
  const told = events();
  const size = 32 * 1024 * 1024;
  await serving(
    'inline',
    {
      message(ws, data) {
        if (data === 'round') ws.send('trip');
        else {
          told.push(data.length);
          return new Promise(() => {});
        }
      },
    },
    async (url) => {
      const socket = await handshaken(url);
      const frame = maskedFrame(2, 'x'.repeat(60_000));
      for (let written = 0; written < size; written += frame.length) socket.write(frame);
      assert.deepEqual(await told.next(), [60_000]);
      const other = await connect(Ws, url);
      for (let i = 0; i < 200; i++) {
        other.socket.send('round');
        await other.next();
      }
      assert.equal(told.count, 0);
      assert.ok(socket.writableLength > size / 4, String(socket.writableLength));
      socket.destroy();
    },
  );
});

test('what was opened, sent and closed is counted', { skip: !isNode }, async () => {
  const closed = events();
  await serving('inline', { ...echo, close: (ws, code) => closed.push(code) }, async (url, server) => {
    const [Client] = Object.values(CLIENTS);
    const { socket, next } = await connect(Client, url);
    socket.send('hello');
    await next();
    assert.equal(server.stats().webSocketsOpen, 1);
    socket.close(3001);
    assert.deepEqual(await closed.next(), [3001]);
    const stats = server.stats();
    assert.deepEqual(
      [stats.webSocketsAccepted, stats.webSocketMessagesReceived, stats.webSocketMessagesSent, stats.webSocketBytesReceived],
      [1, 1, 1, 5],
    );
    assert.deepEqual([stats.webSocketsClosed.other, stats.webSocketsClosed['1006'], stats.webSocketsRefused], [1, 0, 0]);
  });
});
