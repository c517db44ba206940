// What the tests of Headers, Request and Response have in common.
import assert from 'node:assert/strict';

import classes from '../../src/fetch/index.js';
import requests from '../../src/fetch/request.js';
import responses from '../../src/fetch/response.js';

export const { Headers, Request, Response } = classes;
export const { requestFromExchange, abortRequest } = requests;
export const { responseParts } = responses;
// The runtime's, also where ours are in their place.
export const native = Object.fromEntries(Object.entries(classes).map(([name, Class]) => [name, Object.getPrototypeOf(Class)]));
// Whether the runtime's own code sees what is in ours: that it looks inside by symbols.
export const looksInside = Object.getOwnPropertySymbols(new native.Response()).length > 0;
// Debian's Node 18 joins cookies in its own Headers.
export const joinsCookies = native.Headers.prototype.getSetCookie === undefined && "the runtime's Headers join cookies";
export const ORIGIN = 'http://origin.test:8080';

export const bytes = (text) => new TextEncoder().encode(text);
export const text = (view) => new TextDecoder().decode(view);

export function streamOf(...chunks) {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(typeof chunk === 'string' ? bytes(chunk) : chunk);
      controller.close();
    },
  });
}

export async function readAll(stream) {
  let all = '';
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return all;
    all += text(value);
  }
}

export const typeError = (fn) => assert.throws(fn, TypeError);
export const rangeError = (fn) => assert.throws(fn, RangeError);
export const rejectsTypeError = (promise) => assert.rejects(promise, TypeError);

// An exchange that counts what is asked of it. `now` is content that has come whole; `pieces` come by read().
export class FakeExchange {
  constructor({ method = 'GET', target = '/', fields = ['Host', 'host.test'], now = null, pieces = [], length } = {}) {
    Object.assign(this, { fields, now, pieces: pieces.map(bytes), over: false, reason: '', onend: null });
    this.values = { method, target };
    this.contentLength = length === undefined ? (now !== null ? now.length : pieces.length > 0 ? -1 : 0) : length;
    this.calls = { method: 0, target: 0, rawFields: 0, field: 0, contentNow: 0, read: 0, watch: 0 };
  }

  get method() {
    this.calls.method++;
    return this.values.method;
  }
  get target() {
    this.calls.target++;
    return this.values.target;
  }
  get total() {
    return Object.values(this.calls).reduce((sum, count) => sum + count, 0);
  }

  rawFields() {
    this.calls.rawFields++;
    return [...this.fields];
  }

  field(name) {
    this.calls.field++;
    const found = this.fields.filter((_, i) => i % 2 === 1 && this.fields[i - 1].toLowerCase() === name);
    return found.length === 0 ? null : found.join(', ');
  }

  keepContent() {}
  dropContent() {}
  contentNow() {
    this.calls.contentNow++;
    const { now } = this;
    this.now = null;
    return now === null ? null : bytes(now);
  }

  textNow() {
    const now = this.contentNow();
    return now === null ? null : new TextDecoder('utf-8', { ignoreBOM: true }).decode(now);
  }

  async read() {
    this.calls.read++;
    return this.pieces.length > 0 ? this.pieces.shift() : null;
  }

  roomFor(bytes) {
    return bytes;
  }

  async readInto(room) {
    const piece = this.contentNow() || (await this.read());
    if (piece === null) return 0;
    const fitting = piece.subarray(0, room.length);
    room.set(fitting);
    if (fitting.length < piece.length) this.pieces.unshift(piece.subarray(fitting.length));
    return fitting.length;
  }

  cachedUrl() {
    return { url: '' };
  }
  watch(fn) {
    this.calls.watch++;
    this.onend = fn;
  }
}

export const requestOf = (options) => {
  const exchange = new FakeExchange(options);
  return { exchange, request: requestFromExchange(exchange, () => ORIGIN) };
};
