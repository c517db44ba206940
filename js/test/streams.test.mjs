// A ReadableStream of ours as a body that is sent: its source is asked directly, over every transport of the table and in both ways to run.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, test } from 'node:test';

import { ReadableStream, Response } from '../index.mjs';
import { TRANSPORTS, WAYS, servingOver } from './transports.mjs';

const turn = () => new Promise(setImmediate);
const encoder = new TextEncoder();
const bytes = (text) => encoder.encode(text);

// A promise with what resolves it.
function heard() {
  const made = {};
  made.promise = new Promise((resolve) => {
    made.tell = resolve;
  });
  return made;
}

// Ten events, each when it is asked for.
function events(make) {
  let n = 0;
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(make(`${n++} `));
      if (n === 10) controller.close();
    },
  });
}

// Pieces that come by themselves, one in each turn of the event loop.
function pushed(pieces) {
  return new ReadableStream({
    async start(controller) {
      for (const piece of pieces) {
        await turn();
        controller.enqueue(piece);
      }
      controller.close();
    },
  });
}

const TEN = '0 1 2 3 4 5 6 7 8 9 ';
const reused = new Uint8Array(2);

// What a body is to be, by path, and its length if that is told.
const BODIES = {
  '/bytes': [() => events(bytes), TEN, '20'],
  '/strings': [() => events((text) => text), TEN, '20'],
  '/both': [() => events((text) => (Number(text) % 3 ? text : bytes(text))), TEN, '20'],
  '/reused': [() => events((text) => reused.fill(text.charCodeAt(0))), TEN.replace(/(\d) /g, '$1$1'), '20'],
  '/long': [() => events((text) => text.repeat(10_000)), [...'0123456789'].map((n) => `${n} `.repeat(10_000)).join(''), null],
  '/halves': [() => events((text) => (Number(text) % 2 ? '\ude00' : '\ud83d')), '\ufffd'.repeat(10), '30'],
  '/nothing': [() => new ReadableStream({ pull: (controller) => controller.close() }), '', null],
  '/pushed': [() => pushed(['a', bytes('b'), 'ü']), 'abü', null],
  '/early': [
    () =>
      new ReadableStream({
        start(controller) {
          for (const piece of ['x', bytes('y'), 'z']) controller.enqueue(piece);
          controller.close();
        },
      }),
    'xyz',
    '3',
  ],
};

for (const transport of TRANSPORTS)
  for (const io of WAYS) {
    const { name, fetch } = transport;
    const serving = servingOver(transport);

    describe(`streams over ${name}, io: ${io}`, () => {
      test('all pieces arrive in their order, those of one turn with their length', () =>
        serving(
          { io },
          (request) => new Response(BODIES[new URL(request.url).pathname][0]()),
          async (origin) => {
            for (const [path, [, content, length]] of Object.entries(BODIES)) {
              const response = await fetch(origin + path);
              assert.equal(await response.text(), content, path);
              if (length !== null) assert.equal(response.headers.get('content-length'), length, path);
            }
          },
        ));

      test('so they do when the handler awaits something first, and when a pull does', () =>
        serving(
          { io },
          async (request) => {
            let n = 0;
            const waits = new ReadableStream({
              async pull(controller) {
                await turn();
                controller.enqueue(`${n++} `);
                if (n === 10) controller.close();
              },
            });
            const body = request.url.endsWith('/waits') ? waits : events(bytes);
            await turn();
            return new Response(body);
          },
          async (origin) => {
            for (const path of ['/', '/waits']) assert.equal(await (await fetch(origin + path)).text(), TEN, path);
          },
        ));

      test('a pull that gives nothing is not asked until something came', () => {
        let asked = 0;
        return serving(
          { io },
          () => {
            let n = 0;
            return new Response(
              new ReadableStream({
                pull(controller) {
                  asked++;
                  setImmediate(() => {
                    if (n === 10) return;
                    controller.enqueue(`${n++} `);
                    if (n === 10) controller.close();
                  });
                },
              }),
            );
          },
          async (origin) => {
            assert.equal(await (await fetch(origin)).text(), TEN);
            assert.ok(asked <= 22, `asked ${asked} times`);
          },
        );
      });

      test('somebody who looks at it meanwhile finds a stream that is locked, and no piece is lost', () => {
        const seen = [];
        return serving(
          { io },
          () => {
            let kept;
            const stream = new ReadableStream({
              start(controller) {
                kept = controller;
              },
            });
            (async () => {
              await turn();
              kept.enqueue('first ');
              await turn();
              seen.push(stream.locked);
              assert.throws(() => stream.getReader(), TypeError);
              kept.enqueue('second ');
              await turn();
              globalThis.ReadableStreamDefaultController.prototype.enqueue.call(kept, bytes('third'));
              kept.close();
            })();
            return new Response(stream);
          },
          async (origin) => {
            assert.equal(await (await fetch(origin)).text(), 'first second third');
            assert.equal(seen[0], true);
          },
        );
      });

      test('who leaves is known to the source, in the context in which it was made', () => {
        const storage = new AsyncLocalStorage();
        const told = heard();
        let pulls = 0;
        const endless = () =>
          new ReadableStream({
            pull(controller) {
              pulls++;
              controller.enqueue(new Uint8Array(10_000));
            },
            cancel: () => told.tell(storage.getStore()),
          });
        return serving(
          { io },
          () => storage.run('of the request', () => new Response(endless())),
          async (origin) => {
            const leaving = new AbortController();
            const response = await fetch(origin, { signal: leaving.signal });
            leaving.abort();
            await response.text().catch(() => {});
            assert.equal(await told.promise, 'of the request');
            assert.ok(pulls > 0);
          },
        );
      });

      test('to HEAD and to a client of no content the source hears that it is not wanted', () => {
        const told = heard();
        return serving(
          { io },
          () => new Response(new ReadableStream({ cancel: told.tell })),
          async (origin) => {
            await (await fetch(origin, { method: 'HEAD' })).text();
            await told.promise;
          },
        );
      });

      test('what fails is an error to the client, a line of the log, and the server goes on', async (t) => {
        const reports = t.mock.method(console, 'error', () => {});
        const told = heard();
        const bad = {
          '/throws': () => {
            throw new Error('of the pull');
          },
          '/rejects': () => Promise.reject(new Error('of the pull')),
          '/errors': (controller) => controller.error(new Error('of the pull')),
          '/number': (controller) => controller.enqueue(1),
        };
        await serving(
          { io },
          (request) => {
            const { pathname } = new URL(request.url);
            if (pathname === '/good') return new Response(events(bytes));
            return new Response(
              new ReadableStream({
                async start(controller) {
                  controller.enqueue('begun');
                  await turn();
                },
                pull: bad[pathname],
                cancel: told.tell,
              }),
            );
          },
          async (origin) => {
            for (const path of Object.keys(bad))
              await assert.rejects(
                fetch(origin + path).then((response) => response.text()),
                path,
              );
            assert.equal(await (await fetch(`${origin}/good`)).text(), TEN);
            assert.match(String(await told.promise), /TypeError.*Uint8Array/); // of the number
          },
        );
        const errors = reports.mock.calls.map(({ arguments: words }) => String(words[1]));
        assert.ok(errors.some((text) => text.includes('of the pull')) && errors.some((text) => text.includes('Uint8Array')));
      });
    });
  }
