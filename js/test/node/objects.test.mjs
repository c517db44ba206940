// What a server, a request and a response are to others: classes of node, channels of diagnostics, statuses and reason phrases.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { PerformanceObserver } from 'node:perf_hooks';
import test from 'node:test';
import { skip, start, createServer, FakeExchange } from './support.mjs';

const stop = (server) =>
  new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });

function deferred() {
  const made = {};
  made.promise = new Promise((resolve) => {
    made.resolve = resolve;
  });
  return made;
}

async function raw(port, text) {
  const client = net.connect(port, '127.0.0.1');
  client.end(text);
  return Buffer.concat(await client.toArray()).toString('latin1');
}

test('instances of the classes of node, and of those that were given', async () => {
  class MyRequest extends http.IncomingMessage {
    get mine() {
      return this.url;
    }
  }
  class MyResponse extends http.ServerResponse {
    send(text) {
      this.end(text);
    }
  }
  const exchange = new FakeExchange({ target: '/own' });
  const server = createServer({ IncomingMessage: MyRequest, ServerResponse: MyResponse }, (req, res) => {
    assert.ok(req instanceof MyRequest && res instanceof MyResponse);
    res.send(req.mine);
  });
  assert.ok(server instanceof http.Server && server instanceof net.Server);
  server.accept(exchange);
  assert.deepEqual(exchange.calls, [['respond', 200, [], '/own']]);
  await new Promise((resolve) => setImmediate(resolve)); // it is finished then
});

test('channels of diagnostics', { skip }, async (t) => {
  const seen = [];
  const begins = ({ request, response, socket, server }) => seen.push(['start', request.url, response.req === request, socket, server]);
  const ends = ({ request, response, server }) => seen.push(['finish', request.url, response.writableFinished, server]);
  subscribe('http.server.request.start', begins);
  subscribe('http.server.response.finish', ends);
  const { server, base } = await start(t, (req, res) => {
    assert.equal(seen.at(-1)[3], req.socket);
    res.end('x');
  });
  await (await fetch(`${base}/a`)).text();
  assert.deepEqual(
    seen.map((one) => one.slice(0, 3)),
    [
      ['start', '/a', true],
      ['finish', '/a', true],
    ],
  );
  assert.ok(seen[0][4] === server && seen[1][3] === server);
  unsubscribe('http.server.request.start', begins);
  unsubscribe('http.server.response.finish', ends);
  await stop(server);
});

// So does @opentelemetry/instrumentation-http, whose spans are those of the requests then.
test('who wraps emit of the servers of node is told of requests, and its context is that of the listener', { skip }, async (t) => {
  const context = new AsyncLocalStorage();
  const seen = [];
  for (const [{ prototype }, name, options] of [
    [http.Server, 'http', {}],
    [https.Server, 'https', { tls: 'dev' }],
  ]) {
    const { emit } = prototype;
    prototype.emit = function (event, ...args) {
      if (event !== 'request') return emit.call(this, event, ...args);
      const [request, response] = args;
      response.once('close', () => seen.push(`${name} ${request.url} ${response.statusCode}`));
      return context.run(`span of ${request.url}`, () => emit.call(this, event, ...args));
    };
    t.after(() => {
      delete prototype.emit; // what is inherited is there again
    });
    const { server, port } = await start(t, (req, res) => setImmediate(() => res.writeHead(201).end(context.getStore())), {
      carom: options,
    });
    const request = (name === 'http' ? http : https).get({ port, host: '127.0.0.1', path: '/a', rejectUnauthorized: false, agent: false });
    const [response] = await once(request, 'response');
    assert.equal(String(Buffer.concat(await response.toArray())), 'span of /a');
    await stop(server);
    assert.equal(seen.at(-1), `${name} /a 201`);
  }
});

test('observers of performance are told of requests', { skip }, async (t) => {
  const seen = [];
  const told = deferred();
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (entry.name === 'HttpRequest') seen.push(entry);
    if (seen.length > 0) told.resolve();
  });
  observer.observe({ type: 'http' });
  const { base } = await start(t, (req, res) => res.setHeader('X-A', 'b').end('x'));
  await (await fetch(`${base}/a`)).text();
  await told.promise;
  observer.disconnect();
  const [{ detail, duration }] = seen;
  assert.deepEqual([detail.req.method, detail.req.url, detail.res.statusCode, detail.res.headers['x-a']], ['GET', '/a', 200, 'b']);
  assert.ok(duration > 0);
});

test('Connection: keep-alive stands where the listener puts it, if it is so', { skip }, async (t) => {
  const { port } = await start(t, (req, res) => res.writeHead(200, { Connection: 'keep-alive', 'X-A': 'b' }).end());
  assert.match(
    await raw(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
    /^HTTP\/1.1 200 OK\r\nConnection: \S+\r\n(Keep-Alive: .*\r\n)?X-A: b\r\n/,
  );
  const closes = await raw(port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  assert.match(closes, /^HTTP\/1.1 200 OK\r\nConnection: close\r\nX-A: b\r\n/);
  assert.doesNotMatch(closes, /keep-alive/i);
});

test('shouldKeepAlive is what the request says of its connection', () => {
  for (const [version, said, keeps] of [
    [11, [], true],
    [11, ['Connection', 'keep-alive, X-A'], true],
    [11, ['Connection', 'X-A, Close'], false],
    [10, [], false],
    [10, ['Connection', 'Keep-Alive'], true],
    [20, [], true],
  ]) {
    const exchange = new FakeExchange({ version, fields: said });
    let found;
    createServer((req, res) => {
      found = res.shouldKeepAlive;
    }).accept(exchange);
    assert.equal(found, keeps, `${version} ${said}`);
  }
});

test('statuses and reason phrases as node has them', { skip }, async (t) => {
  const { server, port } = await start(t, (req, res) => {
    const [status, phrase] = req.url.slice(1).split('/');
    if (phrase === 'set') {
      res.statusCode = Number(status);
      res.statusMessage = 'Set \xfc';
    } else if (phrase !== undefined) res.writeHead(Number(status), decodeURIComponent(phrase));
    else res.writeHead(Number(status));
    if (req.method === 'POST') res.write('a');
    res.end('b');
  });
  for (const [path, line] of [
    ['/200', '200 OK'],
    ['/404', '404 Not Found'],
    ['/299', '299 unknown'],
    ['/999', '999 unknown'],
    ['/413', '413 Payload Too Large'],
    ['/422', '422 Unprocessable Entity'],
    ['/600/My%20Own', '600 My Own'],
    ['/200/Fine', '200 Fine'],
    ['/418/set', '418 Set \xfc'],
  ])
    for (const method of ['GET', 'POST'])
      assert.equal(
        (await raw(port, `${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)).split('\r\n')[0],
        `HTTP/1.1 ${line}`,
      );
  await stop(server);
});

test('HTTP/2 has no reason phrase', { skip }, async (t) => {
  const http2 = await import('node:http2');
  const { server, base } = await start(t, (req, res) => res.writeHead(200, 'Fine', { 'X-A': 'b' }).end('c'));
  const client = http2.connect(base);
  const stream = client.request({ ':path': '/' });
  const [headers] = await once(stream, 'response');
  assert.deepEqual([headers[':status'], headers['x-a']], [200, 'b']);
  stream.resume();
  await once(stream, 'close');
  client.close();
  await stop(server);
});

// RFC 9113, 8.2.3: crumbs are joined by a semicolon; what other lines have in common, by a comma.
test('the crumbs of a Cookie that come over HTTP/2 are one', { skip }, async (t) => {
  const http2 = await import('node:http2');
  const { server, base } = await start(t, (req, res) => res.end(JSON.stringify([req.headers.cookie, req.headers['x-a'], req.rawHeaders])));
  const client = http2.connect(base);
  const stream = client.request({ ':path': '/', cookie: ['a=1', 'b=2', 'c=3'], 'x-a': ['1', '2'] });
  const [cookie, other, raw] = JSON.parse(Buffer.concat(await stream.toArray()));
  assert.deepEqual([cookie, other], ['a=1; b=2; c=3', '1, 2']);
  assert.equal(raw.filter((word) => word.toLowerCase() === 'cookie').length, 1);
  client.close();
  await stop(server);
});

test('what node throws for, is thrown for', () => {
  for (const options of ['foo', 42, true, []]) assert.throws(() => createServer(options), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => createServer({}, 'foo'), { code: 'ERR_INVALID_ARG_TYPE' });
});
