// What an application hands over wrong: options that cannot be, getters and proxies that throw where nobody expects it, bytes
// that change on their way. docs/internals/testing/attacks.md has the table.
import assert from 'node:assert/strict';
import { test, describe } from 'node:test';

import { serve, Response } from '../index.mjs';
import { ask, serving, unframed } from './attacked.mjs';

const NativeResponse = Object.getPrototypeOf(Response);

// ---------------------------------------------------------------- objects that throw

describe('options that cannot be', () => {
  const throws = (options, error) =>
    assert.throws(() => serve({ port: 0, onListen() {}, ...options }, () => new Response()), error, JSON.stringify(options));

  test('addresses', () => {
    for (const port of [null, '', true, '80a', -1, 1.5, 65536]) throws({ port }, RangeError);
    for (const name of ['path', 'hostname']) for (const value of [null, '', 5, '/tmp/a\0b']) throws({ [name]: value }, TypeError);
  });

  test('limits', async () => {
    for (const value of [NaN, -1, '5', null]) throws({ keepAlive: value }, TypeError);
    for (const value of [2 ** 32, 1e20]) throws({ keepAlive: value }, RangeError);
    throws({ maxContent: 1e30 }, RangeError);
    throws({ halfClose: 5 }, TypeError);
    for (const name of ['maxTarget', 'maxHeaderSection', 'maxFields']) throws({ [name]: false }, RangeError);
    throws({ maxTarget: 32768, maxHeaderSection: 32768 }, RangeError);
    await serving(
      { keepAlive: 0.5, maxContent: 2 ** 40, poolFloor: false, backlog: false, maxTarget: 30000, maxHeaderSection: 30000 },
      () => new Response('fine'),
      async (port) => assert.match(await ask(port), /fine$/),
    );
  });

  test('routes', async () => {
    for (const path of ['health', '/a?b', '/a#b', '/é', '/a b', `/${'a'.repeat(2000)}`])
      throws({ routes: { [path]: new Response() } }, /a route (is|begins)/);
    for (const value of ['text', null, undefined, () => new Response(), {}])
      throws({ routes: { '/a': value } }, /the route \/a must be a Response/);
    throws({ routes: { '/a': new NativeResponse('stream') } }, /of carom's own class/);
    const routes = { '/a': new Response('same') };
    routes['/b'] = routes['/a'];
    for (let i = 0; i < 2; i++)
      await serving(
        { routes },
        () => new Response(''),
        async (port) => {
          for (const path of Object.keys(routes)) assert.match(await ask(port, path), /same$/);
        },
      );
  });

  test('a deadline', async () => {
    const server = serve({ port: 0, onListen() {} }, () => new Response());
    for (const deadline of [NaN, -1, '5']) assert.throws(() => server.shutdown({ deadline }), TypeError);
    await server.shutdown({ deadline: Infinity });
  });
});

describe('getters and proxies that throw', () => {
  const boom = () => {
    throw new Error('boom');
  };

  test('as options: serve throws, and nothing listens', async () => {
    const { addr } = await serving(
      {},
      () => new Response(''),
      async (port) => ({ addr: { port } }),
    );
    const names = [
      'port',
      'hostname',
      'path',
      'signal',
      'onListen',
      'onError',
      'routes',
      'io',
      'workers',
      'maxTarget',
      'keepAlive',
      'halfClose',
    ];
    for (const name of names) {
      const options = Object.defineProperty({ port: addr.port, hostname: '127.0.0.1', onListen() {} }, name, { get: boom });
      assert.throws(() => serve(options, () => new Response('')), /boom/, name);
    }
    assert.throws(() => serve(new Proxy({}, { get: boom }), () => new Response('')), /boom/);
    await serving(
      { port: addr.port },
      () => new Response('free'),
      async (port) => {
        assert.match(await ask(port), /free$/);
      },
    );
  });

  test('onListen that throws leaves no server', async () => {
    let port;
    assert.throws(
      () =>
        serve(
          {
            port: 0,
            hostname: '127.0.0.1',
            onListen(addr) {
              port = addr.port;
              boom();
            },
          },
          () => new Response(''),
        ),
      /boom/,
    );
    await assert.rejects(fetch(`http://127.0.0.1:${port}/`));
  });

  const HOSTILE = {
    then: () => ({
      get then() {
        return boom();
      },
    }),
    'then, called': () => ({ then: boom }),
    prototype: () => new Proxy({}, { getPrototypeOf: boom }),
    'a proxy of a Response': () => new Proxy(new Response(''), {}),
    'a proxy that throws': () => new Proxy(new Response(''), { get: boom, has: boom, getPrototypeOf: boom }),
    init: () =>
      new Response('', {
        get status() {
          return boom();
        },
      }),
    headers: () => new Response('', { headers: new Proxy({}, { ownKeys: boom, getPrototypeOf: boom }) }),
    'an iterator of headers': () => new Response('', { headers: { [Symbol.iterator]: boom } }),
    'a value of headers': () => new Response('', { headers: { x: { toString: boom } } }),
    body: () => new Response({ toString: boom }),
    'an iterable body': () =>
      new Response({
        get [Symbol.asyncIterator]() {
          return boom();
        },
      }),
    "headers of the runtime's class": () =>
      new (class extends NativeResponse {
        get headers() {
          return boom();
        }
      })('x'),
    "body of the runtime's class": () =>
      new (class extends NativeResponse {
        get body() {
          return boom();
        }
      })('x'),
    'an error that throws': () => {
      throw new Proxy(new Error('x'), { get: boom });
    },
    nothing: () => undefined,
    'a symbol': () => Symbol('x'),
  };

  test('as what the handler returns: 500, and the server goes on', () =>
    serving(
      {},
      (request) => {
        const name = decodeURIComponent(new URL(request.url).pathname.slice(1));
        return name in HOSTILE ? HOSTILE[name]() : new Response('fine');
      },
      async (port) => {
        for (const name of Object.keys(HOSTILE)) {
          assert.match(await ask(port, `/${encodeURIComponent(name)}`), /^HTTP\/1\.1 500 /, name);
          assert.match(await ask(port, '/fine'), /\r\n\r\nfine$/);
        }
      },
    ));

  test('in the middle of a body: the client sees that it is not whole', () =>
    serving(
      {},
      (request) => {
        const { pathname } = new URL(request.url);
        if (pathname === '/fine') return new Response('fine');
        let count = 0;
        const next = async () => (count++ < 3 ? { done: false, value: 'x'.repeat(1000) } : boom());
        return new Response({ [Symbol.asyncIterator]: () => ({ next, return: boom }) });
      },
      async (port) => {
        assert.doesNotMatch(await ask(port, '/'), /\r\n0\r\n\r\n$/);
        assert.match(await ask(port, '/fine'), /fine$/);
      },
    ));

  test('a promise that is kept twice is one answer', () =>
    serving(
      {},
      () => ({
        then(resolve) {
          resolve(new Response('first'));
          resolve(new Response('second'));
          boom();
        },
      }),
      async (port) => {
        const answer = await ask(port);
        assert.match(answer, /\r\n\r\nfirst$/);
        assert.equal(answer.split('HTTP/1.1 ').length, 2);
      },
    ));
});

// ---------------------------------------------------------------- bytes on their way

const SIZE = 300_000; // more than is copied at once, and than the kernel takes at once
const detach = (bytes) => {
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
};
const canResize = typeof ArrayBuffer.prototype.resize === 'function';

// A body of chunks, each of which its maker does something to after it was handed over.
function chunks(count, make, after) {
  const made = [];
  let left = count;
  return new ReadableStream(
    {
      pull(controller) {
        made.forEach(after);
        made.length = 0;
        if (left-- === 0) controller.close();
        else {
          const chunk = make();
          made.push(chunk);
          controller.enqueue(chunk);
        }
      },
    },
    { highWaterMark: 0 },
  );
}

describe('buffers that change', () => {
  const full = (buffer) => new Uint8Array(buffer).fill(97);

  test('a whole body is the one of the moment it was given', () => {
    const after = {
      changed: (bytes) => bytes.fill(98),
      detached: (bytes) => detach(bytes),
      ...(canResize && { shrunk: (bytes) => bytes.buffer.resize(0) }),
    };
    return serving(
      {},
      (request) => {
        const [, kind, size] = new URL(request.url).pathname.split('/');
        const bytes = full(new ArrayBuffer(Number(size), kind === 'shrunk' ? { maxByteLength: SIZE } : undefined));
        const response = new Response(bytes);
        after[kind](bytes);
        return response;
      },
      async (port) => {
        for (const kind of Object.keys(after))
          for (const size of [10, 10_000, SIZE]) {
            const answer = await ask(port, `/${kind}/${size}`);
            assert.ok(answer.endsWith(`\r\n\r\n${'a'.repeat(size)}`), `${kind} ${size}`);
          }
      },
    );
  });

  test('a piece is the one of the moment it was read', () => {
    const after = {
      changed: (bytes) => bytes.fill(98),
      detached: (bytes) => detach(bytes),
      ...(canResize && {
        shrunk: (bytes) => bytes.buffer.resize(0),
        grown: (bytes) => bytes.buffer.resize(2 * SIZE),
      }),
    };
    return serving(
      {},
      (request) => {
        const [, kind, size] = new URL(request.url).pathname.split('/');
        const resizable = kind === 'shrunk' || kind === 'grown' ? { maxByteLength: 2 * SIZE } : undefined;
        return new Response(chunks(5, () => full(new ArrayBuffer(Number(size), resizable)), after[kind]));
      },
      async (port) => {
        for (const kind of Object.keys(after))
          for (const size of [10, 10_000, SIZE]) {
            const content = unframed(await ask(port, `/${kind}/${size}`));
            assert.ok(content === 'a'.repeat(5 * size), `${kind} ${size}: ${content.length}`);
          }
      },
    );
  });

  test('a piece that was detached before it was read is an error, and nothing else', () =>
    serving(
      {},
      (request) => {
        if (new URL(request.url).pathname === '/fine') return new Response('fine');
        return new Response(
          new ReadableStream({
            start(controller) {
              for (let i = 0; i < 3; i++) {
                const chunk = full(new ArrayBuffer(SIZE));
                controller.enqueue(chunk);
                if (i === 2) detach(chunk);
              }
              controller.close();
            },
          }),
        );
      },
      async (port) => {
        const answer = await ask(port);
        assert.doesNotMatch(answer, /\r\n0\r\n\r\n$/);
        assert.match(answer.slice(answer.indexOf('\r\n\r\n')), /^[a\r\n0-9b-f]*$/);
        assert.match(await ask(port, '/fine'), /fine$/);
      },
    ));

  test('shared memory that changes meanwhile: the framing stands', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(SIZE)).fill(97);
    let letter = 97;
    return serving(
      {},
      (request) => {
        letter = letter === 97 ? 98 : 97;
        if (new URL(request.url).pathname === '/whole') {
          const response = new Response(shared);
          shared.fill(letter);
          return response;
        }
        return new Response(
          chunks(
            5,
            () => shared,
            () => shared.fill(letter),
          ),
        );
      },
      async (port) => {
        for (let i = 0; i < 4; i++) {
          const streamed = unframed(await ask(port, '/streamed'));
          assert.equal(streamed.length, 5 * SIZE);
          assert.match(streamed, /^[ab]*$/);
          const whole = await ask(port, '/whole');
          assert.match(whole.slice(-SIZE), /^[ab]*$/);
          assert.ok(whole.includes(`Content-Length: ${SIZE}\r\n`));
        }
      },
    );
  });

  test('what is no piece of bytes is an error', () =>
    serving(
      {},
      (request) => {
        const { pathname } = new URL(request.url);
        if (pathname === '/fine') return new Response('fine');
        const odd = [{ length: 1e9 }, [1, 2], 5, { byteLength: 3 }, null][pathname.slice(1)];
        return new Response(
          new ReadableStream({
            pull(controller) {
              controller.enqueue(odd);
              controller.close();
            },
          }),
        );
      },
      async (port) => {
        for (let i = 0; i < 5; i++) assert.doesNotMatch(await ask(port, `/${i}`), /\r\n0\r\n\r\n$/);
        assert.match(await ask(port, '/fine'), /fine$/);
      },
    ));
});

test('when onError fails, too, both errors are told', async (t) => {
  const told = [];
  const [first, second] = [new Error('of the handler'), new Error('of onError')];
  const options = {
    onError() {
      console.error = (...said) => told.push(said);
      throw second;
    },
  };
  const { error } = console;
  t.after(() => Object.assign(console, { error }));
  await serving(
    options,
    () => {
      throw first;
    },
    async (port) => assert.match(await ask(port), /^HTTP\/1.1 500 /),
  );
  assert.deepEqual(
    told.map((said) => said.at(-1)),
    [first, second],
  );
});
