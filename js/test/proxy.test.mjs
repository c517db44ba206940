// Responses that come from elsewhere: of fetch, copied in every way, with the fields of the upstream's connection in them; of the
// runtime, with what it infers; of other libraries.
import assert from 'node:assert/strict';
import http from 'node:http';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import zlib from 'node:zlib';

import { serve, Response as Ours } from '../index.mjs';

const TEXT = 'Some text, which is long enough to be worth the coding. '.repeat(40);
const CODERS = { gzip: zlib.gzipSync, deflate: zlib.deflateSync, br: zlib.brotliCompressSync };

// What `handler` answers, as it came over the connection: { status, headers, content }.
async function answerOf(handler, { method = 'GET' } = {}) {
  const onError = (error) => new Response(`${error.code} ${error.message}`, { status: 500 });
  const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {}, onError }, handler);
  try {
    return await new Promise((resolve, reject) => {
      const request = http.request({ port: server.addr.port, host: '127.0.0.1', agent: false, method }, async (response) => {
        const pieces = [];
        try {
          for await (const piece of response) pieces.push(piece);
        } catch (error) {
          reject(error);
        }
        resolve({ status: response.statusCode, headers: response.headers, content: Buffer.concat(pieces) });
      });
      request.on('error', reject);
      request.end();
    });
  } finally {
    await server.shutdown({ deadline: 0 });
  }
}

const shout = () => new TransformStream({ transform: (chunk, controller) => controller.enqueue(chunk) });

const WAYS = {
  'as it is': (r) => r,
  'body and init': (r) => new Response(r.body, r),
  'body and init, ours': (r) => new Ours(r.body, r),
  'headers copied': (r) => new Response(r.body, { headers: new Headers(r.headers) }),
  'headers as an object': (r) => new Response(r.body, { headers: Object.fromEntries(r.headers) }),
  wrapped: (r) => new Response(r.body.pipeThrough(shout()), r),
  'wrapped, ours': (r) => new Ours(r.body.pipeThrough(shout()), r),
  'as text': async (r) => new Response(await r.text(), r),
  'as text, ours': async (r) => new Ours(await r.text(), r),
  'as bytes': async (r) => new Response(await r.arrayBuffer(), r),
  'as a blob, ours': async (r) => new Ours(await r.blob(), r),
  clone: (r) => r.clone(),
};

describe('proxied', () => {
  let upstream, origin;
  before(async () => {
    upstream = http.createServer((request, response) => {
      const [, kind] = request.url.split('/');
      response.setHeader('x-kept', 'yes');
      response.setHeader('x-private', 'of the connection');
      response.setHeader('connection', 'keep-alive, x-private');
      response.setHeader('keep-alive', 'timeout=5');
      if (kind === 'chunked') {
        response.write(TEXT.slice(0, 10));
        response.end(TEXT.slice(10));
        return;
      }
      const content = kind === 'plain' ? Buffer.from(TEXT) : CODERS[kind](TEXT);
      if (kind !== 'plain') response.setHeader('content-encoding', kind);
      response.setHeader('content-length', content.length);
      response.end(content);
    });
    await new Promise((resolve) => {
      upstream.listen(0, '127.0.0.1', resolve);
    });
    origin = `http://127.0.0.1:${upstream.address().port}`;
  });
  after(() => {
    upstream.close();
    upstream.closeAllConnections();
  });

  for (const kind of ['plain', 'chunked', ...Object.keys(CODERS)])
    for (const [name, way] of Object.entries(WAYS))
      test(`${kind}, ${name}`, { skip: globalThis.Deno && kind === 'deflate' && 'its fetch does not decode it' }, async () => {
        const { status, headers, content } = await answerOf(async () => way(await fetch(`${origin}/${kind}`)));
        assert.equal(content.toString(), TEXT);
        assert.equal(status, 200);
        assert.deepEqual(
          [headers['x-kept'], headers['x-private'], headers['keep-alive'], headers['content-encoding']],
          ['yes', undefined, undefined, undefined],
        );
        if (headers['content-length'] !== undefined) assert.equal(Number(headers['content-length']), TEXT.length);
      });

  test('HEAD keeps what is said of the content', async () => {
    const way = async () => fetch(`${origin}/plain`, { method: 'HEAD' });
    const { headers, status } = await answerOf(way, { method: 'HEAD' });
    assert.deepEqual([status, headers['content-length'], headers['keep-alive']], [200, String(TEXT.length), undefined]);
  });
});

describe('content that is coded by the handler', () => {
  for (const [coding, coder] of Object.entries(CODERS)) {
    const coded = coder(TEXT);
    const init = { headers: { 'content-encoding': coding, 'content-length': String(coded.length) } };
    const slowly = (first = 50) =>
      new ReadableStream({
        async pull(controller) {
          const length = this.at === undefined ? first : 50;
          this.at = this.at ?? 0;
          await new Promise((resolve) => {
            setTimeout(resolve, 1);
          });
          controller.enqueue(new Uint8Array(coded.subarray(this.at, this.at + length)));
          this.at += length;
          if (this.at >= coded.length) controller.close();
        },
      });
    const make = {
      bytes: () => new Response(coded, init),
      'bytes, ours': () => new Ours(coded, init),
      'a stream': () => new Response(slowly(), init),
      'a stream, ours': () => new Ours(slowly(), init),
      'a stream that begins with one byte, ours': () => new Ours(slowly(1), init),
      'a blob, ours': () => new Ours(new Blob([coded]), init),
    };
    for (const [name, response] of Object.entries(make))
      test(`${coding}: ${name}`, async () => {
        const { status, headers, content } = await answerOf(response);
        assert.deepEqual([status, headers['content-encoding'], headers['content-length']], [200, coding, String(coded.length)]);
        assert.ok(content.equals(coded));
      });
  }

  test('a large Blob keeps the length that it was given', async () => {
    const blob = new Blob(Array(10).fill('x'.repeat(100_000))); // comes in pieces, so its length is not known by itself
    const { headers, content } = await answerOf(() => new Ours(blob, { headers: { 'content-length': '1000000' } }));
    assert.deepEqual([headers['content-length'], content.length], ['1000000', 1_000_000]);
  });

  test('a coding that nobody knows is left alone', async () => {
    const { headers } = await answerOf(() => new Response('x', { headers: { 'content-encoding': 'x-mine' } }));
    assert.equal(headers['content-encoding'], 'x-mine');
  });
});

describe('fields that do not fit', () => {
  for (const [name, Class] of Object.entries({ runtime: Response, ours: Ours }))
    test(name, async () => {
      for (const length of ['7', '1', 'x', '1, 1', '-1']) {
        const { status, headers, content } = await answerOf(() => new Class('abc', { headers: { 'content-length': length } }));
        assert.deepEqual([status, headers['content-length'], String(content)], [200, '3', 'abc'], length);
      }
      // Not within a turn, or its length would be known.
      const late = async function* () {
        for (let i = 0; i < 5; i++)
          await new Promise((resolve) => {
            setImmediate(resolve);
          });
        yield new TextEncoder().encode('abc');
      };
      const sent = await answerOf(() => new Class(Readable.toWeb(Readable.from(late())), { headers: { 'content-length': '' } }));
      assert.deepEqual([sent.status, sent.headers['content-length'], String(sent.content)], [200, undefined, 'abc']);
      const hop = { te: 'trailers', trailer: 'x', upgrade: 'h2c', 'proxy-connection': 'close', 'transfer-encoding': 'gzip, chunked' };
      const { status, headers } = await answerOf(() => new Class('abc', { headers: hop }));
      assert.equal(status, 200);
      for (const field of Object.keys(hop)) assert.equal(headers[field], undefined, field);
      const { headers: closing } = await answerOf(() => new Class('abc', { headers: { connection: 'close' } }));
      assert.equal(closing.connection, 'close');
    });
});

describe("the runtime's own Response keeps what it infers", () => {
  const form = new FormData();
  form.set('a', '1');
  const typeOf = async (response) => (await answerOf(response)).headers['content-type'];

  test('of a string, a Blob and parameters', async () => {
    assert.match(await typeOf(() => new Response('<b>x</b>')), /^text\/plain;\s?charset=utf-8$/i);
    if (!globalThis.Bun) assert.match(await typeOf(() => new Response(null, new Response('x'))), /^text\/plain;/); // Bun notes it late
    assert.equal(await typeOf(() => new Response(new Blob(['x'], { type: 'image/png' }))), 'image/png');
    assert.match(await typeOf(() => new Response(new URLSearchParams('a=1'))), /^application\/x-www-form-urlencoded;\s?charset=utf-8$/i);
    assert.equal(await typeOf(() => new Response(new Uint8Array(1))), undefined);
    assert.equal(await typeOf(() => new Response('x', { headers: { 'content-type': 'text/html' } })), 'text/html');
    assert.match(await typeOf(() => Response.json(1)), /^application\/json/);
  });

  test('of a form, with its boundary', async () => {
    const { headers, content } = await answerOf(() => new Response(form));
    const [, boundary] = /^multipart\/form-data; ?boundary=(.+)$/.exec(headers['content-type']);
    assert.ok(String(content).startsWith(`--${boundary}\r\n`));
  });
});

describe('a Response by its shape', () => {
  const make = {
    'a web stream': () => ({ status: 201, headers: new Headers({ a: 'b' }), body: new Blob(['x']).stream() }),
    "a stream of Node's": () => ({ status: 201, headers: new Map([['A', 'b']]), body: Readable.from([Buffer.from('x')]) }),
    'a string': () => ({ status: 201, headers: new Map([['a', 'b']]), body: 'x' }),
    bytes: () => ({ status: 201, headers: new Headers({ a: 'b' }), body: new Uint8Array([120]) }),
    'what extends nothing': () =>
      new (class {
        status = 201;
        get headers() {
          return new Headers({ a: 'b' });
        }
        get body() {
          return new Blob(['x']).stream();
        }
      })(),
  };
  for (const [name, response] of Object.entries(make))
    test(name, async () => {
      const { status, headers, content } = await answerOf(response);
      assert.deepEqual([status, headers.a, String(content)], [201, 'b', 'x']);
    });

  test('cookies one by one', async () => {
    const raw = () => ({ 'set-cookie': ['a=1', 'b=2'] });
    const headers = { forEach: (add) => add('a=1, b=2', 'Set-Cookie'), raw };
    assert.deepEqual((await answerOf(() => ({ status: 200, headers, body: null }))).headers['set-cookie'], ['a=1', 'b=2']);
  });

  test('what is no Response is refused', async () => {
    for (const value of [{}, { status: 200 }, { status: 200, headers: {}, body: null }, 'x', 1, null, undefined])
      assert.match(String((await answerOf(() => value)).content), /must return a Response/);
  });
});
