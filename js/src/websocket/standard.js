// `upgradeWebSocket`, after Deno: the WebSocket of the WHATWG's standard, at the server's end.
'use strict';

const { Event, MessageEvent, CloseEvent, ErrorEvent, makeKin } = require('./events.js');
const { Target, targets } = require('./target.js');
const { ask, handlersFor, checkClose } = require('./ask.js');

const [CONNECTING, OPEN, CLOSING, CLOSED] = [0, 1, 2, 3];
// What is held for a first listener; beyond, no more is read.
const MOST_HELD = 65536;
const HELD_MESSAGE = 64; // what a message counts beside its bytes
const NO_CODE = 0; // a Close without one
const FAILED = 1011;

function sizeOf(data) {
  return typeof data === 'string' ? Buffer.byteLength(data) : data.byteLength;
}

// Bytes that nobody else can change.
function copyOf(data) {
  if (typeof data === 'string') return data;
  const bytes = ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
  return Uint8Array.from(bytes);
}

// The message's bytes as an ArrayBuffer of their own.
function bufferOf(data) {
  if (!ArrayBuffer.isView(data)) return data;
  return data.byteLength === data.buffer.byteLength ? data.buffer : data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
}

function isBuffer(data) {
  return data instanceof ArrayBuffer || (typeof SharedArrayBuffer === 'function' && data instanceof SharedArrayBuffer);
}

// [Clamp] unsigned short (Web IDL, 3.3.2).
function clamped(code) {
  const number = Number(code);
  return Number.isNaN(number) ? 0 : Math.round(Math.min(Math.max(number, 0), 65535));
}

const HOOKS = {
  added(socket, type) {
    own.heard(socket, type);
  },
  failed(socket, error) {
    own.failed(socket, error);
  },
};

class WebSocket extends Target {
  #connection = null;
  #state = CONNECTING;
  #url = '';
  #binaryType = 'blob';
  #isHeard = false; // messages have, or had, a listener
  #held = null; // messages that came before
  #heldBytes = 0;
  #isPaused = false;
  #ending = null; // the CloseEvent that waits for whom it tells
  #error = null; // why it failed
  #line = null; // what waits for a Blob before it to be read: the Blob itself, too
  #lineBytes = 0;
  #lost = 0; // bytes that were given after the end

  constructor() {
    super(HOOKS);
  }

  get url() {
    return this.#url;
  }
  get readyState() {
    return this.#state;
  }
  get protocol() {
    return this.#connection === null ? '' : this.#connection.protocol || '';
  }
  get extensions() {
    return this.#connection === null ? '' : this.#connection.extensions || '';
  }
  get bufferedAmount() {
    const sent = this.#connection === null ? 0 : this.#connection.bufferedAmount;
    return sent + this.#lineBytes + this.#lost;
  }
  get binaryType() {
    return this.#binaryType;
  }
  set binaryType(value) {
    value = `${value}`;
    if (value === 'blob' || value === 'arraybuffer') this.#binaryType = value;
  }

  get onopen() {
    return targets.attribute(this, 'open');
  }
  set onopen(handler) {
    targets.setAttribute(this, 'open', handler);
  }
  get onmessage() {
    return targets.attribute(this, 'message');
  }
  set onmessage(handler) {
    targets.setAttribute(this, 'message', handler);
  }
  get onerror() {
    return targets.attribute(this, 'error');
  }
  set onerror(handler) {
    targets.setAttribute(this, 'error', handler);
  }
  get onclose() {
    return targets.attribute(this, 'close');
  }
  set onclose(handler) {
    targets.setAttribute(this, 'close', handler);
  }

  // ---------------------------------------------------------------- sending

  send(data) {
    if (arguments.length === 0) throw new TypeError('send: 1 argument is needed');
    if (typeof data !== 'string') {
      if (data instanceof Blob) {
        this.#sendBlob(data);
        return;
      }
      if (!ArrayBuffer.isView(data) && !isBuffer(data)) data = `${data}`;
    }
    this.#checkOpen();
    if (this.#state !== OPEN) this.#lost += sizeOf(data);
    else if (this.#line !== null) {
      this.#line.push(copyOf(data));
      this.#lineBytes += sizeOf(data);
    } else this.#transmit(data);
  }

  #checkOpen() {
    if (this.#state === CONNECTING) throw new DOMException('the WebSocket is not open yet', 'InvalidStateError');
  }

  // What is refused would be over the limit of what waits for the client. Then the socket has ended, unless onLimit is 'refuse'.
  #transmit(data) {
    if (this.#connection.send(data) !== 0) return;
    this.#lost += sizeOf(data);
    if (this.#connection.readyState === OPEN || this.#state !== OPEN) return;
    this.#state = CLOSING;
    this.#error = new Error('more waits for the client than writeLimit allows');
  }

  #sendBlob(blob) {
    this.#checkOpen();
    if (this.#state !== OPEN) {
      this.#lost += blob.size;
      return;
    }
    this.#lineBytes += blob.size;
    if (this.#line !== null) this.#line.push(blob);
    else {
      this.#line = [blob];
      this.#sendLine();
    }
  }

  // Sends what stands in line, in order; then what the line has kept from closing.
  async #sendLine() {
    const line = this.#line;
    try {
      for (let i = 0; i < line.length; i++) {
        const one = line[i];
        if (typeof one === 'function') one();
        else {
          const data = one instanceof Blob ? await one.arrayBuffer() : one;
          this.#lineBytes -= sizeOf(data);
          if (this.#state === CLOSED) this.#lost += sizeOf(data);
          else this.#transmit(data);
        }
        line[i] = null;
      }
      this.#line = null;
    } catch (error) {
      this.#line = null;
      this.#abort(error); // a Blob that cannot be read, such as a file that has changed
    }
  }

  // ---------------------------------------------------------------- closing

  close(code = undefined, reason = undefined) {
    if (code !== undefined) code = clamped(code);
    reason = reason === undefined ? '' : `${reason}`;
    checkClose(code, reason);
    if (this.#state >= CLOSING) return;
    const isConnecting = this.#state === CONNECTING;
    this.#state = CLOSING;
    if (isConnecting) return; // the handshake is refused
    if (code === undefined) code = reason === '' ? NO_CODE : 1000;
    const close = () => this.#connection.close(code, reason);
    if (this.#line === null) close();
    else this.#line.push(close);
  }

  #abort(error) {
    if (this.#error === null) this.#error = error;
    if (this.#state !== CLOSED) this.#state = CLOSING;
    this.#connection.terminate();
  }

  // A listener has failed. That ends its socket, and nothing else.
  #failed(error) {
    console.error('carom: a listener of a WebSocket failed:', error);
    if (this.#error === null) this.#error = error;
    if (this.#state !== OPEN) return;
    this.#state = CLOSING;
    this.#connection.close(FAILED, '');
  }

  // ---------------------------------------------------------------- events

  #opened() {
    if (this.#state !== CONNECTING) return;
    this.#state = OPEN;
    targets.dispatch(this, new Event('open'));
  }

  #received(data) {
    if (!this.#isHeard || this.#held !== null) this.#hold(data);
    else if (this.#state === OPEN || this.#ending !== null) targets.dispatch(this, new MessageEvent(this.#valueOf(data)));
  }

  #valueOf(data) {
    if (typeof data === 'string') return data;
    return this.#binaryType === 'blob' ? new Blob([data]) : bufferOf(data);
  }

  #hold(data) {
    if (this.#held === null) this.#held = [];
    this.#held.push(data);
    this.#heldBytes += HELD_MESSAGE + (typeof data === 'string' ? 2 * data.length : data.byteLength);
    if (this.#heldBytes < MOST_HELD || this.#isPaused) return;
    this.#isPaused = true;
    this.#connection.pause();
  }

  #heard(type) {
    if (type === 'message' && !this.#isHeard) {
      this.#isHeard = true;
      if (this.#held !== null) queueMicrotask(() => this.#release());
    } else if (this.#ending !== null && (type === 'close' || type === 'error')) queueMicrotask(() => this.#end());
  }

  #release() {
    const held = this.#held;
    for (let i = 0; i < held.length; i++) {
      if (this.#state === OPEN || this.#ending !== null) targets.dispatch(this, new MessageEvent(this.#valueOf(held[i])));
      held[i] = null;
    }
    this.#held = null;
    const wasPaused = this.#isPaused;
    this.#isPaused = false;
    if (wasPaused) this.#connection.resume();
    this.#end();
  }

  // It is over, and messages wait in the connection for a listener. Who listens to the end alone does not wait for them.
  #gone(code, reason, wasClean) {
    if (!this.#isHeard) this.#ended(code, reason, wasClean);
  }

  // It is over. Who has not looked yet is told when he does: what came before first.
  #ended(code, reason, wasClean) {
    if (this.#state === CLOSED) return;
    this.#state = CLOSING;
    this.#ending = new CloseEvent(code, reason, wasClean);
    const isWatched = targets.has(this, 'close') || targets.has(this, 'error');
    if (this.#isHeard ? this.#held === null : isWatched) this.#end();
  }

  #end() {
    const ending = this.#ending;
    if (ending === null) return;
    this.#ending = null;
    this.#state = CLOSED;
    if (this.#error !== null || !ending.wasClean)
      targets.dispatch(this, new ErrorEvent(this.#error || new Error(`the WebSocket failed (${ending.code})`)));
    targets.dispatch(this, ending);
    targets.leaveSignals(this);
  }

  static {
    WebSocket.internals = {
      opened: (socket) => socket.#opened(),
      received: (socket, data) => socket.#received(data),
      gone: (socket, code, reason, wasClean) => socket.#gone(code, reason, wasClean),
      ended: (socket, code, reason, wasClean) => socket.#ended(code, reason, wasClean),
      heard: (socket, type) => socket.#heard(type),
      failed: (socket, error) => socket.#failed(error),
      setError(socket, error) {
        if (socket.#error === null) socket.#error = error;
      },
      isConnecting: (socket) => socket.#state === CONNECTING,
      accepted(socket, connection) {
        socket.#connection = connection;
      },
      setUrl(socket, url) {
        socket.#url = url;
      },
    };
  }
}

const { internals: own } = WebSocket;
delete WebSocket.internals;
makeKin(WebSocket, globalThis.WebSocket || globalThis.EventTarget, 'WebSocket');
for (const [name, value] of Object.entries({ CONNECTING, OPEN, CLOSING, CLOSED }))
  for (const object of [WebSocket, WebSocket.prototype]) Object.defineProperty(object, name, { value, enumerable: true });

const HANDLERS = handlersFor(own);

function upgradeWebSocket(request, options = {}) {
  const socket = new WebSocket();
  const response = ask('upgradeWebSocket', request, { onLimit: 'close', ...options }, socket, own, HANDLERS);
  return { socket, response };
}

module.exports = { upgradeWebSocket };
