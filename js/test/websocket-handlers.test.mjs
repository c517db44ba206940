// Handlers of WebSockets: what of theirs fails, what waits for them, and what is sent at once.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { WAYS } from './transports.mjs';
import { connect, events, serving } from './websocket-serving.mjs';
import { Ws, framesOf, handshaken, maskedFrame } from './ws-client.mjs';

// What is written to the console as an error while `body` runs.
async function reported(body) {
  const lines = events();
  const before = console.error;
  console.error = (...words) => lines.push(words.map((word) => word?.message ?? String(word)).join(' '));
  try {
    return await body(lines);
  } finally {
    console.error = before;
  }
}

for (const io of WAYS)
  describe(`handlers of WebSockets, io: ${io}`, () => {
    test('what a handler throws is told to error, or to the console', () =>
      reported(async (lines) => {
        const told = events();
        const boom = () => {
          throw new Error('boom');
        };
        for (const [error, line] of [
          [undefined, 'carom: the handler of a WebSocket failed: boom'],
          [(_, reason) => told.push(reason.message), null],
          [boom, 'carom: the error handler of a WebSocket failed: boom'],
          [async () => boom(), 'carom: the error handler of a WebSocket failed: boom'],
        ])
          await serving(io, { message: boom, ...(error && { error }) }, async (url) => {
            const { socket, next } = await connect(Ws, url);
            socket.send('x');
            assert.deepEqual((await next()).slice(0, 2), ['close', 1011]);
            if (line === null) assert.deepEqual(await told.next(), ['boom']);
            else assert.deepEqual(await lines.next(), [line]);
          });
      }));

    test('a handler may return anything', async () => {
      const results = [null, undefined, 5, 'text', {}, { then: 5 }, []];
      let next = 0;
      const handlers = {
        message(ws, data) {
          ws.send(data);
          return results[next++];
        },
      };
      await serving(io, handlers, async (url) => {
        const { socket, next: heard } = await connect(Ws, url);
        for (const i of results.keys()) {
          socket.send(`${i}`);
          assert.deepEqual(await heard(), ['message', `${i}`]);
        }
      });
    });

    test('a ping waits behind a message whose handler has not finished', async () => {
      const told = events();
      let release;
      await serving(
        io,
        {
          async message(_, data) {
            told.push('begins', data);
            await new Promise((resolve) => {
              release = resolve;
            });
            told.push('ends', data);
          },
          ping: (_, data) => told.push('ping', String(Buffer.from(data))),
        },
        async (url) => {
          const socket = await handshaken(url);
          socket.write(Buffer.concat([maskedFrame(1, 'one'), maskedFrame(9, 'there?')]));
          assert.deepEqual(await told.next(), ['begins', 'one']);
          socket.write(maskedFrame(9, 'still?'));
          await new Promise(setImmediate);
          assert.equal(told.count, 0);
          release();
          assert.deepEqual(
            [await told.next(), await told.next(), await told.next()],
            [
              ['ends', 'one'],
              ['ping', 'there?'],
              ['ping', 'still?'],
            ],
          );
          socket.destroy();
        },
      );
    });

    test('who need not answer pings is pinged on', async () => {
      await serving(io, { pingInterval: 20, pongTimeout: false }, async (url) => {
        const socket = await handshaken(url);
        let pings = 0;
        for await (const { opcode } of framesOf(socket)) {
          assert.equal(opcode, 9);
          if (++pings === 3) break;
        }
        socket.destroy();
      });
    });

    test('what is corked leaves, whatever it returns or throws, and so does what follows', async () => {
      const opened = events();
      await serving(io, { open: (ws) => opened.push(ws) }, async (url) => {
        const { next } = await connect(Ws, url);
        const [ws] = await opened.next();
        const result = ws.cork((given) => {
          assert.equal(given, ws);
          ws.send('one');
          assert.equal(
            ws.cork(() => ws.send('two')),
            3,
          );
          return 'done';
        });
        assert.equal(result, 'done');
        assert.deepEqual(
          [await next(), await next()],
          [
            ['message', 'one'],
            ['message', 'two'],
          ],
        );
        assert.throws(
          () =>
            ws.cork(() => {
              ws.send('three');
              throw new Error('boom');
            }),
          /boom/,
        );
        assert.deepEqual(await next(), ['message', 'three']);
        ws.send('four');
        assert.deepEqual(await next(), ['message', 'four']);
      });
    });

    test('a topic has those who are subscribed: they come once, and leave by themselves or with their end', async () => {
      const opened = events();
      const closed = events();
      const handlers = { open: (ws) => opened.push(ws), close: () => closed.push() };
      await serving(io, handlers, async (url, server) => {
        const [one, two] = [await connect(Ws, url), await connect(Ws, url)];
        const [[first], [second]] = [await opened.next(), await opened.next()];
        for (const ws of [first, first, second]) ws.subscribe('news');
        assert.equal(server.subscriberCount('news'), 2);
        first.unsubscribe('news');
        first.unsubscribe('news');
        first.unsubscribe('others');
        assert.deepEqual([server.subscriberCount('news'), first.isSubscribed('news'), second.isSubscribed('news')], [1, false, true]);
        assert.deepEqual([second.publish('news', 'x'), first.publish('news', 'y')], [0, 1]);
        first.send('after');
        second.send('after');
        const seen = [(await one.next())[1], (await two.next())[1], (await two.next())[1]];
        assert.deepEqual(seen.sort(), ['after', 'after', 'y']);
        second.close();
        await closed.next();
        assert.deepEqual([server.subscriberCount('news'), server.publish('news', 'z'), first.publish('news', 'z')], [0, 0, 0]);
      });
    });

    test('more is published at once than the log holds: it comes whole, in order, behind what was sent before', async () => {
      const opened = events();
      const COUNT = 400;
      const ways = [(i) => i % 3 === 0, () => false, () => true];
      for (const isSent of ways)
        await serving(io, { open: (ws) => opened.push(ws) }, async (url, server) => {
          const { next } = await connect(Ws, url);
          const [ws] = await opened.next();
          ws.subscribe('news');
          const text = (i) => `${i}`.padEnd(1500, '.');
          for (let i = 0; i < COUNT; i++)
            if (isSent(i)) ws.send(text(i));
            else server.publish('news', text(i));
          for (let i = 0; i < COUNT; i++) assert.equal((await next())[1], text(i));
        });
    });
  });
