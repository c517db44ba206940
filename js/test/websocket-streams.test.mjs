// The streams of a WebSocket, over a connection that the test plays: what is read, written, held back and ended.
// test/websocket-served.test.mjs has them over sockets.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';

import { upgradeWebSocketStream, WebSocketError } from '../index.mjs';
import { accept, asking, bytes, refuses } from './websocket-played.mjs';

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

  test('what is written to a connection that has ended, though nobody was told, is an error at once', async () => {
    const { connection, writable } = await streaming();
    connection.result = 0;
    connection.readyState = 3;
    await assert.rejects(writable.getWriter().write('a'), { name: 'InvalidStateError' });
    assert.deepEqual(
      connection.calls.map(([name]) => name),
      ['send'],
    );
  });

  test('what is no text and no bytes is written as text', async () => {
    const { connection, writable } = await streaming();
    const writer = writable.getWriter();
    for (const data of [5, null, { toString: () => 'an object' }, new Uint8Array(1).buffer]) await writer.write(data);
    assert.deepEqual(connection.sent(), ['5', 'null', 'an object', new ArrayBuffer(1)]);
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
