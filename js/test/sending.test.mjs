// How a response is sent by serve(), whatever its content is: content that fails early or late, trailers behind every kind of content,
// and answers that a handler gives up.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Response, serve } from '../index.mjs';
import { PATIENT, raw, run } from './support.mjs';
import { WAYS } from './transports.mjs';
import { connect } from './websocket-serving.mjs';
import { Ws } from './ws-client.mjs';

const NativeResponse = Object.getPrototypeOf(Response);

// Serve for as long as `body` runs, and what was reported meanwhile.
async function serving(options, handler, body) {
  const lines = [];
  const before = console.error;
  console.error = (...words) => lines.push(words.map((word) => word?.message ?? String(word)).join(' '));
  const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {}, ...PATIENT, ...options }, handler);
  try {
    await body(server.addr.port, server);
  } finally {
    await server.shutdown({ deadline: 0 });
    console.error = before;
  }
  return lines;
}

const ask = (port, path = '/', method = 'GET') => raw(port, `${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
const bodyOf = (text) => text.slice(text.indexOf('\r\n\r\n') + 4);

// A stream of the runtime's that gives these, and then fails or ends; `told` hears of its cancelling.
function streamOf(pieces, error, told = () => {}) {
  let next = 0;
  return new ReadableStream(
    {
      pull(controller) {
        if (next < pieces.length) controller.enqueue(pieces[next++]);
        else if (error !== undefined) controller.error(error);
        else controller.close();
      },
      cancel: told,
    },
    { highWaterMark: 0 },
  );
}

const BYTES = new TextEncoder().encode('content');

for (const io of WAYS)
  describe(`sending, io: ${io}`, () => {
    test('a stream that fails before its first piece is a 500, and one that gives no bytes', async () => {
      const lines = await serving(
        { io },
        ({ url }) => new NativeResponse(url.endsWith('early') ? streamOf([], new Error('early')) : streamOf([5])),
        async (port) => {
          for (const path of ['/early', '/number']) assert.match(await ask(port, path), /^HTTP\/1\.1 500 [^]*Internal Server Error\n$/);
        },
      );
      assert.deepEqual(lines, ['carom: the handler failed: early', 'carom: the handler failed: a response body gives Uint8Array chunks']);
    });

    test('onError answers for a stream that fails before its first piece, and hears of one that fails late', async () => {
      const heard = [];
      const lines = await serving(
        {
          io,
          onError(error) {
            heard.push(error.message);
            return new Response('sorry', { status: 502 });
          },
        },
        ({ url }) =>
          new NativeResponse(url.endsWith('early') ? streamOf([], new Error('early')) : streamOf([BYTES, BYTES], new Error('late'))),
        async (port) => {
          assert.match(await ask(port, '/early'), /^HTTP\/1\.1 502 [^]*sorry$/);
          const late = await ask(port, '/late').catch(({ code }) => code);
          assert.ok(!late.endsWith('0\r\n\r\n'), late);
        },
      );
      assert.deepEqual([heard, lines], [['early'], ['carom: the handler failed: late']]);
    });

    test('what is no Response is refused, whatever it resembles', async () => {
      const headers = new Headers();
      const others = [
        null,
        undefined,
        'text',
        5,
        {},
        { status: '200', headers, body: null },
        { status: 200, headers: null, body: null },
        { status: 200, headers: () => {}, body: null },
        { status: 200, headers: {}, body: null },
        { status: 200, headers },
      ];
      const lines = await serving(
        { io },
        ({ url }) => others[Number(url.split('/').at(-1))],
        async (port) => {
          for (const i of others.keys()) assert.match(await ask(port, `/${i}`), /^HTTP\/1\.1 500 /, `${i}`);
        },
      );
      for (const line of lines) assert.match(line, /the handler must return a Response/);
      assert.equal(lines.length, others.length);
      const shapes = [
        { status: 200, headers: new Map([['x', '1']]), body: 'ok' },
        { status: 200, headers: { forEach: (act) => act('1', 'x') }, body: 'ok' },
      ];
      await serving(
        { io },
        ({ url }) => shapes[Number(url.at(-1))],
        async (port) => {
          for (const i of shapes.keys()) assert.match(await ask(port, `/${i}`), /\r\nx: 1\r\n[^]*ok/, `${i}`);
        },
      );
    });

    test('content of what has none is not asked for, and cancelled', async () => {
      let count = 0;
      const stop = () => count++;
      const handler = ({ url, method }) =>
        method === 'HEAD'
          ? new NativeResponse(streamOf([BYTES], undefined, stop))
          : { status: Number(url.slice(-3)), headers: new Headers(), body: streamOf([BYTES], undefined, stop) };
      await serving({ io }, handler, async (port) => {
        assert.match(await ask(port, '/', 'HEAD'), /^HTTP\/1\.1 200 [^]*\r\n\r\n$/);
        for (const status of [204, 304]) assert.match(await ask(port, `/${status}`), new RegExp(`^HTTP/1.1 ${status} [^]*\\r\\n\\r\\n$`));
      });
      assert.equal(count, 3);
    });

    test('a stream whose head is refused is cancelled', async () => {
      let count = 0;
      const ours = () =>
        new ReadableStream({
          cancel() {
            count++;
          },
        });
      const kinds = [ours, () => streamOf([BYTES], undefined, () => count++)];
      const lines = await serving(
        { io },
        ({ url }) => new Response(kinds[Number(url.at(-1))](), { headers: { x: 'v'.repeat(200_000) } }),
        async (port) => {
          for (const kind of kinds.keys()) assert.match(await ask(port, `/${kind}`), /^HTTP\/1\.1 500 /);
        },
      );
      assert.deepEqual([count, lines.length], [2, 2]);
    });

    test('the first piece of a stream with a coding does not wait for the second', async () => {
      let wake;
      const wanted = new Promise((resolve) => {
        wake = resolve;
      });
      const handler = () => {
        let count = 0;
        const body = new ReadableStream({
          async pull(controller) {
            if (count++ === 0) return controller.enqueue(Uint8Array.of(0x1f, 0x8b, 8, 0));
            await wanted;
            controller.close();
          },
        });
        return new Response(body, { headers: { 'content-encoding': 'gzip' } });
      };
      await serving({ io }, handler, async (port) => {
        const text = await raw(port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', (got) => {
          if (got.includes('\x1f')) wake();
          return false;
        });
        assert.match(text, /content-encoding: gzip/i);
      });
    });

    test('trailers go behind content of every kind', () =>
      serving(
        { io },
        ({ url }, info) => {
          info.trailers({ 'x-sum': '42' });
          const kinds = {
            null: null,
            text: 'content',
            bytes: BYTES,
            blob: new Blob(['content']),
            stream: streamOf([BYTES]),
            ours: new ReadableStream({
              start(controller) {
                controller.enqueue(BYTES);
                controller.close();
              },
            }),
            *generator() {
              yield BYTES;
            },
          };
          const body = kinds[new URL(url).pathname.slice(1)];
          return new Response(typeof body === 'function' ? body() : body);
        },
        async (port) => {
          for (const kind of ['null', 'text', 'bytes', 'blob', 'stream', 'ours', 'generator'])
            assert.equal(bodyOf(await ask(port, `/${kind}`)), `${kind === 'null' ? '' : '7\r\ncontent\r\n'}0\r\nx-sum: 42\r\n\r\n`, kind);
        },
      ));

    test('a Blob has a length, whether it is said or not, short and long', () =>
      serving(
        { io },
        ({ url }) => {
          const { pathname, search } = new URL(url);
          const length = Number(pathname.slice(1));
          return new Response(new Blob(['x'.repeat(length)]), { headers: search === '' ? {} : { 'content-length': String(length) } });
        },
        async (port) => {
          for (const length of [0, 1, 65536, 65537, 200_000])
            for (const said of ['', '?said']) {
              const text = await ask(port, `/${length}${said}`);
              assert.equal(text.match(/^content-length: .*$/gim).join(), `${text.match(/content-length/i)[0]}: ${length}`);
              assert.equal(bodyOf(text).length, length);
            }
        },
      ));

    test('a coding is said of content that begins so, and of no other', () => {
      const begins = { zstd: [0x28, 0xb5, 0x2f, 0xfd], gzip: [0x1f, 0x8b, 8], deflate: [0x78, 0x9c] };
      return serving(
        { io },
        ({ url }) => {
          const [, coding, at] = new URL(url).pathname.split('/');
          const bytes = Uint8Array.of(...begins[coding], 0, 0, 0);
          if (at !== 'whole') bytes[Number(at)] ^= 1;
          return new Response(bytes, { headers: { 'content-encoding': coding } });
        },
        async (port) => {
          for (const coding of Object.keys(begins)) {
            assert.match(await ask(port, `/${coding}/whole`), new RegExp(`content-encoding: ${coding}`, 'i'));
            for (const at of begins[coding].keys())
              assert.doesNotMatch(await ask(port, `/${coding}/${at}`), /content-encoding/i, `${coding} ${at}`);
          }
        },
      );
    });

    test('what a handler throws that has made a WebSocket is reported, and the socket lives', async () => {
      const lines = [];
      const before = console.error;
      console.error = (...words) => lines.push(words.map((word) => word?.message ?? String(word)).join(' '));
      const server = serve(
        { port: 0, hostname: '127.0.0.1', io, onListen() {}, ...PATIENT, websocket: { message: (ws, data) => ws.send(data) } },
        (request, info) => {
          assert.ok(info.upgrade(request));
          throw new Error('too late');
        },
      );
      try {
        const { socket, next } = await connect(Ws, `ws://127.0.0.1:${server.addr.port}/`);
        socket.send('alive');
        assert.deepEqual(await next(), ['message', 'alive']);
      } finally {
        await server.shutdown({ deadline: 0 });
        console.error = before;
      }
      assert.deepEqual(lines, ['carom: the handler failed: too late']);
    });

    test('who asks how a response ended when it has ended is told', async () => {
      let seen;
      const asked = new Promise((resolve) => {
        seen = resolve;
      });
      await serving(
        { io },
        (_, info) => {
          setTimeout(() => seen(info.completed.then(() => 'completed')), 20);
          return new Response('x');
        },
        async (port) => {
          await ask(port);
          assert.equal(await asked, 'completed');
        },
      );
    });

    test('info says which protocol is spoken', () =>
      serving(
        { io },
        (_, info) => new Response(info.alpn),
        async (port) => {
          for (const version of ['1.0', '1.1'])
            assert.match(await raw(port, `GET / HTTP/${version}\r\nHost: a\r\nConnection: close\r\n\r\n`), new RegExp(`http/${version}$`));
        },
      ));

    test('a request may have a time, which info sets, too', () =>
      serving(
        { io },
        (request, info) => {
          info.timeout(request, 0.02);
          return new Promise(() => {});
        },
        async (port) => {
          assert.match(await ask(port), /^HTTP\/1\.1 503 /);
        },
      ));

    test('a server is disposed of, and keeps a process or not', async () => {
      const server = serve({ port: 0, hostname: '127.0.0.1', io, onListen() {} }, () => new Response());
      await server[Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]();
      await server.finished;
      await assert.rejects(ask(server.addr.port), { code: 'ECONNREFUSED' });
      const { code, output } = await run(`
        const { serve, Response } = require('./index.js');
        const server = serve({ port: 0, hostname: '127.0.0.1', io: '${io}', onListen() {} }, () => new Response());
        server.unref();
        server.ref();
        setTimeout(() => {
          console.log('kept');
          server.unref();
        }, 50).unref();`);
      assert.deepEqual([code, output], [0, 'kept\n']);
    });
  });
