// serve(): the API as its users see it, in both ways to run; what is of HTTP/1.1 alone, or looked at byte by byte.
// Applications over all transports are in app.test.mjs.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { test, describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { serve, redirectToHttps, Request, Response } from '../index.mjs';
import { PATIENT, nativeOnly } from './support.mjs';

const isNode = !process.versions.bun && !globalThis.Deno;
const WAYS = isNode ? ['inline', 'thread'] : ['thread'];

// Serve for as long as `body` runs; everything must end after it.
async function serving(options, handler, body) {
  const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {}, ...PATIENT, ...options }, handler);
  try {
    return await body(`http://127.0.0.1:${server.addr.port}`, server);
  } finally {
    await server.shutdown({ deadline: 0 });
  }
}

// Bytes to a server, and all that comes back until it closes or `enough`.
function raw(port, text, enough = () => false) {
  return new Promise((resolve, reject) => {
    let got = '';
    const socket = net.connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (data) => {
      got += data.toString('latin1');
      if (enough(got)) socket.destroy();
    });
    socket.on('close', () => resolve(got));
    socket.on('error', reject);
  });
}

// Errors that the server reports, while `body` runs.
async function reported(body) {
  const lines = [];
  const before = console.error;
  console.error = (...words) => lines.push(words.map(String).join(' '));
  try {
    await body();
  } finally {
    console.error = before;
  }
  return lines;
}

for (const io of WAYS) {
  describe(`serve, io: ${io}`, () => {
    test('io_uring, or a line that says why not', {
      skip: nativeOnly('options', "there is no io_uring, and no word about it: `backend` is 'portable'"),
    }, async () => {
      const lines = [];
      const before = console.warn;
      console.warn = (line) => lines.push(line);
      try {
        await serving(
          { io, backend: 'uring' },
          async (request) => new Response(await request.text()),
          async (origin, server) => {
            const body = 'x'.repeat(200_000);
            for (let i = 0; i < 3; i++) assert.equal(await (await fetch(origin, { method: 'POST', body })).text(), body);
            assert.deepEqual(lines, server.backend === 'uring' ? [] : ['carom: backend: epoll, because io_uring is refused here']);
          },
        );
      } finally {
        console.warn = before;
      }
      await serving(
        { io },
        () => new Response(),
        (origin, server) => assert.equal(server.backend, 'epoll'),
      );
      assert.throws(() => serve({ backend: 'kqueue' }, () => new Response()), { name: 'TypeError', message: /epoll.*uring/ });
    });

    test('a client that leaves aborts request.signal, and cancels the stream', async () => {
      let aborted, cancelled;
      const wasAborted = new Promise((resolve) => {
        aborted = resolve;
      });
      const wasCancelled = new Promise((resolve) => {
        cancelled = resolve;
      });
      await serving(
        { io },
        (request, info) => {
          request.signal.addEventListener('abort', () => aborted());
          info.completed.catch(() => {});
          return new Response(
            new ReadableStream({
              pull(controller) {
                controller.enqueue(new Uint8Array(65536));
              },
              cancel() {
                cancelled();
              },
            }),
          );
        },
        async (origin, server) => {
          await raw(server.addr.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', (got) => got.length > 1000);
          await wasAborted;
          await wasCancelled;
        },
      );
    });

    test('pipelined answers leave in order, whatever happens to their neighbours', async () => {
      const lines = await reported(() =>
        serving(
          { io },
          async (request) => {
            const n = Number(new URL(request.url).pathname.slice(1));
            if (n === 2) throw new Error('two');
            if (n % 2) await sleep(10);
            return new Response(`<${n}>`);
          },
          async (origin, server) => {
            const all = [1, 2, 3, 4].map((n) => `GET /${n} HTTP/1.1\r\nHost: a\r\n\r\n`).join('');
            const got = await raw(server.addr.port, all, (text) => text.includes('<4>'));
            assert.match(got, /<1>[^]*500 Internal[^]*<3>[^]*<4>/);
          },
        ),
      );
      assert.equal(lines.length, 1);
    });

    test('info.localAddr is the address that the client asked, not the one that is listened on', () =>
      serving(
        { io, hostname: '0.0.0.0' },
        (request, info) => Response.json(info.localAddr),
        async (origin, server) => {
          const { port } = server.addr;
          for (const hostname of ['127.0.0.1', '127.0.0.2'])
            assert.deepEqual(await (await fetch(`http://${hostname}:${port}/`)).json(), { transport: 'tcp', hostname, port });
        },
      ));

    test('fields are sent as given, each set-cookie by itself', () =>
      serving(
        { io },
        () =>
          new Response(null, {
            status: 201,
            headers: [
              ['set-cookie', 'a=1'],
              ['set-cookie', 'b=2'],
              ['x-one', 'ü'],
            ],
          }),
        async (origin, server) => {
          const got = await raw(server.addr.port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
          assert.match(got, /^HTTP\/1.1 201 Created\r\n/);
          assert.match(got, /set-cookie: a=1\r\nset-cookie: b=2\r\n/);
          assert.match(got, /x-one: \xfc\r\n/);
        },
      ));

    // RFC 9113, 8.2.3: a client of HTTP/2 sends a field for each cookie; lines of HTTP/1.1 are the same to us.
    test('lines of cookies are one value, by "; "; those of other fields by ", "', () =>
      serving(
        { io },
        ({ headers }) => Response.json([headers.get('cookie'), headers.get('x-a'), new Map(headers).get('cookie')]),
        async (origin, server) => {
          const lines = 'Cookie: a=1\r\nX-A: 1\r\ncookie: b=2\r\nX-A: 2\r\nCookie: c=3\r\n';
          const got = await raw(server.addr.port, `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${lines}\r\n`);
          assert.deepEqual(JSON.parse(got.split('\r\n\r\n')[1]), ['a=1; b=2; c=3', '1, 2', 'a=1; b=2; c=3']);
        },
      ));

    test('early hints, trailers, routes', () =>
      serving(
        { io, routes: { '/health': new Response('fine') } },
        (request, info) => {
          info.inform(103, { link: '</a.css>; rel=preload' });
          info.trailers({ 'x-sum': '42' });
          return new Response('body');
        },
        async (origin, server) => {
          const got = await raw(server.addr.port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
          assert.match(got, /^HTTP\/1.1 103 Early Hints\r\nlink: [^]*HTTP\/1.1 200 OK[^]*\r\n4\r\nbody\r\n0\r\nx-sum: 42\r\n\r\n$/);
          const { calls } = server.stats();
          assert.equal(await (await fetch(`${origin}/health?x`)).text(), 'fine');
          assert.equal((await fetch(`${origin}/health`, { method: 'HEAD' })).headers.get('content-length'), '4');
          assert.equal(server.stats().calls, calls);
          for (const [target, method] of [
            ['/healthy', 'GET'],
            ['/healt', 'GET'],
            ['/health', 'POST'],
          ])
            assert.equal(await (await fetch(origin + target, { method })).text(), 'body');
        },
      ));

    test('a status text of its own is the reason phrase of HTTP/1.1', () => {
      const named = (status, statusText) => new Response(null, { status, statusText });
      const answers = {
        '/ours': () => named(299, 'All of it'),
        '/usual': () => new Response(null, { status: 404 }),
        '/theirs': () => new globalThis.Response('x', { statusText: 'Fine \xe4' }),
        '/stream': () => new Response(new Blob(['x']).stream(), { statusText: 'Flowing' }),
        '/shape': () => ({ status: 200, statusText: 'a\nb', headers: new Map(), body: null }), // that cannot be sent
      };
      return serving(
        { io, routes: { '/route': named(200, 'As always') } },
        ({ url }) => answers[new URL(url).pathname](),
        async (origin, server) => {
          const lines = [];
          for (const path of [...Object.keys(answers), '/route'])
            lines.push((await raw(server.addr.port, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)).split('\r\n', 1)[0]);
          assert.deepEqual(
            lines.map((line) => line.slice(9)),
            ['299 All of it', '404 Not Found', '200 Fine \xe4', '200 Flowing', '200 OK', '200 As always'],
          );
        },
      );
    });

    test('info.completed tells the outcome', async () => {
      const outcomes = [];
      await serving(
        { io },
        (request, info) => {
          info.completed.then(
            ({ bytesSent }) => outcomes.push(`whole, ${bytesSent}`),
            (error) => outcomes.push(error.code),
          );
          return new Response('x'.repeat(request.method === 'GET' ? 10 : 50_000_000));
        },
        async (origin, server) => {
          await (await fetch(origin)).text();
          await raw(server.addr.port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n', (got) => got.length > 1000);
          while (outcomes.length < 2) await sleep(5);
          assert.deepEqual(outcomes, ['whole, 10', 'CAROM_ECANCELED']);
        },
      );
    });

    test('a shutdown answers what is in flight', async () => {
      let server;
      let answer;
      const handler = () =>
        new Promise((resolve) => {
          answer = () => resolve(new Response('done'));
          server.shutdown();
          setTimeout(answer, 30);
        });
      server = serve({ io, port: 0, hostname: '127.0.0.1', onListen() {} }, handler);
      const response = await fetch(`http://127.0.0.1:${server.addr.port}`);
      assert.equal(await response.text(), 'done');
      await server.finished;
      assert.equal(server.stats().requests, 1);
    });

    test('ten thousand that wait are all aborted', {
      skip: nativeOnly('rates', 'two thousand clients at once take it a minute'),
    }, async () => {
      const COUNT = isNode ? 2000 : 500,
        PIPELINED = 5;
      let waiting = 0,
        aborted = 0;
      await serving(
        { io, maxConnections: 5000 },
        (request) => {
          waiting++;
          request.signal.addEventListener('abort', () => {
            aborted++;
          });
          return new Promise(() => {});
        },
        async (origin, server) => {
          const sockets = [];
          for (let i = 0; i < COUNT; i++) {
            const socket = net.connect(server.addr.port, '127.0.0.1');
            socket.on('error', () => {});
            socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(PIPELINED));
            sockets.push(socket);
          }
          while (waiting < COUNT * PIPELINED) await sleep(10);
          for (const socket of sockets) socket.destroy();
          while (aborted < COUNT * PIPELINED) await sleep(10);
          while (server.pendingRequests > 0) await sleep(10);
        },
      );
    });

    test('the plain port redirects to https', () =>
      serving(
        { io },
        (request) => redirectToHttps(request, Number(request.headers.get('x-port') || 443)),
        async (origin, server) => {
          const { port } = server.addr;
          const ask = async (target, host = 'a.test', more = '') =>
            /^HTTP\/1.1 (\d+) [^]*?(?:Location: ([^\r]*)|$)/i
              .exec(await raw(port, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`))
              .slice(1);
          assert.deepEqual(await ask('/a%20b/?c=d&e'), ['308', 'https://a.test/a%20b/?c=d&e']);
          assert.deepEqual(await ask('/', 'a.test:8080'), ['308', 'https://a.test/']);
          assert.deepEqual(await ask('/', '[::1]:8080', 'X-Port: 8443\r\n'), ['308', 'https://[::1]:8443/']);
          assert.deepEqual(await ask('http://b.test/c', 'b.test'), ['308', 'https://b.test/c']);
          assert.deepEqual(await ask('//evil.test/x'), ['308', 'https://a.test//evil.test/x']);
          assert.equal((await ask(`/${'x'.repeat(8000)}`))[1].length, 8000 + 'https://a.test/'.length);
          assert.match(await raw(port, 'GET / HTTP/1.0\r\n\r\n'), /^HTTP\/1.1 400 /);
          assert.throws(() => redirectToHttps(new Request('http://a'), {}), RangeError);
        },
      ));

    test('the line of the start has the name of this host', async () => {
      const lines = [];
      const { log } = console;
      console.log = (line) => lines.push(line);
      try {
        for (const hostname of [undefined, '0.0.0.0', '127.0.0.1']) {
          const server = serve({ io, port: 0, hostname }, () => new Response());
          lines.push(lines.pop().replace(String(server.addr.port), 'PORT'));
          await server.shutdown();
        }
      } finally {
        console.log = log;
      }
      assert.deepEqual(
        lines,
        ['localhost', 'localhost', '127.0.0.1'].map((host) => `carom: listening on http://${host}:PORT/`),
      );
    });

    test('listening fails with a name', () =>
      serving(
        { io },
        () => new Response(),
        async (origin, server) => {
          assert.throws(() => serve({ io, port: server.addr.port, hostname: '127.0.0.1', onListen() {} }, () => {}), {
            code: 'CAROM_EADDRINUSE',
          });
          assert.throws(() => serve({ io, port: 99999 }, () => {}), RangeError);
          assert.throws(() => serve({ io, keepAlive: 'x' }, () => {}), TypeError);
        },
      ));

    test('an abort signal shuts down, and is let go when it need not', async () => {
      const controller = new AbortController();
      const { signal } = controller;
      let listeners = 0;
      for (const [name, step] of [
        ['addEventListener', 1],
        ['removeEventListener', -1],
      ]) {
        const original = signal[name];
        signal[name] = function (...words) {
          listeners += step;
          return original.apply(this, words);
        };
      }
      const before = serve({ io, port: 0, signal, onListen() {} }, () => new Response());
      assert.equal(listeners, 1);
      await before.shutdown();
      assert.equal(listeners, 0);
      const server = serve({ io, port: 0, signal, onListen() {} }, () => new Response());
      controller.abort();
      await server.finished;
    });

    test('an option that is misspelt, of another server, or out of bounds is refused by name, with the cure', async () => {
      const refused = (options, message) =>
        assert.throws(() => serve({ io, port: 0, onListen() {}, ...options }, () => new Response()), { message });
      refused({ prot: 80 }, /^there is no option prot: port is meant\?$/);
      refused({ hostName: '127.0.0.1' }, /^there is no option hostName: hostname is meant\?$/);
      refused({ host: '127.0.0.1' }, /^there is no option host: hostname is meant\?$/);
      refused({ unix: '/tmp/x' }, /^there is no option unix: path is meant\?$/);
      refused({ static: {} }, /^there is no option static: routes is meant\?$/);
      refused({ websocket: { perMessageDeflate: true } }, /^there is no option websocket.perMessageDeflate: websocket.deflate is meant\?$/);
      refused({ websocket: { publishToSelf: true } }, /^there is no option websocket.publishToSelf: server.publish leaves nobody out$/);
      refused({ websocket: { maxLifetime: 10 } }, /^there is no option websocket.maxLifetime: a timer that calls ws.close\(\) does it$/);
      for (const name of ['upgrade', 'dropped', 'subscription'])
        refused({ websocket: { [name]() {} } }, new RegExp(`^there is no option websocket.${name}: [a-z]`));
      refused({ error() {} }, /^there is no option error: onError is meant\?$/);
      refused({ onEror() {} }, /^there is no option onEror: onError is meant\?$/);
      refused({ maxContents: 1 }, /^there is no option maxContents: maxContent is meant\?$/);
      refused({ onListen: 'x' }, /^onListen must be a function$/);
      refused({ onError: true }, /^onError must be a function$/);
      refused({ signal: true }, /^signal must be an AbortSignal$/);
      refused({ h2MaxStreams: 1e6 }, /^h2MaxStreams must be up to 16384, or false for off$/);
      refused({ h2StreamWindow: 2 ** 31 }, /^h2StreamWindow must be up to 2147483647/);
      refused({ h2StreamWindow: 1 }, /^h2StreamWindow \(1\) must be from 1024 to h2StreamWindowMax \(1048576\)$/);
      refused({ h2ConnectionWindowMax: 65536 }, /^h2ConnectionWindow \(1048576\) must be from 1024 to h2ConnectionWindowMax \(65536\)$/);
      // What an app has for itself is its own.
      await serving(
        {
          io,
          websocket: { maxLifetime: 0, publishToSelf: false },
          name: 'app',
          id: 7,
          version: '1',
          post() {},
          scheduled() {},
          prot: undefined,
          h2StreamWindowMax: false,
          h2MaxStreams: false,
        },
        () => new Response(),
        () => {},
      );
    });

    test('a unix socket', async () => {
      const path = `${tmpdir()}/carom-test-${process.pid}-${io}`;
      await serving(
        { io, path },
        (request) => new Response(request.url),
        async () => {
          const body = await new Promise((resolve, reject) => {
            http
              .get({ socketPath: path, path: '/x' }, (response) => {
                response.setEncoding('utf8').on('data', resolve);
              })
              .on('error', reject);
          });
          assert.equal(body, 'http://localhost/x');
        },
      );
    });

    test('the file of a Unix socket goes when accepting ends, and another server may have it', async () => {
      const path = `${tmpdir()}/carom-again-${process.pid}-${io}`;
      let answer;
      const first = serve(
        { io, path, onListen() {} },
        () =>
          new Promise((resolve) => {
            answer = resolve;
          }),
      );
      const asked = new Promise((resolve, reject) => {
        http.get({ socketPath: path }, (response) => resolve(response.resume().statusCode)).on('error', reject);
      });
      while (answer === undefined)
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
      const down = first.shutdown();
      while (existsSync(path))
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
      const second = serve({ io, path, onListen() {} }, () => new Response());
      answer(new Response());
      assert.equal(await asked, 200);
      await down;
      assert.equal(existsSync(path), true);
      await second.shutdown();
      assert.equal(existsSync(path), false);
    });
  });
}
