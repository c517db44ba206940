// The listeners of a WebSocket, after EventTarget of the DOM standard: one flat list, since there are few. A dispatch goes through the
// list as it was when it began, so that is never changed but exchanged.
'use strict';

const { internals } = require('./events.js');

const NOBODY = Object.freeze([]);

// What `dispatchEvent` was given, as an event of this target: the runtime's own can only be aimed by the runtime.
function aimed(event, target) {
  Object.defineProperty(event, 'target', { value: target, configurable: true });
  Object.defineProperty(event, 'currentTarget', { value: target, configurable: true });
  return event;
}

function isEvent(event) {
  return event !== null && typeof event === 'object' && typeof event.type === 'string' && typeof event.composedPath === 'function';
}

// Calls a listener. It has failed when it throws, or when its promise is rejected.
function call(callback, target, event, hooks) {
  try {
    const result = typeof callback === 'function' ? callback.call(target, event) : callback.handleEvent(event);
    if (typeof result === 'object' && result !== null && typeof result.then === 'function')
      result.then(undefined, (error) => hooks.failed(target, error));
  } catch (error) {
    hooks.failed(target, error);
  }
}

function isOff({ isRemoved, signal }) {
  return isRemoved || (signal !== undefined && signal.aborted);
}

class Target {
  #listeners = NOBODY;
  #hooks;

  // `hooks`: added(target, type) is told of each listener, failed(target, error) when one has failed.
  constructor(hooks) {
    this.#hooks = hooks;
  }

  addEventListener(type, callback, options = undefined) {
    if (arguments.length < 2) throw new TypeError('addEventListener: 2 arguments are needed');
    const isObject = typeof options === 'object' && options !== null;
    const capture = Boolean(isObject ? options.capture : options);
    const once = isObject && Boolean(options.once);
    const signal = isObject ? options.signal : undefined;
    if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError('addEventListener: signal must be an AbortSignal');
    if (callback !== null && callback !== undefined && typeof callback !== 'function' && typeof callback !== 'object')
      throw new TypeError('addEventListener: the callback must be a function or an object');
    if (callback === null || callback === undefined || signal?.aborted) return;
    type = `${type}`;
    if (this.#find(type, callback, capture) !== undefined) return;
    const listener = { type, callback, capture, once, signal, aborted: null, isAttribute: false, isRemoved: false };
    if (signal !== undefined) {
      listener.aborted = () => this.#remove(listener);
      signal.addEventListener('abort', listener.aborted, { once: true });
    }
    this.#add(listener);
  }

  removeEventListener(type, callback, options = undefined) {
    if (arguments.length < 2) throw new TypeError('removeEventListener: 2 arguments are needed');
    const capture = Boolean(typeof options === 'object' && options !== null ? options.capture : options);
    const listener = this.#find(`${type}`, callback, capture);
    if (listener !== undefined) this.#remove(listener);
  }

  dispatchEvent(event) {
    if (!isEvent(event)) throw new TypeError('dispatchEvent: an Event is needed');
    if (internals.isOurs(event)) this.#dispatch(event);
    else this.#dispatchForeign(aimed(event, this));
    return !event.defaultPrevented;
  }

  #find(type, callback, capture) {
    return this.#listeners.find((one) => !one.isAttribute && one.type === type && one.callback === callback && one.capture === capture);
  }

  #add(listener) {
    this.#listeners = [...this.#listeners, listener];
    this.#hooks.added(this, listener.type);
  }

  #remove(listener) {
    listener.isRemoved = true;
    listener.signal?.removeEventListener('abort', listener.aborted);
    this.#listeners = this.#listeners.filter((one) => one !== listener);
  }

  #has(type) {
    return this.#listeners.some((one) => one.type === type);
  }

  // Nothing comes any more: a signal may live longer than the target, which it would keep.
  #leaveSignals() {
    for (const { signal, aborted } of this.#listeners) if (signal !== undefined) signal.removeEventListener('abort', aborted);
  }

  // The handler that stands in the attribute on<type>.
  #attribute(type) {
    return this.#listeners.find((one) => one.isAttribute && one.type === type);
  }

  #setAttribute(type, callback) {
    const listener = this.#attribute(type);
    if ((typeof callback !== 'function' && typeof callback !== 'object') || callback === null) {
      if (listener !== undefined) this.#remove(listener);
    } else if (listener !== undefined) listener.callback = callback;
    else this.#add({ type, callback, capture: false, once: false, signal: undefined, isAttribute: true, isRemoved: false });
  }

  #dispatch(event) {
    const listeners = this.#listeners;
    const { type } = event;
    internals.begin(event, this);
    for (let i = 0; i < listeners.length; i++) {
      const listener = listeners[i];
      if (listener.type !== type || isOff(listener)) continue;
      this.#call(listener, event);
      if (internals.isStopped(event)) break;
    }
    internals.end(event);
  }

  #dispatchForeign(event) {
    let isStopped = false;
    const stop = event.stopImmediatePropagation;
    Object.defineProperty(event, 'stopImmediatePropagation', {
      value() {
        isStopped = true;
        stop.call(event);
      },
      configurable: true,
    });
    for (const listener of this.#listeners) {
      if (listener.type === event.type && !isOff(listener)) this.#call(listener, event);
      if (isStopped) break;
    }
    delete event.stopImmediatePropagation;
    Object.defineProperty(event, 'currentTarget', { value: null, configurable: true });
  }

  #call(listener, event) {
    const { callback } = listener;
    if (listener.once) this.#remove(listener);
    if (listener.isAttribute && typeof callback !== 'function') return; // an object as handler is kept, and never called
    call(callback, this, event, this.#hooks);
  }

  static {
    Target.internals = {
      dispatch: (target, event) => target.#dispatch(event),
      leaveSignals: (target) => target.#leaveSignals(),
      has: (target, type) => target.#has(type),
      attribute: (target, type) => target.#attribute(type)?.callback ?? null,
      setAttribute: (target, type, callback) => target.#setAttribute(type, callback),
    };
  }
}

const { internals: targets } = Target;
delete Target.internals;

module.exports = { Target, targets };
