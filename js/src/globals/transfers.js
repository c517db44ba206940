// Lets Node transfer streams of ours: structuredClone and postMessage, which find out in C++ what can be transferred, are given the
// runtime's stream in the place of one of ours that is to be. A message is copied for that, as the structured clone algorithm would.
'use strict';

const { MessagePort, Worker } = require('node:worker_threads');
const { nativeStream } = require('../fetch/readable-stream.js');
const { standBefore } = require('./place.js');

const isObject = (value) => value !== null && typeof value === 'object';

function membersOf(value) {
  if (value instanceof Map) return [...value].flat();
  return value instanceof Set ? [...value] : Object.values(value);
}

// Whether one of the streams is in it.
function holds(value, streams, seen) {
  if (!isObject(value) || seen.has(value) || ArrayBuffer.isView(value)) return false;
  seen.add(value);
  return streams.has(value) || membersOf(value).some((member) => holds(member, streams, seen));
}

const PLAIN = new Set([Object.prototype, Array.prototype, Map.prototype, Set.prototype, null]);

function emptyLike(value) {
  if (Array.isArray(value)) return new Array(value.length);
  if (value instanceof Map) return new Map();
  return value instanceof Set ? new Set() : {};
}

// A copy with the runtime's streams in the place of these. `done` has the copies, so that cycles stay cycles. What is of a class is
// copied only where it must be: it may be one that the runtime clones in its own way.
function replace(value, streams, done) {
  if (!isObject(value)) return value;
  if (streams.has(value)) return nativeStream(value);
  if (done.has(value)) return done.get(value);
  if (!PLAIN.has(Object.getPrototypeOf(value)) && !holds(value, streams, new Set())) return value;
  const copy = emptyLike(value);
  done.set(value, copy);
  const within = (member) => replace(member, streams, done);
  if (value instanceof Map) for (const [key, member] of value) copy.set(within(key), within(member));
  else if (value instanceof Set) for (const member of value) copy.add(within(member));
  else
    for (const [key, member] of Object.entries(value))
      Object.defineProperty(copy, key, { value: within(member), writable: true, enumerable: true, configurable: true });
  return copy;
}

// Stands before a function of a message and what is to be transferred, a list or { transfer }.
function transfers(native, self, args) {
  const [message, options, ...rest] = args;
  const list = Array.isArray(options) ? options : options?.transfer;
  const streams = Array.isArray(list) ? list.filter((one) => nativeStream(one) !== one) : [];
  if (streams.length === 0) return Reflect.apply(native, self, args);
  const natives = list.map(nativeStream);
  const taken = Array.isArray(options) ? natives : { ...options, transfer: natives };
  return Reflect.apply(native, self, [replace(message, new Set(streams), new Map()), taken, ...rest]);
}

function letThemTransferOurs() {
  standBefore(globalThis, 'structuredClone', transfers);
  for (const Class of [MessagePort, Worker]) standBefore(Class.prototype, 'postMessage', transfers);
}

module.exports = { letThemTransferOurs };
