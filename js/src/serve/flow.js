// Content that comes piece by piece: from a reader or an iterator, which are asked, or from a stream of ours, which gives.
'use strict';

const { iteratorOf } = require('../fetch/body.js');
const { freshSource } = require('../fetch/readable-stream.js');

// A body may give so many pieces until the event loop turns, however little is in them.
const PIECES_OF_A_TURN = 1024;

// Whether an error only says that the client has left, also as node's functions say it that were given the signal of its request. What
// a handler throws may be anything, one that throws when it is looked at, too.
function isGone(error) {
  try {
    if (error === null || typeof error !== 'object') return false;
    return error.code === 'CAROM_ECANCELED' || (error.name === 'AbortError' && error.cause?.code === 'CAROM_ECANCELED');
  } catch {
    return false;
  }
}

// The same of an error that a body has given, which may have been ended because the client has left.
function isEnd(exchange, error) {
  try {
    return isGone(error) || (exchange.over && error.code === 'ERR_STREAM_PREMATURE_CLOSE');
  } catch {
    return false;
  }
}

// A stream of node's. An iteration of it that waits for what is to come, or has not begun, leaves it open when it is ended.
function isNodeStream(body) {
  return typeof body.pipe === 'function' && typeof body.destroy === 'function';
}

function toBytes(chunk) {
  if (chunk instanceof Uint8Array) return chunk;
  if (typeof chunk === 'string') return chunk;
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  throw new TypeError('a response body gives Uint8Array chunks');
}

// Sends what the source gives. A generator that is not async gives its results at once, others promise them. What a turn of the event
// loop gave leaves in one message (../exchange/output.js).
async function pump(server, exchange, { next, cancel }) {
  let left = PIECES_OF_A_TURN;
  try {
    for (;;) {
      const result = next();
      const { done, value } = typeof result?.then === 'function' ? await result : result;
      if (done || exchange.over) break;
      const room = exchange.write(toBytes(value));
      if (room && --left > 0) continue;
      await exchange.ready();
      left = PIECES_OF_A_TURN;
    }
    exchange.source = null;
    if (exchange.over) cancel();
    else exchange.end(exchange.responseTrailers);
  } catch (error) {
    exchange.source = null;
    cancel(error);
    if (!isEnd(exchange, error)) {
      server.report(error);
      exchange.cancel();
    }
  }
}

// Takes what a stream of ours gives that nobody has looked at, piece by piece (../fetch/lazy-source.js).
class Flow {
  constructor(server, exchange, source) {
    this.server = server;
    this.exchange = exchange;
    this.source = source;
    this.left = PIECES_OF_A_TURN;
  }

  piece(value) {
    const { exchange } = this;
    if (exchange.over) {
      this.source.cancel();
      return false;
    }
    try {
      if (exchange.write(toBytes(value)) && --this.left > 0) return true;
      this.wait();
    } catch (error) {
      this.source.cancel(error);
      this.fail(error);
    }
    return false;
  }

  wait() {
    this.left = PIECES_OF_A_TURN;
    this.exchange.ready().then(
      () => this.source.lazy.want(),
      (error) => {
        this.source.cancel(error);
        this.fail(error);
      },
    );
  }

  end() {
    const { exchange } = this;
    exchange.source = null;
    if (!exchange.over) exchange.end(exchange.responseTrailers);
  }

  fail(error) {
    this.exchange.source = null;
    if (isEnd(this.exchange, error)) return;
    this.server.report(error);
    this.exchange.cancel();
  }

  // Somebody has looked at the stream: it is the runtime's from now on.
  handOver(reader) {
    const { source } = this;
    source.next = () => reader.read();
    source.cancel = (reason) => {
      source.within(() => reader.cancel(reason));
    };
    pump(this.server, this.exchange, source);
  }
}

// Calls `stop` and ignores its errors: the body is not needed any more.
async function quietly(stop) {
  try {
    await stop();
  } catch {}
}

// A body as a source of chunks: { next, cancel }. It is cancelled in the scope in which it was given. If it may be `direct`, a stream of
// ours that nobody has looked at has no `next`, but `lazy`, which gives them by itself.
function sourceOf(body, scope, direct = false) {
  const within = scope ? (stop) => scope.runInAsyncScope(quietly, null, stop) : quietly;
  const lazy = direct ? freshSource(body) : null;
  if (lazy !== null)
    return {
      lazy,
      within,
      next: null,
      cancel: (reason) => {
        within(() => lazy.cancel(reason));
      },
    };
  if (typeof body.getReader === 'function') {
    const reader = body.getReader();
    return {
      next: () => reader.read(),
      cancel: (reason) => {
        within(() => reader.cancel(reason));
      },
    };
  }
  const iterator = iteratorOf(body);
  const stop = isNodeStream(body) ? () => body.destroy() : () => iterator.return?.();
  return {
    next: () => iterator.next(),
    cancel: () => {
      within(stop);
    },
  };
}

// Sends all that a source gives.
function start(server, exchange, source) {
  if (source.next === null) source.lazy.take(new Flow(server, exchange, source));
  else pump(server, exchange, source);
}

module.exports = { isEnd, isGone, sourceOf, start, toBytes };
