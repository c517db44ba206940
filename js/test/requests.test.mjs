// What a handler reads of its request, and when: after an await, piece by piece, late. Asked byte by byte over HTTP/1.1, and over
// HTTP/2 where that has lines of its own.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { test, describe } from 'node:test';

import { serve, Response } from '../index.mjs';
import { createServer } from '../node.mjs';
import { raw } from './support.mjs';
import { WAYS } from './transports.mjs';

const LONG = 'x'.repeat(8000); // a field that makes a head too long for a slot

async function serving(options, handler, body) {
  const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {}, ...options }, handler);
  try {
    return await body(server.addr.port);
  } finally {
    await server.shutdown({ deadline: 0 });
  }
}

// What answers hold, the connection being closed by the last.
const contentOf = (answer) => answer.slice(answer.indexOf('\r\n\r\n') + 4);

function latch() {
  const one = {};
  one.wait = new Promise((resolve) => {
    one.open = resolve;
  });
  return one;
}

for (const io of WAYS)
  describe(`requests, io: ${io}`, () => {
    test('content that comes with a head, short or long', () =>
      serving(
        { io },
        async (request) => new Response(await request.text()),
        async (port) => {
          for (const field of ['x', LONG])
            assert.equal(
              contentOf(
                await raw(port, `POST / HTTP/1.1\r\nHost: a\r\nX-Long: ${field}\r\nContent-Length: 5\r\nConnection: close\r\n\r\nabcde`),
              ),
              'abcde',
            );
        },
      ));

    test('a field may have a long name, and a long value', () => {
      const name = 'X-'.padEnd(300, 'n');
      return serving(
        { io },
        ({ headers }) => Response.json([headers.get(name), headers.has(name.toLowerCase()), Object.fromEntries(headers)]),
        async (port) => {
          for (const length of [1, 255, 256, 700]) {
            const value = Array.from({ length }, (_, i) => String.fromCharCode(97 + (i % 26))).join('');
            const head = `GET / HTTP/1.1\r\nHost: a\r\n${name}: ${value}\r\nConnection: close\r\n\r\n`;
            assert.deepEqual(JSON.parse(contentOf(await raw(port, head))), [
              value,
              true,
              { connection: 'close', host: 'a', [name.toLowerCase()]: value },
            ]);
          }
        },
      );
    });

    test('the content of a GET goes to no other server, nor does what tells of it', () =>
      serving(
        { io },
        (request) => Response.json([...new globalThis.Request('http://b.test/', request).headers.keys()]),
        async (port) => {
          const head = 'GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc';
          assert.deepEqual(JSON.parse(contentOf(await raw(port, head))), ['host', 'x']);
        },
      ));

    test('content that turns out to be empty is no piece', () =>
      serving(
        { io },
        async (request) => Response.json(await request.body.getReader().read()),
        async (port) => {
          const head = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n';
          const answer = await raw(port, `${head}0\r\n\r\n`);
          assert.deepEqual(JSON.parse(contentOf(answer)), { done: true });
        },
      ));

    test('the stream of a response to HEAD is canceled', () => {
      const canceled = latch();
      return serving(
        { io },
        () => new Response(new ReadableStream({ cancel: () => canceled.open() })),
        async (port) => {
          const answer = await raw(port, 'HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
          assert.match(answer, /^HTTP\/1.1 200 /);
          await canceled.wait;
        },
      );
    });

    test('fields are found in any case, and lines of one name joined: of Cookie as cookies are', () =>
      serving(
        { io },
        ({ headers }) => {
          const found = [headers.get('x-Some'), headers.get('cookie'), headers.has('COOKIE')]; // one by one, then all
          return Response.json([...found, ...[...headers].filter(([name]) => name === 'cookie' || name === 'x-some')]);
        },
        async (port) => {
          const expected = ['1, 2', 'a=1; b=2', true, ['cookie', 'a=1; b=2'], ['x-some', '1, 2']];
          const text = 'GET / HTTP/1.1\r\nHost: a\r\nX-SOME: 1\r\nCookie: a=1\r\nx-some: 2\r\nCOOKIE: b=2\r\nConnection: close\r\n\r\n';
          assert.deepEqual(JSON.parse(contentOf(await raw(port, text))), expected);
          const session = http2.connect(`http://127.0.0.1:${port}`);
          const stream = session.request({ cookie: ['a=1', 'b=2'], 'x-some': ['1', '2'] });
          let got = '';
          for await (const piece of stream.setEncoding('utf8')) got += piece;
          session.destroy();
          assert.deepEqual(JSON.parse(got), expected);
        },
      ));

    test('fields that were not looked at before the response was sent are gone', () => {
      let late;
      return serving(
        { io },
        (request) => {
          late ??= request;
          return new Response();
        },
        async (port) => {
          for (const who of ['one', 'another']) await raw(port, `GET / HTTP/1.1\r\nHost: a\r\nX-Who: ${who}\r\nConnection: close\r\n\r\n`);
          assert.throws(() => late.headers.get('x-who'), { name: 'TypeError', code: 'CAROM_ESTATE' });
        },
      );
    });

    test('a stream that has nothing yet is cancelled when its client leaves', () => {
      const over = latch();
      let cancelled = false;
      return serving(
        { io },
        (_, info) => {
          info.completed.then(over.open, over.open);
          return new Response(
            new ReadableStream({
              start(controller) {
                controller.enqueue(new Uint8Array(1));
              },
              cancel() {
                cancelled = true;
              },
            }),
          );
        },
        async (port) => {
          await raw(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', (got) => got.includes('\r\n\r\n'));
          await over.wait;
          assert.ok(cancelled);
        },
      );
    });
  });

// Pieces are handed on as they come, and nobody copies them any more.
test('createServer: a piece of content stays what it was when the next one comes', async () => {
  const server = createServer((request, response) => {
    const pieces = [];
    request.on('data', (piece) => {
      pieces.push(piece);
      if (pieces.length === 1) socket.write('b'.repeat(2000));
    });
    request.on('end', () => response.end(Buffer.concat(pieces)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = net.connect(server.address().port, '127.0.0.1');
  let got = '';
  socket.setEncoding('latin1').on('data', (data) => {
    got += data;
  });
  socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\nConnection: close\r\n\r\n${'a'.repeat(2000)}`);
  await once(socket, 'close');
  server.close();
  assert.equal(contentOf(got), 'a'.repeat(2000) + 'b'.repeat(2000));
});
