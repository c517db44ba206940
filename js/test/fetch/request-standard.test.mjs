// Request (Fetch, 5.4): construction, bodies, what is taken over from another. request.test.mjs has more.
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { test, describe } from 'node:test';

import { Headers, Request, native, bytes, streamOf, typeError, rejectsTypeError } from './support.mjs';

const URL_A = 'http://a.test/';
const post = (body, more) => new Request(URL_A, { method: 'POST', body, ...more });

describe('Request: how it is made', () => {
  test('urls', () => {
    assert.equal(new Request(new URL('http://a.test/ü?x#y')).url, 'http://a.test/%C3%BC?x#y');
    assert.equal(new Request({ toString: () => URL_A }).url, URL_A);
    for (const url of ['', '/relative', 'http://', 'http://u:p@a.test/', 'http://u@a.test/', undefined, null, Symbol('x')])
      typeError(() => new Request(url));
    typeError(() => new Request());
    typeError(() => Request(URL_A));
  });

  test('init must be an object', () => {
    for (const init of [1, 'x', true]) typeError(() => new Request(URL_A, init));
    assert.equal(new Request(URL_A, null).method, 'GET');
  });

  test('methods', () => {
    const method = (value) => new Request(URL_A, { method: value }).method;
    for (const name of ['get', 'GeT', 'head', 'post', 'put', 'delete', 'options']) assert.equal(method(name), name.toUpperCase());
    for (const name of ['patch', 'PATCH', 'query', 'Foo', "!#$%&'*+-.^_`|~"]) assert.equal(method(name), name);
    for (const name of ['connect', 'TRACE', 'track', '', 'a b', 'a\n', 'ü', '(', Symbol('x')]) typeError(() => method(name));
    assert.equal(method(undefined), 'GET');
    assert.equal(method(null), 'null');
  });

  test('settings', () => {
    const good = {
      cache: ['default', 'no-store', 'reload', 'no-cache', 'force-cache'],
      credentials: ['omit', 'same-origin', 'include'],
      mode: ['same-origin', 'no-cors', 'cors'],
      redirect: ['follow', 'error', 'manual'],
      referrerPolicy: ['', 'no-referrer', 'origin', 'unsafe-url'],
      integrity: ['', 'sha256-x'],
    };
    for (const [name, values] of Object.entries(good))
      for (const value of values) assert.equal(new Request(URL_A, { [name]: value })[name], value);
    for (const init of [
      { mode: 'navigate' },
      { cache: 'only-if-cached' },
      { window: {} },
      { priority: 'x' },
      { duplex: 'full' },
      { cache: 'x' },
      { mode: 'x' },
      { credentials: 'x' },
      { redirect: 'x' },
      { referrerPolicy: 'x' },
      { referrer: 'http:// x' },
    ])
      typeError(() => new Request(URL_A, init));
    assert.equal(new Request(URL_A, { cache: 'only-if-cached', mode: 'same-origin' }).cache, 'only-if-cached');
    assert.equal(new Request(URL_A, { keepalive: 1 }).keepalive, true);
    assert.equal(new Request(URL_A, { referrer: '' }).referrer, '');
    assert.equal(new Request(URL_A, { referrer: 'about:client' }).referrer, 'about:client');
    assert.equal(new Request(URL_A, { window: null }).method, 'GET');
  });

  test('no-cors has simple methods only', () => {
    for (const method of ['PUT', 'DELETE', 'PATCH']) typeError(() => new Request(URL_A, { mode: 'no-cors', method }));
    assert.equal(new Request(URL_A, { mode: 'no-cors', method: 'POST' }).method, 'POST');
  });

  test('headers', () => {
    for (const headers of [{ A: '1' }, [['a', '1']], new Headers({ a: '1' }), new native.Headers({ a: '1' })])
      assert.equal(new Request(URL_A, { headers }).headers.get('a'), '1');
    const request = new Request(URL_A);
    request.headers.set('a', '2');
    assert.equal(request.headers.get('a'), '2');
    typeError(() => new Request(URL_A, { headers: null }));
  });
});

describe('Request: body', () => {
  test('not with GET or HEAD', () => {
    for (const method of ['GET', 'HEAD', 'get', undefined])
      for (const body of ['', 'x', bytes('x')]) typeError(() => new Request(URL_A, { method, body }));
    assert.equal(new Request(URL_A, { body: null }).body, null);
  });

  test('its type', () => {
    const type = (body, headers) => post(body, { headers }).headers.get('content-type');
    assert.equal(type('x'), 'text/plain;charset=UTF-8');
    assert.equal(type(new URLSearchParams()), 'application/x-www-form-urlencoded;charset=UTF-8');
    assert.equal(type(new Blob(['x'], { type: 'a/b' })), 'a/b');
    assert.match(type(new FormData()), /^multipart\/form-data; boundary=/);
    assert.equal(type(bytes('x')), null);
    assert.equal(type('x', { 'Content-Type': 'mine' }), 'mine');
  });

  test('a stream needs duplex, and no keepalive', async () => {
    typeError(() => post(streamOf('x')));
    typeError(() => post((async function* () {})()));
    typeError(() => post(streamOf('x'), { duplex: 'half', keepalive: true }));
    assert.equal(await post(streamOf('x'), { duplex: 'half' }).text(), 'x');
    assert.equal((await post(new FormData(), { keepalive: true }).clone().text()).slice(0, 2), '--');
  });
});

describe('Request: of another', () => {
  test('all is taken over', async () => {
    const first = post('text', {
      headers: { a: '1' },
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'manual',
      referrer: 'http://r.test/',
      integrity: 'i',
    });
    const second = new Request(first);
    assert.deepEqual(
      [
        second.url,
        second.method,
        second.headers.get('a'),
        second.cache,
        second.credentials,
        second.redirect,
        second.referrer,
        second.integrity,
      ],
      [URL_A, 'POST', '1', 'no-store', 'omit', 'manual', 'http://r.test/', 'i'],
    );
    second.headers.set('a', '2');
    assert.equal(first.headers.get('a'), '1');
    assert.equal(await second.text(), 'text');
  });

  test('the body goes over', async () => {
    for (const first of [post('text'), post(bytes('text')), post(streamOf('te', 'xt'), { duplex: 'half' }), post(new Blob(['text']))]) {
      const second = new Request(first);
      assert.equal(first.bodyUsed, true);
      assert.equal(second.bodyUsed, false);
      await rejectsTypeError(first.text());
      typeError(() => new Request(first));
      assert.equal(await second.text(), 'text');
    }
  });

  test('the body stays when a new one is given', async () => {
    const first = post('first');
    const second = new Request(first, { body: 'second' });
    assert.equal(first.bodyUsed, false);
    assert.equal(await first.text(), 'first');
    assert.equal(await second.text(), 'second');
    assert.equal(await new Request(first, { body: 'third' }).text(), 'third'); // though it is used
  });

  test("body: null takes over the other's", async () => {
    assert.equal(await new Request(post('x'), { body: null }).text(), 'x');
  });

  test('a body forbids GET', () => {
    typeError(() => new Request(post('x'), { method: 'GET' }));
    typeError(() => new Request(post('x'), { method: 'HEAD', body: null }));
  });

  test('not of one that is used or locked; and nothing is used when it fails', async () => {
    const used = post('x');
    await used.text();
    typeError(() => new Request(used));
    const locked = post('x');
    locked.body.getReader();
    typeError(() => new Request(locked));
    const fine = post('x');
    typeError(() => new Request(fine, { mode: 'navigate' }));
    assert.equal(await fine.text(), 'x');
  });

  test('init wins', () => {
    const first = new Request(URL_A, { headers: { a: '1' }, referrer: 'http://r.test/', referrerPolicy: 'origin' });
    const second = new Request(first, { method: 'PUT', headers: { b: '2' } });
    assert.deepEqual([...second.headers], [['b', '2']]);
    assert.equal(second.method, 'PUT');
    assert.deepEqual([new Request(first, {}).referrer, new Request(first).referrerPolicy], ['http://r.test/', 'origin']);
  });

  test("of the runtime's", async () => {
    const foreign = new native.Request(URL_A, { method: 'POST', body: 'x', headers: { a: '1' } });
    const request = new Request(foreign);
    assert.deepEqual([request.url, request.method, request.headers.get('a')], [URL_A, 'POST', '1']);
    assert.equal(foreign.bodyUsed, true);
    assert.equal(await request.text(), 'x');
    typeError(() => new Request(foreign));
  });
});

describe('Request: signal', () => {
  test('it follows', () => {
    const controller = new AbortController();
    const request = new Request(URL_A, { signal: controller.signal });
    const second = new Request(request);
    const third = second.clone();
    assert.notEqual(request.signal, controller.signal);
    let heard = 0;
    third.signal.addEventListener('abort', () => {
      heard++;
    });
    controller.abort('why');
    for (const one of [request, second, third]) assert.deepEqual([one.signal.aborted, one.signal.reason], [true, 'why']);
    assert.equal(heard, 1);
  });

  test('one that is aborted already', () => {
    const request = new Request(URL_A, { signal: AbortSignal.abort('why') });
    assert.deepEqual([request.signal.aborted, request.signal.reason], [true, 'why']);
    assert.equal(request.clone().signal.aborted, true);
  });

  test('null follows nothing, and anything else is refused', () => {
    const aborted = new Request(URL_A, { signal: AbortSignal.abort() });
    assert.equal(new Request(aborted, { signal: null }).signal.aborted, false);
    assert.equal(new Request(aborted, { signal: undefined }).signal.aborted, true);
    for (const signal of [{}, 'x', 1, true]) typeError(() => new Request(URL_A, { signal }));
  });
});

describe('Request: clone', () => {
  test('all goes along', async () => {
    const request = post('text', { headers: { a: '1' }, cache: 'no-store' });
    const other = request.clone();
    request.headers.set('a', '2');
    assert.deepEqual([other.url, other.method, other.headers.get('a'), other.cache], [URL_A, 'POST', '1', 'no-store']);
    assert.deepEqual(await Promise.all([request.text(), other.text()]), ['text', 'text']);
    other.headers.set('a', '3');
  });

  test('not when used or locked', async () => {
    const used = post('x');
    await used.text();
    typeError(() => used.clone());
    const locked = post('x');
    locked.body.getReader();
    typeError(() => locked.clone());
    assert.equal(new Request(URL_A).clone().body, null);
  });
});

describe('Request: the class', () => {
  test("it is the runtime's, to instanceof", () => {
    const request = new Request(URL_A);
    assert.ok(request instanceof native.Request);
    assert.equal(Object.getPrototypeOf(Request), native.Request);
    assert.equal(Object.prototype.toString.call(request), '[object Request]');
    assert.equal(Request.length, 1);
    assert.match(inspect(request), /Request[^]*a\.test/);
  });

  test("nothing of the runtime's is left to fail on ours", () => {
    const request = new Request(URL_A);
    for (const key of Object.getOwnPropertyNames(native.Request.prototype)) {
      assert.ok(Object.hasOwn(Request.prototype, key), key);
      void request[key];
    }
    if (globalThis.Deno) assert.match(Deno.inspect(request), /Request[^]*a\.test/);
    if (globalThis.Bun) assert.match(Bun.inspect(request), /Request[^]*a\.test/);
  });

  test('accessors are enumerable, and of Requests only', () => {
    for (const name of [
      'url',
      'method',
      'headers',
      'signal',
      'mode',
      'cache',
      'credentials',
      'redirect',
      'referrer',
      'integrity',
      'keepalive',
      'body',
      'bodyUsed',
      'duplex',
    ]) {
      const property = Object.getOwnPropertyDescriptor(Request.prototype, name);
      assert.equal(property.enumerable, true, name);
      typeError(() => property.get.call({}));
    }
  });
});
