// Attacks through the API: values that would split a response, pollute a prototype, or keep a regular expression busy.
// docs/internals/testing/attacks.md has the table.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test, describe } from 'node:test';

import { serve, Headers, Request, Response } from '../index.mjs';
import { ask, serving } from './attacked.mjs';

const { Log } = createRequire(import.meta.url)('../src/cli/log.js');
const NativeResponse = Object.getPrototypeOf(Response);

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
