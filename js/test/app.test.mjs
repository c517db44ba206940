// Applications of serve(), over every transport of the table and in both ways to run: not a line of them knows how they are
// asked. What is of one protocol alone is in serve.test.mjs and tls.test.mjs.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { test, describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';

import { Request, Response } from '../index.mjs';
import { nativeOnly } from './support.mjs';
import { TRANSPORTS, WAYS, servingOver } from './transports.mjs';

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

// A client leaves by the signal of its fetch, and by what it reads, too: the fetch of Debian's Node 18 (undici 5.15) holds the
// request's own signal weakly, so that it stays connected when garbage was collected before the abort.
function leave(controller, content) {
  controller.abort();
  content.cancel().catch(() => {});
}

for (const transport of TRANSPORTS)
  for (const io of WAYS) {
    const { name, alpn, tls, fetch } = transport;
    const serving = servingOver(transport);

    describe(`an application over ${name}, io: ${io}`, () => {
      test('it is the transport that it should be', () =>
        serving(
          { io },
          (request, info) =>
            Response.json({
              alpn: info.alpn,
              tls: info.tls,
              scheme: new URL(request.url).protocol,
              host: request.headers.get('host'),
            }),
          async (origin) => {
            const seen = await (await fetch(`${origin}/`)).json();
            assert.deepEqual([seen.alpn, seen.scheme, seen.host], [alpn, new URL(origin).protocol, new URL(origin).host]);
            if (tls) assert.deepEqual([seen.tls.alpn, seen.tls.version, seen.tls.peerCertificate], [alpn, 'TLSv1.3', null]);
            else assert.equal(seen.tls, null);
          },
        ));

      test('a client that leaves', async () => {
        let aborted, cancelled, completed;
        const wasAborted = new Promise((resolve) => {
          aborted = resolve;
        });
        const wasCancelled = new Promise((resolve) => {
          cancelled = resolve;
        });
        const ended = new Promise((resolve) => {
          completed = resolve;
        });
        await serving(
          { io },
          (request, info) => {
            request.signal.addEventListener('abort', () => aborted(request.signal.reason.name));
            info.completed.catch((error) => completed(error.code));
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
          async (origin) => {
            const leaving = new AbortController();
            const reader = (await fetch(origin, { signal: leaving.signal })).body.getReader();
            await reader.read();
            leave(leaving, reader);
            assert.equal(await wasAborted, 'AbortError');
            assert.equal(await ended, 'CAROM_ECANCELED');
            await wasCancelled;
          },
        );
      });

      test('a shutdown answers what is in flight', () => {
        let goOn;
        const held = new Promise((resolve) => {
          goOn = resolve;
        });
        return serving(
          { io },
          async () => {
            await held;
            return new Response('done');
          },
          async (origin, server) => {
            const answers = [1, 2, 3].map(async () => (await fetch(origin)).text());
            while (server.pendingRequests < 3) await sleep(1);
            const down = server.shutdown();
            goOn();
            assert.deepEqual(await Promise.all(answers), ['done', 'done', 'done']);
            await down;
            assert.equal(server.stats().ended.complete, 3);
          },
        );
      });

      test('a stream without an end ends when a shutdown begins', () => {
        const told = [];
        return serving(
          { io },
          () =>
            new Response(
              new ReadableStream({
                start(controller) {
                  controller.enqueue(new TextEncoder().encode('event\n'));
                  told.push(controller);
                },
              }),
            ),
          async (origin, server) => {
            assert.equal(server.draining.aborted, false);
            server.draining.addEventListener('abort', () => {
              for (const controller of told) controller.close();
            });
            const response = await fetch(origin);
            const down = server.shutdown();
            assert.equal(server.draining.aborted, true);
            assert.equal(await response.text(), 'event\n');
            await down;
            assert.equal(server.stats().ended.complete, 1);
          },
        );
      });

      test('many at once, each its own', () =>
        serving(
          { io },
          async (request) => {
            const n = Number(new URL(request.url).searchParams.get('n'));
            if (n % 3 === 0) await sleep(n % 7);
            return new Response(`${n} `.repeat(n));
          },
          async (origin) => {
            await Promise.all(
              Array.from({ length: 200 }, async (_, n) => {
                assert.equal(await (await fetch(`${origin}/?n=${n}`)).text(), `${n} `.repeat(n));
              }),
            );
          },
        ));

      test('answers at once, and later', () =>
        serving(
          { io },
          async (request) => {
            const { pathname } = new URL(request.url);
            if (pathname === '/later') await sleep(20);
            return new Response(`${request.method} ${pathname}`);
          },
          async (origin) => {
            assert.equal(await (await fetch(`${origin}/now?x`)).text(), 'GET /now');
            assert.equal(await (await fetch(`${origin}/later`, { method: 'DELETE' })).text(), 'DELETE /later');
          },
        ));

      test('the request is what was sent', () =>
        serving(
          { io },
          async (request, info) => {
            assert.ok(request instanceof Request);
            assert.ok(request instanceof globalThis.Request);
            assert.equal(info.remoteAddr.hostname, '127.0.0.1');
            assert.deepEqual(info.localAddr, { transport: 'tcp', hostname: '127.0.0.1', port: Number(new URL(request.url).port) });
            return Response.json({ url: request.url, test: request.headers.get('X-Test'), body: await request.json() });
          },
          async (origin) => {
            const response = await fetch(`${origin}/a?b=c`, { method: 'POST', headers: { 'x-test': 'yes' }, body: '{"n":1}' });
            assert.deepEqual(await response.json(), { url: `${origin}/a?b=c`, test: 'yes', body: { n: 1 } });
            assert.equal(response.headers.get('content-type'), 'application/json');
          },
        ));

      // It does not fit into a slot, and its page is soon another's.
      test('fields of a long head that are read after an await are its own', () => {
        let goOn;
        const held = new Promise((resolve) => {
          goOn = resolve;
        });
        return serving(
          { io },
          async (request) => {
            if (new URL(request.url).pathname === '/first') await held;
            return new Response([request.headers.get('x-long'), request.url].join(' '));
          },
          async (origin, server) => {
            const ask = async (path, letter) => (await fetch(origin + path, { headers: { 'x-long': letter.repeat(6000) } })).text();
            const first = ask('/first', 'a');
            while (server.pendingRequests < 1) await sleep(1);
            for (let i = 0; i < 40; i++) assert.equal(await ask('/other', 'b'), `${'b'.repeat(6000)} ${origin}/other`);
            goOn();
            assert.equal(await first, `${'a'.repeat(6000)} ${origin}/first`);
          },
        );
      });

      test('request.signal does not abort when all is well', () => {
        let signal;
        return serving(
          { io },
          async (request, info) => {
            signal = request.signal;
            await info.completed;
          },
          async () => {},
        ).then(() =>
          serving(
            { io },
            (request, info) => {
              signal = request.signal;
              return new Response('x');
            },
            async (origin) => {
              await (await fetch(origin)).text();
              await sleep(20);
              assert.equal(signal.aborted, false);
            },
          ),
        );
      });

      test('handlers that fail give 500, and the server lives', async () => {
        const handlers = {
          throws() {
            throw new Error('thrown secret');
          },
          rejects: async () => {
            throw new Error('rejected secret');
          },
          nothing() {},
          used(request) {
            const response = new Response('x');
            response.text();
            return response;
          },
        };
        const lines = await reported(() =>
          serving(
            { io },
            (request) => handlers[new URL(request.url).pathname.slice(1)](request),
            async (origin) => {
              for (const name of Object.keys(handlers)) {
                const response = await fetch(`${origin}/${name}`);
                assert.equal(response.status, 500, name);
                assert.doesNotMatch(await response.text(), /secret/);
              }
            },
          ),
        );
        assert.equal(lines.length, 4);
      });

      test('onError answers instead', () =>
        serving(
          { io, onError: (error) => new Response(error.message, { status: 418 }) },
          () => {
            throw new Error('mine');
          },
          async (origin) => {
            const response = await fetch(origin);
            assert.equal(response.status, 418);
            assert.equal(await response.text(), 'mine');
          },
        ));

      test('an error behind the head is told once', {
        skip: alpn === 'h2' && process.versions.bun && nativeOnly('HTTP/2', 'on Bun a stream that fails ends as if it were whole'),
      }, async () => {
        const told = [];
        const { error: print } = console;
        console.error = (...words) => {
          told.push(words);
        };
        const onError = (error) => {
          told.push(error.code);
          return new Response('too late');
        };
        try {
          await serving(
            { io, onError },
            () =>
              new Response(
                (async function* () {
                  yield 'short';
                  await sleep(5);
                })(),
                { headers: { 'content-length': '10' } },
              ),
            (origin) => assert.rejects(fetch(origin).then((response) => response.text())),
          );
        } finally {
          console.error = print;
        }
        assert.deepEqual(told, ['CAROM_ELENGTH']);
      });

      test('a Response of the runtime that was used, from the handler and from onError', async () => {
        const used = () => {
          const response = new globalThis.Response('x');
          response.body.getReader();
          return response;
        };
        const lines = await reported(() =>
          serving({ io, onError: used }, used, async (origin) => {
            assert.equal((await fetch(origin)).status, 500);
          }),
        );
        assert.ok(lines.length >= 1);
      });

      test('what another server answers is passed on', async () => {
        const zipped = gzipSync('x'.repeat(10000));
        const upstream = http
          .createServer((request, response) => {
            const fields = { connection: 'keep-alive, x-hop', 'keep-alive': 'timeout=9', 'x-hop': '1', 'x-own': '2' };
            if (request.url === '/gzip')
              response.writeHead(201, { ...fields, 'content-encoding': 'gzip', 'content-length': zipped.length }).end(zipped);
            else {
              response.writeHead(201, fields).write('x'.repeat(5000));
              response.end('x'.repeat(5000));
            }
          })
          .listen(0, '127.0.0.1');
        await once(upstream, 'listening');
        upstream.keepAliveTimeout = 0; // it ends no connection that its client is about to use
        const { port } = upstream.address();
        try {
          await serving(
            { io },
            (request) => globalThis.fetch(`http://127.0.0.1:${port}${new URL(request.url).pathname}`),
            async (origin) => {
              for (const path of ['/chunked', '/gzip']) {
                const response = await fetch(origin + path);
                assert.deepEqual([response.status, response.headers.get('x-own'), response.headers.get('x-hop')], [201, '2', null]);
                assert.equal(await response.text(), 'x'.repeat(10000));
              }
            },
          );
        } finally {
          upstream.close();
          upstream.closeAllConnections();
        }
      });

      test('a new handler takes over', () =>
        serving(
          { io },
          () => new Response('old'),
          async (origin, server) => {
            assert.equal(await (await fetch(origin)).text(), 'old');
            server.reload(() => new Response('new'));
            assert.equal(await (await fetch(origin)).text(), 'new');
          },
        ));

      test("a response of the runtime's own class is served", () =>
        serving(
          { io },
          () => new globalThis.Response('native', { headers: { 'x-a': 'b' } }),
          async (origin) => {
            const response = await fetch(origin);
            assert.equal(response.headers.get('x-a'), 'b');
            assert.equal(await response.text(), 'native');
          },
        ));

      test('what was not looked at before the response was sent is gone, and nothing of another request', async () => {
        let kept, seen;
        await serving(
          { io },
          (request, info) => {
            if (request.url.endsWith('/seen')) seen = info.remoteAddr;
            kept = [request, info];
            return new Response();
          },
          async (origin, server) => {
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
          },
        );
      });

      test('a time-out of one request', async () => {
        let told;
        const handlers = {
          '/late': (request, server) => {
            server.timeout(request, 0.02);
            request.signal.addEventListener('abort', () => {
              told = request.signal.reason.name;
            });
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
            return new Response(
              (async function* () {
                yield 'answ';
                await sleep(60);
                yield 'ered';
              })(),
            );
          },
        };
        let current;
        await serving(
          { io },
          (request) => handlers[new URL(request.url).pathname](request, current),
          async (origin, server) => {
            current = server;
            assert.equal((await fetch(`${origin}/late`)).status, 503);
            assert.equal(told, 'AbortError');
            for (const path of ['/taken-back', '/anew', '/long', '/begun'])
              assert.equal(await (await fetch(origin + path)).text(), 'answered', path);
            for (const seconds of [NaN, -1, '5', undefined]) assert.throws(() => server.timeout(new Request(origin), seconds), TypeError);
          },
        );
      });

      test('no informational response in the middle of a response, nor with another status', () =>
        serving(
          { io },
          (request, info) => {
            for (const status of [99, 101, 200, 102.5, '103', undefined]) assert.throws(() => info.inform(status, {}), RangeError);
            return new Response(
              (async function* () {
                yield 'begun';
                await sleep(10);
                assert.throws(() => info.inform(103, {}), { name: 'TypeError', code: 'CAROM_ESTATE' });
                yield ' and ended';
              })(),
            );
          },
          async (origin) => assert.equal(await (await fetch(origin)).text(), 'begun and ended'),
        ));

      test("a stream of the runtime's Response that has nothing yet: the head is sent, and its client may leave", async () => {
        let cancelled;
        const gone = new Promise((resolve) => {
          cancelled = resolve;
        });
        await serving(
          { io },
          () => new globalThis.Response(new ReadableStream({ cancel: cancelled })),
          async (origin) => {
            const leaving = new AbortController();
            const response = await fetch(origin, { signal: leaving.signal });
            assert.equal(response.status, 200);
            leave(leaving, response.body);
            await gone;
          },
        );
      });
    });
  }
