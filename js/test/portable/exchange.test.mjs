// Requests and responses of HTTP/1.1 on the portable engine, on a connection of this test's: what is sent and what is told at each call
// of a handler, and at each thing that a client does.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const require = createRequire(import.meta.url);
const { Http1 } = require('../../src/portable/http1.js');
const { E } = require('../../src/portable/names.js');
const { settingsOf } = require('../../src/portable/settings.js');

const NAMED = ['Date', 'x']; // so that heads are the same each time
const get = (line = 'GET / HTTP/1.1', ...fields) => [line, 'Host: a', ...fields, '', ''].join('\r\n');
const post = (length, ...fields) => get('POST / HTTP/1.1', `Content-Length: ${length}`, ...fields);

// A connection with what became of it: `records` in the order in which handlers were called, `told`: what their owners heard, `done`:
// what was asked of the connection. Handlers wait for content where `reads` says so.
function open({ reads = true, observed = false, admits = () => 0, ...given } = {}) {
  const all = { records: [], told: [], done: [], sent: '', within: null, draining: false, counts: { responses: 0, cancellations: 0 } };
  const dispatch = (record) => {
    const number = all.records.push(record);
    record.held = true;
    record.owner = {
      contentCame: () => all.told.push(`${number} content`),
      roomCame() {},
      ended: (reason) => all.told.push(`${number} ${reason}`),
    };
    if (reads) record.want();
  };
  const server = { settings: settingsOf(given), counts: all.counts, observed, dispatch, admit: admits, began() {}, ended() {} };
  Object.defineProperty(server, 'draining', { get: () => all.draining });
  const core = { server, state: 'open', queued: 0, requests: 0, sent: 0, total: 0, secure: false, peerIsDone: false };
  let touched = false;
  Object.assign(core, {
    send(bytes) {
      all.sent += bytes.toString('latin1');
      core.total += bytes.length;
    },
    pump() {
      core.sent = core.total;
    },
    touch() {
      touched = true;
    },
    receive: (on) => all.done.push(on ? 'on' : 'off'),
    readWithin(milliseconds) {
      all.within = milliseconds;
    },
    end(unread, reason = null) {
      core.state = 'ending';
      all.done.push(`end ${unread} ${reason}`);
    },
    abort(reason) {
      core.state = 'closed';
      all.done.push(`abort ${reason}`);
    },
    guard: (act) => act(),
    socket: { end: () => all.done.push('FIN') },
  });
  const http = new Http1(core);
  all.core = core;
  all.http = http;
  all.turn = () => {
    for (let turns = 0; touched; turns++) {
      assert.ok(turns < 100, 'it is asked for another turn again and again');
      touched = false;
      http.flush();
    }
  };
  all.come = (text) => {
    http.received(Buffer.from(text, 'latin1'));
    all.turn();
    return all;
  };
  all.leave = () => {
    core.peerIsDone = true;
    http.peerDone();
    all.turn();
    return all;
  };
  // What is sent from here on.
  all.next = () => {
    const { sent } = all;
    all.sent = '';
    return sent;
  };
  all.last = () => all.done.at(-1);
  return all;
}

const head = (status = 200, fields = NAMED) => ({ status, phrase: '', fields });
const bytes = (text) => Buffer.from(text);

// What is sent when the only request is answered by these calls of its record.
function answer(request, calls, options) {
  const all = open(options).come(request);
  calls(all.records[0], all);
  all.turn();
  return [all.sent, all.core.state === 'open' ? 'open' : all.last()];
}

const lines = (...all) => `${all.join('\r\n')}\r\n\r\n`;

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

test('100 Continue follows when content is asked for, and never behind it', () => {
  const EXPECT = 'Expect: 100-continue';
  const all = open().come(post(2, EXPECT));
  assert.equal(all.next(), 'HTTP/1.1 100 Continue\r\n\r\n');
  all.records[0].want();
  all.turn();
  assert.equal(all.next(), '');
  const late = open({ reads: false }).come(post(2, EXPECT));
  assert.equal(late.next(), '');
  late.come('ab').records[0].want();
  late.turn();
  assert.equal(late.next(), ''); // it came unasked
  // Who answers before content came cannot know whether it will.
  assert.deepEqual(
    answer(post(2, EXPECT), (record) => record.respond(head(), bytes('')), { reads: false, keepAlive: -1 }),
    [lines('HTTP/1.1 200 OK', 'Date: x', 'Content-Length: 0', 'Connection: close'), 'open'],
  );
});

test('content is told to who waits for it, and read in pieces of what is wanted', () => {
  const all = open().come(post(6));
  const [record] = all.records;
  assert.deepEqual(all.told, []);
  all.come('abc');
  assert.deepEqual([all.told.splice(0), record.unread, record.content], [['1 content'], 3, 'coming']);
  all.come('def');
  assert.deepEqual([all.told, record.content], [[], 'whole']); // nobody waits
  assert.equal(record.read(4).toString(), 'abcd');
  assert.equal(record.read(4).toString(), 'ef');
  assert.deepEqual([record.unread, record.read(4).length], [0, 0]);
  const chunked = open().come(`${get('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}1\r\na\r\n0\r\nX: y\r\n\r\n`);
  assert.deepEqual([chunked.records[0].content, chunked.records[0].trailers], ['whole', ['X', 'y']]);
});

test('content of no known length is no longer than the limit', () => {
  const begin = get('POST / HTTP/1.1', 'Transfer-Encoding: chunked');
  const fits = open({ maxContent: 4 }).come(`${begin}4\r\nabcd\r\n0\r\n\r\n`);
  assert.equal(fits.records[0].content, 'whole');
  const all = open({ maxContent: 4 }).come(`${begin}3\r\nabc\r\n`).come('2\r\nde\r\n');
  assert.ok(all.sent.startsWith('HTTP/1.1 413 Content Too Large\r\n'));
  assert.deepEqual([all.told.at(-1), all.last()], ['1 over-limit', 'end true null']);
  assert.equal(all.records[0].content, 'lost');
});

test('of content that nobody reads so much is dropped, and the connection goes on', () => {
  for (const [most, state] of [
    [10, 'open'],
    [9, 'ending'],
  ]) {
    const all = open({ reads: false, drainContent: most }).come(get('POST / HTTP/1.1', 'Transfer-Encoding: chunked'));
    const [record] = all.records;
    record.respond(head(), bytes(''));
    record.release();
    all.turn();
    all.come('5\r\nabcde\r\n').come('5\r\nfghij\r\n0\r\n\r\n');
    assert.equal(all.core.state, state);
    if (state === 'open') assert.equal(all.come(get()).records.length, 2);
    else assert.equal(all.last(), 'end true null');
  }
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

test('what is no request is answered, and nothing behind it is read', () => {
  const all = open().come(`${get()}GET@ / HTTP/1.1\r\n\r\n${get()}`);
  all.records[0].respond(head(), bytes(''));
  all.turn();
  const [, second] = all.sent.split(/(?=HTTP)/);
  assert.match(second, /^HTTP\/1.1 400 Bad Request\r\nContent-Type: text\/plain\r\n.*\r\nConnection: close\r\n\r\n400 Bad Request\n$/s);
  assert.deepEqual([all.records.length, all.last()], [1, 'end true null']);
  const busy = open({ admits: () => 503 }).come(get());
  assert.match(busy.sent, /^HTTP\/1.1 503 .*\r\nRetry-After: 1\r\n/s);
  assert.equal(busy.records.length, 0);
});

test('who watches connections is shown what is no request', () => {
  const all = open({ observed: true }).come('GET@ / HTTP/1.1\r\n\r\nmore');
  const [record] = all.records;
  assert.deepEqual(
    [record.head.refusal, record.head.refusalReason, record.head.target],
    [400, 'bad-request', 'GET@ / HTTP/1.1\r\n\r\nmore'],
  );
  assert.equal(all.sent, '');
  record.release();
  all.turn();
  assert.match(all.sent, /^HTTP\/1.1 400 /);
  const long = open({ observed: true, maxTarget: 8 }).come(`GET /${'a'.repeat(100)} HTTP/1.1\r\n`);
  assert.deepEqual([long.records[0].head.refusal, long.records[0].head.refusalReason], [414, 'over-limit']);
});

test('a client that leaves cancels what waits for an answer, and not what is answered', () => {
  const all = open()
    .come(get() + get())
    .leave();
  assert.deepEqual(
    all.told.filter((one) => !one.endsWith('content')),
    ['1 client-closed', '2 client-closed'],
  );
  assert.equal(all.last(), 'end false client-closed');
  const within = open().come(post(5)).leave();
  assert.deepEqual([within.told.at(-1), within.records[0].content], ['1 client-closed', 'lost']);
  const idle = open().come('').leave();
  assert.equal(idle.last(), 'end false client-closed');
  const half = open({ halfClose: 1 })
    .come(get() + get())
    .leave();
  assert.ok(!half.told.some((one) => one.endsWith('closed')));
  for (const record of half.records) record.respond(head(), bytes(''));
  half.turn();
  const [first, second] = half.sent.split(/(?=HTTP)/);
  assert.ok(!first.includes('Connection: close'));
  assert.ok(second.includes('Connection: close'));
  assert.equal(half.last(), 'end false null');
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

test('times: of a head, of content, and between requests', () => {
  const all = open({ headerTimeout: 10, firstByteTimeout: 20, keepAlive: 30, keepAliveGrace: 5, contentRate: 1000, contentWindow: 40 });
  all.http.settle();
  assert.equal(all.within, 20);
  all.come('G');
  assert.equal(all.within, 10);
  all.come(get().slice(1));
  assert.equal(all.within, false);
  all.records[0].respond(head(), bytes(''));
  all.turn();
  assert.equal(all.within, 35);
  all.within = 'untouched';
  all.come('\r\n'); // which is no request yet
  assert.equal(all.within, 'untouched');
  all.come(post(100));
  assert.equal(all.within, 40);
  all.come('x'.repeat(40));
  all.records[1].want();
  all.within = null;
  all.http.readLate(); // 40 bytes in 40 ms are 1000 a second
  assert.equal(all.within, 40);
  all.come('x'.repeat(39));
  all.records[1].want();
  all.http.readLate();
  all.turn();
  assert.match(all.next().slice(-300), /HTTP\/1.1 408 Request Timeout\r\n/);
  assert.equal(all.told.at(-1), '2 body-timeout');
});

test('who is late with a head is told, and who is silent is not', () => {
  const head408 = open().come('GET / HT');
  head408.http.readLate();
  head408.turn();
  assert.match(head408.sent, /^HTTP\/1.1 408 Request Timeout\r\n/);
  const silent = open().come('');
  silent.http.readLate();
  assert.deepEqual([silent.sent, silent.last()], ['', 'end false header-timeout']);
});

test('a server that drains closes connections behind what is in flight', () => {
  const idle = open().come('');
  idle.http.drain();
  assert.equal(idle.last(), 'end false null');
  const busy = open().come(get());
  busy.draining = true;
  busy.http.drain();
  assert.equal(busy.core.state, 'open');
  busy.records[0].respond(head(), bytes(''));
  busy.turn();
  assert.ok(busy.sent.includes('Connection: close'));
  assert.equal(busy.last(), 'end false null');
});

test('a connection is read no faster than its content is', () => {
  const all = open({ reads: false }).come(post(1_000_000));
  all.come('x'.repeat(65_535));
  assert.equal(all.last(), 'on');
  all.come('x');
  assert.equal(all.last(), 'off');
  all.records[0].want();
  assert.equal(all.last(), 'on');
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

// A conversation in which each request is answered with what came of it, in pieces that end there: what is sent.
function conversation(text, ends) {
  const all = open({ keepAlive: -1 });
  const contents = new Map();
  const answer = () => {
    for (const record of all.records) {
      contents.set(record, (contents.get(record) ?? '') + record.read(1000).toString());
      if (record.content === 'coming') record.want();
      else if (record.response === 'open') {
        const { method, target } = record.head;
        record.respond(head(), bytes(`${method} ${target} ${contents.get(record)} ${record.trailers}`));
      }
    }
    all.turn();
  };
  let at = 0;
  for (const end of ends) {
    all.come(text.slice(at, end));
    at = end;
    for (let i = 0; i < 4; i++) answer();
  }
  return [all.sent, all.records.length, all.core.state];
}

test('however the bytes of requests are cut, the same is answered', () => {
  const text = [
    `\r\n${get('GET /1 HTTP/1.1')}`,
    `${post(5)}abcde`,
    get('GET /2 HTTP/1.1'),
    `${get('POST /3 HTTP/1.1', 'Transfer-Encoding: chunked')}3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX: y\r\n\r\n`,
    `${get('POST /4 HTTP/1.1', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
    `${post(1, 'Expect: 100-continue')}z`,
    get('GET /5 HTTP/1.1', 'Connection: close'),
    get('GET /6 HTTP/1.1'),
  ].join('');
  const [sent, count, state] = conversation(text, [text.length]);
  assert.deepEqual([count, state], [7, 'ending']);
  const answers = sent.replaceAll('HTTP/1.1 100 Continue\r\n\r\n', '').split(/HTTP\/1.1 200 OK\r\n.*?\r\n\r\n/s);
  assert.deepEqual(answers, ['', 'GET /1  ', 'POST / abcde ', 'GET /2  ', 'POST /3 abcde X,y', 'POST /4  ', 'POST / z ', 'GET /5  ']);
  const plain = ([got, ...rest]) => [got.replaceAll('HTTP/1.1 100 Continue\r\n\r\n', ''), ...rest];
  const expected = plain([sent, count, state]);
  for (let cut = 1; cut < text.length; cut++) assert.deepEqual(plain(conversation(text, [cut, text.length])), expected, `cut at ${cut}`);
  assert.deepEqual(
    plain(
      conversation(
        text,
        Array.from(text, (_, i) => i + 1),
      ),
    ),
    expected,
    'byte by byte',
  );
});

test('requests that came before FIN are answered by who keeps his side open, and others not', () => {
  const all = open({ halfClose: 1, maxPipeline: 1 }).come(
    get('GET /1 HTTP/1.1') + get('GET /2 HTTP/1.1') + get('GET /3 HTTP/1.1').slice(0, -2),
  );
  all.leave();
  all.records[0].respond(head(), bytes(''));
  all.turn();
  assert.deepEqual([all.records.length, all.core.state], [2, 'open']);
  assert.ok(!all.next().includes('Connection: close'));
  all.records[1].respond(head(), bytes(''));
  all.turn();
  assert.deepEqual([all.records.length, all.core.state], [2, 'ending']); // the last has no end
  const shut = open({ maxPipeline: 1 }).come(get() + get());
  shut.leave();
  assert.deepEqual([shut.records.length, shut.last()], [1, 'end false client-closed']);
});

test('time in which nobody waits for content does not count', (t) => {
  const whole = Object.getOwnPropertyDescriptor(globalThis, 'performance');
  t.after(() => Object.defineProperty(globalThis, 'performance', whole));
  let clock = 1000;
  Object.defineProperty(globalThis, 'performance', { value: { now: () => clock }, configurable: true, writable: true });
  const all = open({ contentWindow: 100, reads: false }).come(post(200_000));
  const [record] = all.records;
  assert.equal(all.within, false);
  record.want();
  assert.equal(all.within, 100);
  clock += 30;
  all.come('a'); // nobody waits for more
  assert.equal(all.within, false);
  clock += 1000;
  record.want();
  assert.equal(all.within, 70);
  clock += 69.5;
  all.come('b');
  record.want();
  assert.equal(all.within, 1); // and not 0, which is no time at all
  for (const off of [{ contentRate: -1 }, { contentWindow: -1 }]) {
    const slow = open(off).come(post(5));
    assert.equal(slow.within, false);
  }
  const released = open({ contentWindow: 100, reads: false }).come(post(5));
  released.records[0].respond(head(), bytes(''));
  released.within = 0;
  released.records[0].release();
  released.turn();
  assert.equal(released.within, 100); // what nobody reads must come, too
});

test('pieces of content count together for the rate', () => {
  const all = open({ contentRate: 1000, contentWindow: 10, reads: false }).come(post(100));
  all.come('12345').come('67890');
  all.records[0].want();
  all.http.readLate();
  assert.equal(all.records[0].response, 'open');
  assert.equal(all.records[0].refused, 0);
});
