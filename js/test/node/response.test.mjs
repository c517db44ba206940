// The response of carom/node, on a fake exchange.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import test from 'node:test';
import { accepted, createServer, FakeExchange, ServerResponse, ticks } from './support.mjs';

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
    accepted(exchange, listener);
    assert.deepEqual(exchange.calls, [['respond', 200, fields, body]]);
  }
});

test('who asks for chunks gets them, though the length is known', () => {
  const exchange = new FakeExchange();
  accepted(exchange, (req, res) => res.setHeader('Transfer-Encoding', 'chunked').end('hi'));
  assert.deepEqual(exchange.calls.slice(0, 3), [['begin', 200, [], -1], ['flush'], ['write', 'hi']]);
});

test('a status that is set behind the head comes too late', () => {
  const exchange = new FakeExchange();
  accepted(exchange, (req, res) => {
    res.writeHead(200);
    res.statusCode = 201;
    res.end('hi');
  });
  assert.deepEqual(exchange.calls, [['respond', 200, [], 'hi']]);
});

test('the state of a response', async () => {
  const exchange = new FakeExchange();
  const { req, res } = accepted(exchange);
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
  const { res } = accepted(new FakeExchange());
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
  const { res } = accepted(new FakeExchange());
  assert.throws(() => res.writeHead(200, 'a\n'), { code: 'ERR_INVALID_CHAR' });
});

test('a streamed response', async () => {
  const exchange = new FakeExchange();
  const { res } = accepted(exchange);
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
  const { res } = accepted(exchange);
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
  const { res } = accepted(exchange);
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
  accepted(head, (req, res) => {
    res.setHeader('Content-Length', 12);
    res.end();
  });
  assert.deepEqual(head.calls, [['respond', 200, ['Content-Length', '12'], null]]);
  const streamed = new FakeExchange({ method: 'HEAD' });
  accepted(streamed, (req, res) => {
    res.write('a');
    res.end('b');
  });
  assert.deepEqual(streamed.calls, [
    ['begin', 200, [], -1],
    ['end', undefined],
  ]);
  const none = new FakeExchange();
  accepted(none, (req, res) => res.writeHead(204, { 'Content-Length': 0 }).end());
  assert.deepEqual(none.calls, [['respond', 204, [], null]]);
});

test('trailers and informational responses', () => {
  const exchange = new FakeExchange();
  accepted(exchange, (req, res) => {
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
  accepted(exchange, (req, res) => {
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
    const { res } = accepted(new FakeExchange(), (req, response) => response.end());
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
  const { res } = accepted(new FakeExchange({ room: 1 }), (req, response) => response.write('much more'));
  assert.equal(res.writableNeedDrain, true);
  res.end();
  assert.equal(res.writableNeedDrain, false);
});

test('cork and uncork', async () => {
  const exchange = new FakeExchange();
  accepted(exchange, (req, res) => {
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
  const { res } = accepted(new FakeExchange());
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
  const { req, res } = accepted(exchange);
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
  const { req } = accepted(exchange);
  exchange.leave();
  await ticks();
  assert.equal(req.destroyed, true);
});

test('destroy() cancels', async () => {
  for (const which of ['req', 'res', 'socket']) {
    const exchange = new FakeExchange();
    const { req, res } = accepted(exchange);
    const closed = once(res, 'close');
    ({ req, res, socket: req.socket })[which].destroy();
    await closed;
    assert.deepEqual(exchange.calls, [['flush'], ['cancel']]);
    assert.equal(req.socket.destroyed, true);
  }
});

test('a response that is whole is not cancelled by what follows', async () => {
  const exchange = new FakeExchange();
  const { req, res } = accepted(exchange);
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

test('with the prototypes of node itself', async () => {
  const exchange = new FakeExchange({ method: 'POST', content: [Buffer.from('a')], room: 2 });
  const { req, res } = accepted(exchange);
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

test('a response closes once', async () => {
  const { res } = accepted(new FakeExchange());
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

test('content of another length than was said is an error, when that is asked for', () => {
  const answer = (listener) => accepted(new FakeExchange(), listener);
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
  accepted(new FakeExchange(), (req, res) => {
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
