// The standard object and the streams of a WebSocket, over a connection that the test plays: what is sent, and when which event comes.
// test/websocket-served.test.mjs has them over sockets.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';

import { upgradeWebSocket, upgradeWebSocketStream, WebSocketError, Response } from '../index.mjs';

const require = createRequire(import.meta.url);
const accepting = require('../src/websocket/accept.js');
const { requestFromExchange } = require('../src/fetch/request.js');
const { responseParts } = require('../src/fetch/response.js');

// A connection as acceptSocket gives it. `calls` has what was asked of it; tell(event, ...) is what the engine would tell.
class Connection {
  calls = [];
  bufferedAmount = 0;
  result = 1;
  readyState = 1;
  protocol = '';
  extensions = '';

  constructor(handlers, options) {
    this.handlers = handlers;
    this.options = options;
    this.data = options.data;
    this.protocol = options.protocol || '';
  }

  tell(event, ...given) {
    this.handlers[event]?.(this, ...given);
  }
  send(data) {
    this.calls.push(['send', data]);
    if (this.result !== 0) this.bufferedAmount += typeof data === 'string' ? Buffer.byteLength(data) : data.byteLength;
    return this.result;
  }
  ready() {
    this.calls.push(['ready']);
    return new Promise((resolve) => {
      this.drained = resolve;
    });
  }
  sent() {
    return this.calls.filter(([name]) => name === 'send').map(([, data]) => data);
  }
}
for (const name of ['close', 'terminate', 'pause', 'resume'])
  Connection.prototype[name] = function (...given) {
    this.calls.push([name, ...given]);
  };

// A request that asks for a WebSocket, with what becomes of its exchange.
function asking(fields = {}) {
  const all = { upgrade: 'websocket', host: 'here.test', ...fields };
  const exchange = {
    asksForWebSocket: all.upgrade.toLowerCase().includes('websocket'),
    mayBecomeSocket: true,
    over: false,
    secure: false,
    method: 'GET',
    target: '/chat?a=b',
    watchers: [],
    cached: { url: '' },
    field: (name) => all[name] ?? null,
    cachedUrl: () => exchange.cached,
    watch: (act) => exchange.watchers.push(act),
    respond(...given) {
      exchange.response = given;
    },
  };
  return { exchange, request: requestFromExchange(exchange, () => 'http://here.test') };
}

// The server has sent the response: the connection, which is open.
function accept(response, open = true) {
  let connection = null;
  const { acceptSocket } = accepting;
  accepting.acceptSocket = (request, handlers, options) => {
    connection = new Connection(handlers, options);
    return connection;
  };
  const { accept: act, fields } = responseParts(response);
  act(fields);
  accepting.acceptSocket = acceptSocket;
  if (open) connection?.tell('open');
  return connection;
}

function opened(options, fields) {
  const { request } = asking(fields);
  const { socket, response } = upgradeWebSocket(request, options);
  return { socket, connection: accept(response) };
}

// What a socket says from here on, in order.
function heard(socket, ...types) {
  const events = [];
  for (const type of types.length === 0 ? ['open', 'message', 'error', 'close'] : types)
    socket.addEventListener(type, (event) =>
      events.push(type === 'message' ? event.data : type === 'close' ? [event.code, event.reason] : type),
    );
  return events;
}

const bytes = (...list) => new Uint8Array(list).buffer;
const refuses = (act, name) => assert.throws(act, (error) => error instanceof DOMException && error.name === name);

describe('the request', () => {
  test('is granted by a copy of the response, too', () => {
    const { request } = asking();
    const { socket, response } = upgradeWebSocket(request);
    assert.notEqual(accept(response.clone()), null);
    assert.equal(socket.readyState, 1);
  });

  test('must ask, of our server, and not be answered', () => {
    for (const given of [null, {}, new Request('http://a.test', { headers: { upgrade: 'websocket' } })])
      assert.throws(() => upgradeWebSocket(given), TypeError);
    assert.throws(() => upgradeWebSocket(asking({ upgrade: 'h2c' }).request), /does not ask for a WebSocket/);
    assert.ok(upgradeWebSocket(asking({ upgrade: 'h2c, WebSocket' }).request).socket);
    const { exchange, request } = asking();
    exchange.mayBecomeSocket = false;
    assert.throws(() => upgradeWebSocket(request), /was answered already/);
  });

  test('must offer the protocol', () => {
    const fields = { 'sec-websocket-protocol': 'chat, superchat' };
    assert.throws(() => upgradeWebSocket(asking(fields).request, { protocol: 'other' }), /does not offer/);
    const { socket, connection } = opened({ protocol: 'superchat' }, fields);
    assert.equal(connection.options.protocol, 'superchat');
    assert.equal(socket.protocol, 'superchat');
  });

  test('is answered when the response is sent, with its fields', () => {
    const { request } = asking();
    const { socket, response } = upgradeWebSocket(request, { headers: { 'x-a': '1' }, maxMessage: 5, idleTimeout: 10 });
    assert.equal(response.status, 101);
    assert.ok(response instanceof globalThis.Response);
    response.headers.append('set-cookie', 'a=1');
    response.headers.append('set-cookie', 'b=2');
    assert.equal(socket.readyState, 0);
    const { options } = accept(response, false);
    const { native } = options.settings;
    assert.deepEqual(options.headers, [
      ['x-a', '1'],
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
    ]);
    assert.deepEqual([native.maxMessage, native.pingInterval, native.pongTimeout, native.closeAtLimit], [5, 5000, 5000, 1]);
    assert.throws(() => upgradeWebSocket(asking().request, { maxMesage: 5 }), /maxMessage is meant/);
    assert.throws(() => upgradeWebSocket(asking().request, { idleTimeout: '5' }), TypeError);
    assert.equal(accept(upgradeWebSocket(asking().request, { idleTimeout: 0 }).response).options.settings.native.pingInterval, -1);
  });

  test('a Response that is made of the response is the response', () => {
    const { response } = upgradeWebSocket(asking().request);
    const copy = new Response(response.body, response);
    copy.headers.set('x-b', '2');
    assert.equal(copy.status, 101);
    assert.deepEqual(accept(copy).options.headers, [['x-b', '2']]);
    assert.throws(() => new Response(null, { status: 101 }), RangeError);
  });

  test('that gets another answer fails its socket', async () => {
    const { exchange, request } = asking();
    const { socket } = upgradeWebSocket(request);
    const events = heard(socket);
    for (const act of exchange.watchers) act('complete');
    assert.deepEqual(events, ['error', [1006, '']]);
    assert.equal(socket.readyState, 3);
  });

  test('that the engine refuses fails its socket', () => {
    const { socket, response } = upgradeWebSocket(asking().request);
    const events = heard(socket);
    accept(response, false).tell('refused', new Error('its origin'));
    assert.deepEqual(events, ['error', [1006, '']]);
  });

  test('is refused when its socket was closed before', () => {
    const { exchange, request } = asking();
    const { socket, response } = upgradeWebSocket(request);
    const events = heard(socket);
    socket.close();
    assert.equal(socket.readyState, 2);
    assert.equal(accept(response), null);
    assert.equal(exchange.response[0], 403);
    for (const act of exchange.watchers) act('complete');
    assert.deepEqual(events, ['error', [1006, '']]);
  });
});

describe('the object', () => {
  test('is an EventTarget, and a WebSocket where the runtime has one', () => {
    const { socket } = opened();
    assert.ok(socket instanceof EventTarget);
    assert.equal(Object.prototype.toString.call(socket), '[object WebSocket]');
    if (globalThis.WebSocket !== undefined) {
      assert.ok(socket instanceof WebSocket);
      assert.equal(socket.constructor, WebSocket);
    }
    assert.deepEqual([socket.CONNECTING, socket.OPEN, socket.CLOSING, socket.CLOSED], [0, 1, 2, 3]);
    assert.equal(socket.url, 'ws://here.test/chat?a=b');
    assert.deepEqual([socket.readyState, socket.extensions, socket.protocol, socket.binaryType], [1, '', '', 'blob']);
    const members = [];
    for (const name in socket) members.push(name);
    for (const name of [
      'url',
      'readyState',
      'bufferedAmount',
      'onopen',
      'onmessage',
      'onerror',
      'onclose',
      'send',
      'close',
      'addEventListener',
    ])
      assert.ok(members.includes(name), name);
    assert.throws(() => socket.send.call({}, 'x'), TypeError);
  });

  test('binaryType takes what it may be', () => {
    const { socket } = opened();
    for (const [value, then] of [
      ['arraybuffer', 'arraybuffer'],
      ['blobs', 'arraybuffer'],
      [null, 'arraybuffer'],
      ['blob', 'blob'],
    ]) {
      socket.binaryType = value;
      assert.equal(socket.binaryType, then);
    }
  });

  test('prints', async () => {
    const { inspect } = await import('node:util');
    const { socket, connection } = opened();
    assert.match(inspect(socket), /^WebSocket \{[^]*readyState: 1/);
    const seen = new Promise((resolve) => {
      socket.onmessage = resolve;
    });
    connection.tell('message', 'hi', false);
    assert.match(inspect(await seen), /^MessageEvent \{[^]*data: ['"]hi['"]/);
  });
});

describe('sending', () => {
  test('before it is open is an error', () => {
    const { socket } = upgradeWebSocket(asking().request);
    for (const data of ['x', new Blob(['x']), new Uint8Array(1)]) refuses(() => socket.send(data), 'InvalidStateError');
    assert.throws(() => opened().socket.send(), TypeError);
  });

  test('takes strings, bytes, and what becomes a string', () => {
    const { socket, connection } = opened();
    const given = ['é', bytes(1), new Uint8Array([2]), new DataView(bytes(3, 4), 1)];
    for (const data of given) socket.send(data);
    assert.deepEqual(connection.sent(), given);
    for (const data of [5, null, undefined, { toString: () => 'own' }]) socket.send(data);
    assert.deepEqual(connection.sent().slice(4), ['5', 'null', 'undefined', 'own']);
    assert.throws(() => socket.send(Symbol('x')), TypeError);
  });

  test('a Blob keeps its place in line, and the bytes behind it', async () => {
    const { socket, connection } = opened();
    const later = new Uint8Array([7]);
    socket.send('first');
    socket.send(new Blob(['blob']));
    socket.send(later);
    socket.send(new Blob([]));
    socket.send('last');
    socket.close(3000, 'done');
    assert.equal(socket.bufferedAmount, 5 + 4 + 1 + 4);
    later[0] = 9;
    while (!connection.calls.some(([name]) => name === 'close')) await turn();
    assert.deepEqual(
      connection.sent().map((data) => (typeof data === 'string' ? data : Buffer.from(data).toString())),
      ['first', 'blob', '\x07', '', 'last'],
    );
    assert.deepEqual(connection.calls.at(-1), ['close', 3000, 'done']);
    assert.equal(socket.bufferedAmount, 14);
  });

  test('after the end is counted, and goes nowhere', () => {
    const { socket, connection } = opened();
    socket.close();
    socket.send('é');
    socket.send(bytes(1, 2, 3));
    socket.send(new Blob(['1234']));
    assert.equal(socket.bufferedAmount, 9);
    connection.tell('close', 1005, '', true);
    socket.send('x');
    assert.equal(socket.bufferedAmount, 10);
    assert.deepEqual(connection.sent(), []);
  });

  test('over the limit ends it', () => {
    const { socket, connection } = opened();
    const events = heard(socket);
    connection.result = 0;
    socket.send('unsent'); // with onLimit: 'refuse'
    assert.equal(socket.readyState, 1);
    connection.readyState = 2;
    socket.send('too much');
    assert.equal(socket.readyState, 2);
    connection.tell('close', 1006, '', false);
    assert.deepEqual(events, ['error', [1006, '']]);
    assert.equal(socket.bufferedAmount, 14);
  });
});

describe('closing', () => {
  test('with a code that may not be, or a long reason', () => {
    const { socket, connection } = opened();
    for (const code of [0, 999, 1001, 1005, 1006, 2999, 5000, 65536 + 1000, NaN, null, '1001', Infinity])
      refuses(() => socket.close(code), 'InvalidAccessError');
    refuses(() => socket.close(1000, 'é'.repeat(62)), 'SyntaxError');
    refuses(() => socket.close(undefined, 'x'.repeat(124)), 'SyntaxError');
    assert.equal(socket.readyState, 1);
    assert.deepEqual(connection.calls, []);
  });

  test('sends what it was given', () => {
    for (const [given, sent] of [
      [[], [0, '']],
      [[undefined], [0, '']],
      [[1000], [1000, '']],
      [
        [3000.4, 'why'],
        [3000, 'why'],
      ],
      [
        ['4999', ''],
        [4999, ''],
      ],
      [
        [undefined, 'why'],
        [1000, 'why'],
      ],
      [
        [1000, 'x'.repeat(123)],
        [1000, 'x'.repeat(123)],
      ],
      [
        [1000, null],
        [1000, 'null'],
      ],
    ]) {
      const { socket, connection } = opened();
      socket.close(...given);
      socket.close(4000); // the second time nothing happens
      assert.deepEqual(connection.calls, [['close', ...sent]]);
      assert.equal(socket.readyState, 2);
    }
  });

  test('no message comes after it', () => {
    const { socket, connection } = opened();
    const events = heard(socket);
    connection.tell('message', 'a', false);
    socket.close();
    connection.tell('message', 'b', false);
    connection.tell('close', 1005, '', true);
    assert.deepEqual(events, ['a', [1005, '']]);
  });

  test('error comes before close when it was not clean', () => {
    for (const [told, then] of [
      [[1000, 'bye', true], [[1000, 'bye']]],
      [
        [1006, '', false],
        ['error', [1006, '']],
      ],
      [
        [1002, '', false],
        ['error', [1002, '']],
      ],
    ]) {
      const { socket, connection } = opened();
      const events = heard(socket);
      connection.tell('close', ...told);
      assert.deepEqual(events, then);
      assert.equal(socket.readyState, 3);
    }
  });

  test('the event tells how it was', () => {
    const { socket, connection } = opened();
    let seen;
    socket.onclose = (event) => {
      seen = event;
    };
    connection.tell('close', 4001, 'enough', true);
    assert.ok(seen instanceof Event);
    if (globalThis.CloseEvent !== undefined) assert.ok(seen instanceof CloseEvent);
    const { type, code, reason, wasClean, target, isTrusted, bubbles, cancelable } = seen;
    assert.deepEqual([type, code, reason, wasClean, isTrusted, bubbles, cancelable], ['close', 4001, 'enough', true, true, false, false]);
    assert.equal(target, socket);
  });
});

describe('messages', () => {
  test('are strings, Blobs or ArrayBuffers', async () => {
    const { socket, connection } = opened();
    const events = heard(socket, 'message');
    connection.tell('message', 'text', false);
    connection.tell('message', bytes(1, 2), true);
    socket.binaryType = 'arraybuffer';
    connection.tell('message', bytes(3), true);
    connection.tell('message', new Uint8Array([0, 4, 0]).subarray(1, 2), true);
    const [text, blob, ...buffers] = events;
    assert.equal(text, 'text');
    assert.ok(blob instanceof Blob);
    assert.deepEqual(await blob.arrayBuffer(), bytes(1, 2));
    assert.deepEqual(buffers, [bytes(3), bytes(4)]);
  });

  test('one event each, which is a MessageEvent', () => {
    const { socket, connection } = opened();
    const seen = [];
    socket.onmessage = (event) => seen.push([event, event.currentTarget, event.eventPhase, event.composedPath()]);
    socket.addEventListener('message', (event) => seen.push([event]));
    connection.tell('message', 'x', false);
    const [[event, current, phase, path], [other]] = seen;
    assert.equal(event, other);
    assert.ok(event instanceof Event && event instanceof MessageEvent);
    assert.deepEqual([event.type, event.data, event.origin, event.lastEventId, event.source], ['message', 'x', '', '', null]);
    assert.deepEqual([event.target, current, phase, path], [socket, socket, 2, [socket]]);
    assert.deepEqual([event.currentTarget, event.eventPhase, event.composedPath()], [null, 0, []]);
    assert.equal(typeof event.timeStamp, 'number');
    assert.equal(Object.prototype.toString.call(event), '[object MessageEvent]');
  });

  test('wait for the first listener, in order, and those behind wait too', async () => {
    const { socket, connection } = opened();
    connection.tell('message', 'a', false);
    connection.tell('message', 'b', false);
    const events = [];
    socket.onmessage = (event) => events.push(event.data);
    assert.deepEqual(events, []); // not inside of the assignment
    connection.tell('message', 'c', false);
    await null;
    connection.tell('message', 'd', false);
    assert.deepEqual(events, ['a', 'b', 'c', 'd']);
    assert.deepEqual(connection.calls, []);
  });

  test('that wait are bounded: no more is read', async () => {
    const { socket, connection } = opened();
    for (let i = 0; i < 4; i++) connection.tell('message', new ArrayBuffer(16384), true);
    assert.deepEqual(connection.calls, [['pause']]);
    const events = heard(socket, 'message');
    await null;
    assert.equal(events.length, 4);
    assert.deepEqual(connection.calls, [['pause'], ['resume']]);
    const { connection: other } = opened();
    for (let i = 0; i < 1024; i++) other.tell('message', '', false); // empty ones, too
    assert.deepEqual(other.calls, [['pause']]);
  });

  test('that wait come before the end; who listens to the end alone is told at once', async () => {
    const { socket, connection } = opened();
    connection.tell('message', 'a', false);
    connection.tell('close', 1000, '', true);
    const events = heard(socket);
    await null;
    assert.deepEqual(events, ['a', [1000, '']]);
    assert.equal(socket.readyState, 3);
    const { socket: deaf, connection: other } = opened();
    const ends = heard(deaf, 'close');
    other.tell('message', 'a', false);
    other.tell('close', 1000, '', true);
    assert.deepEqual(ends, [[1000, '']]);
    const { socket: late, connection: third } = opened();
    third.tell('close', 1000, '', true);
    const seen = heard(late, 'close');
    await null;
    assert.deepEqual(seen, [[1000, '']]);
  });
});

describe('listeners', () => {
  test('are called once, in order, with their options', () => {
    const { socket, connection } = opened();
    const calls = [];
    const twice = () => calls.push('twice');
    socket.addEventListener('message', twice);
    socket.addEventListener('message', twice);
    socket.onmessage = () => calls.push('attribute');
    socket.addEventListener('message', { handleEvent: () => calls.push('object') });
    socket.addEventListener('message', () => calls.push('once'), { once: true });
    connection.tell('message', '1', false);
    assert.deepEqual(calls.splice(0), ['twice', 'attribute', 'object', 'once']);
    socket.removeEventListener('message', twice);
    socket.onmessage = () => calls.push('another'); // in the place of the first
    connection.tell('message', '2', false);
    assert.deepEqual(calls.splice(0), ['another', 'object']);
    socket.onmessage = null;
    assert.equal(socket.onmessage, null);
    connection.tell('message', '3', false);
    assert.deepEqual(calls, ['object']);
  });

  test('end with their signal', () => {
    const { socket, connection } = opened();
    const controller = new AbortController();
    const calls = [];
    socket.addEventListener('message', () => calls.push('a'), { signal: controller.signal });
    connection.tell('message', '1', false);
    controller.abort();
    connection.tell('message', '2', false);
    socket.addEventListener('message', () => calls.push('b'), { signal: controller.signal });
    connection.tell('message', '3', false);
    assert.deepEqual(calls, ['a']);
  });

  test('leave their signal when the socket has ended', () => {
    const { socket, connection } = opened();
    const { signal } = new AbortController();
    let count = 0;
    for (const [name, change] of [
      ['addEventListener', 1],
      ['removeEventListener', -1],
    ]) {
      const native = signal[name];
      signal[name] = (...given) => {
        count += change;
        return native.apply(signal, given);
      };
    }
    const removed = () => {};
    for (const listener of [removed, () => {}]) socket.addEventListener('message', listener, { signal });
    socket.removeEventListener('message', removed);
    assert.equal(count, 1);
    connection.tell('close', 1000, '', true);
    assert.equal(count, 0);
  });

  test('may be added, removed and stopped in a dispatch', () => {
    const { socket, connection } = opened();
    const calls = [];
    const last = () => calls.push('last');
    socket.addEventListener('message', () => {
      calls.push('first');
      socket.removeEventListener('message', last);
      socket.addEventListener('message', () => calls.push('new'));
    });
    socket.addEventListener('message', last);
    connection.tell('message', '1', false);
    assert.deepEqual(calls.splice(0), ['first']);
    const { socket: other, connection: its } = opened();
    other.addEventListener('message', (event) => event.stopImmediatePropagation());
    other.addEventListener('message', last);
    its.tell('message', '1', false);
    assert.deepEqual(calls, []);
  });

  test('hear of events that a program dispatches', () => {
    const { socket } = opened();
    const seen = [];
    socket.addEventListener('own', (event) => {
      seen.push(event.target === socket);
      event.preventDefault();
      event.stopImmediatePropagation();
    });
    socket.addEventListener('own', () => seen.push('never'));
    assert.equal(socket.dispatchEvent(new Event('own', { cancelable: true })), false);
    assert.equal(socket.dispatchEvent(new Event('other')), true);
    assert.deepEqual(seen, [true]);
    assert.throws(() => socket.dispatchEvent({}), TypeError);
  });

  test('that throw, or whose promise is rejected, end their socket with 1011', async (t) => {
    const { error: print } = console;
    t.after(() => {
      console.error = print;
    });
    const printed = [];
    console.error = (...given) => printed.push(given);
    for (const fails of [
      () => {
        throw new Error('as it should');
      },
      () => Promise.reject(new Error('as it should')),
    ]) {
      const { socket, connection } = opened();
      socket.onmessage = fails;
      let error;
      socket.onerror = (event) => {
        ({ error } = event);
      };
      connection.tell('message', 'x', false);
      await null;
      await null;
      assert.deepEqual(connection.calls, [['close', 1011, '']]);
      connection.tell('close', 1011, '', true);
      assert.equal(error.message, 'as it should');
    }
    assert.equal(printed.length, 2);
  });

  test('a listener for capturing is another one', () => {
    const { socket, connection } = opened();
    const listener = () => events.push('x');
    const events = [];
    for (const capture of [true, false]) socket.addEventListener('message', listener, capture);
    socket.removeEventListener('message', listener);
    socket.removeEventListener('message', listener);
    connection.tell('message', '', false);
    assert.deepEqual(events, ['x']);
  });

  test('once() of node:events hears it', async () => {
    const { once } = await import('node:events');
    const { socket, connection } = opened();
    const next = once(socket, 'message');
    connection.tell('message', 'x', false);
    const [event] = await next;
    assert.equal(event.data, 'x');
  });
});

// ---------------------------------------------------------------- streams

async function streaming(options) {
  const { request } = asking();
  const { stream, response } = upgradeWebSocketStream(request, options);
  const connection = accept(response);
  return { stream, connection, ...(await stream.opened) };
}

describe('streams', () => {
  test('read messages, and hold back what is not read', async () => {
    const { connection, readable } = await streaming();
    const reader = readable.getReader();
    connection.tell('message', 'a', false);
    connection.tell('message', bytes(1), true);
    assert.deepEqual(await reader.read(), { done: false, value: 'a' });
    assert.deepEqual((await reader.read()).value, new Uint8Array([1]));
    for (let i = 0; i < 4; i++) connection.tell('message', new ArrayBuffer(16384), true);
    assert.deepEqual(connection.calls, [['pause']]);
    await reader.read();
    await turn();
    assert.deepEqual(connection.calls, [['pause'], ['resume']]);
  });

  test('hold back messages without content, too', async () => {
    const { connection } = await streaming();
    for (let i = 0; i < 2000; i++) connection.tell('message', '', false);
    assert.deepEqual(connection.calls[0], ['pause']);
  });

  test('drop what waits when reading is cancelled behind the end', async () => {
    const { stream, connection, readable } = await streaming();
    for (let i = 0; i < 5; i++) connection.tell('message', new ArrayBuffer(16384), true);
    const [gone] = Object.getOwnPropertySymbols(connection.handlers);
    connection.tell(gone, 1000, '', true);
    await stream.closed;
    await readable.cancel();
    assert.deepEqual(connection.calls, [['pause'], ['resume']]);
  });

  test('an error with a reason has a code, too', () => {
    assert.deepEqual([new WebSocketError('x', { reason: 'no' }).closeCode, new WebSocketError('x').closeCode], [1000, null]);
  });

  test('writing waits for the client', async () => {
    const { connection, writable } = await streaming();
    const writer = writable.getWriter();
    await writer.write('a');
    connection.result = -1;
    let isDone = false;
    const second = writer.write('b').then(() => {
      isDone = true;
    });
    await turn();
    assert.equal(isDone, false);
    connection.drained();
    await second;
    connection.result = 0; // not queued: it is sent again
    const third = writer.write('c');
    await turn();
    connection.result = 1;
    connection.drained();
    await third;
    assert.deepEqual(connection.sent(), ['a', 'b', 'c', 'c']);
  });

  test('end with the client', async () => {
    const { stream, connection, readable, writable } = await streaming();
    const reader = readable.getReader();
    connection.tell('message', 'last', false);
    connection.tell('close', 1000, 'bye', true);
    assert.equal((await reader.read()).value, 'last');
    assert.equal((await reader.read()).done, true);
    assert.deepEqual(await stream.closed, { closeCode: 1000, reason: 'bye' });
    await assert.rejects(writable.getWriter().write('x'), { name: 'InvalidStateError' });
  });

  test('fail with the connection', async () => {
    const { stream, connection, readable, writable } = await streaming();
    connection.tell('close', 1006, '', false);
    const fails = (error) => error instanceof WebSocketError && error.name === 'WebSocketError' && error.closeCode === 1006;
    await assert.rejects(stream.closed, fails);
    await assert.rejects(readable.getReader().read(), fails);
    await assert.rejects(writable.getWriter().write('x'), fails);
  });

  test('close: by the object, the writer, a cancel, an abort', async () => {
    for (const [act, sent] of [
      [({ stream }) => stream.close(), [0, '']],
      [({ stream }) => stream.close({ closeCode: 3000, reason: 'why' }), [3000, 'why']],
      [({ stream }) => stream.close({ reason: 'why' }), [1000, 'why']],
      [({ writable }) => writable.close(), [0, '']],
      [({ readable }) => readable.cancel(new WebSocketError('x', { closeCode: 4000, reason: 'no' })), [4000, 'no']],
      [({ writable }) => writable.abort(new WebSocketError('x', { reason: 'no' })), [1000, 'no']],
      [({ readable }) => readable.cancel('other'), [0, '']],
    ]) {
      const open = await streaming();
      const done = act(open);
      await turn();
      assert.deepEqual(open.connection.calls, [['close', ...sent]]);
      open.connection.tell('close', 1005, '', true);
      await done;
      assert.deepEqual(await open.stream.closed, { closeCode: 1005, reason: '' });
    }
    const { stream } = await streaming();
    refuses(() => stream.close({ closeCode: 1001 }), 'InvalidAccessError');
    refuses(() => stream.close({ reason: 'x'.repeat(124) }), 'SyntaxError');
  });

  test('never opened', async () => {
    const { exchange, request } = asking();
    const { stream, response } = upgradeWebSocketStream(request);
    stream.close();
    assert.equal(accept(response), null);
    for (const act of exchange.watchers) act('complete');
    await assert.rejects(stream.opened, WebSocketError);
    await assert.rejects(stream.closed, WebSocketError);
  });
});
