// The same programs on our classes and on those of Node: they see the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Headers, Request, Response } from '../../index.mjs';

const OURS = { Headers, Request, Response };
const THEIRS = { Headers: globalThis.Headers, Request: globalThis.Request, Response: globalThis.Response };
const skip = (process.versions.bun || globalThis.Deno) && 'their classes differ from those of Node';
const IS_OLD = process.versions.node.startsWith('18.');

function alike(name, program) {
  test(name, { skip }, async () => {
    const theirs = await program(THEIRS);
    assert.deepEqual(await program(OURS), theirs);
  });
}

// What `act` gives, or the name of what it throws.
async function outcome(act) {
  try {
    return await act();
  } catch ({ name }) {
    return `throws ${name}`;
  }
}

async function outcomes(list) {
  const seen = [];
  for (const act of list) seen.push(await outcome(act));
  return seen;
}

const URL_ = 'http://a.test/';
const bytes = (...list) => Uint8Array.from(list);

// Debian's Node 18 joins those of set-cookie, as the standard once said.
const joinsCookies = !THEIRS.Headers.prototype.getSetCookie;

alike('iterating headers', ({ Headers: H }) => {
  const headers = new H([['b', '2'], ['Set-Cookie', 'x=1'], ['a', '1'], ...(joinsCookies ? [] : [['set-cookie', 'y=2']]), ['A', '3']]);
  const each = [];
  headers.forEach((value, name, all) => {
    each.push([name, value, all === headers]);
  });
  return [
    [...headers],
    [...headers.keys()],
    [...headers.values()],
    [...headers.entries()],
    headers.get('set-cookie'),
    joinsCookies || headers.getSetCookie(),
    each,
  ];
});

alike('headers of many kinds, and of none', ({ Headers: H }) =>
  outcomes(
    [
      undefined,
      null,
      5,
      'text',
      {},
      { a: '1', B: 2, c: null },
      [],
      [['a', '1']],
      [['a']],
      [['a', '1', '2']],
      new Map([['a', '1']]),
      new H({ a: '1' }),
      { 'na me': '1' },
      { a: 'x\ny' },
      { a: ' \t x \r\n' },
      { a: '\u20ac' },
    ].map((given) => () => [...new H(given)]),
  ),
);

alike('content is text, bytes, a form or a Blob', async ({ Response: R }) => {
  const form = new FormData();
  form.append('a', 'one');
  const contents = [
    'text',
    new String('an object'),
    5,
    bytes(1, 2, 3),
    bytes(1, 2, 3, 4).subarray(1, 3),
    bytes(1, 2, 3).buffer,
    new DataView(bytes(1, 2, 3).buffer, 1),
    new Blob(['blob']),
    new Blob(['blob'], { type: 'a/b' }),
    new URLSearchParams('a=b&c=d'),
    form,
    null,
    undefined,
  ];
  const seen = [];
  for (const content of contents) {
    const response = new R(content);
    const type = response.headers.get('content-type');
    const text = await response.clone().text();
    seen.push([
      type?.replace(/=-.*/, ''),
      content instanceof FormData ? text.includes('one') : text,
      response.body === null,
      response.bodyUsed,
    ]);
    seen.push([(await response.clone().arrayBuffer()).byteLength > 0, (await response.blob()).type.replace(/=-.*/, ''), response.bodyUsed]);
  }
  return seen;
});

alike('content of a stream is read in pieces, and cancelled', async ({ Response: R }) => {
  const seen = [];
  for (const content of ['text', bytes(1, 2, 3), new Blob(['blob'])]) {
    const reader = new R(content).body.getReader();
    const pieces = [];
    for (let next = await reader.read(); !next.done; next = await reader.read()) pieces.push(...next.value);
    seen.push(pieces);
    const cancelled = new R(content);
    await cancelled.body.cancel();
    seen.push(cancelled.bodyUsed, await outcome(() => cancelled.text()));
    const begun = new R(content);
    const left = begun.body.getReader();
    await left.read();
    await left.cancel();
    seen.push(begun.bodyUsed);
    if (IS_OLD) continue; // its streams of content take no buffers
    const byob = new R(content).body.getReader({ mode: 'byob' });
    const { value } = await byob.read(new Uint8Array(2));
    seen.push([...value]);
  }
  return seen;
});

alike('statuses, texts and types that may be, and others', ({ Response: R }) =>
  outcomes([
    ...[200, 204, 299, 599, '201', 201.9, 101, 199, 600, 0, NaN].map((status) => () => new R(null, { status }).status),
    ...[204, 205, 304].map((status) => () => new R('x', { status }).status),
    ...[undefined, '', 'Fine', 'no\nline', '\u20ac'].map((statusText) => () => new R(null, { statusText }).statusText),
    ...[undefined, null, {}, 5].map((init) => () => new R('x', init).headers.get('content-type')),
    () => new R('x', { headers: { 'Content-Type': 'a/b' } }).headers.get('content-type'),
    () => [...new R('x', { headers: { a: '1' } }).headers],
    () => R.error().type,
    () => R.redirect('http://b.test/', 307).headers.get('location'),
    () => R.redirect('http://b.test/', 200),
    async () => [R.json({ a: 1 }).headers.get('content-type'), await R.json({ a: 1 }, { status: 201 }).text()],
    () => R.json(undefined),
  ]),
);

alike('a request that is made of another', async ({ Request: Q }) => {
  const post = () => new Q(URL_, { method: 'POST', body: 'text', headers: { a: '1', 'content-type': 'a/b', 'content-length': '4' } });
  const shown = async (request) => [
    request.method,
    request.url,
    [...request.headers].filter(([name]) => name !== 'content-length'),
    await request.text(),
  ];
  const used = post();
  await used.text();
  return outcomes([
    async () => shown(new Q(post())),
    async () => shown(new Q(post(), { method: 'PUT' })),
    async () => shown(new Q(post(), { body: 'another' })),
    async () => shown(new Q(post(), { headers: { b: '2' } })),
    async () => shown(new Q(post(), { body: null })),
    async () => shown(new Q(post(), { method: 'GET' })),
    async () => shown(new Q(used)),
    async () => {
      const first = post();
      await new Q(first).text();
      return [first.bodyUsed, await outcome(() => first.text())];
    },
    async () => {
      const first = post();
      const second = first.clone();
      return [await first.text(), await second.text()];
    },
  ]);
});

alike('requests that cannot be', ({ Request: Q }) =>
  outcomes([
    ...['', 'a b', 'TRACE', 'connect', 'post', 'patch', 'get'].map((method) => () => new Q(URL_, { method }).method),
    () => new Q('/relative'),
    () => new Q('http://u:p@a.test/'),
    () => new Q(URL_, { body: 'x' }),
    () => new Q(URL_, { method: 'HEAD', body: 'x' }),
    () => new Q(URL_, { method: 'POST', body: new ReadableStream() }),
    () => new Q(URL_, { method: 'POST', body: new ReadableStream(), duplex: 'half' }).duplex,
    ...[5, {}, 'no'].map((signal) => () => new Q(URL_, { signal })),
    () => new Q(URL_, { signal: null }).signal.aborted,
    ...['mode', 'credentials', 'cache', 'redirect', 'referrerPolicy'].map((name) => () => new Q(URL_, { [name]: 'none such' })),
    () => new Q(URL_, { mode: 'navigate' }),
    () => new Q(URL_, { cache: 'only-if-cached' }),
  ]),
);

alike('a signal is followed', async ({ Request: Q }) => {
  const controller = new AbortController();
  const request = new Q(URL_, { signal: controller.signal });
  const copy = request.clone();
  const seen = [request.signal.aborted, copy.signal.aborted, request.signal === controller.signal];
  controller.abort(new Error('why'));
  const late = new Q(URL_, { signal: controller.signal });
  for (const { signal } of [request, copy, late]) seen.push(signal.aborted, signal.reason.message);
  return seen;
});
