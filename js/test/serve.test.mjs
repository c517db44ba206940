// serve(): the API as its users see it, in both ways to run.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { test, describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';

import { serve, Request, Response } from '../index.mjs';

const isNode = !process.versions.bun && !globalThis.Deno;
const WAYS = isNode ? ['inline', 'thread'] : ['thread'];

// Serve for as long as `body` runs; everything must end after it.
async function serving(options, handler, body) {
  const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {}, ...options }, handler);
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
    test('answers at once, and later', () => serving({ io }, async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === '/later') await sleep(20);
      return new Response(`${request.method} ${pathname}`);
    }, async (origin) => {
      assert.equal(await (await fetch(`${origin}/now?x`)).text(), 'GET /now');
      assert.equal(await (await fetch(`${origin}/later`, { method: 'DELETE' })).text(), 'DELETE /later');
    }));

    test('the request is what was sent', () => serving({ io }, async (request, info) => {
      assert.ok(request instanceof Request);
      assert.ok(request instanceof globalThis.Request);
      assert.equal(info.remoteAddr.hostname, '127.0.0.1');
      return Response.json({ url: request.url, test: request.headers.get('X-Test'), body: await request.json() });
    }, async (origin) => {
      const response = await fetch(`${origin}/a?b=c`, { method: 'POST', headers: { 'x-test': 'yes' }, body: '{"n":1}' });
      assert.deepEqual(await response.json(), { url: `${origin}/a?b=c`, test: 'yes', body: { n: 1 } });
      assert.equal(response.headers.get('content-type'), 'application/json');
    }));

    test('bodies of every kind', () => {
      const big = 'ü'.repeat(100000);
      const bodies = {
        none: () => null,
        string: () => 'text',
        long: () => big,
        bytes: () => new Uint8Array([1, 2, 3]),
        buffer: () => new Uint8Array([1, 2, 3]).buffer,
        blob: () => new Blob(['blob']),
        params: () => new URLSearchParams({ a: '1' }),
        stream: () => new ReadableStream({
          start(controller) {
            controller.enqueue(new TextEncoder().encode('one '));
            controller.enqueue(new TextEncoder().encode('two'));
            controller.close();
          },
        }),
      };
      const expected = { none: '', string: 'text', long: big, bytes: '\x01\x02\x03', buffer: '\x01\x02\x03', blob: 'blob', params: 'a=1', stream: 'one two' };
      return serving({ io }, (request) => new Response(bodies[new URL(request.url).pathname.slice(1)]()), async (origin) => {
        for (const [kind, text] of Object.entries(expected))
          assert.equal(await (await fetch(`${origin}/${kind}`)).text(), text, kind);
      });
    });

    test('a body of any size is streamed back', () => serving({ io }, (request) => new Response(request.body), async (origin) => {
      const bytes = new Uint8Array(3_000_000).map((_, i) => (i * 7) & 255);
      const back = new Uint8Array(await (await fetch(origin, { method: 'POST', body: bytes })).arrayBuffer());
      assert.equal(Buffer.compare(Buffer.from(bytes), Buffer.from(back)), 0);
    }));

    test('large bodies, made of the same bytes and of clones, are each the one it was', () => {
      const page = new Uint8Array(70_000);
      let n = 0;
      let kept = null;
      return serving({ io }, (request) => {
        if (new URL(request.url).pathname === '/kept') return kept.clone();
        const response = new Response(page.fill(65 + n++ % 26));
        if (n === 1) kept = response.clone();
        return response;
      }, async (origin) => {
        for (let round = 0; round < 3; round++) {
          const texts = await Promise.all(Array.from({ length: 40 }, async () => (await fetch(origin)).text()));
          const letters = texts.map((text) => text[0]);
          assert.equal(new Set(letters).size, 26);
          texts.forEach((text) => assert.ok(text === text[0].repeat(70_000)));
          assert.ok(await (await fetch(`${origin}/kept`)).text() === 'A'.repeat(70_000));
        }
      });
    });

    test('io_uring, or a line that says why not', async () => {
      const lines = [];
      const before = console.warn;
      console.warn = (line) => lines.push(line);
      try {
        await serving({ io, backend: 'uring' }, async (request) => new Response(await request.text()), async (origin, server) => {
          const body = 'x'.repeat(200_000);
          for (let i = 0; i < 3; i++) assert.equal(await (await fetch(origin, { method: 'POST', body })).text(), body);
          assert.deepEqual(lines, server.backend === 'uring' ? [] : ['carom: backend: epoll, because io_uring is refused here']);
        });
      } finally {
        console.warn = before;
      }
      await serving({ io }, () => new Response(), (origin, server) => assert.equal(server.backend, 'epoll'));
      assert.throws(() => serve({ backend: 'kqueue' }, () => new Response()), { name: 'TypeError', message: /epoll.*uring/ });
    });

    test('a stream that ends at once is one message, with its length; one that waits is not', () => serving({ io }, (request) => {
      const wait = new URL(request.url).pathname === '/waits';
      return new Response((async function* generate() {
        yield 'a';
        if (wait) await sleep(5);
        yield new Uint8Array([98]);
      })());
    }, async (origin) => {
      const quick = await fetch(`${origin}/quick`);
      assert.equal(await quick.text(), 'ab');
      assert.equal(quick.headers.get('content-length'), '2');
      const slow = await fetch(`${origin}/waits`);
      assert.equal(await slow.text(), 'ab');
      assert.equal(slow.headers.get('content-length'), null);
    }));

    test('a client that leaves aborts request.signal, and cancels the stream', async () => {
      let aborted, cancelled;
      const wasAborted = new Promise((resolve) => { aborted = resolve; });
      const wasCancelled = new Promise((resolve) => { cancelled = resolve; });
      await serving({ io }, (request, info) => {
        request.signal.addEventListener('abort', () => aborted());
        info.completed.catch(() => {});
        return new Response(new ReadableStream({
          pull(controller) { controller.enqueue(new Uint8Array(65536)); },
          cancel() { cancelled(); },
        }));
      }, async (origin, server) => {
        await raw(server.addr.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', (got) => got.length > 1000);
        await wasAborted;
        await wasCancelled;
      });
    });

    test('request.signal does not abort when all is well', () => {
      let signal;
      return serving({ io }, async (request, info) => {
        signal = request.signal;
        await info.completed;
      }, async () => {}).then(() => serving({ io }, (request, info) => {
        signal = request.signal;
        return new Response('x');
      }, async (origin) => {
        await (await fetch(origin)).text();
        await sleep(20);
        assert.equal(signal.aborted, false);
      }));
    });

    test('handlers that fail give 500, and the server lives', async () => {
      const handlers = {
        throws() { throw new Error('thrown secret'); },
        rejects: async () => { throw new Error('rejected secret'); },
        nothing() {},
        used(request) { const response = new Response('x'); response.text(); return response; },
      };
      const lines = await reported(() => serving({ io }, (request) => handlers[new URL(request.url).pathname.slice(1)](request), async (origin) => {
        for (const name of Object.keys(handlers)) {
          const response = await fetch(`${origin}/${name}`);
          assert.equal(response.status, 500, name);
          assert.doesNotMatch(await response.text(), /secret/);
        }
      }));
      assert.equal(lines.length, 4);
    });

    test('onError answers instead', () => serving({ io, onError: (error) => new Response(error.message, { status: 418 }) },
      () => { throw new Error('mine'); }, async (origin) => {
        const response = await fetch(origin);
        assert.equal(response.status, 418);
        assert.equal(await response.text(), 'mine');
      }));

    test('a field that is the engine\'s to say', () => serving({ io, onError: (error) => new Response(error.message, { status: 500 }) },
      () => new Response('x', { headers: { 'transfer-encoding': 'chunked' } }), async (origin) => {
        assert.match(await (await fetch(origin)).text(), /Transfer-Encoding and Keep-Alive are the engine's/);
      }));

    test('an error behind the head is told once', async () => {
      const told = [];
      const { error: print } = console;
      console.error = (...words) => { told.push(words); };
      const onError = (error) => { told.push(error.code); return new Response('too late'); };
      try {
        await serving({ io, onError }, () => new Response((async function* () { yield 'short'; await sleep(5); })(), { headers: { 'content-length': '10' } }),
          (origin) => assert.rejects(fetch(origin).then((response) => response.text())));
      } finally {
        console.error = print;
      }
      assert.deepEqual(told, ['CAROM_ELENGTH']);
    });

    test('a Response of the runtime that was used, from the handler and from onError', async () => {
      const used = () => { const response = new globalThis.Response('x'); response.body.getReader(); return response; };
      const lines = await reported(() => serving({ io, onError: used }, used, async (origin) => {
        assert.equal((await fetch(origin)).status, 500);
      }));
      assert.ok(lines.length >= 1);
    });

    test('pipelined answers leave in order, whatever happens to their neighbours', async () => {
      const lines = await reported(() => serving({ io }, async (request) => {
        const n = Number(new URL(request.url).pathname.slice(1));
        if (n === 2) throw new Error('two');
        if (n % 2) await sleep(10);
        return new Response(`<${n}>`);
      }, async (origin, server) => {
        const all = [1, 2, 3, 4].map((n) => `GET /${n} HTTP/1.1\r\nHost: a\r\n\r\n`).join('');
        const got = await raw(server.addr.port, all, (text) => text.includes('<4>'));
        assert.match(got, /<1>[^]*500 Internal[^]*<3>[^]*<4>/);
      }));
      assert.equal(lines.length, 1);
    });

    test('fields are sent as given, each set-cookie by itself', () => serving({ io }, () => new Response(null, {
      status: 201, headers: [['set-cookie', 'a=1'], ['set-cookie', 'b=2'], ['x-one', 'ü']],
    }), async (origin, server) => {
      const got = await raw(server.addr.port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      assert.match(got, /^HTTP\/1.1 201 Created\r\n/);
      assert.match(got, /set-cookie: a=1\r\nset-cookie: b=2\r\n/);
      assert.match(got, /x-one: \xfc\r\n/);
    }));

    test('early hints, trailers, routes', () => serving({ io, routes: { '/health': new Response('fine') } }, (request, info) => {
      info.inform(103, { link: '</a.css>; rel=preload' });
      info.trailers({ 'x-sum': '42' });
      return new Response('body');
    }, async (origin, server) => {
      const got = await raw(server.addr.port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      assert.match(got, /^HTTP\/1.1 103 Early Hints\r\nlink: [^]*HTTP\/1.1 200 OK[^]*\r\n4\r\nbody\r\n0\r\nx-sum: 42\r\n\r\n$/);
      const { calls } = server.stats();
      assert.equal(await (await fetch(`${origin}/health?x`)).text(), 'fine');
      assert.equal(server.stats().calls, calls);
    }));

    test('what another server answers is passed on', async () => {
      const zipped = gzipSync('x'.repeat(10000));
      const upstream = http.createServer((request, response) => {
        const fields = { connection: 'keep-alive, x-hop', 'keep-alive': 'timeout=9', 'x-hop': '1', 'x-own': '2' };
        if (request.url === '/gzip') response.writeHead(201, { ...fields, 'content-encoding': 'gzip', 'content-length': zipped.length }).end(zipped);
        else {
          response.writeHead(201, fields).write('x'.repeat(5000));
          response.end('x'.repeat(5000));
        }
      }).listen(0, '127.0.0.1');
      await once(upstream, 'listening');
      const { port } = upstream.address();
      await serving({ io }, (request) => fetch(`http://127.0.0.1:${port}${new URL(request.url).pathname}`), async (origin) => {
        for (const path of ['/chunked', '/gzip']) {
          const response = await fetch(origin + path);
          assert.deepEqual([response.status, response.headers.get('x-own'), response.headers.get('x-hop')], [201, '2', null]);
          assert.equal(await response.text(), 'x'.repeat(10000));
        }
      });
      upstream.closeAllConnections();
      upstream.close();
    });

    test('info.completed tells the outcome', async () => {
      const outcomes = [];
      await serving({ io }, (request, info) => {
        info.completed.then(({ bytesSent }) => outcomes.push(`whole, ${bytesSent}`), (error) => outcomes.push(error.code));
        return new Response('x'.repeat(request.method === 'GET' ? 10 : 50_000_000));
      }, async (origin, server) => {
        await (await fetch(origin)).text();
        await raw(server.addr.port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n', (got) => got.length > 1000);
        while (outcomes.length < 2) await sleep(5);
        assert.deepEqual(outcomes, ['whole, 10', 'CAROM_ECANCELED']);
      });
    });

    test('a shutdown answers what is in flight', async () => {
      let server;
      let answer;
      const handler = () => new Promise((resolve) => { answer = () => resolve(new Response('done')); server.shutdown(); setTimeout(answer, 30); });
      server = serve({ io, port: 0, hostname: '127.0.0.1', onListen() {} }, handler);
      const response = await fetch(`http://127.0.0.1:${server.addr.port}`);
      assert.equal(await response.text(), 'done');
      await server.finished;
      assert.equal(server.stats().requests, 1);
    });

    test('ten thousand that wait are all aborted', { timeout: 60000 }, async () => {
      const COUNT = isNode ? 2000 : 500, PIPELINED = 5;
      let waiting = 0, aborted = 0;
      await serving({ io, maxConnections: 5000 }, (request) => {
        waiting++;
        request.signal.addEventListener('abort', () => { aborted++; });
        return new Promise(() => {});
      }, async (origin, server) => {
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
      });
    });

    test('listening fails with a name', () => serving({ io }, () => new Response(), async (origin, server) => {
      assert.throws(() => serve({ io, port: server.addr.port, hostname: '127.0.0.1', onListen() {} }, () => {}),
        { code: 'CAROM_EADDRINUSE' });
      assert.throws(() => serve({ io, port: 99999 }, () => {}), RangeError);
      assert.throws(() => serve({ io, keepAlive: 'x' }, () => {}), TypeError);
    }));

    test('an abort signal shuts down', async () => {
      const controller = new AbortController();
      const server = serve({ io, port: 0, signal: controller.signal, onListen() {} }, () => new Response());
      controller.abort();
      await server.finished;
    });

    test('a new handler takes over', () => serving({ io }, () => new Response('old'), async (origin, server) => {
      assert.equal(await (await fetch(origin)).text(), 'old');
      server.reload(() => new Response('new'));
      assert.equal(await (await fetch(origin)).text(), 'new');
    }));

    test('a response of the runtime\'s own class is served', () => serving({ io }, () =>
      new globalThis.Response('native', { headers: { 'x-a': 'b' } }), async (origin) => {
      const response = await fetch(origin);
      assert.equal(response.headers.get('x-a'), 'b');
      assert.equal(await response.text(), 'native');
    }));

    test('what was not looked at before the response was sent is gone, and nothing of another request', async () => {
      let kept, seen;
      await serving({ io }, (request, info) => {
        if (request.url.endsWith('/seen')) seen = info.remoteAddr;
        kept = [request, info];
        return new Response();
      }, async (origin, server) => {
        const gone = { name: 'TypeError', code: 'CAROM_ESTATE' };
        for (const method of ['GET', 'POST']) {
          await (await fetch(origin, { method, body: method === 'POST' ? 'content' : undefined })).text();
          const [late, info] = kept;
          if (method === 'GET') await (await fetch(origin, { method: 'POST', body: 'of another' })).text();
          assert.throws(() => info.remoteAddr, gone);
          assert.equal(server.requestIP(late), null);
          await assert.rejects(late.text(), gone);
          assert.match(inspect({ late }), /late: Request \{/);
        }
        await (await fetch(`${origin}/seen`)).text();
        assert.equal(kept[1].remoteAddr, seen);
      });
    });

    test('a time-out of one request', async () => {
      let told;
      const handlers = {
        '/late': (request, server) => {
          server.timeout(request, 0.02);
          request.signal.addEventListener('abort', () => { told = request.signal.reason.name; });
          return new Promise(() => {});
        },
        '/taken-back': async (request, server) => {
          server.timeout(request, 0.02);
          server.timeout(request, 0);
          await sleep(60);
          return new Response('answered');
        },
        '/anew': async (request, server) => {
          server.timeout(request, 0.02);
          server.timeout(request, 60);
          await sleep(60);
          return new Response('answered');
        },
        '/long': (request, server) => {
          server.timeout(request, 1e9);
          return sleep(20, new Response('answered'));
        },
        '/begun': (request, server) => {
          server.timeout(request, 0.02);
          return new Response((async function* () { yield 'answ'; await sleep(60); yield 'ered'; })());
        },
      };
      let current;
      await serving({ io }, (request) => handlers[new URL(request.url).pathname](request, current), async (origin, server) => {
        current = server;
        assert.equal((await fetch(`${origin}/late`)).status, 503);
        assert.equal(told, 'AbortError');
        for (const path of ['/taken-back', '/anew', '/long', '/begun'])
          assert.equal(await (await fetch(origin + path)).text(), 'answered', path);
        for (const seconds of [NaN, -1, '5', undefined]) assert.throws(() => server.timeout(new Request(origin), seconds), TypeError);
      });
    });

    test('no informational response in the middle of a response, nor with another status', () => serving({ io }, (request, info) => {
      for (const status of [99, 101, 200, 102.5, '103', undefined]) assert.throws(() => info.inform(status, {}), RangeError);
      return new Response((async function* () {
        yield 'begun';
        await sleep(10);
        assert.throws(() => info.inform(103, {}), { name: 'TypeError', code: 'CAROM_ESTATE' });
        yield ' and ended';
      })());
    }, async (origin) => assert.equal(await (await fetch(origin)).text(), 'begun and ended')));

    test("a stream of the runtime's Response that has nothing yet: the head is sent, and its client may leave", { timeout: 10000 }, async () => {
      let cancelled;
      const gone = new Promise((resolve) => { cancelled = resolve; });
      await serving({ io }, () => new globalThis.Response(new ReadableStream({ cancel: cancelled })), async (origin) => {
        const leave = new AbortController();
        const response = await fetch(origin, { signal: leave.signal });
        assert.equal(response.status, 200);
        leave.abort();
        await gone;
      });
    });

    test('a unix socket', async () => {
      const path = `${tmpdir()}/carom-test-${process.pid}-${io}`;
      const server = serve({ io, path, onListen() {} }, (request) => new Response(request.url));
      const body = await new Promise((resolve, reject) => {
        http.get({ socketPath: path, path: '/x' }, (response) => {
          response.setEncoding('utf8').on('data', resolve);
        }).on('error', reject);
      });
      assert.equal(body, 'http://localhost/x');
      await server.shutdown();
    });

    test('the file of a Unix socket goes when accepting ends, and another server may have it', { timeout: 10000 }, async () => {
      const path = `${tmpdir()}/carom-again-${process.pid}-${io}`;
      let answer;
      const first = serve({ io, path, onListen() {} }, () => new Promise((resolve) => { answer = resolve; }));
      const asked = new Promise((resolve, reject) => {
        http.get({ socketPath: path }, (response) => resolve(response.resume().statusCode)).on('error', reject);
      });
      while (answer === undefined) await new Promise((resolve) => { setImmediate(resolve); });
      const down = first.shutdown();
      while (existsSync(path)) await new Promise((resolve) => { setImmediate(resolve); });
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
