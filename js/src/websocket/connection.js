// One WebSocket, as handlers have it. What it is asked for becomes messages to the engine (../ring/sockets.js); what the engine tells
// becomes calls of handlers. No call throws because the client has left: `send` says 0.
'use strict';

const {
  ASK_TEXT,
  ASK_BINARY,
  ASK_CLOSE,
  ASK_ABORT,
  ASK_PING,
  ASK_PONG,
  ASK_PAUSE,
  ASK_RESUME,
  ASK_SUBSCRIBE,
  ASK_UNSUBSCRIBE,
  ASK_PUBLISH_TEXT,
  ASK_PUBLISH_BINARY,
  ASK_DRAIN,
  ENTRY_DRAIN,
  ENTRY_PLAIN,
} = require('../memory/layout.js');
const { ownBytes } = require('../ring/copies.js');
const { BINARY_TYPES } = require('./options.js');
const { topicBytes, publicationHead } = require('./topics.js');

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;
const DRAIN = ENTRY_DRAIN << 16;
const PLAIN = ENTRY_PLAIN << 16;
const LONGEST_REASON = 123; // bytes
const LONGEST_CONTROL = 125;
const TOO_BIG = 1009; // RFC 6455, 7.4.1: the codes of a message that is too long,
const FAILED = 1011; // and of a server that cannot go on
// A handler of the package's own classes: it has ended, though `close` is told behind messages that wait. What is given is the same.
const GONE = Symbol('gone');

function toBytes(data) {
  if (data instanceof Uint8Array) return data;
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (data instanceof ArrayBuffer || (typeof SharedArrayBuffer !== 'undefined' && data instanceof SharedArrayBuffer))
    return new Uint8Array(data);
  throw new TypeError('a message is a string, an ArrayBuffer, or a view of one');
}

function controlBytes(data) {
  if (data === undefined) return null;
  const bytes = typeof data === 'string' ? Buffer.from(data, 'utf8') : toBytes(data);
  if (bytes.length > LONGEST_CONTROL) throw new RangeError(`a ping or pong has at most ${LONGEST_CONTROL} bytes`);
  return bytes;
}

// The kind of a message, with its flags.
function kindOf(kind, full, compress) {
  return kind | (full ? DRAIN : 0) | (compress === false ? PLAIN : 0);
}

function isCloseCode(code) {
  return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) || (code >= 3000 && code <= 4999);
}

function isPromise(value) {
  return value !== null && typeof value === 'object' && typeof value.then === 'function';
}

// The handler, if there is one, is called with the rest; errors are the socket's end. The promise that it returned, or undefined.
function call(connection, name, first, second, third) {
  const { handlers } = connection;
  const handler = handlers[name];
  if (handler === undefined) return undefined;
  try {
    const result = handler.call(handlers, connection, first, second, third);
    return isPromise(result) ? result : undefined;
  } catch (error) {
    fail(connection, error);
    return undefined;
  }
}

// The same of a handler that nothing waits for.
function tell(connection, name, first, second, third) {
  const promise = call(connection, name, first, second, third);
  if (promise !== undefined) promise.then(undefined, (error) => fail(connection, error));
}

function errorHandlerFailed(error) {
  console.error('carom: the error handler of a WebSocket failed:', error);
}

// A handler has failed: its socket is closed, and others go on.
function fail(connection, error, code = FAILED) {
  const { handlers } = connection;
  try {
    if (handlers.error === undefined) console.error('carom: the handler of a WebSocket failed:', error);
    else {
      const result = handlers.error(connection, error);
      if (isPromise(result)) result.then(undefined, errorHandlerFailed);
    }
  } catch (second) {
    errorHandlerFailed(second);
  }
  connection.close(code);
}

class WebSocketConnection {
  #sockets;
  #topicsOfServer;
  #number = 0;
  #settings;
  #readyState = CONNECTING;
  #given = 0; // bytes of messages, modulo 2^32
  #unsent = 0; // of them when it closed
  #binaryType;
  #drains = false; // DRAINED is to come
  #roomAt = Infinity; // bytes that may wait when what was refused would be taken; Infinity: nothing was
  #ready = null; // { promise, resolve }
  #topics = null; // a Set
  #part = null; // of a message that comes in pieces: { data, have, isBinary }
  #busy = false; // a handler has returned a promise: what comes waits in #later
  #later = null;
  #isTelling = false; // what waits there: a handler that resumes does not begin anew
  #pauses = 0; // by the user and by #later, a bit each

  constructor(sockets, topics, handlers, settings, data, remoteAddress) {
    this.#sockets = sockets;
    this.#topicsOfServer = topics;
    this.#settings = settings;
    this.#binaryType = settings.binaryType;
    this.handlers = handlers;
    this.data = data;
    this.remoteAddress = remoteAddress;
    this.protocol = '';
    this.extensions = '';
  }

  // ---------------------------------------------------------------- what it is

  get readyState() {
    return this.#readyState;
  }

  get bufferedAmount() {
    return this.#number === 0 ? this.#unsent : (this.#given - this.#sockets.left(this.#number)) >>> 0;
  }

  get binaryType() {
    return this.#binaryType;
  }

  set binaryType(type) {
    if (!BINARY_TYPES.includes(type)) throw new TypeError(`binaryType must be one of ${BINARY_TYPES.join(', ')}, not ${String(type)}`);
    this.#binaryType = type;
  }

  // ---------------------------------------------------------------- sending

  // `compress` false: the message is sent as it is.
  send(data, compress) {
    return typeof data === 'string' ? this.sendText(data, compress) : this.sendBinary(data, compress);
  }

  sendText(text, compress) {
    if (typeof text !== 'string') throw new TypeError('a text is a string');
    if (this.#readyState !== OPEN) return 0;
    const pending = this.bufferedAmount;
    let most = text.length * 3;
    if (pending + most > this.#settings.writeBuffer) {
      most = Buffer.byteLength(text);
      if (!this.#admits(pending, most)) return 0;
    }
    const full = pending + most > this.#settings.writeBuffer;
    return this.#sent(this.#sockets.sendText(kindOf(ASK_TEXT, full, compress), this.#number, text), full);
  }

  sendBinary(data, compress) {
    const bytes = toBytes(data);
    if (this.#readyState !== OPEN) return 0;
    const pending = this.bufferedAmount;
    const { length } = bytes;
    if (!this.#admits(pending, length)) return 0;
    const full = pending + length > this.#settings.writeBuffer;
    this.#sockets.sendBytes(kindOf(ASK_BINARY, full, compress), this.#number, bytes);
    return this.#sent(length, full);
  }

  // Whether so many bytes may wait beside those that do. The first message may have any length. Who is refused is told when there is
  // room for as many.
  #admits(pending, length) {
    const { writeLimit, onLimit } = this.#settings;
    if (pending === 0 || pending + length <= writeLimit) return true;
    if (onLimit === 'close') this.terminate();
    else this.#wantRoom(Math.max(0, writeLimit - length));
    return false;
  }

  #wantRoom(most) {
    if (most >= this.#roomAt) return;
    this.#roomAt = most;
    if (this.#drains && most >= this.#settings.writeBuffer / 2) return; // DRAINED comes late enough
    this.#sockets.ask(ASK_DRAIN, this.#number, most, null);
  }

  #sent(length, full) {
    this.#given = (this.#given + length) | 0;
    if (full) this.#drains = true;
    return full ? -1 : length || 1;
  }

  // A promise for the time when a message can be sent without waiting behind more than options.writeBuffer, and what was refused can be
  // sent; also when it has closed. Then it takes a turn of the loop: who asks again and again does not stop the others.
  ready() {
    if (this.#readyState !== OPEN) return new Promise((resolve) => setImmediate(resolve));
    if (!this.#drains && this.#roomAt === Infinity) return Promise.resolve();
    if (this.#ready === null) {
      let resolve;
      const promise = new Promise((done) => {
        resolve = done;
      });
      this.#ready = { promise, resolve };
    }
    return this.#ready.promise;
  }

  #becomeReady() {
    this.#drains = false;
    this.#roomAt = Infinity;
    const ready = this.#ready;
    this.#ready = null;
    if (ready !== null) ready.resolve();
  }

  ping(data) {
    return this.#control(ASK_PING, data);
  }

  pong(data) {
    return this.#control(ASK_PONG, data);
  }

  #control(kind, data) {
    const bytes = controlBytes(data);
    if (this.#readyState !== OPEN) return 0;
    this.#sockets.ask(kind, this.#number, 0, bytes);
    return bytes === null ? 1 : bytes.length || 1;
  }

  // What `act` sends leaves together; so does what a handler sends until it returns.
  cork(act) {
    const { ring } = this.#sockets;
    if (ring.draining) return act(this);
    ring.draining = true;
    try {
      return act(this);
    } finally {
      ring.draining = false;
      ring.wakeEngine();
    }
  }

  // ---------------------------------------------------------------- ending

  close(code = 1000, reason = '') {
    if (this.#readyState >= CLOSING) return;
    if (code !== 0 && !(Number.isInteger(code) && isCloseCode(code))) throw new RangeError(`${String(code)} is no code for close`);
    const bytes = Buffer.from(String(reason), 'utf8');
    if (bytes.length > LONGEST_REASON) throw new RangeError(`a reason has at most ${LONGEST_REASON} bytes`);
    if (code === 0 && bytes.length > 0) throw new RangeError('a reason needs a code');
    this.#readyState = CLOSING;
    this.#dropLater();
    this.#sockets.ask(ASK_CLOSE, this.#number, code, bytes.length === 0 ? null : bytes);
  }

  terminate() {
    if (this.#readyState === CLOSED) return;
    this.#readyState = CLOSING;
    this.#dropLater();
    this.#sockets.ask(ASK_ABORT, this.#number, 0, null);
  }

  // ---------------------------------------------------------------- reading

  pause() {
    this.#setPause(1, true);
  }

  resume() {
    this.#setPause(1, false);
    if (this.#later !== null && !this.#busy && !this.#isTelling) this.#goOn();
  }

  #setPause(bit, on) {
    const before = this.#pauses;
    this.#pauses = on ? before | bit : before & ~bit;
    if (this.#readyState > OPEN || (before === 0) === (this.#pauses === 0)) return;
    this.#sockets.ask(on ? ASK_PAUSE : ASK_RESUME, this.#number, 0, null);
  }

  // ---------------------------------------------------------------- topics

  subscribe(topic) {
    const bytes = topicBytes(topic);
    if (this.#readyState !== OPEN || this.isSubscribed(topic)) return;
    if (this.#topics === null) this.#topics = new Set();
    this.#topics.add(topic);
    this.#topicsOfServer.add(topic);
    this.#sockets.ask(ASK_SUBSCRIBE, this.#number, 0, bytes);
  }

  unsubscribe(topic) {
    if (this.#topics === null || !this.#topics.delete(topic)) return;
    this.#topicsOfServer.remove(topic);
    this.#sockets.ask(ASK_UNSUBSCRIBE, this.#number, 0, topicBytes(topic));
  }

  isSubscribed(topic) {
    return this.#topics !== null && this.#topics.has(topic);
  }

  get subscriptions() {
    return this.#topics === null ? [] : [...this.#topics];
  }

  // To all others that are subscribed; 0: there are none. A socket that has ended can say so to the others.
  publish(topic, data, compress) {
    const others = this.#topicsOfServer.count(topic) - (this.isSubscribed(topic) ? 1 : 0);
    return others === 0 ? 0 : publish(this.#sockets, this.#number, topic, data, compress);
  }

  publishText(topic, text, compress) {
    if (typeof text !== 'string') throw new TypeError('a text is a string');
    return this.publish(topic, text, compress);
  }

  publishBinary(topic, data, compress) {
    return this.publish(topic, toBytes(data), compress);
  }

  #leaveTopics() {
    if (this.#topics !== null) for (const topic of this.#topics) this.#topicsOfServer.remove(topic);
    this.#topics = null;
  }

  // ---------------------------------------------------------------- what the engine tells

  hearOpened(protocol, compressed) {
    if (protocol !== '') this.protocol = protocol;
    if (compressed) this.extensions = 'permessage-deflate';
    if (this.#readyState !== CONNECTING) return; // it was closed meanwhile
    this.#readyState = OPEN;
    this.#wait(call(this, 'open'));
  }

  hearMessage(data, isBinary) {
    if (this.#readyState !== OPEN) return;
    if (this.#busy || this.#pauses !== 0) {
      this.#put('message', data, isBinary);
      return;
    }
    this.#tellMessage(data, isBinary);
  }

  #tellMessage(data, isBinary) {
    const given = isBinary ? this.#asGiven(data) : data;
    const promise = call(this, 'message', given, isBinary);
    if (promise !== undefined) this.#wait(promise);
  }

  #asGiven(bytes) {
    if (this.#binaryType === 'uint8array') return bytes;
    return this.#binaryType === 'arraybuffer' ? bytes.buffer : Buffer.from(bytes.buffer, 0, bytes.length);
  }

  // The beginning of a message that is longer than what is told at once.
  hearPart(bytes, length, isBinary) {
    this.#part = { data: new Uint8Array(length), have: 0, isBinary };
    this.hearMore(bytes);
  }

  hearMore(bytes) {
    const part = this.#part;
    if (part === null) return; // there was no memory for it
    part.data.set(bytes, part.have);
    part.have += bytes.length;
    if (part.have < part.data.length) return;
    this.#part = null;
    const { data, isBinary } = part;
    this.hearMessage(isBinary ? data : Buffer.from(data.buffer).utf8Slice(0, data.length), isBinary);
  }

  // What was told could not be made: mostly there is no memory for so long a message, or no string may be so long.
  cannotHear(error) {
    this.#part = null;
    fail(this, error, error instanceof RangeError || error?.code === 'ERR_STRING_TOO_LONG' ? TOO_BIG : FAILED);
  }

  hearDrained() {
    const pending = this.bufferedAmount;
    if (pending > this.#settings.writeBuffer) return; // more was given meanwhile, which is told of, too
    if (pending > this.#roomAt) {
      if (this.#readyState === OPEN) this.#sockets.ask(ASK_DRAIN, this.#number, this.#roomAt, null);
      return;
    }
    this.#becomeReady();
    if (this.#readyState === OPEN) tell(this, 'drain');
  }

  hearControl(name, bytes) {
    if (this.#readyState !== OPEN) return;
    if (this.#busy || this.#pauses !== 0) this.#put(name, bytes, true);
    else this.#wait(call(this, name, this.#asGiven(bytes)));
  }

  hearDropped(length) {
    if (this.#readyState !== OPEN || this.handlers.error === undefined) return;
    const error = new Error(`a message of ${length} bytes was not sent: too much waits for the client (writeLimit)`);
    error.code = 'CAROM_ETOOBIG';
    tell(this, 'error', error);
  }

  // The client has broken the protocol, or a limit. What came before is answered first.
  hearFailed(code) {
    if (this.#busy || (this.#later !== null && this.#later.length > 0)) this.#put('failed', code, false);
    else this.#endFailed(code);
  }

  // Who reads by promises answers in this turn of the loop.
  #endFailed(code) {
    if (this.handlers.isPiped) setImmediate(() => this.#closeFailed(code));
    else this.#closeFailed(code);
  }

  #closeFailed(code) {
    if (this.#readyState !== OPEN) return;
    this.#readyState = CLOSING;
    this.#sockets.ask(ASK_CLOSE, this.#number, code, null);
  }

  hearRefused(code, text) {
    this.#end();
    const error = new Error(`the request became no WebSocket: ${text}`);
    error.code = code;
    tell(this, 'refused', error);
  }

  hearClosed(code, reason, clean) {
    const opened = this.#readyState !== CONNECTING || this.handlers.refused !== undefined;
    this.#end();
    if (!opened) return;
    if (this.#busy || (this.#later !== null && this.#later.length > 0)) {
      this.#put('close', { code, reason, clean }, false);
      tell(this, GONE, code, reason, clean);
    } else tell(this, 'close', code, reason, clean);
  }

  #end() {
    this.#unsent = this.bufferedAmount;
    this.#readyState = CLOSED;
    this.#leaveTopics();
    this.#sockets.remove(this.#number);
    this.#number = 0;
    this.#part = null;
    this.#becomeReady();
  }

  // ---------------------------------------------------------------- in order

  // A handler has not finished: what comes waits, and with the first that does, reading stops.
  #wait(promise) {
    if (promise === undefined) return;
    this.#busy = true;
    promise.then(
      () => this.#goOn(),
      (error) => {
        fail(this, error);
        this.#goOn();
      },
    );
  }

  #put(name, data, isBinary) {
    if (this.#later === null) {
      this.#later = [];
      if (name !== 'close') this.#setPause(2, true);
    }
    this.#later.push({ name, data, isBinary });
  }

  // It is closing: messages are of no interest any more, but its end is.
  #dropLater() {
    if (this.#later !== null) this.#later = this.#later.filter(({ name }) => name === 'close');
  }

  #goOn() {
    this.#busy = false;
    this.#isTelling = true;
    this.#tellLater();
    this.#isTelling = false;
  }

  #tellLater() {
    while (this.#later !== null && !this.#busy && (this.#pauses & 1) === 0) {
      const next = this.#later.shift();
      if (next === undefined) {
        this.#later = null;
        this.#setPause(2, false);
        return;
      }
      const { name, data, isBinary } = next;
      if (name === 'close') tell(this, 'close', data.code, data.reason, data.clean);
      else if (name === 'message') this.#tellMessage(data, isBinary);
      else if (name === 'failed') this.#endFailed(data);
      else this.#wait(call(this, name, this.#asGiven(data)));
    }
  }

  static {
    WebSocketConnection.setNumber = (connection, number) => {
      connection.#number = number;
    };
  }
}

const { setNumber } = WebSocketConnection;
delete WebSocketConnection.setNumber;
Object.assign(WebSocketConnection, { CONNECTING, OPEN, CLOSING, CLOSED });

// Send to all subscribers but the socket of this number (0: to all of them). How many bytes.
function publish(sockets, number, topic, data, compress) {
  const text = typeof data === 'string';
  const bytes = ownBytes(text ? data : toBytes(data), text);
  sockets.publish(kindOf(text ? ASK_PUBLISH_TEXT : ASK_PUBLISH_BINARY, false, compress), number, publicationHead(topic), bytes);
  return bytes.length || 1;
}

module.exports = { WebSocketConnection, GONE, setNumber, publish };
