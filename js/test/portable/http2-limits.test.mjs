// HTTP/2 on the portable engine: the rate of content, and the requests of a connection.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { serving } from './support.mjs';

const require = createRequire(import.meta.url);
const { ContentRate } = require('../../src/portable/content-rate.js');

function connect(t, { addr: { port } }) {
  const session = http2.connect(`http://127.0.0.1:${port}`).on('error', () => {});
  t.after(() => session.destroy());
  return session;
}

// A POST whose content begins with these bytes: its status, or null when the stream is reset.
function post(session, bytes) {
  const stream = session.request({ ':method': 'POST', ':path': '/' }).on('error', () => {});
  stream.write(bytes);
  const status = new Promise((resolve) => {
    stream.on('response', (headers) => resolve(headers[':status'])).on('close', () => resolve(null));
  });
  return { stream, status };
}

test('content must come at its rate while a handler waits for it', async (t) => {
  const server = serving(t, { contentWindow: 100 }, async (request) => new Response(await request.text()));
  const session = connect(t, server);
  const { stream, status } = post(session, 'x');
  const drip = setInterval(() => stream.write('y'), 20);
  assert.equal(await status, 408);
  clearInterval(drip);
  assert.equal(server.stats().timeouts, 1);
  assert.equal(server.stats().ended['body-timeout'], 1);
  const quick = post(session, Buffer.alloc(1000));
  quick.stream.end();
  assert.equal(await quick.status, 200);
});

test('and not while nobody waits', async (t) => {
  let [asked, read] = [];
  const [toSend, toRead] = [new Promise((resolve) => (asked = resolve)), new Promise((resolve) => (read = resolve))];
  const server = serving(t, { contentWindow: 1000 }, async (request) => {
    const reader = request.body.getReader();
    const first = reader.read();
    asked();
    await first;
    await toRead;
    while (!(await reader.read()).done);
    return new Response();
  });
  const session = connect(t, server);
  const { stream, status } = post(session, '');
  await toSend;
  stream.write(Buffer.alloc(100)); // less than a window asks for
  await new Promise((resolve) => setTimeout(resolve, 1100)); // a window passes
  stream.end();
  await new Promise((resolve) => session.ping(resolve)); // and what was sent has come
  read();
  assert.equal(await status, 200);
});

test('a connection has so many requests', async (t) => {
  const server = serving(t, { maxConnectionRequests: 2, keepAlive: 600_000 }, () => new Response('x')); // nothing else ends it
  const session = connect(t, server);
  const gone = once(session, 'goaway');
  for (const _ of [1, 2]) {
    const { stream, status } = post(session, 'x');
    stream.end();
    stream.resume();
    assert.equal(await status, 200);
  }
  await gone;
});

test('fields without values count for the limit of a section', async (t) => {
  const server = serving(t, { maxHeaderSection: 1024, maxFields: 500 }, () => new Response());
  for (const [count, status] of [
    [10, 200],
    [260, 431],
  ]) {
    const fields = Object.fromEntries(
      Array.from({ length: count }, (_, i) => [`${i % 10}${String.fromCharCode(97 + Math.floor(i / 10))}`, '']),
    );
    const [headers] = await once(connect(t, server).request(fields), 'response');
    assert.equal(headers[':status'], status);
  }
});

test('what is over a limit, or expects what nobody does, is refused', async (t) => {
  let calls = 0;
  const server = serving(t, { maxTarget: 20, maxFields: 4, maxContent: 10 }, async (request) => {
    calls++;
    return new Response(await request.text());
  });
  const session = connect(t, server);
  for (const [status, fields, content] of [
    [200, { ':path': `/${'a'.repeat(19)}` }],
    [414, { ':path': `/${'a'.repeat(20)}` }],
    [200, { a: '', b: '', c: '' }], // and host
    [431, { a: '', b: '', c: '', d: '' }],
    [200, { expect: '100-Continue' }, '0123456789'],
    [417, { expect: '200-ok' }],
    [200, {}, '0123456789'],
    [413, {}, '0123456789a'],
    [413, { 'content-length': '11' }],
  ]) {
    const before = calls;
    const stream = session.request({ ':method': content || fields['content-length'] ? 'POST' : 'GET', ':path': '/', ...fields });
    stream.on('error', () => {});
    if (content !== undefined) stream.end(content);
    const [headers] = await once(stream, 'response');
    assert.equal(headers[':status'], status, JSON.stringify(fields));
    if (status !== 413) assert.equal(calls - before, status === 200 ? 1 : 0);
    stream.close();
  }
});

test('a pause leaves what is left of a window', (t) => {
  let now = 1000;
  t.mock.method(performance, 'now', () => now);
  const rate = new ContentRate({ contentRate: 100, contentWindow: 60_000 }, () => {});
  rate.wait();
  now += 7000;
  rate.pause();
  now += 7000;
  rate.pause();
  assert.equal(rate.left, 53_000);
});
