// What the tests of carom/node share: a fake exchange, and the real server when it is there.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { once } from 'node:events';

const require = createRequire(import.meta.url);
export const { createServer, Server, IncomingMessage, ServerResponse } = require('../../node.js');

function whyNot() {
  if (!existsSync(new URL('../../src/engine/engine.js', import.meta.url))) return 'js/src/engine/engine.js does not exist yet';
  try {
    require('../../src/engine/engine.js');
    return false;
  } catch (error) {
    return `js/src/engine/engine.js cannot be loaded: ${error.message.split('\n')[0]}`;
  }
}

export const skip = whyNot();

// What is left of a server when a test ends, also one that failed, is ended.
export function closeAfter(t, server) {
  t.after(
    () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
        for (const socket of [...server.sockets]) socket.destroy(); // those that have changed their protocol
      }),
  );
  return server;
}

export async function start(t, listener, options = {}) {
  const server = closeAfter(t, createServer(options, listener)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: server.address().port, base: `http://127.0.0.1:${server.address().port}` };
}

class ClientGone extends Error {}

// An exchange that only remembers. `content`: null, a whole Uint8Array, or an array of pieces.
export class FakeExchange {
  constructor({
    method = 'GET',
    target = '/',
    version = 11,
    fields = ['Host', 'test'],
    content = null,
    trailers = [],
    room = Infinity,
  } = {}) {
    Object.assign(this, { method, target, version, fields, room });
    this.content = content;
    this.contentLength = content === null ? 0 : Array.isArray(content) ? -1 : content.length;
    this.incomingTrailers = trailers;
    this.over = false;
    this.released = false; // its slot has gone with a response of which no news is needed
    this.onend = null;
    this.calls = [];
    this.reads = 0;
    this.kept = this.dropped = false; // what is left of the content
    this.waiting = null;
  }

  get fieldCount() {
    return this.fields.length / 2;
  }
  rawFields() {
    return [...this.fields];
  }
  field(name) {
    const values = this.fields.filter((_, i) => i % 2 === 1 && this.fields[i - 1].toLowerCase() === name);
    return values.length > 0 ? values.join(', ') : null;
  }
  remoteAddress() {
    return { transport: 'tcp', hostname: '192.0.2.1', port: 4242 };
  }
  localAddress() {
    return { transport: 'tcp', hostname: '192.0.2.2', port: 80 };
  }
  contentNow() {
    if (this.released) return null;
    if (this.content === null) return new Uint8Array(0);
    return Array.isArray(this.content) ? null : this.content;
  }
  get contentIsHere() {
    return this.content !== null && !Array.isArray(this.content);
  }
  keepContent() {
    this.kept = true;
  }
  dropContent() {
    this.dropped = true;
  }
  async read() {
    this.reads++;
    if (this.gone || this.released) throw new ClientGone();
    await null;
    const piece = this.content.shift();
    if (piece === undefined) return null;
    if (piece === 'never')
      return new Promise((resolve, reject) => {
        this.rejectRead = reject;
      });
    return piece;
  }
  trailers() {
    return this.incomingTrailers;
  }

  note(name, ...args) {
    if (!this.over) this.calls.push([name, ...args]);
  }
  respond(status, fields, body) {
    this.note('respond', status, fields, text(body));
    this.released = this.onend === null && !this.kept;
    this.finish('complete');
  }
  begin(status, fields, length) {
    this.note('begin', status, fields, length);
  }
  beginRaw() {
    this.note('beginRaw');
  }
  write(bytes) {
    this.note('write', text(bytes));
    this.room -= bytes.length;
    return this.room > 0;
  }
  flush() {
    this.note('flush');
  }
  ready() {
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
    });
  }
  drain() {
    this.room = Infinity;
    this.waiting?.resolve();
  }
  end(trailers) {
    this.note('end', trailers);
    this.finish('complete');
  }
  inform(status, fields) {
    this.note('inform', status, fields);
  }
  upgrade(status, fields) {
    this.note('upgrade', status, fields);
    this.content = this.raw || [];
  }
  cancel() {
    this.note('cancel');
    this.finish('canceled');
  }
  finish(reason) {
    if (this.over) return;
    this.over = true;
    queueMicrotask(() => this.onend?.(reason));
  }
  leave() {
    this.gone = true;
    this.over = true;
    this.waiting?.reject(new ClientGone());
    this.rejectRead?.(new ClientGone());
    this.onend?.('client-closed');
  }
}

function text(body) {
  return body === null || typeof body === 'string' ? body : Buffer.from(body).toString();
}

// Give an exchange to a listener of a server; what the listener got.
export function accepted(exchange, listener = () => {}) {
  let got;
  createServer((req, res) => {
    got = { req, res };
    listener(req, res);
  }).accept(exchange);
  return got;
}

export const ticks = () => new Promise((resolve) => setImmediate(resolve));
