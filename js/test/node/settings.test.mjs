// Settings of a server: given, set before it listens, and set while it does.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import test from 'node:test';
import { skip, start, createServer } from './support.mjs';
import { nativeOnly } from '../support.mjs';

const stop = (server) =>
  new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });

// The head of an answer on a connection that is kept, or may be.
async function ask(port, agent = new http.Agent({ keepAlive: true })) {
  const [response] = await once(http.get({ port, host: '127.0.0.1', agent }), 'response');
  response.resume();
  await once(response, 'end');
  agent.destroy();
  return response.headers;
}

test('defaults, and options', () => {
  const server = createServer({ keepAliveTimeout: 7000, maxHeadersCount: 7, maxRequestsPerSocket: 'x' });
  assert.deepEqual([server.keepAliveTimeout, server.headersTimeout, server.keepAliveTimeoutBuffer], [7000, 60000, 1000]);
  assert.deepEqual([createServer().keepAliveTimeout, createServer().requestTimeout], [5000, 300000]);
  assert.equal(createServer({ requestTimeout: 1000 }).headersTimeout, 1000);
  assert.equal(createServer({ requestTimeout: 0 }).headersTimeout, 60000);
  for (const name of ['headersTimeout', 'requestTimeout']) {
    assert.throws(() => createServer({ [name]: '1' }), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => createServer({ [name]: -1 }), { code: 'ERR_OUT_OF_RANGE' });
  }
  assert.throws(() => createServer({ headersTimeout: 2, requestTimeout: 1 }), { code: 'ERR_OUT_OF_RANGE' });
  assert.deepEqual([server.maxHeadersCount, server.maxRequestsPerSocket, server.maxConnections], [7, 0, null]);
});

test('set while it listens', { skip }, async (t) => {
  const { server, port } = await start(t, (req, res) => res.end());
  assert.equal((await ask(port))['keep-alive'], 'timeout=5');
  server.keepAliveTimeout = 620_000;
  assert.equal((await ask(port))['keep-alive'], 'timeout=620');
  server.keepAliveTimeout = 0;
  assert.equal((await ask(port))['keep-alive'], undefined);
  server.maxRequestsPerSocket = 1;
  assert.equal((await ask(port)).connection, 'close');
  server.maxRequestsPerSocket = 0;
  assert.notEqual((await ask(port)).connection, 'close');
  server.keepAliveTimeout = 7000;
  server.maxRequestsPerSocket = 3;
  assert.equal((await ask(port))['keep-alive'], 'timeout=7, max=3');
  server.keepAliveTimeout = 0;
  server.maxRequestsPerSocket = 0;
  server.maxConnections = 3;
  server.headersTimeout = 60_000;
  server.keepAliveTimeoutBuffer = 10;
  assert.throws(() => (server.keepAliveTimeout = 1e12), RangeError);
  assert.deepEqual([server.headersTimeout, server.keepAliveTimeout], [60_000, 0]);
});

test('headers are too slow for a time-out that was set while it listens', { skip }, async (t) => {
  const net = await import('node:net');
  const { server, port } = await start(t, () => assert.fail('not a request'), { headersTimeout: 0 });
  server.headersTimeout = 50;
  const client = net.connect(port, '127.0.0.1');
  client.write('GET / HTTP/1.1\r\n');
  let text = '';
  client.setEncoding('latin1').on('data', (data) => {
    text += data;
  });
  await once(client, 'close');
  assert.match(text, /^HTTP\/1\.1 408 /);
  await stop(server);
});

test('a time-out of headers that is set while it listens is one of the first byte, too', { skip }, async (t) => {
  const { server } = await start(t, () => {});
  const adjust = t.mock.method(server.handle, 'adjust');
  server.headersTimeout = 1234;
  assert.deepEqual(adjust.mock.calls[0].arguments, [{ headerTimeout: 1234, firstByteTimeout: 1234 }]);
});

test('of more fields than maxHeadersCount the last ones are left out', { skip }, async (t) => {
  const { server, port } = await start(t, (req, res) => res.end(Object.keys(req.headers).join()));
  const names = async (from = port) => {
    const [response] = await once(
      http.get({ port: from, host: '127.0.0.1', headers: { host: 'a', b: '1', c: '2' }, agent: false }),
      'response',
    );
    return Buffer.concat(await response.toArray()).toString();
  };
  assert.equal(await names(), 'host,b,c,connection');
  server.maxHeadersCount = 2;
  assert.equal(await names(), 'host,b');
  const { port: other } = await start(t, (req, res) => res.end(Object.keys(req.headers).join()), { maxHeadersCount: 2 });
  assert.equal(await names(other), 'host,b');
});

test('maxHeaderSize may be most of a page, beside many fields', { skip }, async (t) => {
  const { port } = await start(t, (req, res) => res.end(String(req.headers.large.length)), { maxHeaderSize: 56_000 });
  const [response] = await once(http.get({ port, host: '127.0.0.1', headers: { large: 'x'.repeat(52_000) }, agent: false }), 'response');
  assert.equal(Buffer.concat(await response.toArray()).toString(), '52000');
});

test('a target is no longer than maxHeaderSize', { skip }, async (t) => {
  const { base } = await start(t, (req, res) => res.end(), { maxHeaderSize: 1000 });
  const statusOf = async (length) => (await fetch(`${base}/${'a'.repeat(length)}`)).status;
  assert.deepEqual([await statusOf(500), await statusOf(1000)], [200, 414]);
});

test('content that comes later than requestTimeout is a 408, and told as clientError', { skip }, async (t) => {
  const net = await import('node:net');
  for (const heard of [false, true]) {
    const { server, port } = await start(t, (req) => req.on('error', () => {}).resume(), { requestTimeout: 50 });
    const told = heard ? once(server, 'clientError') : null;
    if (heard) server.on('clientError', (error, socket) => socket.end('HTTP/1.1 408 Mine\r\n\r\n'));
    const client = net.connect(port, '127.0.0.1');
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab');
    assert.match(
      Buffer.concat(await client.toArray()).toString(),
      heard ? /^HTTP\/1\.1 408 Mine\r\n\r\n$/ : /^HTTP\/1\.1 408 Request Timeout/,
    );
    if (heard) assert.equal((await told)[0].code, 'ERR_HTTP_REQUEST_TIMEOUT');
  }
});

test('a response that has begun cannot tell of content that is late: its connection ends', { skip }, async (t) => {
  const { port } = await start(
    t,
    (req, res) => {
      req.on('error', () => {}).resume();
      res.write('begun');
    },
    { requestTimeout: 50 },
  );
  const client = net.connect(port, '127.0.0.1');
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab');
  const text = Buffer.concat(await client.toArray()).toString();
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n[^]*begun\r\n$/);
});

test('who has sent FIN is answered still where that is said, before it listens or while it does', { skip }, async (t) => {
  for (const early of [true, false]) {
    const held = [];
    const { server, port } = await start(t, (req, res) => held.push(res), {});
    if (early) {
      await stop(server);
      server.httpAllowHalfOpen = true;
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    } else server.httpAllowHalfOpen = true;
    assert.equal(server.httpAllowHalfOpen, true);
    const client = net.connect(port, '127.0.0.1');
    client.end('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(client, 'finish');
    const another = fetch(`http://127.0.0.1:${port}/`); // FIN was there before it
    while (held.length < 2) await once(server, 'request');
    for (const res of held) res.end('answered');
    assert.match(Buffer.concat(await client.toArray()).toString(), /answered$/);
    assert.equal(await (await another).text(), 'answered');
  }
});

test('the time-out of sockets may be left out where its listener is given', () => {
  const server = createServer();
  const listener = () => {};
  server.timeout = 5;
  assert.equal(server.setTimeout(listener), server);
  assert.deepEqual([server.timeout, server.listeners('timeout')], [0, [listener]]);
});

test('an engine with threads of its own cannot be changed, and says so', {
  skip:
    skip || nativeOnly('options', 'there are no threads (`io`, `workers` are taken and mean nothing), so it can be changed while it runs'),
}, async (t) => {
  const { server } = await start(t, () => {}, { carom: { io: 'thread' } });
  assert.throws(() => (server.keepAliveTimeout = 1000), { code: 'CAROM_ESTATE', message: /keepAliveTimeout.*threads/ });
  assert.equal(server.keepAliveTimeout, 5000);
  await stop(server);
});

test('a request without Host is taken where that is said', { skip }, async (t) => {
  const listener = (req, res) => res.end(`host: ${req.headers.host}`);
  const { port } = await start(t, listener, { requireHostHeader: false });
  const [response] = await once(http.get({ port, host: '127.0.0.1', headers: [] }), 'response');
  assert.equal((await response.toArray()).join(''), 'host: undefined');
  const strict = await start(t, listener);
  const [refused] = await once(http.get({ port: strict.port, host: '127.0.0.1', headers: [] }), 'response');
  assert.equal(refused.resume().statusCode, 400);
});

test('more than a hundred fields are taken', { skip }, async (t) => {
  const { port } = await start(t, (req, res) => res.end(String(req.rawHeaders.length / 2)));
  const headers = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`x-${i}`, i]));
  const [response] = await once(http.get({ port, host: '127.0.0.1', headers, agent: false }), 'response');
  assert.equal((await response.toArray()).join(''), '502');
});

test('a client that says nothing is told that it is late', { skip }, async (t) => {
  const { server, port } = await start(t, () => assert.fail('no request'), { headersTimeout: 20 });
  const client = net.connect(port, '127.0.0.1');
  assert.equal(Buffer.concat(await client.toArray()).toString(), 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n');
  const late = once(server, 'clientError');
  net.connect(port, '127.0.0.1');
  const [error, socket] = await late;
  assert.equal(error.code, 'ERR_HTTP_REQUEST_TIMEOUT');
  socket.destroy();
});

test('a connection that is closed because nothing came is told as a timeout', { skip }, async (t) => {
  const { server, port } = await start(t, (req, res) => res.end(), { keepAliveTimeout: 20, keepAliveTimeoutBuffer: 0 });
  const told = once(server, 'timeout');
  const client = net.connect(port, '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const [socket] = await told;
  assert.equal(socket.remotePort, client.localPort);
  await client.toArray();
});

test('what is not there is refused by its name', () => {
  assert.throws(() => createServer({ insecureHTTPParser: true }), /insecureHTTPParser/);
  createServer({ insecureHTTPParser: false });
});
