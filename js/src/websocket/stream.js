// `upgradeWebSocketStream`: a WebSocket as two web streams, after WebSocketStream. Who does not read is not sent more, and who writes
// waits for the client.
'use strict';

const { ask, handlersFor, checkClose } = require('./ask.js');

const [CONNECTING, OPEN, CLOSING, CLOSED] = [0, 1, 2, 3];
const MOST_UNREAD = 65536; // bytes of messages that have come and were not read; then no more are taken
const MESSAGE = 64; // what a message counts beside its bytes
const NO_CODE = 0; // a Close without one

class WebSocketError extends DOMException {
  #closeCode;
  #reason;

  constructor(message = '', { closeCode = null, reason = '' } = {}) {
    super(message, 'WebSocketError');
    reason = `${reason}`;
    if (closeCode === null && reason !== '') closeCode = 1000;
    if (closeCode !== null) checkClose(closeCode, reason);
    this.#closeCode = closeCode;
    this.#reason = reason;
  }

  get closeCode() {
    return this.#closeCode;
  }
  get reason() {
    return this.#reason;
  }

  // One that tells how a socket has ended, with codes that a program may not give.
  static #of(message, closeCode, reason) {
    const error = new WebSocketError(message);
    error.#closeCode = closeCode;
    error.#reason = reason;
    return error;
  }

  static {
    WebSocketError.of = WebSocketError.#of;
  }
}

const errorOf = WebSocketError.of;
delete WebSocketError.of;

// A promise that nobody need look at.
function promised() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  made.promise.catch(() => {});
  return made;
}

function weightOf(data) {
  return MESSAGE + (typeof data === 'string' ? 2 * data.length : data.byteLength);
}

function bytesOf(data) {
  if (typeof data === 'string') return data;
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data;
}

class WebSocketStream {
  #connection = null;
  #state = CONNECTING;
  #url = '';
  #opened = promised();
  #closed = promised();
  #reading = null; // the controllers of both streams
  #writing = null;
  #isPaused = false;
  #hasRest = false; // it has ended, and messages that came before are to be read
  #error = null;
  #failed = null; // with what both streams have failed

  get url() {
    return this.#url;
  }
  get opened() {
    return this.#opened.promise;
  }
  get closed() {
    return this.#closed.promise;
  }

  close(info = {}) {
    const { closeCode, reason = '' } = info === null ? {} : info;
    this.#close(closeCode === null ? undefined : closeCode, `${reason}`);
  }

  #close(code, reason) {
    checkClose(code, reason);
    if (this.#state >= CLOSING) return;
    const isConnecting = this.#state === CONNECTING;
    this.#state = CLOSING;
    if (isConnecting) return; // the handshake is refused
    this.#resume(); // what the client answers is to be read
    if (code === undefined) code = reason === '' ? NO_CODE : 1000;
    this.#connection.close(code, reason);
  }

  // With what a stream was cancelled or aborted.
  #closeFor(error) {
    if (this.#hasRest) {
      this.#hasRest = false;
      this.#resume(); // what waits is dropped
    }
    if (error instanceof WebSocketError) this.#close(error.closeCode === null ? undefined : error.closeCode, error.reason);
    else this.#close(undefined, '');
  }

  #resume() {
    const wasPaused = this.#isPaused;
    this.#isPaused = false;
    if (wasPaused) this.#connection.resume(); // which may tell messages at once
  }

  #open() {
    if (this.#state !== CONNECTING) return;
    this.#state = OPEN;
    const readable = new ReadableStream(
      {
        start: (controller) => {
          this.#reading = controller;
        },
        pull: () => this.#resume(),
        cancel: (error) => this.#closeFor(error),
      },
      { highWaterMark: MOST_UNREAD, size: weightOf },
    );
    const writable = new WritableStream({
      start: (controller) => {
        this.#writing = controller;
      },
      write: (data) => this.#write(data),
      close: () => {
        this.#close(undefined, '');
        return this.closed.then(() => {});
      },
      abort: (error) => this.#closeFor(error),
    });
    const { protocol, extensions } = this.#connection;
    this.#opened.resolve({ readable, writable, protocol: protocol || '', extensions: extensions || '' });
  }

  // Done when the client has taken enough for the next message.
  async #write(data) {
    if (typeof data !== 'string' && !ArrayBuffer.isView(data) && !(data instanceof ArrayBuffer)) data = `${data}`;
    for (;;) {
      const sent = this.#state === OPEN ? this.#connection.send(data) : 0;
      if (sent > 0) return;
      // Its end may be known before `close` is told.
      if (sent === 0 && (this.#state !== OPEN || this.#connection.readyState !== OPEN))
        throw new DOMException('the WebSocket is closing', 'InvalidStateError');
      await this.#connection.ready();
      if (sent < 0) return;
    }
  }

  #received(data) {
    if (this.#state !== OPEN && !this.#hasRest) return;
    this.#reading.enqueue(bytesOf(data));
    if (this.#reading.desiredSize > 0 || this.#isPaused) return;
    this.#isPaused = true;
    this.#connection.pause();
  }

  // It is over, and messages wait in the connection until those before them are read. Nothing can be written any more.
  #gone(code, reason, wasClean) {
    this.#hasRest = this.#state === OPEN;
    this.#settle(code, reason, wasClean);
  }

  #ended(code, reason, wasClean) {
    this.#settle(code, reason, wasClean);
    this.#hasRest = false;
    if (this.#reading === null) return;
    const failed = this.#failed;
    this.#quietly(() => (failed === null ? this.#reading.close() : this.#reading.error(failed)));
  }

  // All but what is read. The first that is told of the end counts.
  #settle(code, reason, wasClean) {
    const isMine = this.#state === CLOSING;
    if (this.#state === CLOSED) return;
    this.#state = CLOSED;
    if (wasClean && this.#error === null) {
      if (this.#writing !== null && !isMine)
        this.#quietly(() => this.#writing.error(new DOMException('the WebSocket was closed', 'InvalidStateError')));
      this.#closed.resolve({ closeCode: code, reason });
    } else {
      const error = errorOf(this.#error === null ? `the WebSocket failed (${code})` : this.#error.message, code, reason);
      this.#failed = error;
      if (this.#writing !== null) this.#quietly(() => this.#writing.error(error));
      this.#closed.reject(error);
    }
    this.#opened.reject(errorOf('the WebSocket was never opened', code, reason));
  }

  // A stream that was cancelled, or has ended, is told of its end again.
  #quietly(act) {
    try {
      act();
    } catch {}
  }

  static {
    WebSocketStream.internals = {
      opened: (stream) => stream.#open(),
      received: (stream, data) => stream.#received(data),
      gone: (stream, code, reason, wasClean) => stream.#gone(code, reason, wasClean),
      ended: (stream, code, reason, wasClean) => stream.#ended(code, reason, wasClean),
      setError(stream, error) {
        stream.#error = error;
      },
      isConnecting: (stream) => stream.#state === CONNECTING,
      accepted(stream, connection) {
        stream.#connection = connection;
      },
      setUrl(stream, url) {
        stream.#url = url;
      },
    };
  }
}

const { internals: own } = WebSocketStream;
delete WebSocketStream.internals;
for (const name of ['url', 'opened', 'closed', 'close']) Object.defineProperty(WebSocketStream.prototype, name, { enumerable: true });
Object.defineProperty(WebSocketStream.prototype, Symbol.toStringTag, { value: 'WebSocketStream', configurable: true });

const HANDLERS = handlersFor(own);
HANDLERS.isPiped = true;

function upgradeWebSocketStream(request, options = {}) {
  const stream = new WebSocketStream();
  const response = ask('upgradeWebSocketStream', request, options, stream, own, HANDLERS);
  return { stream, response };
}

module.exports = { upgradeWebSocketStream, WebSocketError };
