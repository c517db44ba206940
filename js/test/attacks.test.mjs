// Attacks from within and through the API: what splits responses, pollutes prototypes, throws where
// nobody expects it, or changes bytes that are on their way. docs/internals/testing/attacks.md has the table.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import net from 'node:net';
import { test, describe } from 'node:test';

import { serve, Headers, Request, Response } from '../index.mjs';

const { Log } = createRequire(import.meta.url)('../src/cli/log.js');
const NativeResponse = Object.getPrototypeOf(Response);

// Serve for as long as `body` runs; errors of handlers are counted, not shown.
async function serving(options, handler, body) {
  const errors = [];
  const server = serve(
    {
      port: 0,
      hostname: '127.0.0.1',
      onListen() {},
      onError(error) {
        errors.push(error);
        throw error;
      },
      ...options,
    },
    handler,
  );
  const { error } = console;
  console.error = () => {};
  try {
    return await body(server.addr.port, errors);
  } finally {
    await server.shutdown({ deadline: 0 });
    console.error = error;
  }
}

// One request, and all that comes back until the server closes.
function ask(port, target = '/', fields = '', method = 'GET', content = '') {
  return new Promise((resolve, reject) => {
    const pieces = [];
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.write(`${method} ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n${content}`, 'latin1');
    });
    socket.on('data', (data) => pieces.push(data));
    socket.on('close', () => resolve(Buffer.concat(pieces).toString('latin1')));
    socket.on('error', (error) => (error.code === 'ECONNRESET' ? resolve(Buffer.concat(pieces).toString('latin1')) : reject(error)));
  });
}

// The content of an answer, whose framing must be exact: a stream that ends at once has a length.
function unframed(answer) {
  let rest = answer.slice(answer.indexOf('\r\n\r\n') + 4);
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(answer);
  if (length !== null) {
    assert.equal(rest.length, Number(length[1]));
    return rest;
  }
  let content = '';
  for (;;) {
    const end = rest.indexOf('\r\n');
    const line = rest.slice(0, end);
    const size = parseInt(line, 16);
    assert.equal(size.toString(16), line);
    const after = end + 2 + size;
    assert.equal(rest.slice(after, after + 2), '\r\n');
    if (size === 0) {
      assert.equal(rest.length, after + 2);
      return content;
    }
    content += rest.slice(end + 2, after);
    rest = rest.slice(after + 2);
  }
}

// ---------------------------------------------------------------- response splitting

// The last two become CR and LF when only the low byte of a character is looked at.
const SPLITS = [
  'a\r\nInjected: b',
  'a\nInjected: b',
  'a\rInjected: b',
  'a\r\n\r\nHTTP/1.1 200 OK',
  'a\0b',
  'a\u010d\u010aInjected: b',
  'a\uff0d\uff0aInjected: b',
];
const NAMES = ['', 'x y', 'x:y', 'x\r\nInjected', 'x\nInjected', '\u010aInjected', ':', 'x\0', 'ü'];

describe('response splitting', () => {
  test('Headers take no such value, by any door', () => {
    for (const value of SPLITS) {
      const headers = new Headers({ x: 'y' });
      assert.throws(() => headers.append('x', value), TypeError);
      assert.throws(() => headers.set('x', value), TypeError);
      assert.throws(() => new Headers({ x: value }), TypeError);
      assert.throws(() => new Headers([['x', value]]), TypeError);
      assert.throws(() => new Headers(new Map([['x', value]])), TypeError);
      assert.throws(() => new Response('', { headers: { x: value } }), TypeError);
      assert.throws(() => Response.json({}, { headers: [['x', value]] }), TypeError);
      assert.throws(() => new Request('http://a/', { headers: { x: value } }), TypeError);
      assert.equal(headers.get('x'), 'y');
    }
    for (const name of NAMES) {
      const headers = new Headers();
      assert.throws(() => headers.append(name, 'y'), TypeError);
      assert.throws(() => headers.set(name, 'y'), TypeError);
      assert.throws(() => new Headers({ [name]: 'y' }), TypeError);
      assert.throws(() => new Response('', { headers: [[name, 'y']] }), TypeError);
      assert.deepEqual([...headers], []);
    }
  });

  test('what changes its mind is looked at once', () => {
    for (const value of SPLITS) {
      let times = 0;
      const fickle = { toString: () => (times++ === 0 ? 'fine' : value) };
      assert.equal(new Headers({ x: fickle }).get('x'), 'fine');
      assert.equal(times, 1);
    }
  });

  test('status texts and redirections', () => {
    for (const value of SPLITS.slice(0, 4)) {
      assert.throws(() => new Response('', { statusText: value }), TypeError);
      const location = Response.redirect(`http://a/${value}`).headers.get('location');
      assert.doesNotMatch(location, /[\r\n\0]/);
    }
    for (const status of ['200\r\nx: y', 99, 600, 65536 + 99, NaN, {}]) assert.throws(() => new Response('', { status }), RangeError);
  });

  // Past the checks of Headers: by classes of the runtime that say what they like.
  test('what the engine is given all the same, it refuses', () =>
    serving(
      {},
      (request) => {
        const { searchParams } = new URL(request.url);
        const [name, value] = [searchParams.get('name'), searchParams.get('value')];
        return new (class extends NativeResponse {
          get headers() {
            return [[name, value]];
          }
        })('fine');
      },
      async (port, errors) => {
        const cases = [...SPLITS.map((value) => ['x', value]), ...NAMES.map((name) => [name, 'y'])];
        for (const [name, value] of cases) {
          const before = errors.length;
          const answer = await ask(port, `/?name=${encodeURIComponent(name)}&value=${encodeURIComponent(value)}`);
          if (errors.length > before) assert.match(answer, /^HTTP\/1\.1 500 /);
          else assert.equal(answer, '', JSON.stringify([name, value]));
          assert.doesNotMatch(answer, /^(Injected|HTTP\/1\.1 200)/im);
        }
        assert.match(await ask(port, '/?name=x&value=y'), /^HTTP\/1\.1 200 OK\r\nx: y\r\n/);
        // Not refused, but not sent: there is one word of the framing, and it is the engine's.
        const dropped = [
          ['transfer-encoding', 'chunked'],
          ['transfer-encoding', 'gzip, chunked'],
          ['transfer-encoding', 'chunked, chunked'],
          ['transfer-encoding', ''],
          ['content-length', '1, 1'],
          ['content-length', '4\r\n'],
          ['keep-alive', 'timeout=9'],
        ];
        for (const [name, value] of dropped)
          assert.match(
            await ask(port, `/?name=${name}&value=${encodeURIComponent(value)}`),
            /^HTTP\/1\.1 200 OK\r\n(content-type: text[^\r]*\r\n)?Date: [^\r]*\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine$/,
            JSON.stringify([name, value]),
          );
      },
    ));

  test('a status that is none', () =>
    serving(
      {},
      (request) => {
        const number = new URL(request.url).searchParams.get('status');
        return new (class extends NativeResponse {
          get status() {
            return Number.isNaN(Number(number)) ? number : Number(number);
          }
        })('fine');
      },
      async (port) => {
        for (const status of ['99', '101', '1000', '65736', '-1', '1e300', '200%0d%0aInjected:%20b'])
          assert.match(await ask(port, `/?status=${status}`), /^HTTP\/1\.1 500 [^]*\r\n\r\nInternal Server Error\n$/);
        assert.match(await ask(port, '/?status=201'), /^HTTP\/1\.1 201 Created\r\n/);
      },
    ));

  test('informational responses and trailers', () =>
    serving(
      {},
      (request, info) => {
        const [, door, index] = new URL(request.url).pathname.split('/');
        const value = SPLITS[index];
        if (door === 'inform') assert.throws(() => info.inform(103, { x: value }), TypeError);
        else assert.throws(() => info.trailers({ x: value }), TypeError);
        return new Response('refused');
      },
      async (port) => {
        for (const index of SPLITS.keys())
          for (const door of ['inform', 'trailers']) {
            const answer = await ask(port, `/${door}/${index}`);
            assert.match(answer, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nrefused$/);
            assert.doesNotMatch(answer, /Injected/);
          }
      },
    ));

  test('an informational response that may not be is an error, and one answer', () =>
    serving(
      {},
      (request, info) => {
        info.inform(Number(new URL(request.url).searchParams.get('status')), { link: '</a>' });
        return new Response('fine');
      },
      async (port) => {
        for (const status of [0, 100, 101, 200, 999, 65639]) {
          const answer = await ask(port, `/?status=${status}`);
          assert.equal(answer.split('HTTP/1.1 ').length, 2);
          assert.match(answer, /^HTTP\/1\.1 500 /);
        }
      },
    ));

  test("trailers that are the engine's to say", () =>
    serving(
      {},
      (request, info) => {
        info.trailers({ [new URL(request.url).pathname.slice(1)]: '5' });
        return new Response('hello');
      },
      async (port) => {
        for (const name of ['content-length', 'transfer-encoding', 'connection', 'host', 'set-cookie'])
          assert.doesNotMatch(await ask(port, `/${name}`), /0\r\n[^]*: 5/);
        assert.match(await ask(port, '/x-sum'), /0\r\nx-sum: 5\r\n\r\n$/);
      },
    ));

  test('routes', () => {
    class Evil extends NativeResponse {
      get headers() {
        return [['x', 'a\r\nInjected: b']];
      }
    }
    return serving(
      { routes: { '/evil': new Evil(), '/good': new Response('good') } },
      () => new Response(''),
      async (port) => {
        assert.match(await ask(port, '/evil'), /^HTTP\/1\.1 500 [^]*\r\n\r\n500 Internal Server Error\n$/);
        assert.match(await ask(port, '/good'), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\ngood$/);
      },
    );
  });

  test('a request makes one line of the log', async () => {
    for (const form of ['short', 'json']) {
      let written = '';
      const log = new Log(form, {
        write(text) {
          written += text;
        },
      });
      const handler = log.of(() => new Response('', { status: 204 }));
      await serving({}, handler, async (port) => {
        await ask(port, '/a%0aforged%1b[31m?b%0d%0aforged', 'X: y\r\n', "!#$%&'*+-.^_`|~");
        for (const bad of ['/a\x1b[31m', '/a\x85b', '/a\x7fb', '/a\x00']) assert.match(await ask(port, bad), /^HTTP\/1\.1 400 /);
        await ask(port, '//evil\\@/%E2%80%A8');
      });
      log.flush();
      assert.match(written, /^[\x20-\x7e]+\n[\x20-\x7e]+\n$/);
    }
  });
});

// ---------------------------------------------------------------- prototypes

describe('prototype pollution', () => {
  const NASTY = ['__proto__', 'constructor', 'prototype', 'hasOwnProperty', 'toString', 'valueOf', '__defineGetter__', 'then'];
  const shape = () =>
    JSON.stringify(
      [Object, Array, Function, Map, Headers, Request, Response].map((kind) => [
        Reflect.ownKeys(kind.prototype).map(String),
        String(Object.getPrototypeOf(kind.prototype) === Object.prototype),
      ]),
    );

  test('fields, queries and forms are data', async () => {
    const before = shape();
    await serving(
      {},
      async (request) => {
        const seen = {};
        for (const name of NASTY) assert.equal(request.headers.get(name), `${name}-value`);
        for (const [name, value] of request.headers) Object.defineProperty(seen, name, { value });
        assert.equal(Object.getPrototypeOf(seen), Object.prototype);
        const form = await request.formData();
        for (const name of NASTY) assert.equal(form.get(name), `${name}-form`);
        assert.equal(new URL(request.url).searchParams.get('__proto__[polluted]'), 'yes');
        return Response.json({ headers: Object.fromEntries(request.headers) });
      },
      async (port) => {
        const content = NASTY.map((name) => `${name}=${name}-form`).join('&');
        const answer = await ask(
          port,
          '/?__proto__[polluted]=yes&constructor[prototype][polluted]=yes',
          `${NASTY.map((name) => `${name}: ${name}-value\r\n`).join('')}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${content.length}\r\n`,
          'POST',
          content,
        );
        assert.match(answer, /^HTTP\/1\.1 200 OK/);
      },
    );
    assert.equal({}.polluted, undefined);
    assert.equal(shape(), before);
  });

  test('such names of a response are sent, as fields', () =>
    serving(
      {},
      () => new Response('', { headers: JSON.parse('{"__proto__": "a", "constructor": "b"}') }),
      async (port) => {
        const answer = await ask(port);
        assert.match(answer, /\r\n__proto__: a\r\n/);
        assert.match(answer, /\r\nconstructor: b\r\n/);
      },
    ));

  test('options are not taken from what JSON has', () => {
    assert.throws(() => serve(JSON.parse('{"__proto__": {"fetch": 1}}')), TypeError);
    assert.equal({}.fetch, undefined);
  });
});

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

// ---------------------------------------------------------------- expressions

// Which expressions there are is a matter of expressions.test.mjs; these have long inputs from clients.
describe('long inputs', () => {
  const LONG = 65536;

  test('values of blanks', () => {
    const blanks = ' \t'.repeat(LONG / 2);
    const headers = new Headers({ x: `a${blanks}b`, y: `${blanks}b${blanks}`, z: blanks });
    assert.equal(headers.get('x').length, LONG + 2);
    assert.equal(headers.get('y'), 'b');
    assert.equal(headers.get('z'), '');
  });

  test('hosts, targets, fields at their limits', () => {
    const target = 16384,
      section = 32768;
    return serving(
      { maxTarget: target, maxHeaderSection: section },
      (request) => {
        void request.headers.get('content-type');
        return new Response(`${new URL(request.url).pathname.length}`);
      },
      async (port) => {
        assert.match(await ask(port, `/${'a'.repeat(target - 1)}`), /\r\n\r\n16384$/);
        assert.match(await ask(port, `/${'/.'.repeat(target / 2 - 1)}`), /^HTTP\/1\.1 200 /);
        for (const name of ['connection', 'content-type', 'expect', 'upgrade', 'cookie'])
          assert.match(await ask(port, '/', `${name}: ${', \t'.repeat(10000)}x\r\n`), /^HTTP\/1\.1 (200|417) /);
      },
    );
  });

  test('types of content', async () => {
    const type = `${'a/b,'.repeat(LONG / 4)}${' '.repeat(LONG)}x/y`;
    assert.equal((await new Response('x', { headers: { 'content-type': type } }).blob()).type, 'x/y');
  });
});
