// carom/node on a fake exchange.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { createRequire } from 'node:module';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import test from 'node:test';
import { createServer, FakeExchange, IncomingMessage, ServerResponse } from './support.mjs';

const require = createRequire(import.meta.url);
const { Socket } = require('../../src/node/socket.js');

// Give an exchange to a listener; what the listener got.
function serve(exchange, listener = () => {}) {
  let got;
  createServer((req, res) => {
    got = { req, res };
    listener(req, res);
  }).accept(exchange);
  return got;
}

const ticks = () => new Promise((resolve) => setImmediate(resolve));

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
  const { req } = serve(new FakeExchange({ method: 'PUT', target: '/a?b', fields, content: new Uint8Array(1) }));
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
  const { req } = serve(new FakeExchange({ method: 'POST', content: Buffer.from('hello') }));
  const pieces = [];
  for await (const piece of req) pieces.push(piece);
  assert.ok(Buffer.isBuffer(pieces[0]));
  assert.equal(Buffer.concat(pieces).toString(), 'hello');
  assert.equal(req.complete, true);
});

test('content that has come whole is there for who reads it behind the response', async () => {
  const { req } = serve(new FakeExchange({ method: 'POST', content: Buffer.from('hello') }), (request, res) => res.end());
  assert.equal(Buffer.concat(await req.toArray()).toString(), 'hello');
});

test('content in pieces, with trailers', async () => {
  const exchange = new FakeExchange({ method: 'POST', content: [Buffer.from('a'), Buffer.from('b')], trailers: ['X-Sum', '7'] });
  const { req } = serve(exchange);
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
  const { req } = serve(exchange);
  for (let i = 0; i < 10; i++) await ticks();
  const { reads } = exchange;
  assert.ok(reads > 0 && reads < 8, `${reads} reads`);
  req.on('readable', () => {});
  for (let i = 0; i < 10; i++) await ticks();
  assert.ok(exchange.reads < 8, `${exchange.reads} reads`);
});

test('content is complete when it has come, though nobody reads it', async () => {
  const { req } = serve(new FakeExchange({ method: 'POST', content: [Buffer.from('a'), Buffer.from('b')] }));
  for (let i = 0; i < 10 && !req.complete; i++) await ticks();
  assert.equal(req.complete, true);
  assert.equal(Buffer.concat(await req.toArray()).toString(), 'ab'); // read() gives one piece on Node 26
});

test('who waits for a 100 is not told to send before somebody reads', async () => {
  const exchange = new FakeExchange({ method: 'POST', content: ['never'], fields: ['Host', 'a', 'Expect', '100-continue'] });
  const { res } = serve(exchange);
  await ticks();
  res.statusCode = 413;
  res.end('no');
  await ticks();
  assert.equal(exchange.reads, 0);
});

test('no content', async () => {
  const { req } = serve(new FakeExchange());
  assert.equal(req.complete, true);
  req.resume();
  await once(req, 'end');
});

test('one end() is one respond()', async () => {
  for (const [listener, fields, body] of [
    [(req, res) => res.end('hi'), [], 'hi'],
    [
      (req, res) => {
        res.setHeader('X-A', 1);
        res.end(Buffer.from('hi'));
      },
      ['X-A', '1'],
      'hi',
    ],
    [(req, res) => res.writeHead(200, { 'X-A': 'b', 'Content-Length': 2 }).end('hi'), ['X-A', 'b'], 'hi'],
    [(req, res) => res.writeHead(200, 'Fine', ['X-A', 'b', 'X-A', 'c']).end(), ['', 'Fine', 'X-A', 'b', 'X-A', 'c'], null],
    [
      (req, res) => {
        res.setHeader('Set-Cookie', ['a', 'b']);
        res.writeHead(200, { 'X-A': 'b' });
        res.end('hi', 'utf8', null);
      },
      ['Set-Cookie', 'a', 'Set-Cookie', 'b', 'X-A', 'b'],
      'hi',
    ],
    [
      (req, res) => {
        res.setHeader('Proxy-Connection', 'keep-alive');
        res.end('6869', 'hex');
      },
      [],
      'hi',
    ],
  ]) {
    const exchange = new FakeExchange();
    serve(exchange, listener);
    assert.deepEqual(exchange.calls, [['respond', 200, fields, body]]);
  }
});

test('who asks for chunks gets them, though the length is known', () => {
  const exchange = new FakeExchange();
  serve(exchange, (req, res) => res.setHeader('Transfer-Encoding', 'chunked').end('hi'));
  assert.deepEqual(exchange.calls.slice(0, 3), [['begin', 200, [], -1], ['flush'], ['write', 'hi']]);
});

test('a status that is set behind the head comes too late', () => {
  const exchange = new FakeExchange();
  serve(exchange, (req, res) => {
    res.writeHead(200);
    res.statusCode = 201;
    res.end('hi');
  });
  assert.deepEqual(exchange.calls, [['respond', 200, [], 'hi']]);
});

test('the state of a response', async () => {
  const exchange = new FakeExchange();
  const { req, res } = serve(exchange);
  const events = [];
  for (const name of ['prefinish', 'finish', 'close']) res.on(name, () => events.push(name));
  assert.ok(res instanceof http.ServerResponse && res instanceof ServerResponse);
  assert.equal(res.req, req);
  assert.equal(res.socket, req.socket);
  assert.equal(res.sendDate, true);
  assert.deepEqual([res.headersSent, res.writableEnded, res.writableFinished], [false, false, false]);
  res.statusCode = 404;
  res.end('no', () => events.push('callback'));
  assert.deepEqual([res.headersSent, res.writableEnded], [true, true]);
  await ticks();
  assert.deepEqual(events, ['prefinish', 'finish', 'callback', 'close']);
  assert.equal(res.writableFinished, true);
  assert.equal(exchange.calls[0][1], 404);
});

test('headers', () => {
  const { res } = serve(new FakeExchange());
  res.setHeader('X-A', '1');
  res.appendHeader('x-a', '2');
  assert.deepEqual(res.getHeader('x-a'), ['1', '2']);
  assert.deepEqual(res.getHeaderNames(), ['x-a']);
  assert.deepEqual({ ...res.getHeaders() }, { 'x-a': ['1', '2'] });
  assert.equal(res.hasHeader('X-a'), true);
  res.removeHeader('x-A');
  assert.equal(res.hasHeader('X-a'), false);
  assert.throws(() => res.setHeader('a b', '1'), { code: 'ERR_INVALID_HTTP_TOKEN' });
  assert.throws(() => res.setHeader('a', '1\r\n'), { code: 'ERR_INVALID_CHAR' });
  assert.throws(() => res.setHeader('a', undefined), { code: 'ERR_HTTP_INVALID_HEADER_VALUE' });
  assert.throws(() => res.writeHead(200, { 'a b': '1' }), { code: 'ERR_INVALID_HTTP_TOKEN' });
  assert.throws(() => res.writeHead(99), { code: 'ERR_HTTP_INVALID_STATUS_CODE' });
  res.writeHead(200);
  assert.throws(() => res.writeHead(200), { code: 'ERR_HTTP_HEADERS_SENT' });
  assert.throws(() => res.setHeader('a', '1'), { code: 'ERR_HTTP_HEADERS_SENT' });
  assert.throws(() => res.removeHeader('a'), { code: 'ERR_HTTP_HEADERS_SENT' });
});

test('a reason that would split the response', () => {
  const { res } = serve(new FakeExchange());
  assert.throws(() => res.writeHead(200, 'a\n'), { code: 'ERR_INVALID_CHAR' });
});

test('a streamed response', async () => {
  const exchange = new FakeExchange();
  const { res } = serve(exchange);
  res.setHeader('Content-Length', '6');
  res.flushHeaders();
  assert.equal(res.headersSent, true);
  assert.equal(res.write('abc'), true);
  res.end('def');
  assert.deepEqual(exchange.calls, [
    ['begin', 200, [], 6],
    ['write', 'abc'],
    ['write', 'def'],
    ['end', undefined],
  ]);
  await once(res, 'close');
});

test('backpressure', async () => {
  const exchange = new FakeExchange({ room: 10 });
  const { res } = serve(exchange);
  const events = [];
  assert.equal(
    res.write('12345', () => events.push('first')),
    true,
  );
  assert.equal(res.writableNeedDrain, false);
  assert.equal(
    res.write('67890', () => events.push('second')),
    false,
  );
  assert.equal(res.writableNeedDrain, true);
  res.on('drain', () => events.push('drain'));
  await ticks();
  assert.deepEqual(events, ['first']);
  exchange.drain();
  await ticks();
  assert.deepEqual(events, ['first', 'second', 'drain']);
  assert.equal(res.writableNeedDrain, false);
});

test('a pipe waits for room', async () => {
  const exchange = new FakeExchange({ room: 3 });
  const { res } = serve(exchange);
  const done = pipeline(Readable.from(['ab', 'cd', 'ef']), res);
  await ticks();
  await ticks();
  assert.deepEqual(exchange.calls.slice(1), [
    ['write', 'ab'],
    ['write', 'cd'],
  ]);
  exchange.drain();
  await done;
  assert.deepEqual(exchange.calls.slice(3), [
    ['write', 'ef'],
    ['end', undefined],
  ]);
});

test('HEAD, 204 and 304 have no content', () => {
  const head = new FakeExchange({ method: 'HEAD' });
  serve(head, (req, res) => {
    res.setHeader('Content-Length', 12);
    res.end();
  });
  assert.deepEqual(head.calls, [['respond', 200, ['Content-Length', '12'], null]]);
  const streamed = new FakeExchange({ method: 'HEAD' });
  serve(streamed, (req, res) => {
    res.write('a');
    res.end('b');
  });
  assert.deepEqual(streamed.calls, [
    ['begin', 200, [], -1],
    ['end', undefined],
  ]);
  const none = new FakeExchange();
  serve(none, (req, res) => res.writeHead(204, { 'Content-Length': 0 }).end());
  assert.deepEqual(none.calls, [['respond', 204, [], null]]);
});

test('trailers and informational responses', () => {
  const exchange = new FakeExchange();
  serve(exchange, (req, res) => {
    res.writeContinue();
    res.writeProcessing();
    res.writeEarlyHints({ link: '</a.css>; rel=preload; as=style' });
    res.addTrailers({ 'X-Sum': '7' });
    res.end('a');
  });
  const [processing, hints, ...rest] = exchange.calls;
  assert.deepEqual(processing, ['inform', 102, []]);
  assert.deepEqual(hints, ['inform', 103, ['Link', '</a.css>; rel=preload; as=style']]);
  assert.deepEqual(rest, [
    ['begin', 200, [], -1],
    ['write', 'a'],
    ['end', ['X-Sum', '7']],
  ]);
});

test('two informational responses in one text, and one in two', () => {
  const exchange = new FakeExchange();
  serve(exchange, (req, res) => {
    res._writeRaw('HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 ');
    res._writeRaw('104 Upload\r\n\r\n');
    res.end();
  });
  assert.deepEqual(exchange.calls.slice(0, 3), [
    ['inform', 102, []],
    ['inform', 103, ['Link', '<a>']],
    ['inform', 104, []],
  ]);
});

test('what is written behind the end is no error of a response that has closed before', async () => {
  for (const closes of [true, false]) {
    const { res } = serve(new FakeExchange(), (req, response) => response.end());
    await ticks();
    assert.equal(res.destroyed, true);
    if (!closes) res.destroyed = false;
    const errors = [];
    res.on('error', (error) => errors.push(error.code));
    const [error] = await new Promise((resolve) => {
      res.write('late', (...given) => resolve(given));
    });
    assert.deepEqual([error.code, errors], ['ERR_STREAM_WRITE_AFTER_END', closes ? [] : ['ERR_STREAM_WRITE_AFTER_END']]);
  }
});

test('a response that has ended needs no drain', () => {
  const { res } = serve(new FakeExchange({ room: 1 }), (req, response) => response.write('much more'));
  assert.equal(res.writableNeedDrain, true);
  res.end();
  assert.equal(res.writableNeedDrain, false);
});

test('cork and uncork', async () => {
  const exchange = new FakeExchange();
  serve(exchange, (req, res) => {
    res.cork();
    res.write('a');
    res.write('b');
    res.uncork();
    res.end();
  });
  assert.deepEqual(
    exchange.calls.map(([name]) => name),
    ['begin', 'write', 'write', 'end'],
  );
});

test('writes that come too late or are no bytes', async () => {
  const { res } = serve(new FakeExchange());
  assert.throws(() => res.write(null), { code: 'ERR_STREAM_NULL_VALUES' });
  assert.throws(() => res.write(7), { code: 'ERR_INVALID_ARG_TYPE' });
  res.end();
  const failed = once(res, 'error');
  assert.equal(res.write('late'), false);
  assert.equal((await failed)[0].code, 'ERR_STREAM_WRITE_AFTER_END');
});

test('a client that leaves before the response', async () => {
  const exchange = new FakeExchange({ method: 'POST', content: ['never'], room: 1 });
  const events = [];
  const { req, res } = serve(exchange);
  req
    .on('aborted', () => events.push('aborted'))
    .on('error', (error) => events.push(error.code))
    .on('close', () => events.push('req close'));
  res.on('finish', () => events.push('finish')).on('close', () => events.push('res close'));
  req.resume();
  res.write('too much', (error) => events.push(error.code));
  await ticks();
  exchange.leave();
  await ticks();
  assert.deepEqual(events.sort(), ['ECONNRESET', 'ERR_STREAM_DESTROYED', 'aborted', 'req close', 'res close']);
  assert.equal(req.aborted, true);
  assert.equal(res.destroyed, true);
  assert.equal(res.writableFinished, false);
  assert.equal(
    res.write('late', () => {}),
    false,
  );
});

test('nobody need listen for a client that leaves', async () => {
  const exchange = new FakeExchange();
  const { req } = serve(exchange);
  exchange.leave();
  await ticks();
  assert.equal(req.destroyed, true);
});

test('destroy() cancels', async () => {
  for (const which of ['req', 'res', 'socket']) {
    const exchange = new FakeExchange();
    const { req, res } = serve(exchange);
    const closed = once(res, 'close');
    ({ req, res, socket: req.socket })[which].destroy();
    await closed;
    assert.deepEqual(exchange.calls, [['flush'], ['cancel']]);
    assert.equal(req.socket.destroyed, true);
  }
});

test('a response that is whole is not cancelled by what follows', async () => {
  const exchange = new FakeExchange();
  const { req, res } = serve(exchange);
  res.end('a');
  await once(res, 'close');
  req.destroy();
  res.destroy();
  req.socket.destroy();
  assert.deepEqual(
    exchange.calls.map(([name]) => name),
    ['respond'],
  );
});

test('content that nobody reads is left to the engine', async () => {
  const exchange = new FakeExchange({ method: 'POST', content: ['never'] });
  const { req, res } = serve(exchange);
  res.end('a');
  await once(res, 'close');
  assert.equal(req.aborted, false);
  assert.equal(exchange.dropped, true);
});

test('who breaks off its reading leaves the content, and answers', async () => {
  const exchange = new FakeExchange({ method: 'POST', content: [Buffer.from('a'), 'never'] });
  const { req, res } = serve(exchange);
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
    const { req, res } = serve(exchange);
    await once(req, 'data');
    req.pause();
    res.end('enough');
    await once(res, 'close');
    assert.equal(exchange.dropped, dropped, connection);
  }
});

test('content goes on behind the response for who listens', async () => {
  const exchange = new FakeExchange({ method: 'POST', content: [Buffer.from('a'), Buffer.from('b')] });
  const { req, res } = serve(exchange);
  let text = '';
  res.on('finish', () => req.on('data', (piece) => (text += piece)));
  res.end('early');
  await once(req, 'end');
  assert.deepEqual([text, exchange.kept, exchange.dropped], ['ab', true, false]);
});

test('time-outs', async () => {
  const exchange = new FakeExchange();
  const { res } = serve(exchange);
  const timedOut = new Promise((resolve) => res.setTimeout(5, resolve));
  const waiting = setInterval(() => {}, 1000); // time-outs alone keep no process alive
  await timedOut;
  assert.deepEqual(exchange.calls, []);
  const other = new FakeExchange();
  const got = serve(other);
  got.req.socket.setTimeout(5);
  await once(got.res, 'close');
  clearInterval(waiting);
  assert.deepEqual(other.calls, [['flush'], ['cancel']]);
});

test('with the prototypes of node itself', async () => {
  const exchange = new FakeExchange({ method: 'POST', content: [Buffer.from('a')], room: 2 });
  const { req, res } = serve(exchange);
  Object.setPrototypeOf(req, Object.create(http.IncomingMessage.prototype));
  Object.setPrototypeOf(res, Object.create(http.ServerResponse.prototype));
  let text = '';
  for await (const piece of req) text += piece;
  assert.equal(text, 'a');
  assert.equal(req.headers.host, 'test');
  res.setHeader('X-A', 'b');
  assert.equal(res.write('abc'), false);
  assert.equal(res.writableNeedDrain, true);
  exchange.drain();
  await once(res, 'drain');
  const over = Promise.all([once(res, 'finish'), once(res, 'close')]);
  res.end();
  await over;
  assert.deepEqual(exchange.calls, [
    ['begin', 200, ['X-A', 'b'], -1],
    ['write', 'abc'],
    ['end', undefined],
  ]);
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

test('the time of content ends with the exchange', async () => {
  const { req, res } = serve(new FakeExchange({ method: 'POST', content: [Buffer.from('a'), Buffer.from('b')] }));
  const [{ timer }] = req.socket.transactions;
  assert.ok(timer.hasRef() === false && timer._destroyed === false);
  res.end();
  await ticks();
  assert.equal(timer._destroyed, true);
});

test('what is written moves the time-out of the socket', () => {
  const { res } = serve(new FakeExchange());
  let moved = 0;
  res.socket.setTimeout(1000);
  res.socket.timer.refresh = () => moved++;
  res.write('x');
  assert.equal(moved, 1);
  res.end();
});

test('what is received moves it, too', async () => {
  const { req } = serve(new FakeExchange({ method: 'POST', content: [Buffer.from('a'), Buffer.from('b')] }));
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
  const { res } = serve(new FakeExchange());
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

test('a response closes once', async () => {
  const { res } = serve(new FakeExchange());
  const told = [];
  for (const name of ['finish', 'close']) res.on(name, () => told.push(name));
  res.end('x');
  res.transaction.complete();
  await ticks();
  res.transaction.complete();
  res.socket.gone(null);
  await ticks();
  assert.deepEqual(told, ['finish', 'close']);
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
    socket.end('HTTP/1.1 403 Forbidden\r\nX-A: b\r\n\r\nno');
  });
  server.accept(exchange);
  await ticks();
  assert.deepEqual(exchange.calls, [['respond', 403, ['X-A', 'b', 'Connection', 'close'], 'no']]);
});

test('content of another length than was said is an error, when that is asked for', () => {
  const answer = (listener) => serve(new FakeExchange(), listener);
  const mismatch = { code: 'ERR_HTTP_CONTENT_LENGTH_MISMATCH' };
  answer((req, res) => {
    res.strictContentLength = true;
    res.writeHead(200, { 'Content-Length': 5 });
    assert.throws(() => res.write('123456'), mismatch);
    res.write('123');
    assert.throws(() => res.write('456'), mismatch);
    assert.throws(() => res.end(), mismatch);
    res.end('45');
  });
});

test('heads that node refuses are refused', () => {
  serve(new FakeExchange(), (req, res) => {
    assert.throws(() => res.writeHead(200, ['a']), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => res.writeEarlyHints('x'), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => res.writeHead(200, { Trailer: 'x', 'Content-Length': 1 }), { code: 'ERR_HTTP_TRAILER_INVALID' });
  });
  const exchange = new FakeExchange({ method: 'HEAD' });
  createServer({ rejectNonStandardBodyWrites: true }, (req, res) => {
    assert.throws(() => res.write('x'), { code: 'ERR_HTTP_BODY_NOT_ALLOWED' });
    res.end();
  }).accept(exchange);
});
