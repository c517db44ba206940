// Makes our sockets instances of node's classes, for those who ask by instanceof. None of node's methods are inherited: one that a
// socket of ours does not have is undefined, rather than a method that finds no state of its own.
'use strict';

const { EventEmitter } = require('node:events');

function membersBetween(prototype, end) {
  const names = new Set();
  for (let at = prototype; at !== end && at !== null; at = Object.getPrototypeOf(at))
    for (const name of Reflect.ownKeys(at)) names.add(name);
  return names;
}

// Makes `prototype` inherit from that of `Kind`, an EventEmitter.
function belong(prototype, Kind) {
  for (const name of membersBetween(Kind.prototype, EventEmitter.prototype)) {
    if (Object.hasOwn(prototype, name)) continue;
    Object.defineProperty(prototype, name, { value: EventEmitter.prototype[name], writable: true, configurable: true });
  }
  Object.setPrototypeOf(prototype, Kind.prototype);
}

module.exports = { belong };
