// The request of carom/node, on a fake exchange.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { Readable } from 'node:stream';
import test from 'node:test';
import { accepted, createServer, FakeExchange, IncomingMessage, ticks } from './support.mjs';

test('the head of a request', () => {
  const fields = [
    'Host',
    'a',
    'X-One',
    '1',
    'x-one',
    '2',
    'Set-Cookie',
    'c=1',
    'Set-Cookie',
    'd=2',
    'Cookie',
    'a=1',
    'Cookie',
    'b=2',
    'Age',
    '1',
    'Age',
    '2',
  ];
  const { req } = accepted(new FakeExchange({ method: 'PUT', target: '/a?b', fields, content: new Uint8Array(1) }));
  assert.ok(req instanceof http.IncomingMessage && req instanceof IncomingMessage && req instanceof Readable);
  assert.deepEqual([req.method, req.url, req.httpVersion, req.httpVersionMajor, req.httpVersionMinor], ['PUT', '/a?b', '1.1', 1, 1]);
  assert.deepEqual(req.rawHeaders, fields);
  assert.deepEqual({ ...req.headers }, { host: 'a', 'x-one': '1, 2', 'set-cookie': ['c=1', 'd=2'], cookie: 'a=1; b=2', age: '1' });
  assert.deepEqual(req.headersDistinct['x-one'], ['1', '2']);
  assert.equal(req.complete, false);
  assert.equal(req.aborted, false);
  assert.equal(req.socket, req.connection);
  assert.deepEqual(
    [req.socket.remoteAddress, req.socket.remotePort, req.socket.remoteFamily, req.socket.encrypted],
    ['192.0.2.1', 4242, 'IPv4', false],
  );
  assert.deepEqual(req.socket.address(), { address: '192.0.2.2', family: 'IPv4', port: 80 });
  assert.equal(req.setTimeout(0), req);
});

test('content that has come whole', async () => {
  const { req } = accepted(new FakeExchange({ method: 'POST', content: Buffer.from('hello') }));
  const pieces = [];
  for await (const piece of req) pieces.push(piece);
  assert.ok(Buffer.isBuffer(pieces[0]));
  assert.equal(Buffer.concat(pieces).toString(), 'hello');
  assert.equal(req.complete, true);
});

test('content that has come whole is there for who reads it behind the response', async () => {
  const { req } = accepted(new FakeExchange({ method: 'POST', content: Buffer.from('hello') }), (request, res) => res.end());
  assert.equal(Buffer.concat(await req.toArray()).toString(), 'hello');
});

test('content in pieces, with trailers', async () => {
  const exchange = new FakeExchange({ method: 'POST', content: [Buffer.from('a'), Buffer.from('b')], trailers: ['X-Sum', '7'] });
  const { req } = accepted(exchange);
  req.setEncoding('utf8');
  let text = '';
  req.on('data', (piece) => {
    text += piece;
  });
  await once(req, 'end');
  assert.equal(text, 'ab');
  assert.equal(req.complete, true);
  assert.deepEqual({ ...req.trailers }, { 'x-sum': '7' });
  assert.deepEqual(req.rawTrailers, ['X-Sum', '7']);
});

test('what comes is received before somebody reads, but no more than there is room for', async () => {
  const content = Array.from({ length: 20 }, () => Buffer.alloc(16384));
  const exchange = new FakeExchange({ method: 'POST', content });
  const { req } = accepted(exchange);
  for (let i = 0; i < 10; i++) await ticks();
  const { reads } = exchange;
  assert.ok(reads > 0 && reads < 8, `${reads} reads`);
  req.on('readable', () => {});
  for (let i = 0; i < 10; i++) await ticks();
  assert.ok(exchange.reads < 8, `${exchange.reads} reads`);
});

test('content is complete when it has come, though nobody reads it', async () => {
  const { req } = accepted(new FakeExchange({ method: 'POST', content: [Buffer.from('a'), Buffer.from('b')] }));
  for (let i = 0; i < 10 && !req.complete; i++) await ticks();
  assert.equal(req.complete, true);
  assert.equal(Buffer.concat(await req.toArray()).toString(), 'ab'); // read() gives one piece on Node 26
});

test('who waits for a 100 is not told to send before somebody reads', async () => {
  const exchange = new FakeExchange({ method: 'POST', content: ['never'], fields: ['Host', 'a', 'Expect', '100-continue'] });
  const { res } = accepted(exchange);
  await ticks();
  res.statusCode = 413;
  res.end('no');
  await ticks();
  assert.equal(exchange.reads, 0);
});

test('no content', async () => {
  const { req } = accepted(new FakeExchange());
  assert.equal(req.complete, true);
  req.resume();
  await once(req, 'end');
});

test('content that nobody reads is left to the engine', async () => {
  const exchange = new FakeExchange({ method: 'POST', content: ['never'] });
  const { req, res } = accepted(exchange);
  res.end('a');
  await once(res, 'close');
  assert.equal(req.aborted, false);
  assert.equal(exchange.dropped, true);
});

test('who breaks off its reading leaves the content, and answers', async () => {
  const exchange = new FakeExchange({ method: 'POST', content: [Buffer.from('a'), 'never'] });
  const { req, res } = accepted(exchange);
  for await (const piece of req) {
    assert.equal(String(piece), 'a');
    break;
  }
  assert.equal(exchange.dropped, true);
  res.end('enough');
  assert.deepEqual(exchange.calls, [['respond', 200, [], 'enough']]);
});

test('content whose reader has paused is nobody’s behind the last response of a connection', async () => {
  for (const [connection, dropped] of [
    ['close', true],
    ['keep-alive', false],
  ]) {
    const exchange = new FakeExchange({ method: 'POST', fields: ['Connection', connection], content: [Buffer.from('a'), 'never'] });
    const { req, res } = accepted(exchange);
    await once(req, 'data');
    req.pause();
    res.end('enough');
    await once(res, 'close');
    assert.equal(exchange.dropped, dropped, connection);
  }
});

test('content goes on behind the response for who listens', async () => {
  const exchange = new FakeExchange({ method: 'POST', content: [Buffer.from('a'), Buffer.from('b')] });
  const { req, res } = accepted(exchange);
  let text = '';
  res.on('finish', () => req.on('data', (piece) => (text += piece)));
  res.end('early');
  await once(req, 'end');
  assert.deepEqual([text, exchange.kept, exchange.dropped], ['ab', true, false]);
});

test('Expect: 100-continue', () => {
  const server = createServer();
  const events = [];
  server.on('request', () => events.push('request'));
  const fields = ['Expect', '100-continue'];
  server.accept(new FakeExchange({ fields }));
  server.on('checkContinue', (req, res) => {
    events.push('checkContinue');
    res.writeContinue();
  });
  server.accept(new FakeExchange({ fields }));
  assert.deepEqual(events, ['request', 'checkContinue']);
});
