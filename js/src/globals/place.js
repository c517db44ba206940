// Puts something in the place of what the runtime has, so that it looks the same from outside.
'use strict';

// Puts a class of ours in the place of the runtime's. Objects of that name the class that programs see as their own.
function place(Class) {
  const { name } = Class;
  const native = globalThis[name];
  const { enumerable = false } = Object.getOwnPropertyDescriptor(globalThis, name) || {};
  Object.defineProperty(globalThis, name, { value: Class, enumerable, writable: true, configurable: true });
  if (native !== undefined) Object.defineProperty(native.prototype, 'constructor', { value: Class });
}

// Has `act` called, with (native function, this, arguments), in the place of a function of an object. Where there is none, nothing is done.
function standBefore(object, name, act) {
  const native = object[name];
  if (typeof native !== 'function') return;
  object[name] = new Proxy(native, { apply: act });
}

module.exports = { place, standBefore };
