// Responses of HTTP/1.1 on the portable engine, on a connection of this test's: what is sent and what is told at each call of a handler.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { NAMED, answer, bytes, get, head, lines, open, post } from './one-connection.mjs';

const require = createRequire(import.meta.url);
const { E } = require('../../src/portable/names.js');
const { Record } = require('../../src/portable/record.js');

test('heads of whole responses', () => {
  const whole =
    (text, fields = NAMED, status = 200) =>
    (record) =>
      assert.equal(record.respond(head(status, fields), bytes(text)), 0);
  for (const [request, calls, sent, state, options] of [
    [get(), whole('hi'), `${lines('HTTP/1.1 200 OK', 'Date: x', 'Content-Length: 2')}hi`, 'open'],
    [get('HEAD / HTTP/1.1'), whole('hi'), lines('HTTP/1.1 200 OK', 'Date: x', 'Content-Length: 2'), 'open'],
    [get(), whole('', NAMED, 204), lines('HTTP/1.1 204 No Content', 'Date: x'), 'open'],
    [get(), whole('', NAMED, 304), lines('HTTP/1.1 304 Not Modified', 'Date: x'), 'open'],
    [get(), whole('', NAMED, 299), lines('HTTP/1.1 299 ', 'Date: x', 'Content-Length: 0'), 'open'],
    [
      get('GET / HTTP/1.1', 'Connection: close'),
      whole(''),
      lines('HTTP/1.1 200 OK', 'Date: x', 'Content-Length: 0', 'Connection: close'),
      'end false null',
    ],
    [get('GET / HTTP/1.0'), whole(''), lines('HTTP/1.1 200 OK', 'Date: x', 'Content-Length: 0', 'Connection: close'), 'end false null'],
    [
      get('GET / HTTP/1.0', 'Connection: keep-alive'),
      whole(''),
      lines('HTTP/1.1 200 OK', 'Date: x', 'Content-Length: 0', 'Connection: keep-alive', 'Keep-Alive: timeout=75'),
      'open',
      { keepAlive: 75_000 },
    ],
    [
      get('GET / HTTP/1.0', 'Connection: keep-alive'),
      whole(''),
      lines('HTTP/1.1 200 OK', 'Date: x', 'Content-Length: 0', 'Connection: keep-alive'),
      'open',
      { keepAlive: -1 },
    ],
    [
      get(),
      whole('', ['Connection', 'close', ...NAMED]),
      lines('HTTP/1.1 200 OK', 'Connection: close', 'Date: x', 'Content-Length: 0'),
      'end false null',
    ],
    [get(), whole('', ['connection', 'keep-alive', ...NAMED]), lines('HTTP/1.1 200 OK', 'Date: x', 'Content-Length: 0'), 'open'],
    [
      get(),
      whole('', ['Upgrade', 'h2c', ...NAMED], 426),
      lines('HTTP/1.1 426 Upgrade Required', 'Upgrade: h2c', 'Date: x', 'Content-Length: 0', 'Connection: upgrade'),
      'open',
    ],
    [
      get('CONNECT a:1 HTTP/1.1'),
      whole('', NAMED, 404),
      lines('HTTP/1.1 404 Not Found', 'Date: x', 'Content-Length: 0', 'Connection: close'),
      'end false null',
    ],
    [get(), whole('', ['content-length', '0', 'date', 'y']), lines('HTTP/1.1 200 OK', 'date: y', 'Content-Length: 0'), 'open'],
  ]) {
    const [got, is] = answer(request, calls, { keepAlive: -1, ...options });
    assert.equal(got, sent, request);
    assert.equal(is, state, request);
  }
  const [dated] = answer(get(), (record) => record.respond(head(200, []), bytes('')));
  assert.match(dated, /^HTTP\/1.1 200 OK\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/);
  const phrase = answer(get(), (record) => record.respond({ status: 200, phrase: 'Fine', fields: NAMED }, bytes('')));
  assert.ok(phrase[0].startsWith('HTTP/1.1 200 Fine\r\n'));
});

test('a connection says how many requests it has and how long it waits', () => {
  const all = open({ keepAlive: 75_999, maxConnectionRequests: 2 });
  const line = 'Keep-Alive: timeout=75, max=2';
  all.come(get()).records[0].respond(head(), bytes(''));
  all.turn();
  assert.equal(all.next(), lines('HTTP/1.1 200 OK', 'Date: x', 'Content-Length: 0', 'Connection: keep-alive', line));
  all.come(get() + get()).records[1].respond(head(), bytes(''));
  all.turn();
  assert.equal(all.next(), lines('HTTP/1.1 200 OK', 'Date: x', 'Content-Length: 0', 'Connection: close'));
  assert.deepEqual([all.records.length, all.last()], [2, 'end false null']);
});

test('content is framed, piece by piece', () => {
  const stream =
    (length, fields = NAMED, trailers = []) =>
    (record, { turn }) => {
      assert.equal(record.begin(head(200, fields), length), 0);
      turn();
      assert.equal(record.write(bytes('0123456789')), 0);
      assert.equal(record.write(bytes('abcdef')), 0);
      turn();
      assert.equal(record.write(bytes('!')), 0);
      assert.equal(record.end(trailers), 0);
    };
  const chunked = `${lines('HTTP/1.1 200 OK', 'Date: x', 'Transfer-Encoding: chunked')}10\r\n0123456789abcdef\r\n1\r\n!\r\n0\r\n`;
  assert.deepEqual(answer(get(), stream(-1), { keepAlive: -1 }), [`${chunked}\r\n`, 'open']);
  assert.deepEqual(answer(get(), stream(-1, NAMED, ['A', 'b', 'C', 'd']), { keepAlive: -1 }), [`${chunked}A: b\r\nC: d\r\n\r\n`, 'open']);
  const sized = `${lines('HTTP/1.1 200 OK', 'Date: x', 'Content-Length: 17')}0123456789abcdef!`;
  assert.deepEqual(answer(get(), stream(17), { keepAlive: -1 }), [sized, 'open']);
  assert.deepEqual(answer(get(), stream(-1, ['Content-Length', '17', ...NAMED]), { keepAlive: -1 }), [sized, 'open']);
  assert.deepEqual(answer(get('GET / HTTP/1.0'), stream(-1)), [
    `${lines('HTTP/1.1 200 OK', 'Date: x', 'Connection: close')}0123456789abcdef!`,
    'end false null',
  ]);
  assert.deepEqual(answer(get('HEAD / HTTP/1.1'), stream(-1), { keepAlive: -1 }), [
    lines('HTTP/1.1 200 OK', 'Date: x', 'Transfer-Encoding: chunked'),
    'open',
  ]);
});

test('what a handler may call, and when', () => {
  const { records, told, turn, counts } = open().come(get());
  const [record] = records;
  assert.deepEqual([record.write(bytes('a')), record.end([])], [E.ESTATE, E.ESTATE]);
  assert.equal(record.respond(head(99), bytes('')), E.EINVAL);
  assert.equal(record.inform(head(103)), 0);
  assert.equal(record.inform(head(200)), E.EINVAL);
  assert.equal(record.upgrade(head(101, ['Upgrade', 'x'])), E.ESTATE); // nobody asked for that
  assert.equal(record.begin(head(), 5), 0);
  assert.deepEqual(
    [record.begin(head(), 5), record.respond(head(), bytes('')), record.inform(head(103)), record.raw()],
    Array(4).fill(E.ESTATE),
  );
  assert.equal(record.write(bytes('123456')), E.ELENGTH);
  assert.equal(record.write(bytes('1234')), 0);
  assert.equal(record.write(bytes('56')), E.ELENGTH);
  assert.equal(record.end([]), E.ELENGTH);
  assert.equal(record.write(bytes('5')), 0);
  assert.equal(record.end(['Host', 'a']), E.EFIELD);
  assert.equal(record.end([]), 0);
  assert.equal(record.write(bytes('')), E.ESTATE);
  turn();
  assert.deepEqual(
    [
      record.respond(head(), bytes('')),
      record.begin(head(), 0),
      record.write(bytes('')),
      record.end([]),
      record.inform(head(103)),
      record.raw(),
    ],
    Array(6).fill(E.ECANCELED),
  );
  assert.deepEqual([told, counts], [['1 complete'], { responses: 1, cancellations: 0 }]);
});

test('an interim response is sent at once, and not by HTTP/1.0', () => {
  const inform = (record, { turn, next }) => {
    record.inform(head(103, ['Link', '</a>']));
    turn();
    const first = next();
    record.respond(head(), bytes(''));
    turn();
    return first;
  };
  const to = (request) => {
    const all = open().come(request);
    return inform(all.records[0], all);
  };
  assert.equal(to(get()), lines('HTTP/1.1 103 Early Hints', 'Link: </a>'));
  assert.equal(to(get('GET / HTTP/1.0')), '');
});

test('no more than so much waits to be sent', () => {
  const all = open().come(get() + get());
  const [, second] = all.records;
  second.begin(head(), -1);
  all.turn();
  assert.equal(all.sent, ''); // the first is not answered
  assert.equal(second.write(Buffer.alloc(65535)), 0);
  assert.equal(second.write(Buffer.alloc(10)), 0);
  assert.equal(second.write(Buffer.alloc(1)), E.EAGAIN);
  assert.ok(second.isFull);
});

test('responses leave in the order of the requests', () => {
  const all = open({ keepAlive: -1 }).come(get('GET /1 HTTP/1.1') + get('GET /2 HTTP/1.1'));
  const [first, second] = all.records;
  second.respond(head(202), bytes('2'));
  all.turn();
  assert.equal(all.sent, '');
  assert.ok(!all.told.includes('2 complete'));
  first.respond(head(201), bytes('1'));
  all.turn();
  assert.equal(
    all.sent,
    `${lines('HTTP/1.1 201 Created', 'Date: x', 'Content-Length: 1')}1${lines('HTTP/1.1 202 Accepted', 'Date: x', 'Content-Length: 1')}2`,
  );
  assert.deepEqual(all.told.slice(-2), ['1 complete', '2 complete']);
});

test('a connection has so many requests at once', () => {
  const all = open({ maxPipeline: 2 }).come(get() + get() + get());
  assert.equal(all.records.length, 2);
  all.records[0].respond(head(), bytes(''));
  all.turn();
  assert.equal(all.records.length, 3);
});

test('a handler that lets go of its request without an answer', () => {
  const all = open().come(get());
  all.records[0].release();
  all.turn();
  assert.ok(all.sent.startsWith('HTTP/1.1 500 Internal Server Error\r\n'));
  assert.deepEqual(all.told, []); // it is not told any more
  const begun = open().come(get());
  begun.records[0].begin(head(), 5);
  begun.turn();
  begun.records[0].release();
  begun.turn();
  assert.deepEqual([begun.last(), begun.counts.cancellations], ['abort abandoned', 1]);
});

test('a connection that is lost cancels all, but what had left whole', () => {
  const all = open().come(get() + get());
  all.records[0].respond(head(), bytes(''));
  all.http.flush();
  all.records[1].respond(head(), bytes('')); // not given to the connection
  all.http.lost('client-reset');
  assert.deepEqual(
    all.told.filter((one) => !one.endsWith('content')),
    ['1 complete', '2 client-reset'],
  );
});

test('a protocol that was agreed on has the connection, behind its answer', () => {
  const UPGRADE = get('GET / HTTP/1.1', 'Connection: Upgrade', 'Upgrade: x');
  const all = open().come(`${UPGRADE}early`);
  const [record] = all.records;
  assert.equal(record.upgrade(head(101, ['Upgrade', 'x', ...NAMED])), 0);
  all.turn();
  assert.equal(all.next(), lines('HTTP/1.1 101 Switching Protocols', 'Upgrade: x', 'Date: x', 'Connection: upgrade'));
  all.http.process();
  assert.equal(record.read(10).toString(), 'early');
  record.write(bytes('raw'));
  all.turn();
  assert.equal(all.next(), 'raw');
  all.leave();
  assert.deepEqual([record.content, all.core.state], ['whole', 'open']);
  record.end([]);
  all.turn();
  assert.equal(all.last(), 'end false null');
  // What cannot be sent leaves the request as it was, and so does an answer before its content has come.
  const early = open({ reads: false }).come(post(2, 'Connection: Upgrade', 'Upgrade: x'));
  assert.equal(early.records[0].upgrade(head(101, ['Upgrade', 'x'])), E.ESTATE);
  early.come('ab');
  assert.equal(early.records[0].upgrade(head(101, [])), E.EFIELD);
  assert.deepEqual([early.records[0].response, early.records[0].content, early.sent], ['open', 'whole', '']);
  assert.equal(early.records[0].upgrade(head(101, ['Upgrade', 'x'])), 0);
  assert.equal(early.records[0].upgrade(head(101, ['Upgrade', 'x'])), E.ESTATE);
  // Who refuses goes on with the next request.
  const refused = open().come(UPGRADE + get());
  assert.equal(refused.records.length, 1);
  refused.records[0].respond(head(), bytes(''));
  refused.http.process();
  assert.equal(refused.records.length, 2);
  // An interim response is no agreement.
  const informed = open().come(`${UPGRADE}early`);
  informed.records[0].inform(head(103));
  informed.turn();
  informed.http.process();
  assert.equal(informed.records[0].unread, 0);
});

test('a response may be sent as its handler writes it', () => {
  const raw = (record) => {
    assert.equal(record.raw(), 0);
    assert.deepEqual([record.raw(), record.begin(head(), 1), record.respond(head(), bytes(''))], Array(3).fill(E.ESTATE));
    assert.equal(record.write(bytes('HTTP/1.1 200 Own\r\n\r\nhi')), 0);
    assert.equal(record.end([]), 0);
  };
  assert.deepEqual(answer(get(), raw), ['HTTP/1.1 200 Own\r\n\r\nhi', 'end false null']);
  const { core, http } = open().come(get());
  const overHttp2 = new Record({ version: 20 }, { core, unsent: () => 0 });
  assert.equal(overHttp2.raw(), E.EUNSUPPORTED);
  http.lost('shutdown');
});

test('what is over takes nothing more', () => {
  const all = open({ reads: false }).come(`${post(3)}abc${post(9)}abc`);
  const [whole, coming] = all.records;
  coming.begin(head(), -1);
  coming.write(Buffer.alloc(65_536));
  assert.ok(coming.isFull);
  all.http.lost('client-reset');
  for (const record of [whole, coming]) {
    assert.deepEqual([record.over, record.isGone, record.isFull, record.reason], [true, true, false, 'client-reset']);
    assert.deepEqual(
      [record.respond(head(), bytes('')), record.begin(head(), 0), record.write(bytes('')), record.end([]), record.raw()],
      Array(5).fill(E.ECANCELED),
    );
    assert.deepEqual([record.inform(head(103)), record.upgrade(head(101))], Array(2).fill(E.ECANCELED));
    record.cancel('again');
    record.refuse(500, 'again');
    assert.deepEqual([record.reason, record.refused], ['client-reset', 0]);
  }
  assert.deepEqual([whole.content, whole.read(9).toString()], ['whole', 'abc']); // what has come may be read
  assert.deepEqual([coming.content, coming.unread, coming.read(9).length], ['lost', 0, 0]);
  coming.contentWhole(['late', 'x']);
  assert.deepEqual([coming.content, coming.trailers.length], ['lost', 0]);
  assert.equal(all.counts.cancellations, 2);
});

test('a refusal is of what was not answered yet, and a reset of what has begun', () => {
  const all = open().come(get() + get());
  const [first, second] = all.records;
  first.refuse(503, 'handler-timeout');
  assert.deepEqual([first.over, first.respond(head(), bytes(''))], [true, E.ECANCELED]);
  second.begin(head(), -1);
  all.turn();
  assert.match(all.next(), /^HTTP\/1.1 503 Service Unavailable\r\n.*Retry-After: 1\r\n.*/s);
  second.refuse(503, 'handler-timeout');
  all.turn();
  assert.deepEqual(all.told, ['1 handler-timeout', '2 handler-timeout']);
  assert.deepEqual([second.response, second.refused], ['cancelled', 0]);
  assert.equal(all.last(), 'abort handler-timeout');
});
