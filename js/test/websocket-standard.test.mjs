// The standard object of a WebSocket, over a connection that the test plays: what is sent, and when which event comes.
// test/websocket-served.test.mjs has them over sockets.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';

import { upgradeWebSocket, Response } from '../index.mjs';
import { accept, asking, bytes, heard, opened, refuses } from './websocket-played.mjs';

describe('the request', () => {
  test('is granted by a copy of the response, too', () => {
    const { request } = asking();
    const { socket, response } = upgradeWebSocket(request);
    assert.notEqual(accept(response.clone()), null);
    assert.equal(socket.readyState, 1);
  });

  test('must ask, of our server, and not be answered', () => {
    for (const given of [null, {}, new Request('http://a.test', { headers: { upgrade: 'websocket' } })])
      assert.throws(() => upgradeWebSocket(given), { name: 'TypeError', message: /must be one that serve\(\) has given/ });
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

  test('what waits in line for a Blob is counted when the end comes before it is read', async () => {
    const { socket, connection } = opened();
    socket.onclose = () => {}; // who looks is told at once
    socket.send(new Blob(['1234']));
    socket.send('56');
    socket.send(bytes(7, 8, 9));
    assert.equal(socket.bufferedAmount, 9);
    connection.tell('close', 1006, '', false);
    await new Promise(setImmediate);
    assert.equal(socket.bufferedAmount, 9);
    assert.deepEqual([socket.readyState, connection.sent()], [3, []]);
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
