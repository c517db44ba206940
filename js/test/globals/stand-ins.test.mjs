// Our classes in the place of the runtime's: what else in the process uses those must notice nothing. Each check holds for the
// runtime's own classes, too: that is said first.
import assert from 'node:assert/strict';
import http from 'node:http';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { inspect } from 'node:util';
import { Worker } from 'node:worker_threads';

const native = { Headers, Request, Response, fetch, structuredClone };
const described = Object.fromEntries(
  ['Headers', 'Request', 'Response', 'fetch'].map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name).enumerable]),
);
const serveFirst = globalThis.Bun?.serve;
await import('../../index.mjs');
const untouched = Object.keys(native).every((name) => globalThis[name] === native[name]) && globalThis.Bun?.serve === serveFirst;
await import('../../globals.mjs');
const carom = await import('../../index.mjs');

const { Bun, Deno } = globalThis;
const WASM = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);
const unlike = (a, b) => (typeof a === typeof b ? false : `there is no such thing here`);

// A server of node:http that tells what came.
let upstream;
let origin;
before(async () => {
  upstream = http.createServer(async (request, response) => {
    let content = '';
    for await (const piece of request) content += piece;
    const { 'x-a': a = '', 'x-hop': hop = '', 'content-type': type = '' } = request.headers;
    response.setHeader('x-b', '2').end(`${request.method} ${request.url} a=${a} hop=${hop} type=${type.split(';')[0]} ${content}`);
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
const told = async (promise) => (await promise).text();

describe('the classes', () => {
  test('nothing was put in its place by carom itself', () => assert.ok(untouched));

  test('are ours, and are found as before', () => {
    for (const name of ['Headers', 'Request', 'Response']) {
      assert.equal(globalThis[name], carom[name]);
      assert.notEqual(globalThis[name], native[name]);
      assert.equal(Object.getOwnPropertyDescriptor(globalThis, name).enumerable, described[name]);
    }
    assert.equal(Object.getOwnPropertyDescriptor(globalThis, 'fetch').enumerable, described.fetch);
    assert.deepEqual([Headers.name, Request.name, Response.name, fetch.name], ['Headers', 'Request', 'Response', 'fetch']);
    assert.equal(typeof fetch, 'function');
  });

  test('instanceof holds both ways', async () => {
    for (const [name, args] of Object.entries({ Headers: [], Request: ['http://a/'], Response: ['x'] })) {
      const [ours, theirs] = [new globalThis[name](...args), new native[name](...args)];
      for (const object of [ours, theirs]) {
        assert.ok(object instanceof globalThis[name], name);
        assert.ok(object instanceof native[name], name);
        assert.equal(object.constructor, globalThis[name]);
      }
      for (const value of [{}, null, undefined, 1, globalThis[name].prototype.constructor]) assert.ok(!(value instanceof globalThis[name]));
    }
    const response = await fetch(`${origin}/`);
    await response.text();
    assert.ok(response instanceof Response && response.headers instanceof Headers);
  });

  test('may be extended, and a subclass has only its own', async () => {
    class Page extends Response {
      constructor(text) {
        super(`<p>${text}</p>`, { headers: { 'content-type': 'text/html' } });
      }
      get shouted() {
        return this.status * 2;
      }
    }
    const page = new Page('x');
    assert.ok(page instanceof Page && page instanceof Response && page instanceof native.Response);
    assert.ok(!(new Response() instanceof Page) && !(new native.Response() instanceof Page));
    assert.deepEqual([page.shouted, page.headers.get('content-type'), await page.text()], [400, 'text/html', '<p>x</p>']);
    class Query extends Request {}
    assert.equal(await told(fetch(new Query(`${origin}/q`, { method: 'POST', body: 'x' }))), 'POST /q a= hop= type=text/plain x');
    class OfNatives extends native.Response {}
    assert.ok(new OfNatives() instanceof Response);
  });

  test('have the statics of a Response', async () => {
    const { type, status } = Response.error();
    assert.deepEqual([type, status], ['error', 0]);
    const redirected = Response.redirect('http://a/b', 307);
    assert.deepEqual([redirected.status, redirected.headers.get('location')], [307, 'http://a/b']);
    const json = Response.json({ a: 1 }, { status: 201 });
    assert.deepEqual([json.status, json.headers.get('content-type'), await json.json()], [201, 'application/json', { a: 1 }]);
    for (const made of [Response.error(), redirected, json]) assert.ok(made instanceof Response && made instanceof native.Response);
  });

  test('look the same', () => {
    for (const [name, object] of Object.entries({
      Headers: new Headers(),
      Request: new Request('http://a/'),
      Response: new Response('x'),
    })) {
      assert.equal(Object.prototype.toString.call(object), `[object ${name}]`);
      assert.match(inspect(object), new RegExp(`^${name} `));
      if (Deno) assert.match(Deno.inspect(object), new RegExp(`^${name} `));
      if (Bun) assert.match(Bun.inspect(object), new RegExp(`^${name} `));
      assert.deepEqual(Object.keys(object), []);
    }
    assert.match(inspect(new Response('x', { status: 418 })), /418/);
  });
});

describe('bodies', () => {
  test('of every kind, and clones', async () => {
    const form = new FormData();
    form.set('a', 'b');
    form.set('f', new Blob(['file']), 'name.txt');
    for (const [body, type, content] of [
      ['text', /^text\/plain/, 'text'],
      [new Blob(['blob'], { type: 'image/png' }), /^image\/png$/, 'blob'],
      [new URLSearchParams({ a: '1' }), /^application\/x-www-form-urlencoded/, 'a=1'],
      [new TextEncoder().encode('bytes'), null, 'bytes'],
      [new Blob(['stream']).stream(), null, 'stream'],
      [form, /^multipart\/form-data; ?boundary=/, /name="a"\r\n\r\nb\r\n[^]*filename="name.txt"/],
    ]) {
      const response = new Response(body);
      const { headers } = response;
      if (type === null) assert.equal(headers.get('content-type'), null);
      else assert.match(headers.get('content-type'), type);
      const [first, second] = [await response.clone().text(), await response.text()];
      assert.equal(first, second);
      if (typeof content === 'string') assert.equal(first, content);
      else assert.match(first, content);
    }
    assert.equal((await new Response(form).formData()).get('a'), 'b');
    assert.equal(await (await new Response(form).formData()).get('f').text(), 'file');
  });

  test('go from ours to the runtime and back', async () => {
    for (const make of [() => 'abc', () => new Blob(['abc']), () => new Blob(['abc']).stream()]) {
      const there = new Response(make(), { status: 201, headers: { a: 'b' } });
      const init = new native.Response(there.body, there);
      assert.deepEqual([init.status, init.headers.get('a'), await init.text()], [201, 'b', 'abc']);
      assert.equal(there.bodyUsed, true);
      const theirs = new native.Response(make(), { status: 201, headers: { a: 'b' } });
      const back = new Response(theirs.body, theirs);
      assert.deepEqual([back.status, back.headers.get('a'), await back.text()], [201, 'b', 'abc']);
    }
  });

  test("ours are read by the runtime's methods, where those look by symbols", async () => {
    if (Object.getOwnPropertySymbols(new native.Response()).length === 0) return;
    const response = new Response('abc', { status: 202, headers: { a: 'b' } });
    for (const symbol of Object.getOwnPropertySymbols(new native.Response())) assert.equal(response[symbol], response[symbol]);
    assert.equal(await native.Response.prototype.clone.call(response).text(), 'abc');
    assert.equal(response.bodyUsed, false);
    assert.equal(await response.clone().text(), 'abc');
    assert.equal(await native.Response.prototype.text.call(response), 'abc');
    assert.equal(response.bodyUsed, true);
    await assert.rejects(response.text(), TypeError);
    assert.throws(() => response.clone(), TypeError);
    const read = new Response('abc');
    await read.text();
    assert.throws(() => native.Response.prototype.clone.call(read), TypeError);
  });
});

describe('fetch and Request', () => {
  test('fetch takes a Request of ours', async () => {
    assert.equal(await told(fetch(new Request(`${origin}/a`))), 'GET /a a= hop= type= ');
    const init = { method: 'PUT', body: 'up', headers: { 'x-a': '1' } };
    assert.equal(await told(fetch(new Request(`${origin}/b`, init))), 'PUT /b a=1 hop= type=text/plain up');
    assert.equal(await told(fetch(new Request(`${origin}/b`, init), { headers: { 'x-a': '2' } })), 'PUT /b a=2 hop= type= up');
    const used = new Request(`${origin}/b`, init);
    await fetch(used).then((response) => response.text());
    assert.equal(used.bodyUsed, true);
    await assert.rejects(fetch(used), TypeError);
  });

  test('fetch takes bodies and Headers of ours', async () => {
    const headers = new Headers([
      ['X-A', '1'],
      ['x-a', '3'],
    ]);
    assert.equal(await told(fetch(`${origin}/h`, { headers })), 'GET /h a=1, 3 hop= type= ');
    const { body } = new Response('of a response');
    assert.equal(await told(fetch(`${origin}/s`, { method: 'POST', body, duplex: 'half' })), 'POST /s a= hop= type= of a response');
  });

  test("the runtime's Request takes ours, where it looks by symbols, and ours takes its", async () => {
    const ours = () => new Request(`${origin}/r`, { method: 'POST', body: 'x', headers: { 'x-a': '1' } });
    if (Object.getOwnPropertySymbols(new native.Request('http://a/')).length > 0) {
      const theirs = new native.Request(ours());
      assert.deepEqual([theirs.method, theirs.url, theirs.headers.get('x-a'), await theirs.text()], ['POST', `${origin}/r`, '1', 'x']);
      assert.equal(await told(native.fetch(ours())), 'POST /r a=1 hop= type=text/plain x');
    }
    const mine = new Request(new native.Request(`${origin}/r`, { method: 'POST', body: 'x', headers: { 'x-a': '1' } }));
    assert.deepEqual([mine.method, mine.url, mine.headers.get('x-a'), await mine.text()], ['POST', `${origin}/r`, '1', 'x']);
  });

  test('an abort of ours reaches what the runtime does', async () => {
    const controller = new AbortController();
    const request = new Request(`${origin}/`, { signal: controller.signal });
    controller.abort(new Error('given up'));
    await assert.rejects(fetch(request), /given up/);
  });
});

describe('what else of the runtime takes them', () => {
  const streaming = unlike(WebAssembly.compileStreaming, () => {});
  test('WebAssembly.compileStreaming and instantiateStreaming', { skip: streaming }, async () => {
    const wasm = () => new Response(WASM, { headers: { 'content-type': 'application/wasm' } });
    assert.ok((await WebAssembly.compileStreaming(wasm())) instanceof WebAssembly.Module);
    assert.ok((await WebAssembly.compileStreaming(Promise.resolve(wasm()))) instanceof WebAssembly.Module);
    assert.ok((await WebAssembly.instantiateStreaming(wasm())).instance instanceof WebAssembly.Instance);
    await assert.rejects(WebAssembly.compileStreaming(new Response('<p>')), TypeError);
  });

  test("structuredClone does with ours what it does with the runtime's", () => {
    const outcome = (value) => {
      try {
        return Object.keys(structuredClone(value)).join();
      } catch (error) {
        return error.name;
      }
    };
    for (const [name, args] of Object.entries({ Headers: [], Request: ['http://a/'], Response: ['x'] }))
      assert.equal(outcome(new globalThis[name](...args)), outcome(new native[name](...args)), name);
    assert.deepEqual(structuredClone({ a: [1] }), { a: [1] });
  });

  test('Deno.serve', { skip: unlike(Deno?.serve, () => {}) }, async () => {
    const bodies = { '/text': 'hello', '/bytes': WASM, '/stream': () => new Blob(['str', 'eam']).stream(), '/null': null };
    const server = Deno.serve({ port: 0, hostname: '127.0.0.1', onListen() {} }, (request) => {
      assert.ok(request instanceof Request);
      const body = bodies[new URL(request.url).pathname];
      return new Response(typeof body === 'function' ? body() : body, { status: 201, headers: { 'x-b': 'c' } });
    });
    for (const [path, body] of Object.entries(bodies)) {
      const response = await fetch(`http://127.0.0.1:${server.addr.port}${path}`);
      assert.deepEqual([response.status, response.headers.get('x-b')], [201, 'c'], path);
      const expected = typeof body === 'function' ? body() : body;
      assert.deepEqual(await response.bytes(), await new Response(expected).bytes());
      if (path === '/text') assert.match(response.headers.get('content-type'), /^text\/plain/);
    }
    await server.shutdown();
  });

  test('Cache', { skip: unlike(globalThis.caches, {}) }, async () => {
    const cache = await caches.open(`carom-${process.pid}`);
    await cache.put(new Request('http://cached.test/a'), new Response('kept', { headers: { 'x-b': 'c' } }));
    const found = await cache.match(new Request('http://cached.test/a'));
    assert.ok(found instanceof Response);
    assert.deepEqual([found.headers.get('x-b'), await found.text()], ['c', 'kept']);
    assert.equal(await cache.delete(new Request('http://cached.test/a')), true);
    await caches.delete(`carom-${process.pid}`);
  });

  test('Bun.serve', { skip: unlike(Bun?.serve, () => {}) }, async () => {
    const options = (word) => ({
      port: 0,
      routes: {
        '/static': new Response(`${word} static`),
        '/by-method': { POST: (request) => new Response(`${word} posted ${request.method}`), GET: new Response(`${word} got`) },
        '/name/:name': (request) => Response.json([request.params.name]),
      },
      fetch(request, server) {
        const { pathname } = new URL(request.url);
        assert.ok(request instanceof Request && (server === undefined ? pathname === '/asked-within' : this === server));
        if (pathname === '/throws') throw new Error('thrown');
        if (pathname === '/native') return new native.Response('native');
        const response = new Response(pathname === '/stream' ? new Blob(['str', 'eam']).stream() : `${word} hello`, { status: 201 });
        return pathname === '/later' ? Promise.resolve(response) : response;
      },
      error: (error) => new Response(error.message, { status: 500 }),
    });
    const server = Bun.serve(options('first'));
    const get = async (path, init) => {
      const response = await fetch(new URL(path, server.url), init);
      return `${response.status} ${await response.text()}`;
    };
    assert.equal(await get('/'), '201 first hello');
    assert.equal(await get('/later'), '201 first hello');
    assert.equal(await get('/stream'), '201 stream');
    assert.equal(await get('/native'), '200 native');
    assert.equal(await get('/throws'), '500 thrown');
    assert.equal(await get('/static'), '200 first static');
    assert.equal(await get('/static'), '200 first static');
    assert.equal(await get('/by-method'), '200 first got');
    assert.equal(await get('/by-method', { method: 'POST' }), '200 first posted POST');
    assert.equal(await get('/name/x'), '200 ["x"]');
    assert.match((await fetch(server.url)).headers.get('content-type'), /^text\/plain/);
    server.reload(options('second'));
    assert.equal(await get('/'), '201 second hello');
    assert.equal(await told(server.fetch(new Request(`${server.url}asked-within`))), 'second hello');
    await server.stop(true);
  });

  test('HTMLRewriter and Bun.write', { skip: unlike(Bun?.write, () => {}) }, async () => {
    const rewriter = new HTMLRewriter().on('p', { element: (p) => p.setInnerContent('new') });
    const rewritten = rewriter.transform(new Response('<p>old</p>', { status: 202 }));
    assert.deepEqual([rewritten.status, rewritten instanceof Response, await rewritten.text()], [202, true, '<p>new</p>']);
    assert.equal(rewriter.transform('<p>old</p>'), '<p>new</p>');
    const folder = mkdtempSync(path.join(tmpdir(), 'carom-globals-'));
    try {
      const file = path.join(folder, 'a');
      await Bun.write(file, new Response('written'));
      assert.equal(readFileSync(file, 'utf8'), 'written');
      await Bun.file(file).write(new Response('anew'));
      assert.equal(readFileSync(file, 'utf8'), 'anew');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('programs', () => {
  test('a library that puts its own classes over the global ones', async () => {
    const before = { ...Object.getOwnPropertyDescriptors(globalThis) };
    const { getRequestListener } = await import('@hono/node-server');
    try {
      const server = http.createServer(
        getRequestListener(async (request) => new Response(`${request.method} ${await request.text()}`, { status: 201 })),
      );
      await new Promise((resolve) => {
        server.listen(0, '127.0.0.1', resolve);
      });
      const response = await fetch(`http://127.0.0.1:${server.address().port}/`, { method: 'POST', body: 'x' });
      assert.deepEqual([response.status, await response.text()], [201, 'POST x']);
      server.close();
      server.closeAllConnections();
    } finally {
      for (const name of ['Request', 'Response']) Object.defineProperty(globalThis, name, before[name]);
    }
  });

  test('a library with a class that is made by hand, as test doubles of browsers are', async () => {
    class Double {
      #inner = new Response('double', { status: 203 });
      clone() {
        return this.#inner.clone();
      }
    }
    Object.setPrototypeOf(Double.prototype, Response.prototype);
    const clone = new Double().clone();
    assert.ok(new Double() instanceof Response);
    assert.deepEqual([clone.status, await clone.text()], [203, 'double']);
  });

  test('serve takes both', async () => {
    const server = carom.serve({ port: 0, hostname: '127.0.0.1', onListen() {} }, async (request) => {
      assert.ok(request instanceof Request && request instanceof native.Request);
      const { pathname } = new URL(request.url);
      if (pathname === '/proxy') return fetch(`${origin}/proxied`, request);
      if (pathname === '/pass') return fetch(new Request(`${origin}/passed`, request));
      return pathname === '/native' ? new native.Response('native') : new Response('ours');
    });
    const at = `http://127.0.0.1:${server.addr.port}`;
    assert.equal(await told(fetch(`${at}/ours`)), 'ours');
    assert.equal(await told(fetch(`${at}/native`)), 'native');
    const init = { method: 'POST', body: 'x', headers: { 'x-a': '1', 'content-type': 'a/b' } };
    assert.equal(await told(fetch(`${at}/proxy`, init)), 'POST /proxied a=1 hop= type=a/b x');
    assert.equal(await told(fetch(`${at}/pass`, init)), 'POST /passed a=1 hop= type=a/b x');
    await server.shutdown();
  });

  test('a thread of its own has its own classes, and may have ours', async () => {
    const globals = new URL('../../globals.mjs', import.meta.url).href;
    const script = (first) => `
      import { parentPort } from 'node:worker_threads';
      const before = Response;
      ${first}
      const text = await new Response('from a thread').text();
      parentPort.postMessage([Response === before, text, new before() instanceof Response]);`;
    for (const [first, same] of [
      ['', true],
      [`await import(${JSON.stringify(globals)});`, false],
    ]) {
      const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(script(first))}`));
      const said = await new Promise((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
      assert.deepEqual(said, [same, 'from a thread', true]);
      await worker.terminate();
    }
  });
});
