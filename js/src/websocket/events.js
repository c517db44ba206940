// The events of a WebSocket. They are made for each message, so they hold no more than they must: the runtime's own take many times as
// long to make and to dispatch. They are kin of the runtime's (`instanceof` holds where it has the class), and trusted.
'use strict';

const AT_TARGET = 2;
const INSPECT = [Symbol.for('nodejs.util.inspect.custom'), Symbol.for('Deno.customInspect'), Symbol.for('Deno.privateCustomInspect')];

class Event {
  #type;
  #target = null;
  #isDispatched = false;
  #isStopped = false; // other listeners of the target are not called either
  #isCancelled = false; // it goes to no other target, of which there is none
  #time = 0;

  constructor(type) {
    this.#type = type;
  }

  get type() {
    return this.#type;
  }
  get target() {
    return this.#target;
  }
  get srcElement() {
    return this.#target;
  }
  get currentTarget() {
    return this.#isDispatched ? this.#target : null;
  }
  get eventPhase() {
    return this.#isDispatched ? AT_TARGET : 0;
  }
  get bubbles() {
    void this.#type;
    return false;
  }
  get cancelable() {
    void this.#type;
    return false;
  }
  get composed() {
    void this.#type;
    return false;
  }
  get defaultPrevented() {
    void this.#type;
    return false;
  }
  get returnValue() {
    void this.#type;
    return true;
  }
  set returnValue(value) {} // it cannot be cancelled
  get isTrusted() {
    void this.#type;
    return true;
  }
  // When somebody first asks, which is soon after.
  get timeStamp() {
    if (this.#time === 0) this.#time = performance.now();
    return this.#time;
  }
  get cancelBubble() {
    return this.#isCancelled;
  }
  set cancelBubble(value) {
    if (value) this.#isCancelled = true;
  }

  composedPath() {
    return this.#isDispatched ? [this.#target] : [];
  }
  preventDefault() {}
  stopPropagation() {
    this.#isCancelled = true;
  }
  stopImmediatePropagation() {
    this.#isStopped = this.#isCancelled = true;
  }
  initEvent() {}

  static {
    Event.internals = {
      isOurs: (event) => event !== null && typeof event === 'object' && #type in event,
      begin(event, target) {
        event.#target = target;
        event.#isDispatched = true;
      },
      isStopped: (event) => event.#isStopped,
      end(event) {
        event.#isDispatched = false;
      },
    };
  }
}

const { internals } = Event;
delete Event.internals;

class MessageEvent extends Event {
  #data;

  constructor(data) {
    super('message');
    this.#data = data;
  }

  get data() {
    return this.#data;
  }
  // That of the server, which nobody asks for.
  get origin() {
    void this.#data;
    return '';
  }
  get lastEventId() {
    void this.#data;
    return '';
  }
  get source() {
    void this.#data;
    return null;
  }
  get ports() {
    void this.#data;
    return Object.freeze([]);
  }
}

class CloseEvent extends Event {
  #code;
  #reason;
  #wasClean;

  constructor(code, reason, wasClean) {
    super('close');
    this.#code = code;
    this.#reason = reason;
    this.#wasClean = wasClean;
  }

  get code() {
    return this.#code;
  }
  get reason() {
    return this.#reason;
  }
  get wasClean() {
    return this.#wasClean;
  }
}

class ErrorEvent extends Event {
  #error;

  constructor(error) {
    super('error');
    this.#error = error;
  }

  get error() {
    return this.#error;
  }
  get message() {
    const error = this.#error;
    return error !== null && typeof error === 'object' && typeof error.message === 'string' ? error.message : String(error);
  }
}

// Makes objects of our class kin of the runtime's: what `ours` and its bases have stands before what the runtime's has.
function makeKin(ours, native, name) {
  const { prototype } = ours;
  for (let base = Object.getPrototypeOf(prototype); base !== Object.prototype; base = Object.getPrototypeOf(base))
    for (const key of Reflect.ownKeys(base))
      if (!Object.hasOwn(prototype, key)) Object.defineProperty(prototype, key, Object.getOwnPropertyDescriptor(base, key));
  for (const key of Object.getOwnPropertyNames(prototype))
    if (key !== 'constructor') Object.defineProperty(prototype, key, { enumerable: true });
  Object.defineProperty(prototype, Symbol.toStringTag, { value: name, configurable: true });
  const shown = Object.keys(prototype);
  // The runtime's would look for what only its own objects have.
  for (const symbol of INSPECT)
    Object.defineProperty(prototype, symbol, {
      value(first, second, third) {
        const [inspect, options] = typeof first === 'function' ? [first, second] : [third, second];
        const parts = {};
        for (const key of shown) if (typeof this[key] !== 'function') parts[key] = this[key];
        return `${name} ${typeof inspect === 'function' ? inspect(parts, options) : ''}`;
      },
      configurable: true,
    });
  if (native === undefined) return;
  Object.setPrototypeOf(prototype, native.prototype);
  if (native.name === name) prototype.constructor = native;
}

for (const [ours, name] of [
  [MessageEvent, 'MessageEvent'],
  [CloseEvent, 'CloseEvent'],
  [ErrorEvent, 'ErrorEvent'],
  [Event, 'Event'], // last: the others take its members
])
  makeKin(ours, globalThis[name] || globalThis.Event, name);

module.exports = { Event, MessageEvent, CloseEvent, ErrorEvent, internals, makeKin };
