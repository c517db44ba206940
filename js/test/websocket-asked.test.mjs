// WebSockets of serve(): what its handlers are given, what a socket is asked for, and how the client stands meanwhile.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import { describe, test } from 'node:test';

import { Response } from '../index.mjs';
import { WAYS, isNode, own } from './transports.mjs';
import { connect, echo, events, serving } from './websocket-serving.mjs';
import { Ws, framesOf, handshaken, maskedFrame } from './ws-client.mjs';

for (const io of WAYS)
  describe(`${io}: what is given and asked`, () => {
    test('binaryType says what bytes are', () =>
      serving(
        io,
        {
          message(ws, data) {
            ws.send(data.constructor.name);
            ws.binaryType = { Uint8Array: 'arraybuffer', ArrayBuffer: 'nodebuffer', Buffer: 'uint8array' }[data.constructor.name];
            assert.throws(() => {
              ws.binaryType = 'blob';
            }, TypeError);
          },
        },
        async (url) => {
          const { socket, next } = await connect(Ws, url);
          for (const name of ['Uint8Array', 'ArrayBuffer', 'Buffer', 'Uint8Array']) {
            socket.send(new Uint8Array(3));
            assert.deepEqual(await next(), ['message', name]);
          }
        },
      ));

    test('of a client that was not offered compression it is not said', () =>
      serving(io, { open: (ws) => ws.send(`${ws.extensions}.`) }, async (url) => {
        const { next } = await connect(Ws, url);
        assert.deepEqual(await next(), ['message', '.']);
      }));

    test('what is given to send is copied', () =>
      serving(
        io,
        {
          message(ws) {
            const bytes = new Uint8Array(9000).fill(1);
            ws.send(bytes);
            ws.send(bytes.subarray(0, 9));
            bytes.fill(2);
          },
        },
        async (url) => {
          const { socket, next } = await connect(Ws, url);
          socket.send('');
          assert.deepEqual(await next(), ['message', new Uint8Array(9000).fill(1)]);
          assert.deepEqual(await next(), ['message', new Uint8Array(9).fill(1)]);
        },
      ));

    test('what is published behind the end of a socket comes to the others', () =>
      serving(
        io,
        {
          open(ws) {
            ws.subscribe('room');
          },
          async message(ws, data) {
            if (data === 'later') while (ws.readyState !== 3) await new Promise(setImmediate);
            assert.equal(ws.publish('room', data), data.length);
          },
          close(ws) {
            ws.publish('room', 'x'.repeat(9000));
            ws.publish('room', 'has left');
          },
        },
        async (url) => {
          const { next } = await connect(Ws, url);
          for (const text of ['at once', 'later']) {
            const leaving = await handshaken(url);
            leaving.write(Buffer.concat([maskedFrame(1, text), maskedFrame(8, '\x03\xe8')]));
            for (const expected of [text, 'x'.repeat(9000), 'has left']) assert.deepEqual(await next(), ['message', expected]);
            leaving.destroy();
          }
        },
      ));

    test('a subprotocol that the client does not offer is an error', () =>
      serving(
        io,
        echo,
        async (url, server) => {
          const failed = once(
            new Ws(url, ['chat']).on('error', () => {}),
            'unexpected-response',
          );
          const [, answer] = await failed;
          assert.equal(answer.statusCode, 500);
          assert.equal(server.stats().webSocketsAccepted, 0);
          answer.destroy();
        },
        { protocol: 'other' },
        {
          onError: (error) => new Response(error.message, { status: /does not offer the protocol other/.test(error.message) ? 500 : 501 }),
        },
      ));

    test('fields of the answer, and a request that asks for none', () =>
      serving(
        io,
        echo,
        async (url, server) => {
          const socket = new Ws(url);
          socket.on('upgrade', ({ headers }) => {
            assert.deepEqual(headers['set-cookie'], ['a=1', 'b=2']);
            assert.equal(headers['x-one'], 'two');
          });
          await once(socket, 'open');
          assert.equal(await (await fetch(server.origin())).text(), 'no socket');
        },
        {
          headers: [
            ['set-cookie', 'a=1'],
            ['set-cookie', 'b=2'],
            ['x-one', 'two'],
          ],
        },
      ));

    test('a page of another origin is refused', () =>
      serving(io, echo, async (url) => {
        const socket = new Ws(url, { origin: 'https://elsewhere.example' });
        const [error] = await once(socket, 'error');
        assert.match(error.message, /403/);
        await connect(Ws, url, { origin: url.replace('ws', 'http').slice(0, -1) });
      }));

    // The client sends all at once: while a handler has not finished, nothing of it is given to another call, and reading stops.
    test('an async message is run in order, and a flood waits with the client', async () => {
      const order = [];
      const finished = events();
      let running = 0;
      await serving(
        io,
        {
          async open() {
            await new Promise(setImmediate);
            order.push('open');
          },
          async message(ws, data) {
            assert.equal(++running, 1);
            await new Promise(setImmediate);
            order.push(data.slice(0, 3));
            running--;
          },
          close: () => finished.push(),
        },
        async (url) => {
          const { socket } = await connect(Ws, url);
          for (let i = 100; i < 300; i++) socket.send(`${i}${'x'.repeat(10_000)}`);
          socket.close();
          await finished.next();
          assert.deepEqual(order, ['open', ...Array.from({ length: 200 }, (_, i) => String(100 + i))]);
        },
      );
    });

    test("a promise of any handler that is rejected ends its socket, and is told to error: to the console, if it is error's", async (t) => {
      const told = events();
      const printed = [];
      t.mock.method(console, 'error', (...given) => printed.push(given.at(-1).message));
      const rejected = async (ws, why) => {
        throw new Error(why);
      };
      await serving(
        io,
        {
          writeLimit: 60_000,
          writeBuffer: 1000,
          message(ws, data) {
            if (data === 'drain') ws.send(new Uint8Array(50_000));
            if (data === 'error') return rejected(ws, data);
          },
          drain: (ws) => rejected(ws, 'drain'),
          close: (ws, code) => rejected(ws, `close ${code}`),
          refused: (ws) => rejected(ws, 'refused'),
          error(ws, { message }) {
            told.push(message);
            return message === 'error' ? rejected(ws, 'second') : undefined;
          },
        },
        async (url) => {
          for (const name of ['drain', 'error']) {
            const { socket, heard } = await connect(Ws, url);
            socket.send(name);
            let event;
            do event = await heard.next();
            while (event[0] === 'message');
            assert.deepEqual(event.slice(0, 2), ['close', 1011]);
            assert.deepEqual(await told.next(), [name]);
            assert.deepEqual(await told.next(), ['close 1011']);
          }
          assert.deepEqual(printed, ['second']);
          const { socket } = await connect(Ws, url);
          socket.terminate();
          assert.deepEqual(await told.next(), ['close 1006']);
          const stranger = new Ws(url, { origin: 'https://elsewhere.example' });
          await once(stranger, 'error');
          assert.deepEqual(await told.next(), ['refused']);
          assert.equal(told.count, 0);
        },
      );
    });

    test('a handler that pauses and resumes is waited for all the same', async () => {
      const COUNT = 50;
      const order = [];
      const finished = events();
      await serving(
        io,
        {
          async message(ws, data) {
            ws.pause();
            ws.resume();
            order.push(`begin ${data}`);
            await new Promise(setImmediate);
            order.push(`end ${data}`);
          },
          close: () => finished.push(),
        },
        async (url) => {
          const socket = await handshaken(url);
          const frames = Array.from({ length: COUNT }, (_, i) => maskedFrame(1, `${i}`));
          socket.write(Buffer.concat([...frames, maskedFrame(8, '')]));
          await finished.next();
          assert.deepEqual(order, Array.from({ length: COUNT }, (_, i) => [`begin ${i}`, `end ${i}`]).flat());
          socket.destroy();
        },
      );
    });

    test('a message of which no string can be made closes its socket with 1009, and others go on', { skip: !isNode }, async (t) => {
      const LENGTH = 400_000;
      const { utf8Slice } = Buffer.prototype;
      t.mock.method(Buffer.prototype, 'utf8Slice', function (start, end) {
        if (end - start === LENGTH) throw Object.assign(new Error('as if it were long'), { code: 'ERR_STRING_TOO_LONG' });
        return utf8Slice.call(this, start, end);
      });
      const told = events();
      await serving(
        io,
        { ...echo, error: (_, { code }) => told.push('error', code), close: (_, code) => told.push('close', code) },
        async (url) => {
          const [one, two] = [await connect(Ws, url), await connect(Ws, url)];
          one.socket.send('x'.repeat(LENGTH));
          two.socket.send('y');
          assert.deepEqual((await one.next()).slice(0, 2), ['close', 1009]);
          assert.deepEqual(await two.next(), ['message', 'y']);
          assert.deepEqual(await told.next(), ['error', 'ERR_STRING_TOO_LONG']);
          assert.deepEqual(await told.next(), ['close', 1009]);
        },
      );
    });

    test('pause and resume', async () => {
      const told = events();
      let paused;
      await serving(
        io,
        {
          message(ws, data) {
            told.push(data);
            if (data === 'one') {
              ws.pause();
              paused = ws;
            }
          },
          pong: () => {},
        },
        async (url) => {
          const { socket } = await connect(Ws, url);
          socket.send('one');
          socket.send('two');
          assert.deepEqual(await told.next(), ['one']);
          await new Promise((resolve) => setImmediate(setImmediate, resolve));
          assert.equal(told.count, 0);
          paused.resume();
          assert.deepEqual(await told.next(), ['two']);
        },
      );
    });

    test('a client that does not read: -1, then drain; at the limit 0', async () => {
      const told = events();
      const piece = new Uint8Array(100_000);
      await serving(
        io,
        {
          writeLimit: 400_000,
          open: (ws) => told.push(ws),
          drain: (ws) => told.push('drain', ws.bufferedAmount < 65536),
        },
        async (url) => {
          const socket = await handshaken(url);
          const [ws] = await told.next();
          let sent = 0;
          let before; // what was buffered when a send began: a thread writes on meanwhile, and it may be less by the end
          for (let result = -1; result !== 0; sent += result === 0 ? 0 : 1) {
            before = ws.bufferedAmount;
            result = ws.send(piece);
            assert.ok(before <= 400_000 && [-1, 0, piece.length].includes(result), `${result} at ${before}`);
            await new Promise(setImmediate); // so that the engine takes it, and the kernel is full some time
          }
          assert.ok(before + piece.length + 10 > 400_000, `refused at ${before}`);
          const ready = ws.ready();
          let received = 0;
          socket.on('data', ({ length }) => {
            received += length;
          });
          socket.resume();
          assert.deepEqual(await told.next(), ['drain', true]);
          await ready;
          assert.notEqual(ws.send('again'), 0);
          ws.close();
          const all = sent * 100_010 + 7 + 4; // and a Close, which may come by itself
          while (received < all) await once(socket, 'data');
          assert.equal(received, all);
          socket.destroy();
        },
      );
    });

    test("onLimit: 'close' ends who does not read", async () => {
      const told = events();
      await serving(
        io,
        { writeLimit: 1000, onLimit: 'close', open: (ws) => told.push(ws), close: (_, code) => told.push('close', code) },
        async (url) => {
          await connect(Ws, url);
          const [ws] = await told.next();
          while (ws.send('x'.repeat(900)) !== 0); // until one has not left when the next is given
          assert.deepEqual(await told.next(), ['close', 1006]);
        },
      );
    });

    test('more than the log holds, sent at once, comes in order', () =>
      serving(
        io,
        {
          writeLimit: 64 * 1024 * 1024,
          message(ws) {
            for (let i = 0; i < 3000; i++) ws.send(`${i} ${'x'.repeat(i % 3000)}`);
            for (let i = 0; i < 30; i++) ws.send(new Uint8Array(20_000 + i));
            ws.send('end');
          },
        },
        async (url) => {
          const { socket, next } = await connect(Ws, url);
          socket.send('');
          for (let i = 0; i < 3000; i++) assert.equal((await next())[1].split(' ')[0], String(i));
          for (let i = 0; i < 30; i++) assert.equal((await next())[1].length, 20_000 + i);
          assert.deepEqual(await next(), ['message', 'end']);
        },
      ));

    test('ping and pong', async () => {
      const told = events();
      await serving(
        io,
        {
          open: (ws) => ws.ping('are you there?'),
          ping: (_, data) => told.push('ping', String(Buffer.from(data))),
          pong: (_, data) => told.push('pong', String(Buffer.from(data))),
        },
        async (url) => {
          const { socket } = await connect(Ws, url);
          assert.deepEqual(await told.next(), ['pong', 'are you there?']);
          socket.ping('yes');
          assert.deepEqual(await told.next(), ['ping', 'yes']);
        },
      );
    });

    test('who listens to one of ping and pong hears that one', async () => {
      for (const one of ['ping', 'pong']) {
        const told = events();
        await serving(
          io,
          {
            [one]: (_, data) => told.push(String(Buffer.from(data))),
            message: (_, data) => told.push(data),
          },
          async (url) => {
            const { socket } = await connect(Ws, url);
            socket.ping('ping');
            socket.pong('pong');
            socket.send('last');
            assert.deepEqual(await told.next(), [one]);
            assert.deepEqual(await told.next(), ['last']);
          },
        );
      }
    });

    test('wrong arguments throw, and hurt nothing', async () => {
      const told = events();
      await serving(io, { ...echo, open: (ws) => told.push(ws) }, async (url) => {
        const { socket, next } = await connect(Ws, url);
        const [ws] = await told.next();
        for (const wrong of [undefined, null, 5, {}, []]) assert.throws(() => ws.send(wrong), TypeError);
        for (const code of [1005, 1006, 999, 2999, 5000, 1.5, '1000']) assert.throws(() => ws.close(code), RangeError);
        assert.throws(() => ws.close(1000, 'x'.repeat(124)), RangeError);
        assert.throws(() => ws.ping('x'.repeat(126)), RangeError);
        assert.throws(() => ws.subscribe('x'.repeat(256)), RangeError);
        assert.throws(() => ws.subscribe(''), TypeError);
        socket.send('still');
        assert.deepEqual(await next(), ['message', 'still']);
        ws.terminate();
        assert.equal((await next())[1], 1006);
        assert.equal(ws.send('x'), 0);
        ws.close(1000);
        ws.terminate();
      });
    });

    test('deflate is agreed and used, unless a message is not to be compressed', async () => {
      const text = 'the same again and again '.repeat(1000);
      const told = events();
      const ways = [
        (ws) => ws.send(text, false),
        (ws) => ws.sendBinary(Buffer.from(text), false),
        (ws) => ws.publish('all', text, false), // which is for others
        (_, server) => server.publish('all', text, false),
        (ws) => ws.send(text, true),
        (ws) => ws.send(text),
        (_, server) => server.publish('all', text),
      ];
      const handlers = {
        deflate: 'shared',
        open(ws) {
          ws.subscribe('all');
          told.push(ws.extensions);
        },
        message: (ws, data) => ways[data](ws, ws.data()),
      };
      let running;
      await serving(
        io,
        handlers,
        async (url, server) => {
          running = server;
          const first = await connect(Ws, url);
          const second = await connect(Ws, url);
          assert.deepEqual(await told.next(), ['permessage-deflate']);
          let saved = 0;
          for (let way = 0; way < ways.length; way++) {
            first.socket.send(String(way));
            const [, data] = await (way === 2 ? second : first).next();
            assert.equal(Buffer.from(data).toString(), text);
            const count = () => server.stats().webSocketBytesSaved;
            if (way > 3)
              while (count() === saved) await new Promise(setImmediate); // a thread tells it behind its turn
            else assert.equal(count(), 0, `way ${way}`);
            saved = count();
          }
        },
        { data: () => running },
      );
    });

    test('what came before a broken frame is answered, though it takes its time', async () => {
      const slow = async (ws, data) => {
        await Promise.resolve();
        ws.send(data);
      };
      for (const message of [echo.message, slow]) {
        const told = events();
        await serving(io, { message, close: (_, code) => told.push(code) }, async (url) => {
          const socket = await handshaken(url);
          socket.write(Buffer.concat([maskedFrame(1, 'one'), maskedFrame(2, 'two'), maskedFrame(3, ''), maskedFrame(1, 'never')]));
          const heard = [];
          for await (const { opcode, text } of framesOf(socket)) heard.push([opcode, text]);
          assert.deepEqual(heard, [
            [1, 'one'],
            [2, 'two'],
            [8, '\x03\xea'],
          ]);
          assert.deepEqual(await told.next(), [1002]);
        });
      }
    });

    test('a handler that does not end holds up the end of a broken socket for closeTimeout', async () => {
      const told = events();
      const message = () => new Promise(() => {});
      await serving(io, { message, closeTimeout: 1, close() {} }, async (url, server) => {
        const socket = await handshaken(url);
        socket.write(Buffer.concat([maskedFrame(1, 'one'), maskedFrame(3, '')]));
        for await (const frame of framesOf(socket)) told.push(frame);
        assert.deepEqual(await told.next(), [{ opcode: 8, text: '\x03\xea' }]);
        while (server.stats().webSocketsClosed['1002'] !== 1) await new Promise(setImmediate); // a thread tells its counts behind its turn
      });
    });

    test('a message that cannot be compressed may be as long as maxMessage', async () => {
      const SIZE = 100_000;
      await serving(io, { ...echo, deflate: 'shared', maxMessage: SIZE }, async (url) => {
        const { socket, next } = await connect(Ws, url);
        const noise = randomBytes(SIZE + 1);
        socket.send(noise.subarray(0, SIZE));
        const [, data] = await next();
        assert.equal(Buffer.compare(data, noise.subarray(0, SIZE)), 0);
        socket.send(noise);
        assert.deepEqual((await next()).slice(0, 2), ['close', 1009]);
      });
    });

    test('shutdown says 1001, and close is told', async () => {
      const told = events();
      await serving(io, { ...echo, close: (_, code) => told.push(code) }, async (url, server) => {
        const { next } = await connect(Ws, url);
        const done = server.shutdown({ deadline: 600_000 });
        assert.equal((await next())[1], 1001);
        await done;
        assert.deepEqual(await told.next(), [1001]);
      });
    });

    test('many sockets come and go', async () => {
      let open = 0;
      const closed = events();
      await serving(io, { ...echo, open: () => open++, close: () => closed.push() }, async (url) => {
        for (let round = 0; round < 3; round++) {
          const all = await Promise.all(Array.from({ length: 50 }, () => connect(Ws, url)));
          for (const [i, { socket }] of all.entries()) socket.send(`${round} ${i}`);
          for (const [i, { next }] of all.entries()) assert.deepEqual(await next(), ['message', `${round} ${i}`]);
          for (const { socket } of all) socket.terminate();
          for (let i = 0; i < 50; i++) await closed.next();
        }
        assert.equal(open, 150);
      });
    });

    test('over HTTP/2, two sockets on one connection', { skip: !isNode }, async () => {
      const told = events();
      await serving(
        io,
        { ...echo, close: (_, ...rest) => told.push(...rest) },
        async (url) => {
          const session = http2.connect(url.replace('wss', 'https'), { ca: own.cert });
          await once(session, 'remoteSettings');
          assert.equal(session.remoteSettings.enableConnectProtocol, true);
          for (const text of ['one', 'two']) {
            const stream = session.request({
              ':method': 'CONNECT',
              ':protocol': 'websocket',
              ':path': '/',
              'sec-websocket-version': '13',
            });
            const [fields] = await once(stream, 'response');
            assert.equal(fields[':status'], 200);
            stream.write(maskedFrame(1, text));
            const frames = framesOf(stream);
            assert.deepEqual((await frames.next()).value, { opcode: 1, text });
            stream.write(maskedFrame(8, '\x03\xe8bye'));
            assert.equal((await frames.next()).value.opcode, 8);
            assert.deepEqual(await told.next(), [1000, 'bye', true]);
          }
          const stream = session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/', 'sec-websocket-version': '13' });
          await once(stream, 'response');
          stream.write(Buffer.concat([maskedFrame(1, 'last'), maskedFrame(3, '')]));
          const frames = framesOf(stream);
          assert.deepEqual((await frames.next()).value, { opcode: 1, text: 'last' });
          assert.deepEqual((await frames.next()).value, { opcode: 8, text: '\x03\xea' });
          assert.deepEqual(await told.next(), [1002, '', false]);
          session.destroy();
        },
        {},
        own,
      );
    });
  });

// 2xx would tell the client that there is a WebSocket (RFC 8441, 4).
