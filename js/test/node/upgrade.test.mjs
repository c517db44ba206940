// Upgraded connections of carom/node, on a fake exchange.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import test from 'node:test';
import { createServer, FakeExchange, ticks } from './support.mjs';

const require = createRequire(import.meta.url);

test('upgrade', async () => {
  const exchange = new FakeExchange({ fields: ['Connection', 'keep-alive, Upgrade', 'Upgrade', 'echo'] });
  exchange.raw = [Buffer.from('one'), Buffer.from('two')];
  const server = createServer(() => assert.fail('not a request'));
  server.on('upgrade', (req, socket, head) => {
    assert.equal(req.upgrade, true);
    assert.equal(head.length, 0);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n');
    socket.write('Upgrade: echo\r\n\r\nhey');
    socket.pipe(socket);
  });
  server.accept(exchange);
  for (let i = 0; i < 5; i++) await ticks();
  assert.deepEqual(exchange.calls, [
    ['upgrade', 101, ['Upgrade', 'echo']],
    ['write', 'hey'],
    ['write', 'one'],
    ['write', 'two'],
    ['end', undefined],
  ]);
});

test('bytes behind the head of an upgrade are bytes', () => {
  const { RawHead } = require('../../src/node/raw-head.js');
  const bytes = Buffer.from([0x80, 0xff, 0, 13, 10]);
  const { status, rest } = new RawHead().take(Buffer.concat([Buffer.from('HTTP/1.1 101 Yes\r\n\r\n'), bytes]));
  assert.deepEqual([status, rest], [101, bytes]);
});

test('a head that a listener writes has names, and an end', () => {
  const { RawHead } = require('../../src/node/raw-head.js');
  const { fields } = new RawHead().take(Buffer.from('HTTP/1.1 101 Yes\r\n: no name\r\nKeep-Alive: timeout=9\r\na: b\r\n\r\n'));
  assert.deepEqual(fields, ['a', 'b']);
  const endless = new RawHead();
  const line = Buffer.from(`HTTP/1.1 101 ${'Yes'.repeat(10_000)}`);
  for (let i = 0; i < 2; i++) assert.equal(endless.take(line), null);
  assert.throws(() => endless.take(line), { code: 'ERR_INVALID_HTTP_RESPONSE' });
});

test('what an upgraded socket writes to a client that leaves is an error', async () => {
  const exchange = new FakeExchange({ fields: ['Connection', 'upgrade', 'Upgrade', 'echo'], room: 1 });
  exchange.raw = ['never'];
  const server = createServer();
  const written = new Promise((resolve) => {
    server.on('upgrade', (req, socket) => {
      socket.on('error', () => {});
      socket.write('HTTP/1.1 101 Yes\r\nUpgrade: echo\r\n\r\n');
      socket.write('more than there is room for', resolve);
    });
  });
  server.accept(exchange);
  await ticks();
  exchange.leave();
  assert.equal((await written).code, 'ECONNRESET');
});

// The reader may hear of it before the exchange does.
test('the loss of an upgraded connection that nobody listens for ends no process', async () => {
  for (const isHeard of [false, true]) {
    const exchange = new FakeExchange({ fields: ['Connection', 'upgrade', 'Upgrade', 'echo'] });
    exchange.raw = ['never'];
    const server = createServer();
    const errors = [];
    const closed = new Promise((resolve) => {
      server.on('upgrade', (req, socket) => {
        if (isHeard) socket.on('error', ({ code }) => errors.push(code));
        socket.on('close', resolve);
        socket.write('HTTP/1.1 101 Yes\r\nUpgrade: echo\r\n\r\n');
      });
    });
    server.accept(exchange);
    await ticks();
    exchange.rejectRead(new Error('lost'));
    await closed;
    assert.deepEqual(errors, isHeard ? ['ECONNRESET'] : []);
    exchange.leave();
  }
});

test('an upgrade that is ended unanswered', async () => {
  const exchange = new FakeExchange({ fields: ['Connection', 'upgrade', 'Upgrade', 'echo'] });
  const server = createServer(() => assert.fail('not a request'));
  server.on('upgrade', (req, socket) => socket.end());
  server.accept(exchange);
  for (let i = 0; i < 5; i++) await ticks();
  assert.deepEqual(exchange.calls, [['cancel']]);
});

test('an upgrade that is refused', async () => {
  const exchange = new FakeExchange({ fields: ['Connection', 'upgrade', 'Upgrade', 'echo'] });
  const server = createServer();
  server.on('upgrade', (req, socket) => {
    socket.write('HTTP/1.1 403 Forbidden\r\nX-A: b\r\n');
    socket.end('\r\nno');
  });
  server.accept(exchange);
  await ticks();
  assert.deepEqual(exchange.calls, [['beginRaw'], ['write', 'HTTP/1.1 403 Forbidden\r\nX-A: b\r\n\r\nno'], ['end', undefined]]);
});

test('a tunnel over HTTP/2 that is refused', async () => {
  const exchange = new FakeExchange({ method: 'CONNECT', target: 'a:1', version: 20, fields: [] });
  const server = createServer();
  server.on('connect', (req, socket) => {
    socket.write('HTTP/1.1 403 Forbidden\r\nX-A: b\r\nConnection: close\r\n\r\nn');
    assert.deepEqual(exchange.calls, []); // no bytes but in frames
    socket.end('o');
  });
  server.accept(exchange);
  await ticks();
  assert.deepEqual(exchange.calls, [['respond', 403, ['X-A', 'b'], 'no']]);
});

test('the time-out of an upgraded socket ends with it', async () => {
  const exchange = new FakeExchange({ fields: ['Connection', 'upgrade', 'Upgrade', 'echo'] });
  const server = createServer();
  let upgraded;
  server.on('upgrade', (req, socket) => {
    upgraded = socket.setTimeout(3_600_000);
  });
  server.accept(exchange);
  assert.equal(upgraded.timer.hasRef(), false);
  upgraded.destroy();
  assert.equal(upgraded.timer, null);
  await ticks();
});
