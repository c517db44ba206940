// Copies of a received Request, by the runtime's classes and by ours, and fetch of it; and clones, whose order of reading is free.
import assert from 'node:assert/strict';
import http from 'node:http';
import { test, describe, before, after } from 'node:test';

import { serve } from '../../index.mjs';
import { Request as Ours, native, requestOf, text, readAll, typeError } from './support.mjs';

const told = async (request) => `${request.method} ${request.headers.get('x-a')} ${await request.text()}`;

// What a handler may do with its request: by path.
const WAYS = {
  '/copy': (request) => told(new Request(request)),
  '/init': (request) => told(new Request(request, { headers: { 'x-a': '2' } })),
  '/url': (request) => told(new Request('http://other.test/', request)),
  '/subclass': (request) => told(new (class extends Request {})(request)),
  '/ours': (request) => told(new Ours(request)),
  '/ours-url': (request) => told(new Ours('http://other.test/', request)),
  '/fetch': (request) => passOn(fetch(new URL('/told', request.url), request)),
  '/fetch-it': (request) =>
    request.headers.has('x-passed') ? told(request) : passOn(fetch(request, { headers: { 'x-a': '1', 'x-passed': '1' } })),
  '/fetch-copy': (request) => passOn(fetch(new Request(new URL('/told', request.url), request))),
  '/fetch-ours': (request) => passOn(fetch(new Ours(new URL('/told', request.url), request))),
  '/told': told,
};
const passOn = async (response) => (await response).text();

describe('a received request, copied', () => {
  let server;
  before(() => {
    server = serve(
      { port: 0, hostname: '127.0.0.1', onListen() {}, onError: (error) => new Response(String(error), { status: 500 }) },
      async (request) => new Response(await WAYS[new URL(request.url).pathname](request)),
    );
  });
  after(() => server.shutdown({ deadline: 0 }));

  const ask = (path, method, pieces, chunked) =>
    new Promise((resolve, reject) => {
      const headers = { 'x-a': '1', 'x-hop': 'h', connection: 'keep-alive, x-hop' };
      if (chunked) headers['transfer-encoding'] = 'chunked';
      else if (pieces.length > 0) headers['content-length'] = pieces.join('').length;
      const request = http.request({ port: server.addr.port, host: '127.0.0.1', agent: false, path, method, headers }, async (response) => {
        let all = '';
        for await (const piece of response) all += piece;
        resolve(all);
      });
      request.on('error', reject);
      for (const piece of pieces) request.write(piece);
      request.end();
    });

  const long = 'x'.repeat(20000);
  for (const path of Object.keys(WAYS))
    test(path, async () => {
      const a = path === '/init' ? '2' : '1';
      assert.equal(await ask(path, 'GET', []), `GET ${a} `);
      assert.equal(await ask(path, 'DELETE', []), `DELETE ${a} `);
      assert.equal(await ask(path, 'POST', ['abc']), `POST ${a} abc`);
      assert.equal(await ask(path, 'POST', ['ab', 'c'], true), `POST ${a} abc`);
      assert.equal(await ask(path, 'PUT', [long]), `PUT ${a} ${long}`);
      // The runtime's classes have no content with GET; ours keep it, if they got it.
      const kept = ['/ours', '/ours-url', '/told'].includes(path);
      assert.equal(await ask(path, 'GET', ['abc']), `GET ${a} ${kept ? 'abc' : ''}`);
    });
});

describe('what goes into a copy', () => {
  const post = () =>
    requestOf({
      method: 'POST',
      fields: [
        'Host',
        'h',
        'Content-Length',
        '2',
        'Connection',
        'close, X-Hop',
        'X-Hop',
        '1',
        'Expect',
        '100-continue',
        'TE',
        'trailers',
        'X-A',
        'b',
      ],
      pieces: ['ab'],
    }).request;

  test('no field of the connection', () => {
    assert.deepEqual(
      [...new Request(post()).headers],
      [
        ['content-length', '2'],
        ['host', 'h'],
        ['x-a', 'b'],
      ],
    );
    assert.deepEqual(
      [...new Request('http://a/', post()).headers],
      [
        ['content-length', '2'],
        ['host', 'h'],
        ['x-a', 'b'],
      ],
    );
  });

  test('other content, and its length', async () => {
    const copy = new Request(post(), { body: 'other' });
    assert.equal(copy.headers.get('content-length'), null);
    assert.equal(await copy.text(), 'other');
  });

  test('the body, which is then used, and what init says', async () => {
    const request = post();
    const copy = new Request(request, { method: 'PUT', redirect: 'manual' });
    assert.deepEqual([request.bodyUsed, copy.method, copy.redirect, await copy.text()], [true, 'PUT', 'manual', 'ab']);
    typeError(() => new Request(request));
    typeError(() => new Request(post(), { method: 'GET' }));
  });

  test('the signal', () => {
    const { request, exchange } = requestOf();
    const copy = new Request(request);
    exchange.onend('client-reset');
    assert.equal(copy.signal.aborted, true);
  });

  test('fetch rejects, it does not throw', async () => {
    const request = post();
    await request.text();
    await assert.rejects(fetch(request), TypeError);
  });

  test('the classes of the runtime are what they were', () => {
    assert.ok(new Request('http://a/') instanceof native.Request);
    for (const made of [new Request('http://a/'), new Response('')]) assert.equal(made.constructor, globalThis[made.constructor.name]);
    assert.deepEqual([Request.name, fetch.name], ['Request', 'fetch']);
  });
});

describe('clones', () => {
  const sources = { now: () => ({ now: 'abc' }), pieces: () => ({ pieces: ['a', 'b', 'c'] }) };
  for (const [name, options] of Object.entries(sources)) {
    const post = () => requestOf({ method: 'POST', ...options() }).request;

    test(`${name}: one is read, then the other`, async () => {
      for (const firstIsClone of [true, false]) {
        const request = post();
        const clone = request.clone();
        const [first, second] = firstIsClone ? [clone, request] : [request, clone];
        assert.equal(await first.text(), 'abc');
        assert.deepEqual([first.bodyUsed, second.bodyUsed], [true, false]);
        assert.equal(await second.text(), 'abc');
      }
    });

    test(`${name}: three of them, and a clone of a clone`, async () => {
      const request = post();
      const clones = [request.clone(), request.clone(), request.clone()];
      clones.push(clones[1].clone());
      for (const clone of [...clones.reverse(), request]) assert.equal(await clone.text(), 'abc');
      typeError(() => request.clone());
    });

    test(`${name}: the body was looked at, or is tee'd`, async () => {
      const request = post();
      void request.body;
      const clone = request.clone();
      assert.equal(await clone.text(), 'abc');
      const [first, second] = request.body.tee();
      assert.deepEqual([await readAll(second), await readAll(first)], ['abc', 'abc']);
    });

    test(`${name}: one is given up, the other is read`, async () => {
      for (const keepClone of [true, false]) {
        const request = post();
        const clone = request.clone();
        const [kept, left] = keepClone ? [clone, request] : [request, clone];
        const reader = left.body.getReader();
        await reader.read();
        void reader.cancel(); // settles when both are given up
        assert.equal(await kept.text(), 'abc');
      }
    });

    test(`${name}: a clone goes into a new Request and a Response`, async () => {
      const request = post();
      assert.equal(await new Request(request.clone()).text(), 'abc');
      assert.equal(await new Ours(request.clone()).text(), 'abc');
      assert.equal(await new Response(request.clone().body).text(), 'abc');
      assert.equal(await request.text(), 'abc');
    });
  }

  test('a client that leaves fails both', async () => {
    const { request, exchange } = requestOf({ method: 'POST', pieces: ['a'], length: -1 });
    const clone = request.clone();
    const reader = clone.body.getReader();
    assert.equal(text((await reader.read()).value), 'a');
    const gone = new Error('gone');
    exchange.read = () => Promise.reject(gone);
    await assert.rejects(reader.read(), (error) => error === gone);
    await assert.rejects(request.text(), (error) => error === gone);
  });
});

describe('the stream of a body', () => {
  const post = () => requestOf({ method: 'POST', pieces: ['a', 'b'] }).request;

  test('is locked once the body was read', async () => {
    for (const request of [
      post(),
      requestOf({ method: 'POST', now: 'ab' }).request,
      new Ours('http://a/', { method: 'POST', body: 'ab' }),
    ]) {
      await request.text();
      assert.equal(request.body.locked, true);
      typeError(() => request.body.getReader());
    }
  });

  test('stays the same when a new Request takes the content', async () => {
    for (const Class of [Ours, Request]) {
      const request = post();
      const { body } = request;
      const copy = new Class(request);
      assert.equal(request.body, body);
      assert.deepEqual([body.locked, request.bodyUsed], [true, true]);
      typeError(() => body.getReader());
      assert.equal(await copy.text(), 'ab');
    }
  });
});
