// Clones of a Request, whose order of reading is free, and the stream of its body. What the runtime makes of one is in ../globals.
import assert from 'node:assert/strict';
import { test, describe } from 'node:test';

import requests from '../../src/globals/requests.js';
import { Request as Ours, native, looksInside, requestOf, text, readAll, typeError } from './support.mjs';

requests.letRuntimeTakeOurs(); // as a server does

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
    for (const Class of looksInside ? [Ours, native.Request] : [Ours]) {
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
