// ReadableStream of ours, which has no stream of the runtime's in it before somebody looks: what a program sees is what it sees of the
// runtime's class. Each program runs with both.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { pipeline, Readable } from 'node:stream';
import * as consumers from 'node:stream/consumers';
import { createRequire } from 'node:module';

import { ReadableStream, Response } from '../../index.mjs';

const Native = globalThis.ReadableStream;
const { isOurs, freshSource } = createRequire(import.meta.url)('../../src/fetch/readable-stream.js');
const turn = () => new Promise(setImmediate);
const encoder = new TextEncoder();

// What a source was asked, and gave.
function counting(log, most, give = (n) => n) {
  let n = 0;
  return {
    start() {
      log.push('start');
    },
    pull(controller) {
      log.push(`pull ${controller.desiredSize}`);
      controller.enqueue(give(n++));
      if (n === most) controller.close();
    },
    cancel(reason) {
      log.push(`cancel ${reason}`);
    },
  };
}

async function all(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return pieces;
}

const closedAlready = (act) => {
  try {
    act();
    return 'no error';
  } catch (error) {
    return `${error.name} ${error.code}`;
  }
};

// Programs by what they are about: (class, log) to what they give.
const PROGRAMS = {
  'all pieces by iteration': (Stream, log) => all(new Stream(counting(log, 5))),
  'nobody reads': async (Stream, log) => {
    new Stream(counting(log, 5), { highWaterMark: 3 });
    log.push('made');
    await turn();
  },
  'nobody reads, and nothing is wanted': async (Stream, log) => {
    new Stream(counting(log, 5), { highWaterMark: 0 });
    await turn();
  },
  'somebody reads late': async (Stream, log) => {
    const stream = new Stream(counting(log, 5));
    await turn();
    return all(stream);
  },
  'pieces, then the end, before somebody looks': (Stream) => {
    const stream = new Stream({
      start(controller) {
        for (const piece of ['a', 'b']) controller.enqueue(piece);
        controller.close();
      },
    });
    return all(stream);
  },
  'a controller that is kept': async (Stream, log) => {
    let kept;
    const stream = new Stream({
      start(controller) {
        kept = controller;
      },
    });
    kept.enqueue(1);
    log.push(kept.desiredSize);
    const reader = stream.getReader();
    kept.enqueue(2);
    log.push(kept.desiredSize);
    const pieces = [await reader.read(), await reader.read()];
    kept.close();
    log.push(
      kept.desiredSize,
      closedAlready(() => kept.enqueue(3)),
      closedAlready(() => kept.close()),
    );
    return [...pieces, await reader.read()].map(({ value, done }) => [value, done]);
  },
  'a controller after the end': (Stream, log) => {
    let kept;
    new Stream({
      start(controller) {
        kept = controller;
        controller.close();
      },
    });
    log.push(
      closedAlready(() => kept.enqueue(1)),
      closedAlready(() => kept.close()),
      closedAlready(() => kept.error(1)),
      kept.desiredSize,
    );
  },
  'an error, then a look': async (Stream) => {
    let kept;
    const stream = new Stream({
      start(controller) {
        kept = controller;
        controller.enqueue(1);
        controller.error(new Error('of the source'));
      },
    });
    await turn();
    return [kept.desiredSize, await all(stream).catch(({ message }) => message)];
  },
  'a pull that fails': (Stream) =>
    all(
      new Stream({
        pull() {
          throw new Error('pulled');
        },
      }),
    ).catch(({ message }) => message),
  'a pull that fails before somebody looks': async (Stream) => {
    const stream = new Stream({ pull: () => Promise.reject(new Error('pulled')) });
    await turn();
    return all(stream).catch(({ message }) => message);
  },
  'a start that fails later': (Stream) =>
    all(new Stream({ start: () => Promise.reject(new Error('started')) })).catch(({ message }) => message),
  'a start that fails': (Stream) => {
    try {
      return new Stream({
        start() {
          throw new Error('at once');
        },
      });
    } catch ({ message }) {
      return message;
    }
  },
  'a pull that is awaited is not asked again': async (Stream, log) => {
    const stream = new Stream({
      async pull(controller) {
        log.push('asked');
        await turn();
        controller.enqueue(log.length);
        if (log.length === 3) controller.close();
      },
    });
    await Promise.resolve();
    return all(stream);
  },
  'a pull that gives nothing is asked once': async (Stream, log) => {
    new Stream({ pull: () => log.push('asked') });
    await turn();
    await turn();
  },
  'more than is wanted, within one pull': (Stream, log) =>
    all(
      new Stream({
        pull(controller) {
          while (controller.desiredSize > 0) controller.enqueue('x');
          log.push('asked');
          if (log.length === 3) controller.close();
        },
      }),
    ),
  cancelled: async (Stream, log) => {
    const stream = new Stream(counting(log, 5));
    await turn();
    await stream.cancel('why');
    return [stream.locked, await all(stream)];
  },
  split: async (Stream) => Promise.all(new Stream(counting([], 3)).tee().map(all)),
  'piped through': (Stream) => all(new Stream(counting([], 3)).pipeThrough(new TransformStream())),
  'a pair with a stream': (Stream) => {
    const { writable } = new TransformStream();
    const stream = new Stream(counting([], 3));
    return all(new Native().pipeThrough({ readable: stream, writable }));
  },
  'by a reader of its own': async (Stream) => {
    const stream = new Stream(counting([], 1));
    const reader = new ReadableStreamDefaultReader(stream);
    return [stream.locked, (await reader.read()).value];
  },
  locked: (Stream) => {
    const stream = new Stream();
    const before = stream.locked;
    stream.getReader();
    return [before, stream.locked, closedAlready(() => stream.getReader())];
  },
  "the runtime's methods": async (Stream) => {
    const controls = {
      start(controller) {
        Object.getPrototypeOf(Object.getPrototypeOf(controller) || controller);
        ReadableStreamDefaultController.prototype.enqueue.call(controller, 'by the prototype');
        ReadableStreamDefaultController.prototype.close.call(controller);
      },
    };
    return all(Native.prototype.tee.call(new Stream(controls))[0]);
  },
  'of sizes': (Stream, log) => all(new Stream(counting(log, 3), { highWaterMark: 2, size: () => 2 })),
  'of bytes': async (Stream) => {
    const stream = new Stream({ type: 'bytes', pull: (controller) => controller.enqueue(new Uint8Array([1, 2])) });
    const { value } = await stream.getReader({ mode: 'byob' }).read(new Uint8Array(8));
    return [...value];
  },
  'what cannot be a source': (Stream) =>
    [null, 1, { type: 'x' }, { start: 1 }, { pull: 'x' }, { cancel: {} }].map((source) => closedAlready(() => new Stream(source))),
  'what cannot be a strategy': (Stream) =>
    [1, { size: 1 }, { highWaterMark: -1 }, { highWaterMark: NaN }, { highWaterMark: '2' }].map((strategy) =>
      closedAlready(() => new Stream({}, strategy)),
    ),
  'how it looks': (Stream) => {
    const stream = new Stream();
    return [inspect(stream), Object.keys(stream), Object.prototype.toString.call(stream), Stream.name, Stream.length, typeof Stream.from];
  },
  'a class that extends it': async (Stream) => {
    class Counted extends Stream {
      get counted() {
        return this.locked ? 1 : 0;
      }
    }
    const stream = new Counted(counting([], 2));
    return [
      stream instanceof Counted,
      stream.counted,
      await all(stream),
      new Stream() instanceof Counted,
      new Counted({ type: 'bytes' }).counted,
    ];
  },
  "Node's streams, there and back": async (Stream) => {
    const bytes = () => new Stream(counting([], 3, (n) => encoder.encode(`${n}`)));
    const { promise, resolve, reject } = deferred();
    pipeline(Readable.fromWeb(bytes()), consumers.text, (error, text) => (error ? reject(error) : resolve(text)));
    return [await promise, await consumers.text(bytes()), await consumers.text(Readable.toWeb(Readable.fromWeb(bytes())))];
  },
  "a body of the runtime's Response": (Stream) =>
    new globalThis.Response(new Stream(counting([], 3, (n) => encoder.encode(`${n}`)))).text(),
  cloned: (Stream) => {
    try {
      structuredClone({ within: new Stream() });
      return 'cloned';
    } catch {
      return 'refused';
    }
  },
};

function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => {
    Object.assign(made, { resolve, reject });
  });
  return made;
}

describe('as the class of the runtime', () => {
  for (const [name, program] of Object.entries(PROGRAMS))
    test(name, { skip: !isOurs && "it is the runtime's" }, async () => {
      const outcomes = [];
      for (const Stream of [Native, ReadableStream]) {
        const log = [];
        outcomes.push([await program(Stream, log), log]);
      }
      assert.deepEqual(outcomes[1], outcomes[0]);
    });
});

describe('the class', () => {
  test("is ours on Node, and the runtime's elsewhere", () => {
    assert.equal(isOurs, globalThis.Bun === undefined && globalThis.Deno === undefined);
    assert.equal(ReadableStream === Native, !isOurs);
  });

  test('instanceof holds for both', () => {
    assert.ok(new ReadableStream() instanceof Native && new Native() instanceof ReadableStream);
    assert.ok(new Blob(['x']).stream() instanceof ReadableStream);
    for (const value of [{}, null, undefined, 1, new TransformStream()]) assert.ok(!(value instanceof ReadableStream));
  });

  test('is the body of a Response as it is, and unread till it is read', async () => {
    const stream = new ReadableStream(counting([], 2, (n) => encoder.encode(`${n}`)));
    const response = new Response(stream);
    assert.deepEqual([response.body === stream, response.bodyUsed, stream.locked], [true, false, false]);
    if (isOurs) assert.ok(freshSource(stream) !== null);
    assert.equal(await response.text(), '01');
    assert.equal(response.bodyUsed, true);
    assert.throws(() => new Response(stream), TypeError);
  });

  test('a body that somebody looks at is read all the same', async () => {
    const stream = new ReadableStream(counting([], 2, (n) => encoder.encode(`${n}`)));
    const response = new Response(stream);
    const [first, second] = [response.clone(), response];
    assert.deepEqual([await first.text(), await second.text()], ['01', '01']);
    const locked = new ReadableStream();
    locked.getReader();
    assert.throws(() => new Response(locked), TypeError);
  });
});
