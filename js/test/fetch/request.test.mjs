// Request, case by case from the Fetch standard (5.4), and its laziness over an exchange.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { Request } from '../../index.mjs';

const { requestFromExchange } = createRequire(import.meta.url)('../../src/fetch/request.js');

test('what it is when nothing is said', () => {
  const request = new Request('http://a/b?c#d');
  const { url, method, mode, credentials, cache, redirect, referrer, referrerPolicy, integrity, keepalive, body } = request;
  assert.deepEqual(
    { url, method, mode, credentials, cache, redirect, referrer, referrerPolicy, integrity, keepalive, body },
    {
      url: 'http://a/b?c#d',
      method: 'GET',
      mode: 'cors',
      credentials: 'same-origin',
      cache: 'default',
      redirect: 'follow',
      referrer: 'about:client',
      referrerPolicy: '',
      integrity: '',
      keepalive: false,
      body: null,
    },
  );
  assert.ok(request.signal instanceof AbortSignal);
  assert.equal(request.duplex, 'half');
  assert.ok(request instanceof globalThis.Request);
});

test('URLs and methods', () => {
  for (const url of ['/relative', 'http://u:p@a/', '', 'nonsense']) assert.throws(() => new Request(url), TypeError);
  assert.throws(() => new Request(), TypeError);
  for (const [given, method] of [
    ['get', 'GET'],
    ['Post', 'POST'],
    ['patch', 'patch'],
    ['x-y', 'x-y'],
  ])
    assert.equal(new Request('http://a', { method: given }).method, method);
  for (const method of ['CONNECT', 'trace', 'Track', 'a b', '']) assert.throws(() => new Request('http://a', { method }), TypeError);
});

test('settings', () => {
  const init = {
    mode: 'same-origin',
    credentials: 'omit',
    cache: 'no-store',
    redirect: 'manual',
    referrer: 'http://a/x',
    referrerPolicy: 'origin',
    integrity: 'sha256-x',
    keepalive: true,
  };
  const request = new Request('http://a', init);
  const copy = new Request(request, { cache: 'reload' });
  for (const [name, value] of Object.entries(init)) {
    assert.equal(request[name], value);
    assert.equal(copy[name], name === 'cache' ? 'reload' : value);
  }
  for (const bad of [
    { mode: 'x' },
    { mode: 'navigate' },
    { credentials: 'x' },
    { cache: 'x' },
    { redirect: 'x' },
    { referrerPolicy: 'x' },
    { window: 1 },
    { duplex: 'full' },
    { referrer: 'http://' },
    { cache: 'only-if-cached' },
  ])
    assert.throws(() => new Request('http://a', bad), TypeError, JSON.stringify(bad));
});

test('bodies', async () => {
  const request = new Request('http://a', { method: 'POST', body: '{"a":1}' });
  assert.equal(request.headers.get('content-type'), 'text/plain;charset=UTF-8');
  assert.deepEqual(await request.json(), { a: 1 });
  await assert.rejects(request.text(), TypeError);
  for (const method of ['GET', 'HEAD']) assert.throws(() => new Request('http://a', { method, body: 'x' }), TypeError);
  const stream = () => new Blob(['x']).stream();
  assert.throws(() => new Request('http://a', { method: 'POST', body: stream() }), TypeError);
  assert.equal(await new Request('http://a', { method: 'POST', body: stream(), duplex: 'half' }).text(), 'x');
});

test('a request made of another takes its body', async () => {
  const first = new Request('http://a', { method: 'POST', body: 'x', headers: { a: 'b' } });
  const second = new Request(first, { headers: { c: 'd' } });
  assert.equal(first.bodyUsed, true);
  assert.equal(second.headers.get('a'), null);
  assert.equal(await second.text(), 'x');
  assert.throws(() => new Request(first), TypeError);
  const native = new globalThis.Request('http://a/n', { method: 'PUT', body: 'native' });
  const ours = new Request(native);
  assert.equal(ours.method, 'PUT');
  assert.equal(await ours.text(), 'native');
});

test('clones, and signals that follow', async () => {
  const controller = new AbortController();
  const request = new Request('http://a', { method: 'POST', body: 'x', signal: controller.signal });
  const clone = request.clone();
  assert.deepEqual(await Promise.all([request.text(), clone.text()]), ['x', 'x']);
  controller.abort(new Error('why'));
  assert.equal(request.signal.aborted, true);
  assert.equal(clone.signal.reason.message, 'why');
  assert.throws(() => new Request('http://a', { signal: {} }), TypeError);
  assert.equal(new Request(new Request('http://a', { signal: controller.signal }), { signal: null }).signal.aborted, false);
});

// What is let go is gone after a few collections; how soon is the runtime's to say.
async function collected(refs) {
  for (let i = 0; i < 100 && refs.some((ref) => ref.deref() !== undefined); i++) {
    await new Promise((resolve) => setImmediate(resolve));
    globalThis.gc();
  }
  return refs.filter((ref) => ref.deref() === undefined).length;
}

test('a signal that lives keeps no request, but tells who listens', {
  skip: (globalThis.gc === undefined || AbortSignal.any === undefined) && 'the runtime has no gc(), or no AbortSignal.any',
}, async () => {
  const controller = new AbortController();
  const refs = Array.from({ length: 100 }, () => {
    const request = new Request('http://a', { method: 'POST', body: 'x', signal: controller.signal });
    return new WeakRef(request.clone());
  });
  assert.ok((await collected(refs)) > 90);
  let told = 0;
  new Request('http://a', { signal: controller.signal }).signal.addEventListener('abort', () => told++);
  await collected([new WeakRef({})]);
  controller.abort();
  assert.equal(told, 1);
});

// ---------------------------------------------------------------- over an exchange

function fake({ target = '/p?q', method = 'GET', fields = ['Host', 'h:1', 'X-A', '1', 'x-a', '2'], content = null, pieces = [] } = {}) {
  const calls = [];
  const counted = (name, value) => {
    calls.push(name);
    return value;
  };
  return {
    calls,
    get method() {
      return counted('method', method);
    },
    get target() {
      return counted('target', target);
    },
    contentLength: content === null && pieces.length === 0 ? 0 : -1,
    rawFields: () => counted('rawFields', [...fields]),
    field(name) {
      const values = fields.filter((_, i) => i % 2 === 1 && fields[i - 1].toLowerCase() === name);
      return counted('field', values.length === 0 ? null : values.join(', '));
    },
    cachedUrl: () => ({ url: '' }),
    keepContent() {},
    contentNow() {
      const now = content;
      content = null;
      return counted('contentNow', now);
    },
    textNow() {
      const now = this.contentNow();
      return now === null ? null : new TextDecoder().decode(now);
    },
    read: () => Promise.resolve(counted('read', pieces.length > 0 ? new TextEncoder().encode(pieces.shift()) : null)),
    watch(fn) {
      this.ended = fn;
    },
  };
}

const over = (exchange) => requestFromExchange(exchange, () => 'http://origin:8');

test('nothing is decoded that is not looked at', () => {
  const exchange = fake();
  const request = over(exchange);
  assert.deepEqual(exchange.calls, []);
  assert.equal(request.headers.get('X-A'), '1, 2');
  assert.equal(request.headers.has('y'), false);
  assert.deepEqual(exchange.calls, ['field', 'field']);
  assert.deepEqual(
    [...request.headers],
    [
      ['host', 'h:1'],
      ['x-a', '1, 2'],
    ],
  );
  assert.throws(() => request.headers.set('a', 'b'), TypeError);
  assert.equal(request.url, 'http://h:1/p?q');
  assert.equal(request.url, 'http://h:1/p?q');
  assert.equal(exchange.calls.filter((call) => call === 'target').length, 1);
});

test('the URL of every form of target', () => {
  const url = (target, ...host) => over(fake({ target, fields: host.length > 0 ? ['Host', ...host] : [] })).url;
  assert.equal(url('/a/../b', 'h'), 'http://h/b');
  assert.equal(url('/a b', 'H:80'), 'http://h/a%20b');
  assert.equal(url('//x/y', 'h'), 'http://h//x/y');
  assert.equal(url('http://other/z', 'h'), 'http://other/z');
  assert.equal(url('*', 'h'), 'http://h/');
  assert.equal(url('/a', ''), 'http://origin:8/a');
  assert.equal(url('/a'), 'http://origin:8/a');
  assert.equal(url('/a', 'b@d'), 'http://origin:8/a');
  assert.equal(url('/a', '%'), 'http://origin:8/a');
});

test('content that is there, and content that comes', async () => {
  assert.equal(await over(fake({ content: new TextEncoder().encode('now') })).text(), 'now');
  assert.equal(await over(fake({ pieces: ['la', 'ter'] })).text(), 'later');
  assert.equal(over(fake()).body, null);
  const request = over(fake({ pieces: ['a', 'b'] }));
  const reader = request.body.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value), 'a');
  assert.equal(new TextDecoder().decode((await reader.read()).value), 'b');
  assert.equal((await reader.read()).done, true);
  reader.releaseLock();
  assert.equal(request.bodyUsed, true);
  await assert.rejects(request.text(), TypeError);
  const cloned = over(fake({ pieces: ['x'] }));
  const copy = cloned.clone();
  assert.deepEqual(await Promise.all([cloned.text(), copy.text()]), ['x', 'x']);
});

test('the signal aborts when the server says so', () => {
  const exchange = fake();
  const request = over(exchange);
  const { signal } = request;
  assert.equal(signal.aborted, false);
  exchange.ended('client-closed');
  assert.equal(signal.aborted, true);
  assert.equal(signal.reason.name, 'AbortError');
});

test('another body has another length', () => {
  const request = new Request('http://a/', { method: 'POST', headers: { 'content-length': '3', a: 'b' }, body: 'abc' });
  const other = new Request(request, { body: 'abcdef' });
  assert.deepEqual([...other.headers.keys()], ['a', 'content-type']);
  assert.equal(new Request(other, { headers: { 'content-length': '6' }, body: 'ghijkl' }).headers.get('content-length'), '6');
});
