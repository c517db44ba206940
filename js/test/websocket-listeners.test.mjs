// Listeners of a WebSocket's standard object, over a connection that the test plays: how they are called, and what ends them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { opened } from './websocket-played.mjs';

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

  test('what they throw is the error, whatever it is', async (t) => {
    t.mock.method(console, 'error', () => {});
    for (const [thrown, message] of [
      [new Error('boom'), 'boom'],
      ['a text', 'a text'],
      [42, '42'],
      [{ message: 5 }, '[object Object]'],
      [Object.assign(() => {}, { message: 'of a function', toString: () => 'a function' }), 'a function'],
    ]) {
      const { socket, connection } = opened();
      let event;
      socket.onerror = (given) => {
        event = given;
      };
      socket.onmessage = () => {
        throw thrown;
      };
      connection.tell('message', 'x', false);
      connection.tell('close', 1006, '', false);
      assert.deepEqual([event.error, event.message], [thrown, message]);
    }
  });

  test('are stopped by an event as those of the runtime are', () => {
    const stops = {
      nothing: () => {},
      stopPropagation: (event) => event.stopPropagation(),
      stopImmediatePropagation: (event) => event.stopImmediatePropagation(),
      cancelBubble: (event) => {
        event.cancelBubble = true;
      },
    };
    if (!globalThis.Deno)
      // whose events take it back, which the standard does not (DOM, 2.2)
      stops['cancelBubble, taken back'] = (event) => {
        event.cancelBubble = true;
        event.cancelBubble = false;
      };
    const heardOf = (target, dispatch, stop) => {
      const isSeen = stop !== stops.stopImmediatePropagation; // Node 18 does not say so of that
      const seen = [];
      target.addEventListener('message', (event) => {
        stop(event);
        seen.push(isSeen && event.cancelBubble);
      });
      target.addEventListener('message', (event) => seen.push(isSeen && event.cancelBubble));
      dispatch();
      return seen;
    };
    for (const [name, stop] of Object.entries(stops)) {
      const target = new EventTarget();
      const theirs = heardOf(target, () => target.dispatchEvent(new Event('message')), stop);
      const { socket, connection } = opened();
      assert.deepEqual(
        heardOf(socket, () => connection.tell('message', 'x', false), stop),
        theirs,
        name,
      );
    }
  });

  test('hear of a Blob that cannot be read: its socket ends at once', async () => {
    class Gone extends Blob {
      arrayBuffer() {
        return Promise.reject(new Error('the file has changed'));
      }
    }
    const { socket, connection } = opened();
    const heard = [];
    for (const type of ['error', 'close']) socket.addEventListener(type, ({ type: name, message }) => heard.push([name, message]));
    socket.send(new Gone(['abc']));
    assert.equal(socket.bufferedAmount, 3);
    await new Promise(setImmediate);
    assert.equal(socket.readyState, 2);
    assert.deepEqual(connection.calls, [['terminate']]);
    connection.tell('close', 1006, '', false);
    assert.deepEqual(heard, [
      ['error', 'the file has changed'],
      ['close', undefined],
    ]);
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
