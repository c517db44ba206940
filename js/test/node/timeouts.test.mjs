// Time-outs of carom/node, on a fake exchange.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import test from 'node:test';
import { accepted, createServer, FakeExchange, ticks } from './support.mjs';

const require = createRequire(import.meta.url);
const { Socket } = require('../../src/node/socket.js');

test('time-outs', async () => {
  const exchange = new FakeExchange();
  const { res } = accepted(exchange);
  const timedOut = new Promise((resolve) => res.setTimeout(5, resolve));
  const waiting = setInterval(() => {}, 1000); // time-outs alone keep no process alive
  await timedOut;
  assert.deepEqual(exchange.calls, []);
  const other = new FakeExchange();
  const got = accepted(other);
  got.req.socket.setTimeout(5);
  await once(got.res, 'close');
  clearInterval(waiting);
  assert.deepEqual(other.calls, [['flush'], ['cancel']]);
});

test('the time of content ends with the exchange', async () => {
  const { req, res } = accepted(new FakeExchange({ method: 'POST', content: [Buffer.from('a'), Buffer.from('b')] }));
  const [{ timer }] = req.socket.transactions;
  assert.ok(timer.hasRef() === false && timer._destroyed === false);
  res.end();
  await ticks();
  assert.equal(timer._destroyed, true);
});

test('what is written moves the time-out of the socket', () => {
  const { res } = accepted(new FakeExchange());
  let moved = 0;
  res.socket.setTimeout(1000);
  res.socket.timer.refresh = () => moved++;
  res.write('x');
  assert.equal(moved, 1);
  res.end();
});

test('what is received moves it, too', async () => {
  const { req } = accepted(new FakeExchange({ method: 'POST', content: [Buffer.from('a'), Buffer.from('b')] }));
  let moved = 0;
  req.socket.setTimeout(1000);
  req.socket.timer.refresh = () => moved++;
  for await (const piece of req) assert.equal(piece.length, 1);
  assert.equal(moved, 3); // with the end
  req.socket.setTimeout(0);
});

test('an upgraded socket has one time-out', async () => {
  const server = createServer();
  let ran = 0;
  server.on('upgrade', (req, socket) => {
    socket.on('timeout', () => ran++);
    socket.setTimeout(1);
    socket.setTimeout(0);
  });
  server.accept(new FakeExchange({ fields: ['Connection', 'upgrade', 'Upgrade', 'echo'] }));
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(ran, 0);
});

test('what goes over an upgraded socket moves its time-out, which ends with it', async () => {
  const exchange = new FakeExchange({ fields: ['Connection', 'upgrade', 'Upgrade', 'echo'], room: 1 });
  exchange.raw = [Buffer.from('a'), 'never'];
  const server = createServer();
  const [socket] = await new Promise((resolve) => {
    server.on('upgrade', (req, ...given) => resolve(given));
    server.accept(exchange);
  });
  const ran = () => {};
  for (let i = 0; i < 20; i++) socket.setTimeout(60_000, ran).setTimeout(0, ran);
  assert.deepEqual([socket.listenerCount('timeout'), socket.listenerCount('close')], [0, 0]);
  socket.setTimeout(60_000, ran);
  const { timer } = socket;
  let moved = 0;
  timer.refresh = () => moved++;
  socket.write('HTTP/1.1 101 Yes\r\nUpgrade: echo\r\n\r\n');
  assert.equal(moved, 1);
  await ticks(); // 'a' has come
  assert.equal(moved, 2);
  socket.write('more than there is room for');
  assert.equal(moved, 3);
  exchange.drain();
  await ticks();
  assert.equal(moved, 4);
  const closed = once(socket, 'close');
  socket.destroy();
  await closed;
  assert.equal(socket.timer, null);
  assert.equal(socket.setTimeout(5), socket);
  assert.equal(socket.timer, null);
});

test('the time-out of a connection is for requests, and not for what it changes to', () => {
  const server = createServer()
    .on('upgrade', () => {})
    .on('connect', () => {});
  server.timeout = 60_000;
  for (const request of [{ fields: ['Connection', 'upgrade', 'Upgrade', 'echo'] }, { method: 'CONNECT', target: 'a:1' }, { version: 20 }]) {
    const connection = new Socket(server, { peer: { transport: 'unix' }, secure: false, close() {} });
    connection.setTimeout(server.timeout);
    const exchange = Object.assign(new FakeExchange(request), { connection });
    server.accept(exchange);
    assert.deepEqual([connection.timer, connection.timeout], [null, 0]);
    exchange.leave();
  }
});

test('no time runs behind a response', async () => {
  const { res } = accepted(new FakeExchange());
  const { socket } = res;
  let ran = 0;
  socket.setTimeout(1, () => ran++);
  res.end('x');
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual([socket.timer, ran], [null, 0]);
});

test('each request behind the first has the time-out of the server', async () => {
  const server = createServer();
  const connection = new Socket(server, { peer: { transport: 'unix' }, secure: false, close() {} });
  const seen = [];
  server.on('request', (req, res) => {
    seen.push(req.socket.timeout);
    res.setTimeout(60_000);
    res.end();
  });
  for (const timeout of [0, 0, 30_000]) {
    server.timeout = timeout;
    server.accept(Object.assign(new FakeExchange(), { connection }));
    await ticks();
  }
  assert.deepEqual(seen, [0, 0, 30_000]);
  connection.setTimeout(0);
});
