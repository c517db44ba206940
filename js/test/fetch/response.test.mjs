// Response (Fetch, 5.5).
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { test, describe } from 'node:test';

import {
  Headers,
  Response,
  native,
  looksInside,
  joinsCookies,
  bytes,
  text,
  readAll,
  streamOf,
  responseParts,
  requestOf,
  typeError,
  rangeError,
} from './support.mjs';

describe('Response: how it is made', () => {
  test('defaults', async () => {
    const response = new Response();
    const { status, statusText, ok, type, url, redirected, body, bodyUsed } = response;
    assert.deepEqual(
      { status, statusText, ok, type, url, redirected, body, bodyUsed },
      { status: 200, statusText: '', ok: true, type: 'default', url: '', redirected: false, body: null, bodyUsed: false },
    );
    assert.deepEqual([...response.headers], []);
    assert.equal(response.headers, response.headers);
    assert.equal(await response.text(), '');
  });

  test('null and undefined are no body', () => {
    for (const body of [null, undefined]) {
      assert.equal(new Response(body).body, null);
      assert.equal(new Response(body).headers.has('content-type'), false);
    }
    assert.equal(new Response('', null).status, 200);
  });

  test('init must be an object', () => {
    for (const init of [1, 'x', true, Symbol('x')]) typeError(() => new Response(null, init));
    typeError(() => Response());
  });

  test('status', () => {
    for (const status of [200, 201, 299, 404, 599, '404', 404.9, 65536 + 200])
      assert.equal(new Response(null, { status }).status, Math.trunc(Number(status)) % 65536);
    for (const status of [0, 1, 100, 101, 199, 600, 1000, -1, NaN, Infinity, null, 'x']) rangeError(() => new Response(null, { status }));
    typeError(() => new Response(null, { status: Symbol('x') }));
    assert.equal(new Response(null, { status: 299 }).ok, true);
    assert.equal(new Response(null, { status: 300 }).ok, false);
  });

  test('statusText', () => {
    for (const statusText of ['', 'OK', 'a\tb', '\x80\xff']) assert.equal(new Response(null, { statusText }).statusText, statusText);
    for (const statusText of ['\n', '\r', '\0', '\x7f', '\u0100', Symbol('x')]) typeError(() => new Response(null, { statusText }));
    assert.equal(new Response(null, { statusText: null }).statusText, 'null');
  });

  test('statuses without a body', () => {
    for (const status of [204, 205, 304]) {
      for (const body of ['', 'x', new Blob([]), streamOf('x')]) typeError(() => new Response(body, { status }));
      assert.equal(new Response(null, { status }).body, null);
    }
  });

  test('content-type follows the body, unless it is given', () => {
    const type = (...args) => new Response(...args).headers.get('content-type');
    assert.equal(type('x'), 'text/plain;charset=UTF-8');
    assert.equal(type(5), 'text/plain;charset=UTF-8');
    assert.equal(type(new URLSearchParams('a=1')), 'application/x-www-form-urlencoded;charset=UTF-8');
    assert.equal(type(new Blob(['x'], { type: 'a/b' })), 'a/b');
    assert.equal(type(new Blob(['x'])), null);
    assert.equal(type(bytes('x')), null);
    assert.equal(type(streamOf('x')), null);
    assert.match(type(new FormData()), /^multipart\/form-data; boundary=/);
    assert.equal(type('x', { headers: { 'Content-Type': 'mine' } }), 'mine');
    assert.equal(type('x', { headers: [['content-type', '']] }), '');
  });

  test('headers of every kind, copied', () => {
    const headers = new Headers({ a: '1' });
    const response = new Response(null, { headers });
    headers.set('a', '2');
    assert.equal(response.headers.get('a'), '1');
    assert.notEqual(response.headers, headers);
    assert.equal(new Response(null, { headers: new native.Headers({ a: '1' }) }).headers.get('a'), '1');
    assert.equal(new Response(null, { headers: [['a', '1']] }).headers.get('a'), '1');
    typeError(() => new Response(null, { headers: null }));
    typeError(() => new Response(null, { headers: { 'a b': '1' } }));
  });

  test('a Symbol is no body', () => typeError(() => new Response(Symbol('x'))));
});

describe('Response: statics', () => {
  test('are enumerable, and take what the standard says', () => {
    for (const [name, length] of [
      ['error', 0],
      ['json', 1],
      ['redirect', 1],
    ]) {
      assert.equal(Object.getOwnPropertyDescriptor(Response, name).enumerable, true, name);
      assert.equal(Response[name].length, length, name);
    }
  });

  test('error', () => {
    const { status, statusText, ok, type, body, headers } = Response.error();
    assert.deepEqual({ status, statusText, ok, type, body }, { status: 0, statusText: '', ok: false, type: 'error', body: null });
    assert.deepEqual([...headers], []);
    assert.equal(Response.error().clone().type, 'error');
    typeError(() => Response.error().clone().headers.set('a', '1'));
  });

  test('redirect', () => {
    assert.equal(Response.redirect('http://a.test').headers.get('location'), 'http://a.test/');
    assert.equal(Response.redirect('http://a.test').status, 302);
    assert.equal(Response.redirect(new URL('http://a.test/ü'), '301').headers.get('location'), 'http://a.test/%C3%BC');
    for (const status of [301, 302, 303, 307, 308]) assert.equal(Response.redirect('http://a.test/', status).status, status);
    assert.equal(Response.redirect('http://a.test/', 65536 + 301).status, 301); // an unsigned short of Web IDL
    for (const status of [200, 300, 304, 305, 306, 400, 0]) rangeError(() => Response.redirect('http://a.test/', status));
    typeError(() => Response.redirect('http://'));
    typeError(() => Response.redirect());
    assert.equal(Response.redirect('http://a.test').body, null);
    assert.equal(Response.redirect('http://a.test').redirected, false);
  });

  test('json', async () => {
    const response = Response.json({ a: [1] });
    assert.equal(response.headers.get('content-type'), 'application/json');
    assert.equal(response.status, 200);
    assert.equal(await response.text(), '{"a":[1]}');
    assert.equal(await Response.json('ü').json(), 'ü');
    assert.equal(await Response.json(null).text(), 'null');
    const other = Response.json(1, { status: 400, statusText: 'no', headers: { 'content-type': 'a/b', x: 'y' } });
    assert.deepEqual([other.status, other.statusText, other.headers.get('content-type'), other.headers.get('x')], [400, 'no', 'a/b', 'y']);
    for (const data of [undefined, () => {}, Symbol('x')]) typeError(() => Response.json(data));
    typeError(() => Response.json());
    typeError(() => Response.json(1, { status: 204 }));
    rangeError(() => Response.json(1, { status: 100 }));
    assert.throws(
      () =>
        Response.json({
          toJSON() {
            throw new Error('mine');
          },
        }),
      /mine/,
    );
    typeError(() => {
      const loop = {};
      loop.loop = loop;
      Response.json(loop);
    });
  });
});

describe('Response: clone', () => {
  test('all goes along', async () => {
    const response = new Response('text', { status: 201, statusText: 'yes', headers: { a: '1' } });
    const other = response.clone();
    response.headers.set('a', '2');
    assert.deepEqual([other.status, other.statusText, other.headers.get('a')], [201, 'yes', '1']);
    assert.equal(await response.text(), 'text');
    assert.equal(other.bodyUsed, false);
    assert.equal(await other.text(), 'text');
  });

  test('of streams, and after body was looked at', async () => {
    for (const response of [
      new Response(streamOf('a', 'b')),
      (() => {
        const r = new Response('ab');
        r.body;
        return r;
      })(),
    ]) {
      const other = response.clone();
      assert.deepEqual(await Promise.all([response.text(), other.text()]), ['ab', 'ab']);
    }
  });

  test('not when used or locked', async () => {
    const used = new Response('x');
    await used.text();
    typeError(() => used.clone());
    const locked = new Response('x');
    locked.body.getReader();
    typeError(() => locked.clone());
    assert.equal(new Response().clone().body, null);
  });
});

describe('Response: the class', () => {
  test("it is the runtime's, to instanceof", () => {
    const response = new Response();
    assert.ok(response instanceof native.Response);
    assert.ok(response.headers instanceof native.Headers);
    assert.equal(Object.getPrototypeOf(Response), native.Response);
    assert.equal(Object.prototype.toString.call(response), '[object Response]');
    assert.equal(Response.length, 0);
    assert.match(inspect(new Response('x', { status: 418 })), /Response[^]*418/);
  });

  test("nothing of the runtime's is left to fail on ours", () => {
    const response = new Response('x');
    for (const key of Reflect.ownKeys(native.Response.prototype)) {
      assert.ok(Object.hasOwn(Response.prototype, key) || (typeof key === 'symbol' && looksInside), String(key));
      void response[key];
    }
  });

  test('accessors are enumerable, and of Responses only', () => {
    for (const name of ['status', 'ok', 'statusText', 'headers', 'type', 'url', 'redirected', 'body', 'bodyUsed']) {
      const property = Object.getOwnPropertyDescriptor(Response.prototype, name);
      assert.equal(property.enumerable, true, name);
      typeError(() => property.get.call({}));
    }
  });

  test('it can be extended', async () => {
    class Mine extends Response {
      get mine() {
        return true;
      }
    }
    const mine = new Mine('x');
    assert.ok(mine.mine && mine instanceof Response);
    assert.equal(await mine.text(), 'x');
  });
});

describe('responseParts', () => {
  test('sources as they were given', () => {
    assert.deepEqual(responseParts(new Response('text', { status: 201, headers: { A: '1' } })), {
      status: 201,
      statusText: '',
      fields: ['a', '1', 'content-type', 'text/plain;charset=UTF-8'],
      scope: null,
      accept: null,
      body: 'text',
    });
    assert.deepEqual(responseParts(new Response()), { status: 200, statusText: '', fields: [], scope: null, accept: null, body: null });
    assert.equal(text(responseParts(new Response(bytes('x'))).body), 'x');
    const blob = new Blob(['x']);
    assert.equal(responseParts(new Response(blob)).body, blob);
    const stream = streamOf('x');
    assert.equal(responseParts(new Response(stream)).body, stream);
    assert.equal(responseParts(Response.json({})).body, '{}');
  });

  test('bytes are those of the time when they were given', () => {
    const source = bytes('abc');
    const response = new Response(source.subarray(1));
    source.fill(0);
    assert.equal(text(responseParts(response).body), 'bc');
  });

  test('each set-cookie apart, what was changed later', () => {
    const response = new Response(null, {
      headers: [
        ['set-cookie', 'a'],
        ['set-cookie', 'b'],
        ['x', '1'],
      ],
    });
    response.headers.delete('x');
    response.headers.append('y', '2');
    assert.deepEqual(responseParts(response).fields, ['set-cookie', 'a', 'set-cookie', 'b', 'y', '2']);
  });

  test('the body is used by it', async () => {
    const response = new Response('x');
    responseParts(response);
    assert.equal(response.bodyUsed, true);
    typeError(() => responseParts(response));
    await assert.rejects(response.text(), TypeError);
    const empty = new Response();
    responseParts(empty);
    assert.equal(empty.bodyUsed, false);
    responseParts(empty);
  });

  test('not of a body that is used or locked', async () => {
    const used = new Response('x');
    await used.text();
    typeError(() => responseParts(used));
    const locked = new Response('x');
    locked.body.getReader();
    typeError(() => responseParts(locked));
  });

  test("cookies of the runtime's class", { skip: joinsCookies }, () => {
    const { fields } = responseParts(
      new native.Response(null, {
        headers: [
          ['set-cookie', 'a'],
          ['set-cookie', 'b'],
        ],
      }),
    );
    assert.deepEqual(fields, ['set-cookie', 'a', 'set-cookie', 'b']);
  });

  test("of the runtime's class", async () => {
    const parts = responseParts(new native.Response('x', { status: 202 }));
    assert.equal(parts.status, 202);
    assert.equal(typeof parts.body === 'string' ? parts.body : await readAll(parts.body), 'x');
    const used = new native.Response('x');
    await used.text();
    typeError(() => responseParts(used));
    const locked = new native.Response('x');
    locked.body.getReader();
    typeError(() => responseParts(locked));
  });

  test("what a Response of Deno's was made of, without a stream", { skip: !globalThis.Deno && 'it is not Deno' }, async () => {
    for (const [make, content, type] of [
      [() => new native.Response('text'), 'text', 'text/plain;charset=UTF-8'],
      [() => new native.Response('text', { headers: { 'content-type': 'text/html' } }), 'text', 'text/html'],
      [() => new native.Response('', { status: 404, headers: { a: 'b' } }), '', 'text/plain;charset=UTF-8'],
      [() => native.Response.json([1], { status: 201 }), '[1]', 'application/json'],
      [() => new native.Response(bytes('bytes')), bytes('bytes'), undefined],
    ]) {
      const response = make();
      const parts = responseParts(response);
      assert.deepEqual(parts.body, content);
      assert.equal(parts.status, make().status);
      const field = (fields, name) => fields[fields.indexOf(name) + 1];
      if (type !== undefined) assert.equal(field(parts.fields, 'content-type'), type);
      else assert.deepEqual(parts.fields, []);
      assert.equal(response.bodyUsed, true);
      typeError(() => responseParts(response));
      const changed = make();
      changed.headers.set('a', 'c');
      assert.equal(field(responseParts(changed).fields, 'a'), 'c');
      const looked = make();
      assert.ok(looked.body instanceof ReadableStream);
      assert.equal(await readAll(responseParts(looked).body), typeof content === 'string' ? content : text(content));
      const cloned = make();
      const clone = cloned.clone();
      assert.deepEqual([responseParts(cloned).body, responseParts(clone).body], [content, content]);
    }
    assert.equal(responseParts(native.Response.error()).status, 500);
    assert.equal(responseParts(new native.Response(null)).body, null);
  });

  test('bodies of other messages', async () => {
    assert.equal(await new Response(new native.Response('x').body).text(), 'x');
    const { request } = requestOf({ method: 'POST', pieces: ['a', 'b'] });
    const parts = responseParts(new Response(request.body));
    assert.equal(await readAll(parts.body), 'ab');
  });

  test('an async iterable', async () => {
    const { body } = responseParts(
      new Response(
        (async function* () {
          yield 'a';
          yield bytes('b');
        })(),
      ),
    );
    let all = '';
    for await (const chunk of body) all += typeof chunk === 'string' ? chunk : text(chunk);
    assert.equal(all, 'ab');
  });

  test('an async iterable that cannot be ended says so to who cancels', async () => {
    const iterable = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false, value: 'a' }),
        return: async () => {
          throw new Error('not now');
        },
      }),
    };
    await assert.rejects(new Response(iterable).body.cancel(), /not now/);
  });
});
