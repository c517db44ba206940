// Settings of a server: given, set before it listens, and set while it does.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import test from 'node:test';
import { skip, start, createServer } from './support.mjs';

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
  const server = createServer({ keepAliveTimeout: 5000, maxHeadersCount: 7, maxRequestsPerSocket: 'x' });
  assert.deepEqual([server.keepAliveTimeout, server.headersTimeout, server.keepAliveTimeoutBuffer], [5000, 10000, 1000]);
  assert.deepEqual([server.maxHeadersCount, server.maxRequestsPerSocket, server.maxConnections], [7, null, null]);
});

test('set while it listens', { skip }, async (t) => {
  const { server, port } = await start(t, (req, res) => res.end());
  assert.equal((await ask(port))['keep-alive'], 'timeout=75');
  server.keepAliveTimeout = 620_000;
  assert.equal((await ask(port))['keep-alive'], 'timeout=620');
  server.keepAliveTimeout = 0;
  assert.equal((await ask(port))['keep-alive'], undefined);
  server.maxRequestsPerSocket = 1;
  assert.equal((await ask(port)).connection, 'close');
  server.maxRequestsPerSocket = 0;
  assert.notEqual((await ask(port)).connection, 'close');
  server.maxConnections = 3;
  server.headersTimeout = 60_000;
  server.keepAliveTimeoutBuffer = 10;
  assert.throws(() => (server.maxHeadersCount = 5), { code: 'CAROM_ESTATE', message: /maxHeadersCount/ });
  assert.throws(() => (server.headersTimeout = 1e12), RangeError);
  assert.deepEqual([server.headersTimeout, server.maxHeadersCount], [60_000, null]);
  await stop(server);
  server.maxHeadersCount = 5;
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

test('an engine with threads of its own cannot be changed, and says so', { skip }, async (t) => {
  const { server } = await start(t, () => {}, { carom: { io: 'thread' } });
  assert.throws(() => (server.keepAliveTimeout = 1000), { code: 'CAROM_ESTATE', message: /keepAliveTimeout.*threads/ });
  assert.equal(server.keepAliveTimeout, 75000);
  await stop(server);
});

test('what is not there is refused by its name', () => {
  assert.throws(() => createServer({ insecureHTTPParser: true }), /insecureHTTPParser/);
  assert.throws(() => createServer({ requireHostHeader: false }), /requireHostHeader/);
  createServer({ insecureHTTPParser: false, requireHostHeader: true });
});
