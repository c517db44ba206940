// Bodies that applications of serve() send and receive, over every transport of the table and in both ways to run.
import assert from 'node:assert/strict';
import { test, describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { Response } from '../index.mjs';
import { TRANSPORTS, WAYS, servingOver } from './transports.mjs';

for (const transport of TRANSPORTS)
  for (const io of WAYS) {
    const { name, fetch } = transport;
    const serving = servingOver(transport);

    describe(`bodies over ${name}, io: ${io}`, () => {
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
          stream: () =>
            new ReadableStream({
              start(controller) {
                controller.enqueue(new TextEncoder().encode('one '));
                controller.enqueue(new TextEncoder().encode('two'));
                controller.close();
              },
            }),
        };
        const expected = {
          none: '',
          string: 'text',
          long: big,
          bytes: '\x01\x02\x03',
          buffer: '\x01\x02\x03',
          blob: 'blob',
          params: 'a=1',
          stream: 'one two',
        };
        return serving(
          { io },
          (request) => new Response(bodies[new URL(request.url).pathname.slice(1)]()),
          async (origin) => {
            for (const [kind, text] of Object.entries(expected)) assert.equal(await (await fetch(`${origin}/${kind}`)).text(), text, kind);
          },
        );
      });

      test('text and JSON of any size: a mark at the beginning goes, what is no UTF-8 is replaced, and it is read once', () =>
        serving(
          { io },
          async (request) => {
            const text = await request.text();
            await assert.rejects(request.text(), TypeError);
            assert.equal(request.bodyUsed, true);
            return Response.json({ text, json: await new Response(`\ufeff${JSON.stringify(text)}`).json() });
          },
          async (origin) => {
            for (const length of [1, 1000, 5000, 100000])
              for (const [bytes, expected] of [
                ['', ''],
                ['\ufeff', ''],
                ['\ufeff\ufeffü', '\ufeffü'],
                [new Uint8Array([0xff, 0x41, 0xc3]), '\ufffdA\ufffd'],
              ]) {
                const body = new Uint8Array(await new Blob([bytes, 'x'.repeat(length)]).arrayBuffer());
                const text = expected + 'x'.repeat(length);
                assert.deepEqual(await (await fetch(origin, { method: 'POST', body })).json(), { text, json: text });
              }
          },
        ));

      test('a body of any size is streamed back', () =>
        serving(
          { io },
          (request) => new Response(request.body),
          async (origin) => {
            const bytes = new Uint8Array(3_000_000).map((_, i) => (i * 7) & 255);
            const back = new Uint8Array(await (await fetch(origin, { method: 'POST', body: bytes })).arrayBuffer());
            assert.equal(Buffer.compare(Buffer.from(bytes), Buffer.from(back)), 0);
          },
        ));

      test('large bodies, made of the same bytes and of clones, are each the one it was', () => {
        const page = new Uint8Array(70_000);
        let n = 0;
        let kept = null;
        return serving(
          { io },
          (request) => {
            if (new URL(request.url).pathname === '/kept') return kept.clone();
            const response = new Response(page.fill(65 + (n++ % 26)));
            if (n === 1) kept = response.clone();
            return response;
          },
          async (origin) => {
            for (let round = 0; round < 3; round++) {
              const texts = await Promise.all(Array.from({ length: 40 }, async () => (await fetch(origin)).text()));
              const letters = texts.map((text) => text[0]);
              assert.equal(new Set(letters).size, 26);
              for (const text of texts) assert.ok(text === text[0].repeat(70_000));
              assert.ok((await (await fetch(`${origin}/kept`)).text()) === 'A'.repeat(70_000));
            }
          },
        );
      });

      test('a body that ends before the loop turns has its length; one that waits has none', () => {
        const piece = 'x'.repeat(1000);
        const pieces = (count) => Array.from({ length: count }, () => piece);
        const bodies = {
          '/quick': async function* () {
            yield 'a';
            yield new Uint8Array([98]);
          },
          '/generator': function* () {
            yield 'a';
            yield new DataView(new Uint8Array([97, 98, 99]).buffer, 1, 1);
          },
          '/long': async function* () {
            yield* pieces(40);
          },
          '/long-generator': function* () {
            yield* pieces(40);
          },
          '/iterator': () => pieces(40).values(),
          '/waits': async function* () {
            yield 'a';
            await sleep(5);
            yield new Uint8Array([98]);
          },
          '/very-long': function* () {
            yield* pieces(200);
          },
        };
        const expected = {
          '/quick': ['ab', '2'],
          '/generator': ['ab', '2'],
          '/long': [piece.repeat(40), '40000'],
          '/long-generator': [piece.repeat(40), '40000'],
          '/iterator': [piece.repeat(40), '40000'],
          '/waits': ['ab', null],
          '/very-long': [piece.repeat(200), null],
        };
        return serving(
          { io },
          (request) => new Response(bodies[new URL(request.url).pathname]()),
          async (origin) => {
            for (const [path, [text, length]] of Object.entries(expected)) {
              const response = await fetch(origin + path);
              assert.ok((await response.text()) === text, path);
              assert.equal(response.headers.get('content-length'), length, path);
            }
          },
        );
      });

      test('a body that gives nothing, over and over, lets the loop turn', () => {
        // The body waits for the loop by asking again, up to a limit that ends the test where it waits in vain.
        const asked = (turned) => {
          let count = 0;
          return { waits: () => !turned() && count++ < 1e6, end: () => (turned() ? 'turned' : 'stuck') };
        };
        const watched = () => {
          let has = false;
          setImmediate(() => {
            has = true;
          });
          return asked(() => has);
        };
        const bodies = {
          '/async': async function* () {
            const { waits, end } = watched();
            while (waits()) yield '';
            yield end();
          },
          '/generator': function* () {
            const { waits, end } = watched();
            while (waits()) yield new Uint8Array(0);
            yield end();
          },
          '/stream': () => {
            const { waits, end } = watched();
            const encoder = new TextEncoder();
            return new ReadableStream({
              pull(controller) {
                if (waits()) {
                  controller.enqueue(new Uint8Array(0));
                  return;
                }
                controller.enqueue(encoder.encode(end()));
                controller.close();
              },
            });
          },
        };
        return serving(
          { io },
          (request) => new Response(bodies[new URL(request.url).pathname]()),
          async (origin) => {
            for (const path of Object.keys(bodies)) assert.equal(await (await fetch(origin + path)).text(), 'turned', path);
          },
        );
      });

      test('a generator whose client leaves is ended', () => {
        let ended;
        const hears = new Promise((resolve) => {
          ended = resolve;
        });
        return serving(
          { io },
          () =>
            new Response(
              (function* () {
                try {
                  for (;;) yield new Uint8Array(10_000);
                } finally {
                  ended();
                }
              })(),
            ),
          async (origin) => {
            const leaving = new AbortController();
            const response = await fetch(origin, { signal: leaving.signal });
            leaving.abort();
            await response.text().catch(() => {});
            await hears;
          },
        );
      });

      test('a generator that throws is an error to the client, and the server goes on', async (t) => {
        const reports = t.mock.method(console, 'error', () => {});
        await serving(
          { io },
          (request) =>
            request.url.endsWith('/good')
              ? new Response('good')
              : new Response(
                  (function* () {
                    yield 'a';
                    throw new Error('of the body');
                  })(),
                ),
          async (origin) => {
            await assert.rejects(fetch(`${origin}/bad`).then((response) => response.text()));
            assert.equal(await (await fetch(`${origin}/good`)).text(), 'good');
          },
        );
        assert.ok(reports.mock.callCount() > 0); // Deno asks again
        for (const { arguments: words } of reports.mock.calls) assert.match(String(words[1]), /of the body/);
      });

      // Hono's streams do.
      test("a response may say that it is chunked: whether it is, is the engine's to say", () =>
        serving(
          { io },
          (request) => {
            const whole = new URL(request.url).pathname === '/whole';
            const init = { headers: { 'Transfer-Encoding': 'chunked', Connection: 'keep-alive' } };
            return new Response(
              whole
                ? 'all'
                : (async function* () {
                    yield 'a';
                    await sleep(5);
                    yield 'll';
                  })(),
              init,
            );
          },
          async (origin) => {
            for (const path of ['/whole', '/piecewise']) {
              const response = await fetch(origin + path);
              assert.equal(await response.text(), 'all');
              assert.equal(response.headers.get('content-length'), path === '/whole' ? '3' : null);
            }
          },
        ));

      test('a length of more than 32 bits is said', () =>
        serving(
          { io },
          () =>
            new Response(new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(7)) }), {
              headers: { 'content-length': '21474836487' },
            }),
          async (origin) => {
            const response = await fetch(origin);
            await response.body.cancel();
            assert.equal(response.headers.get('content-length'), '21474836487');
          },
        ));

      test('HEAD says how long the content would be where that is known, and nothing where it is not', () => {
        const responses = {
          '/string': () => new Response('hello'),
          '/none': () => new Response(null),
          '/stated': () => new Response(null, { headers: { 'content-length': '7' } }),
          '/stream': () =>
            new Response(
              (async function* () {
                yield 'a';
                await sleep(5);
                yield 'b';
              })(),
            ),
          '/stated-stream': () => new Response(new ReadableStream(), { headers: { 'content-length': '7' } }),
          '/gone': () => new Response(null, { status: 404 }),
        };
        return serving(
          { io },
          (request) => responses[new URL(request.url).pathname](),
          async (origin) => {
            const lengths = {};
            for (const path of Object.keys(responses)) {
              const response = await fetch(origin + path, { method: 'HEAD' });
              assert.equal(await response.text(), '');
              lengths[path] = response.headers.get('content-length');
            }
            assert.deepEqual(lengths, {
              '/string': '5',
              '/none': null,
              '/stated': '7',
              '/stream': null,
              '/stated-stream': '7',
              '/gone': null,
            });
          },
        );
      });
    });
  }
