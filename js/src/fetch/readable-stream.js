// ReadableStream (Streams, 4.2) whose content our own code takes from its source, with no stream of the runtime's in between. At anybody
// else's first look that is made of what is left, and is asked from then on.
//
// Node's own code knows its streams by what they have under two symbols, so ours give there what theirs has, and all of Node's methods,
// which ours inherits, work with it. Where a runtime looks elsewhere (Bun), or has little to gain (Deno), its own class is what is
// exported.
'use strict';

const { LazySource } = require('./lazy-source.js');

const Native = globalThis.ReadableStream;
const NativeController = globalThis.ReadableStreamDefaultController;

// The structured clone algorithm refuses objects of this kind by themselves, as it refuses the runtime's streams.
class NoClone extends FinalizationRegistry {
  constructor() {
    super(() => {});
  }
}

// Has objects of ours show under the symbols what nativeOf(object) has there. Other objects, which the runtime's constructor is making,
// have their own.
function showInside(prototype, symbols, nativeOf) {
  for (const symbol of symbols)
    Object.defineProperty(prototype, symbol, {
      get() {
        return nativeOf(this)?.[symbol];
      },
      set(value) {
        const native = nativeOf(this);
        if (native !== undefined) native[symbol] = value;
        else Object.defineProperty(this, symbol, { value, writable: true, enumerable: true, configurable: true });
      },
      configurable: true,
    });
}

// The same members as those of the runtime's, in the same order.
function chain(Class, To) {
  for (const name of ['close', 'enqueue', 'error', 'desiredSize', 'locked'])
    if (Object.hasOwn(Class.prototype, name)) Object.defineProperty(Class.prototype, name, { enumerable: true });
  Object.setPrototypeOf(Class.prototype, To.prototype);
}

class ReadableStreamDefaultController {
  #lazy;

  constructor(lazy) {
    this.#lazy = lazy;
  }
  get desiredSize() {
    return this.#lazy.desiredSize;
  }
  close() {
    this.#lazy.close();
  }
  enqueue(chunk = undefined) {
    this.#lazy.enqueue(chunk);
  }
  error(error = undefined) {
    this.#lazy.fail(error);
  }

  static nativeOf(controller) {
    if (!(#lazy in controller)) return undefined;
    controller.#lazy.toNative();
    return controller.#lazy.nativeController;
  }
}

const { nativeOf: nativeControllerOf } = ReadableStreamDefaultController;
delete ReadableStreamDefaultController.nativeOf;

const isMethod = (value) => value === undefined || typeof value === 'function';

// What a source of pieces that have no sizes says of itself, or null for everything that is left to the runtime's own class: other
// kinds of streams, and what it has an error for.
function plainParts(source, strategy) {
  if (source === null || typeof source !== 'object' || (strategy !== undefined && (strategy === null || typeof strategy !== 'object')))
    return null;
  const size = strategy?.size;
  const { highWaterMark = 1 } = strategy || {};
  if (size !== undefined || typeof highWaterMark !== 'number' || !(highWaterMark >= 0) || source.type !== undefined) return null;
  const { start, pull, cancel } = source;
  return isMethod(start) && isMethod(pull) && isMethod(cancel) ? { start, pull, cancel, highWaterMark } : null;
}

const NOTHING = {};
let coreOf; // the LazySource of a stream of ours, else undefined

class ReadableStream extends NoClone {
  #lazy;

  // biome-ignore lint/correctness/noUnreachableSuper: it is called where the object is ours
  constructor(source = NOTHING, strategy = undefined) {
    const parts = plainParts(source, strategy);
    // biome-ignore lint/correctness/noConstructorReturn: such a stream is the runtime's
    if (parts === null) return Reflect.construct(Native, strategy === undefined ? [source] : [source, strategy], new.target);
    super();
    this.#lazy = new LazySource(source, parts, ReadableStreamDefaultController, Native);
  }

  get locked() {
    return #lazy in this && this.#lazy.native === null ? this.#lazy.isTaken : Reflect.get(Native.prototype, 'locked', this);
  }

  static {
    coreOf = (stream) => (#lazy in stream ? stream.#lazy : undefined);
  }
}

function standIn() {
  let controller;
  const sample = new Native({
    start(given) {
      controller = given;
    },
  });
  showInside(ReadableStream.prototype, Object.getOwnPropertySymbols(sample), (stream) => coreOf(stream)?.toNative());
  showInside(ReadableStreamDefaultController.prototype, Object.getOwnPropertySymbols(controller), nativeControllerOf);
  chain(ReadableStream, Native);
  chain(ReadableStreamDefaultController, NativeController);
  Object.defineProperty(ReadableStreamDefaultController.prototype, 'constructor', { value: NativeController });
  const isInstance = Function.prototype[Symbol.hasInstance];
  Object.defineProperty(ReadableStream, Symbol.hasInstance, {
    value(object) {
      return isInstance.call(this === ReadableStream ? Native : this, object); // a subclass has only its own
    },
  });
  for (const name of Object.getOwnPropertyNames(Native))
    if (!Object.hasOwn(ReadableStream, name)) Object.defineProperty(ReadableStream, name, Object.getOwnPropertyDescriptor(Native, name));
}

// Whether the runtime's own methods find in a stream of ours what they look for.
function isFound() {
  try {
    const stream = new ReadableStream({ start: (controller) => NativeController.prototype.enqueue.call(controller, 1) });
    const reader = Native.prototype.getReader.call(stream);
    return stream.locked && reader instanceof globalThis.ReadableStreamDefaultReader;
  } catch {
    return false;
  }
}

const isNode = globalThis.Bun === undefined && globalThis.Deno === undefined;
if (isNode) standIn();
const isOurs = isNode && isFound();

// The source of a stream of ours that nobody has looked at, else null.
function freshSource(stream) {
  const lazy = isOurs ? coreOf(stream) : undefined;
  return lazy !== undefined && lazy.isFresh ? lazy : null;
}

// The runtime's stream that is in one of ours, for code of the runtime's that asks elsewhere than under its symbols. Anything else is
// given back.
function nativeStream(value) {
  const lazy = isOurs && value !== null && typeof value === 'object' ? coreOf(value) : undefined;
  return lazy === undefined ? value : lazy.toNative();
}

module.exports = { ReadableStream: isOurs ? ReadableStream : Native, NativeStream: Native, isOurs, freshSource, nativeStream };
