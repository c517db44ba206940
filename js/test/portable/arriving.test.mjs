// Requests of HTTP/1.1 on the portable engine, on a connection of this test's: what a client may send, in whatever pieces, how fast, and
// when it leaves.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { answer, bytes, get, head, lines, open, post } from './one-connection.mjs';

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

test('what was dropped of one request does not count for the next', () => {
  const all = open({ reads: false, drainContent: 10 });
  for (let i = 0; i < 3; i++) {
    all.come(get('POST / HTTP/1.1', 'Transfer-Encoding: chunked'));
    const record = all.records.at(-1);
    record.respond(head(), bytes(''));
    record.release();
    all.turn();
    all.come('6\r\nabcdef\r\n0\r\n\r\n');
    assert.equal(all.core.state, 'open');
  }
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
  for (const [text, status, reason] of [
    [`GET /${'a'.repeat(100)} HTTP/1.1\r\n`, 414, 'over-limit'],
    [get('GET / HTTP/1.1', `X: ${'a'.repeat(100)}`), 431, 'over-limit'],
    [get('GET / HTTP/2.0'), 505, 'bad-request'],
  ]) {
    const { records } = open({ observed: true, maxTarget: 8, maxHeaderSection: 50 }).come(text);
    assert.deepEqual(records[0].head, {
      method: '',
      target: text,
      version: 11,
      fields: [],
      contentLength: 0,
      protocol: null,
      refusal: status,
      refusalReason: reason,
      isHead: false,
      isConnect: false,
      keepAlive: false,
      expectsContinue: false,
      wantsUpgrade: false,
    });
  }
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

test('no further request is read while too much waits to be sent', () => {
  const all = open();
  all.core.queued = 65_536;
  all.come(get() + get());
  assert.equal(all.records.length, 0);
  all.core.queued = 65_535;
  all.core.touch();
  all.turn();
  assert.equal(all.records.length, 2);
});

test('what follows a request for another protocol is no request until that is refused', () => {
  const CONNECT = get('CONNECT a:1 HTTP/1.1');
  const all = open().come(`${CONNECT}early`);
  assert.deepEqual([all.records.length, all.records[0].unread], [1, 0]);
  assert.equal(all.records[0].upgrade(head(200, [])), 0);
  all.turn();
  all.http.process();
  assert.equal(all.records[0].read(10).toString(), 'early');
  // Who has answered before all of the content came agrees on nothing.
  const late = open().come(post(2, 'Connection: Upgrade', 'Upgrade: x'));
  late.records[0].respond(head(), bytes(''));
  late.turn();
  late.come(`ab${get()}`);
  assert.equal(late.records.length, 2);
});

test('content that breaks the protocol is refused, whether the handler was called or not', () => {
  const begin = get('POST / HTTP/1.1', 'Transfer-Encoding: chunked');
  const called = open().come(begin).come(`xyz\r\n${get()}`);
  assert.deepEqual([called.records.length, called.told, called.records[0].content], [1, ['1 content', '1 bad-request'], 'lost']);
  assert.match(called.sent, /^HTTP\/1.1 400 .*\r\nConnection: close\r\n/s);
  assert.deepEqual([called.within, called.last()], [false, 'end true null']);
  const atOnce = open().come(`${begin}x\r\n${get()}`);
  assert.deepEqual([atOnce.records.length, atOnce.last()], [0, 'end true null']);
  assert.match(atOnce.sent, /^HTTP\/1.1 400 /);
  const watched = open({ observed: true }).come(`${begin}x\r\n`);
  assert.deepEqual([watched.records.length, watched.told], [0, []]);
  assert.match(watched.sent, /^HTTP\/1.1 400 /);
});

test('nothing is read behind what is no request, though its handler has not answered yet', () => {
  const all = open({ observed: true }).come('GET@ / HTTP/1.1\r\n\r\n').come(get());
  assert.equal(all.records.length, 1);
  assert.deepEqual([all.within, all.last()], [false, 'on']);
  const behind = open().come(`${get()}GET@ / HTTP/1.1\r\n\r\n`).come(get());
  assert.equal(behind.records.length, 1);
});

test('a long content of a known length has no limit but that which its head was let in by', () => {
  const all = open({ maxContent: 2 }).come(post(3)).come('abc');
  assert.deepEqual([all.records[0].content, all.sent], ['whole', '']);
});
