// A Request over an exchange: nothing is asked of the exchange before somebody asks for it.
import assert from 'node:assert/strict';
import { test, describe } from 'node:test';

import { Request, Response, ORIGIN, requestOf, abortRequest, text, readAll, typeError, rejectsTypeError } from './support.mjs';

const post = (options) => requestOf({ method: 'POST', ...options });
const urlOf = (target, host) => requestOf({ target, fields: host === null ? [] : ['Host', host] }).request.url;

describe('over an exchange: nothing too early', () => {
  test('to make one asks for nothing', () => {
    const { exchange, request } = post({ pieces: ['x'] });
    void request.headers;
    assert.equal(exchange.total, 0);
    assert.equal(request.bodyUsed, false);
    assert.equal(exchange.total, 0);
  });

  test('method and url are asked for once', () => {
    const { exchange, request } = requestOf();
    assert.deepEqual([request.method, request.method, request.url, request.url], ['GET', 'GET', 'http://host.test/', 'http://host.test/']);
    assert.deepEqual([exchange.calls.method, exchange.calls.target, exchange.calls.rawFields], [1, 1, 0]);
  });

  test('get and has look for one field', () => {
    const { exchange, request } = requestOf({ fields: ['X-One', '1', 'x-one', '2'] });
    assert.equal(request.headers.get('X-ONE'), '1, 2');
    assert.equal(request.headers.has('x-two'), false);
    assert.deepEqual([exchange.calls.field, exchange.calls.rawFields], [2, 0]);
    typeError(() => request.headers.get('bad name'));
  });

  test('all fields are decoded once, when they are asked for', () => {
    const { exchange, request } = requestOf({ fields: ['X-Two', '2', 'x-one', '1', 'X-TWO', 'ü'] });
    assert.deepEqual(
      [...request.headers],
      [
        ['x-one', '1'],
        ['x-two', '2, ü'],
      ],
    );
    assert.deepEqual([...request.headers.keys()], ['x-one', 'x-two']);
    assert.equal(request.headers.get('x-two'), '2, ü');
    assert.deepEqual([exchange.calls.field, exchange.calls.rawFields], [0, 1]);
  });

  test('the headers are immutable, a new Request has its own', () => {
    const { request } = requestOf({ fields: ['a', '1'] });
    typeError(() => request.headers.set('a', '2'));
    typeError(() => request.clone().headers.set('a', '2'));
    const other = new Request(request);
    other.headers.set('a', '2');
    assert.deepEqual([request.headers.get('a'), other.headers.get('a')], ['1', '2']);
  });
});

describe('over an exchange: url', () => {
  test('of Host and target', () => {
    assert.equal(urlOf('/a?b=c', 'h.test:81'), 'http://h.test:81/a?b=c');
    assert.equal(urlOf('//x/y', 'h.test'), 'http://h.test//x/y');
    assert.equal(urlOf('/a/../b', 'H.TEST'), 'http://h.test/b');
    assert.equal(urlOf('/', '[::1]:80'), 'http://[::1]/');
    assert.equal(urlOf('*', 'h.test'), 'http://h.test/');
  });

  test('targets in absolute form', () => {
    assert.equal(urlOf('http://other.test/x', 'h.test'), 'http://other.test/x');
    assert.equal(urlOf('HTTPS://other.test', 'h.test'), 'https://other.test/');
    assert.equal(urlOf('http://', 'h.test'), `${ORIGIN}/`);
    assert.equal(urlOf('other.test:443', 'h.test'), `${ORIGIN}/`);
  });

  test('without a Host, or a bad one, the origin', () => {
    assert.equal(urlOf('/a', null), `${ORIGIN}/a`);
    for (const host of ['', 'a b', 'a/b', 'a?b', 'a#b', 'user@host', 'a\\b', 'h:x', '[', '%zz', 'a\tb'])
      assert.equal(urlOf('/a', host), `${ORIGIN}/a`, host);
  });

  test('credentials in the target do not hinder a clone', () => {
    const { request } = requestOf({ target: 'http://u:p@a.test/' });
    assert.equal(request.clone().url, request.url);
  });
});

describe('over an exchange: content', () => {
  test('none', async () => {
    const { exchange, request } = requestOf();
    assert.equal(request.body, null);
    assert.equal(await request.text(), '');
    assert.equal(exchange.calls.contentNow + exchange.calls.read, 0);
  });

  test('that has come whole is not waited for', async () => {
    const reads = { text: 'text', json: 'json', arrayBuffer: 'arrayBuffer', bytes: 'bytes' };
    for (const name of Object.keys(reads)) {
      const { exchange, request } = post({ now: '"x"' });
      await request[name]();
      assert.deepEqual([exchange.calls.contentNow, exchange.calls.read], [1, 0], name);
      assert.equal(request.bodyUsed, true);
      await rejectsTypeError(request.text());
    }
  });

  test('that comes in pieces', async () => {
    const { exchange, request } = post({ pieces: ['{"a"', ':1}'] });
    assert.deepEqual(await request.json(), { a: 1 });
    assert.equal(exchange.calls.read, 3);
    assert.equal(text(await post({ pieces: ['a', 'b'] }).request.bytes()), 'ab');
    assert.equal(await (await post({ pieces: ['a', 'b'], fields: ['Content-Type', 'a/b'] }).request.blob()).text(), 'ab');
  });

  test('forms', async () => {
    const { request } = post({ now: 'a=1&b=2', fields: ['Content-Type', 'application/x-www-form-urlencoded'] });
    assert.deepEqual(
      [...(await request.formData())],
      [
        ['a', '1'],
        ['b', '2'],
      ],
    );
  });

  test('as a stream, a piece for a pull', async () => {
    const { exchange, request } = post({ pieces: ['a', 'b'] });
    const reader = request.body.getReader();
    assert.equal(exchange.calls.read, 0);
    assert.equal(request.bodyUsed, false);
    assert.equal(text((await reader.read()).value), 'a');
    assert.equal(exchange.calls.read, 1);
    assert.equal(request.bodyUsed, true);
    assert.equal(text((await reader.read()).value), 'b');
    assert.equal((await reader.read()).done, true);
    await rejectsTypeError(request.text());
  });

  test('as a stream, whole, and into a buffer', async () => {
    assert.equal(await readAll(post({ now: 'whole' }).request.body), 'whole');
    const reader = post({ pieces: ['abc'] }).request.body.getReader({ mode: 'byob' });
    assert.equal(text((await reader.read(new Uint8Array(2))).value), 'ab');
    assert.equal(text((await reader.read(new Uint8Array(2))).value), 'c');
    assert.equal((await reader.read(new Uint8Array(2))).done, true);
  });

  test('a client that leaves fails what is read', async () => {
    for (const use of [(request) => request.text(), (request) => readAll(request.body), (request) => request.clone().text()]) {
      const { exchange, request } = post({ length: -1 });
      const gone = new Error('gone');
      exchange.read = () => Promise.reject(gone);
      await assert.rejects(use(request), (error) => error === gone);
    }
  });

  test('clone, and read both', async () => {
    for (const options of [{ now: 'ab' }, { pieces: ['a', 'b'] }]) {
      const { request } = post(options);
      const other = request.clone();
      assert.deepEqual(await Promise.all([request.text(), other.text()]), ['ab', 'ab']);
    }
  });

  test('it goes over to a new Request, which asks for it when it is read', async () => {
    const { exchange, request } = post({ pieces: ['a', 'b'] });
    const other = new Request(request);
    assert.equal(exchange.calls.read + exchange.calls.contentNow, 0);
    assert.equal(request.bodyUsed, true);
    typeError(() => request.clone());
    typeError(() => new Request(request));
    assert.equal(await other.text(), 'ab');
    const looked = post({ pieces: ['c'] }).request;
    void looked.body;
    assert.equal(await new Request(looked).text(), 'c');
  });

  test('it goes into a Response', async () => {
    assert.equal(await new Response(post({ pieces: ['a', 'b'] }).request.body).text(), 'ab');
  });
});

describe('over an exchange: signal', () => {
  test('made when asked for, aborted by the server', () => {
    const { exchange, request } = requestOf();
    assert.equal(exchange.calls.watch, 0);
    const { signal } = request;
    assert.equal(signal.aborted, false);
    abortRequest(request, 'client-closed');
    assert.equal(signal.aborted, true);
    assert.equal(signal.reason.name, 'AbortError');
    assert.equal(request.signal, signal);
  });

  test('aborted before it was asked for', () => {
    const { request } = requestOf();
    abortRequest(request, 'client-closed');
    assert.equal(request.signal.aborted, true);
  });

  test('it is heard from the exchange, but for a good end', () => {
    for (const [reason, aborted] of [
      ['complete', false],
      ['client-reset', true],
    ]) {
      const { exchange, request } = requestOf();
      const { signal } = request;
      const { signal: following } = new Request(request);
      exchange.onend(reason);
      assert.deepEqual([signal.aborted, following.aborted], [aborted, aborted]);
    }
  });
});
