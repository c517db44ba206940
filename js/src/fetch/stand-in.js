// Makes our classes and the runtime's look like one another. `instanceof` holds both ways, and what the runtime's own code looks
// for inside one of its objects it finds in ours.
'use strict';

// The runtime's classes look inside each other's objects by symbols (Node up to 22, Deno) or where nobody else can (Node 24, Bun).
const symbolsOf = (object) => Object.getOwnPropertySymbols(object);

// Members of the runtime's prototype that ours lacks would fail on our objects, so they are hidden. What stands there under a symbol
// that only the runtime has works with its symbols in an object, if there are any.
function hideMembers(ours, native, symbols) {
  for (const key of Reflect.ownKeys(native.prototype)) {
    const isPrivate = typeof key === 'symbol' && Symbol.keyFor(key) === undefined;
    if (Object.hasOwn(ours.prototype, key) || (isPrivate && symbols.length > 0)) continue;
    Object.defineProperty(ours.prototype, key, { value: undefined, writable: true, configurable: true });
  }
}

// `sample` is an object of the class `native`; nativeOf(object) gives one that stands for an object of ours, and is first called when
// the runtime looks inside that.
function standIn(ours, native, sample, nativeOf) {
  if (native === undefined) return;
  const symbols = symbolsOf(sample);
  hideMembers(ours, native, symbols);
  for (const symbol of symbols)
    Object.defineProperty(ours.prototype, symbol, {
      get() {
        return nativeOf(this)[symbol];
      },
      set(value) {
        nativeOf(this)[symbol] = value;
      },
      configurable: true,
    });
  Object.setPrototypeOf(ours.prototype, native.prototype);
  Object.setPrototypeOf(ours, native);
  const isInstance = Function.prototype[Symbol.hasInstance];
  Object.defineProperty(ours, Symbol.hasInstance, {
    value(object) {
      return isInstance.call(this === ours ? native : this, object); // a subclass has only its own
    },
  });
}

// nativeOf for objects that have one native object each: `make(object)` makes it when it is first asked for.
function madeOnce(make) {
  const natives = new WeakMap();
  return (object) => {
    let native = natives.get(object);
    if (native === undefined) {
      native = make(object);
      natives.set(object, native);
    }
    return native;
  };
}

module.exports = { standIn, madeOnce };
