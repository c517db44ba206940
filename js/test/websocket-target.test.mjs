// The listeners of a WebSocket are called as the DOM standard has it: the same is asked of them and of a model, as it comes from a seed,
// and the same is heard. (Node's own EventTarget calls also what is added within a dispatch, and a signal takes off what was added anew.)
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const { Target } = createRequire(import.meta.url)('../src/websocket/target.js');

const TYPES = ['a', 'b'];
const OPTIONS = [undefined, true, false, {}, { capture: true }, { once: true }, { once: true, capture: true }, null];

function randomOf(seed) {
  return (below) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
}

// An EventTarget, step by step as in the DOM standard (2.7, 2.9).
class Model {
  list = [];

  addEventListener(type, callback, options) {
    const { capture = options === true, once = false, signal } = Object(options);
    if (signal?.aborted || this.find(type, callback, capture) !== undefined) return;
    const listener = { type, callback, capture, once, isRemoved: false };
    this.list.push(listener);
    signal?.addEventListener('abort', () => this.take(listener));
  }

  removeEventListener(type, callback, options) {
    const { capture = options === true } = Object(options);
    this.take(this.find(type, callback, capture));
  }

  find(type, callback, capture) {
    return this.list.find((one) => one.type === type && one.callback === callback && one.capture === capture);
  }

  take(listener) {
    if (listener === undefined) return;
    listener.isRemoved = true;
    this.list = this.list.filter((one) => one !== listener);
  }

  dispatchEvent(event) {
    let isStopped = false;
    Object.defineProperty(event, 'target', { value: this });
    event.stopImmediatePropagation = () => {
      isStopped = true;
    };
    for (const listener of [...this.list]) {
      if (isStopped || listener.type !== event.type || listener.isRemoved) continue;
      if (listener.once) this.take(listener);
      if (typeof listener.callback === 'function') listener.callback.call(this, event);
      else listener.callback.handleEvent(event);
    }
    return !event.defaultPrevented;
  }
}

// What is heard of a target when so many things are done with it.
function heardOf(target, seed, count) {
  const random = randomOf(seed);
  const heard = [];
  const signals = Array.from({ length: 4 }, () => new AbortController());
  // Some do something while they are called.
  const within = [
    () => {},
    (event) => target.addEventListener(event.type, callbacks[1]), // itself
    (event) => event.stopImmediatePropagation(),
    (event) => target.removeEventListener(event.type, callbacks[0]),
    (event) => target.addEventListener(event.type, callbacks[0]),
    (event) => event.preventDefault(),
    () => signals[0].abort(),
    (event) => event.stopPropagation(),
  ];
  const callbacks = within.map((act, i) => {
    const call = function (event) {
      heard.push(`${i}: ${event.type} ${event.target === target} ${this === target || this === callbacks[i]}`);
      act(event);
    };
    return i % 3 === 2 ? { handleEvent: call } : call;
  });
  for (let i = 0; i < count; i++) {
    const type = TYPES[random(2)];
    const callback = callbacks[random(callbacks.length)];
    const options = OPTIONS[random(OPTIONS.length)];
    switch (random(5)) {
      case 0:
      case 1:
        target.addEventListener(type, callback, options);
        break;
      case 2:
        target.addEventListener(type, callback, { ...options, signal: signals[random(4)].signal });
        break;
      case 3:
        target.removeEventListener(type, callback, options);
        break;
      default: {
        const event = new Event(type, { cancelable: random(2) === 0 });
        heard.push(target.dispatchEvent(event), event.defaultPrevented);
      }
    }
    if (random(20) === 0) signals[random(4)].abort();
  }
  return heard;
}

test('whatever is asked, what is heard is the same', () => {
  for (let seed = 1; seed <= 200; seed++)
    assert.deepEqual(heardOf(new Target({ added() {}, failed() {} }), seed, 60), heardOf(new Model(), seed, 60), `of seed ${seed}`);
});

test('what is no listener, and no event, is refused', () => {
  const target = new Target({ added() {}, failed() {} });
  for (const args of [[], ['a'], ['a', 1], ['a', 'b'], ['a', () => {}, { signal: {} }], ['a', () => {}, { signal: null }]])
    assert.throws(() => target.addEventListener(...args), TypeError);
  for (const args of [[], ['a']]) assert.throws(() => target.removeEventListener(...args), TypeError);
  for (const event of [undefined, null, 'a', {}, { type: 'a' }]) assert.throws(() => target.dispatchEvent(event), TypeError);
  target.addEventListener('a', null);
  target.addEventListener('a', undefined);
  assert.equal(target.dispatchEvent(new Event('a')), true);
});

test('a listener that fails is told of, and does not keep the event from the others', async () => {
  const failed = [];
  const added = [];
  const target = new Target({ added: (_, type) => added.push(type), failed: (_, error) => failed.push(error) });
  const calls = [];
  target.addEventListener('a', () => {
    throw 1;
  });
  target.addEventListener('a', async () => {
    throw 2;
  });
  target.addEventListener('a', { handleEvent: 'none' });
  target.addEventListener('a', () => calls.push('last'));
  target.dispatchEvent(new Event('a'));
  await null;
  await null;
  assert.deepEqual([calls, added], [['last'], ['a', 'a', 'a', 'a']]);
  assert.equal(failed.length, 3);
  assert.deepEqual([failed[0], failed[1] instanceof TypeError, failed[2]], [1, true, 2]);
});
