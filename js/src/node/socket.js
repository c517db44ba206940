// The socket of a connection, as long as it lives: that of its requests and responses, and of the events 'connection' and
// 'clientError'. It tells who the peer is and how many bytes have passed, has time-outs, and can be closed. It cannot be read,
// since the engine reads the connection. What is written to it is a response, instead of the listener's. Over HTTP/2 each exchange
// has a socket of its own.
'use strict';

const { EventEmitter } = require('node:events');
const { Socket: NetSocket } = require('node:net');
const { getDefaultHighWaterMark } = require('node:stream');
const { TLSSocket } = require('node:tls');
const { endError, refusal } = require('./client-error.js');
const { closeBehind } = require('./close-behind.js');
const { coded } = require('./errors.js');
const { belong } = require('./kinship.js');
const { secure } = require('./secure.js');
const { CLOSE_NOW, CLOSE_RESET } = require('../engine/closing.js');

class Socket extends EventEmitter {
  // `connection`: of the ring; null: it is that of one exchange.
  constructor(server, connection, exchange = null) {
    super();
    this.server = server;
    this.engineConnection = connection;
    this.exchange = exchange; // the last one
    this.peer = connection === null ? exchange.remoteAddress() : connection.peer;
    this.near = null; // our end, once it was asked for
    this.transactions = []; // in flight, in order
    this.parser = null;
    this._httpMessage = null;
    this.destroyed = false;
    this.changed = false; // another protocol is spoken on it
    this.closed = false;
    this.timeout = 0;
    this.timer = null;
    this.rested = connection === null; // the next request has the time-out of the server
    this.handed = 0; // length of the content that the engine was given, sent or not
    this.isRaw = false; // raw bytes were written
    this.refusal = null; // why what came on it is no request, when nobody has dealt with that
    this.toldError = false; // 'clientError' is told once
    this.on('error', failed);
  }

  get remoteAddress() {
    return this.peer.transport === 'tcp' ? this.peer.hostname : undefined;
  }
  get remotePort() {
    return this.peer.transport === 'tcp' ? this.peer.port : undefined;
  }
  get remoteFamily() {
    return familyOf(this.peer);
  }
  get localAddress() {
    return this.local.hostname;
  }
  get localPort() {
    return this.local.port;
  }
  get localFamily() {
    return familyOf(this.local);
  }
  // The engine tells it with each request; without one in flight it is where the server listens.
  get local() {
    if (this.near === null && this.exchange !== null && !this.exchange.released) this.near = this.exchange.localAddress();
    const addr = this.near !== null ? this.near : this.server !== null && this.server.addr;
    return addr && addr.transport === 'tcp' ? addr : { transport: 'unix' };
  }

  get readable() {
    return !this.destroyed;
  }
  // Node's IncomingMessage takes it over, from Node 26 on also when there is none.
  get readableHighWaterMark() {
    return getDefaultHighWaterMark(false);
  }
  get writable() {
    return !this.destroyed;
  }
  get readyState() {
    return this.destroyed ? 'closed' : 'open';
  }

  // Before encryption. Over HTTP/2 nothing is known of one exchange.
  get bytesRead() {
    return this.engineConnection === null ? 0 : this.engineConnection.traffic()[0];
  }
  // What waits in JavaScript included. The engine knows of what it has sent; till then content counts by its length.
  get bytesWritten() {
    return this.engineConnection === null ? 0 : Math.max(this.engineConnection.traffic()[1], this.handed) + this.writableLength;
  }
  get writableLength() {
    let length = 0;
    for (const { exchange } of this.transactions) length += exchange.output ? exchange.output.buffered : 0;
    return length;
  }

  address() {
    const { local } = this;
    return local.transport === 'tcp' ? { address: local.hostname, family: familyOf(local), port: local.port } : {};
  }

  // ---------------------------------------------------------------- what is in flight

  enter(transaction) {
    this.exchange = transaction.exchange;
    this.transactions.push(transaction);
    if (this.rested) this.timeout = this.server.timeout;
    this.rested = false;
    this.touch();
  }

  leave(transaction) {
    const place = this.transactions.indexOf(transaction);
    if (place >= 0) this.transactions.splice(place, 1);
    if (this.transactions.length > 0) return;
    this.rest();
    this.timeout = 0;
    this.rested = true;
    if (this.engineConnection === null) process.nextTick(close, this, null);
  }

  // One of them has ended without a whole response, and so has the connection.
  lost(error, reason) {
    this.destroyed = true;
    const refused = endError(reason);
    if (refused !== null) process.nextTick(() => this.server.emit('clientError', refused, this));
    if (this.engineConnection === null || reason === 'canceled') process.nextTick(closeWith, this, error);
  }

  // ---------------------------------------------------------------- time-outs

  setTimeout(milliseconds, callback) {
    const time = Number(milliseconds) || 0;
    this.rest();
    this.timeout = time;
    if (typeof callback === 'function') {
      if (time > 0) this.once('timeout', callback);
      else this.removeListener('timeout', callback);
    }
    if (time > 0 && !this.destroyed) {
      this.timer = setTimeout(ranOut, time, this);
      this.timer.unref();
    }
    return this;
  }

  touch() {
    if (this.timer !== null) this.timer.refresh();
    else if (this.timeout > 0) this.setTimeout(this.timeout);
  }

  // No time runs: between requests it is the engine that keeps it.
  rest() {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  // ---------------------------------------------------------------- the end

  // What was written before arrives, as far as the client takes it at once; then the connection ends.
  destroy(error) {
    if (this.destroyed) return this;
    this.destroyed = true;
    this.closeBy(CLOSE_NOW, error || null);
    return this;
  }

  resetAndDestroy() {
    if (this.destroyed) return this;
    this.destroyed = true;
    this.closeBy(CLOSE_RESET, null);
    return this;
  }

  closeBy(how, error) {
    const { engineConnection } = this;
    const transactions = [...this.transactions];
    closeBehind(
      transactions.map(({ exchange }) => exchange),
      () => {
        if (engineConnection !== null) engineConnection.close(how);
        else for (const { exchange } of transactions) exchange.cancel();
      },
    );
    for (const transaction of transactions) transaction.gone(error, 'canceled');
    process.nextTick(closeWith, this, error);
  }

  destroySoon() {
    if (!this.endRaw()) this.destroy();
    return this;
  }

  end(chunk, encoding, callback) {
    if (typeof chunk === 'function') {
      callback = chunk;
      chunk = undefined;
    }
    if (chunk !== undefined && chunk !== null) this.write(chunk, encoding, callback);
    else if (typeof callback === 'function') process.nextTick(callback);
    return this.destroySoon();
  }

  // The engine says that the connection has closed.
  gone(reason) {
    const lost = this.destroyed ? null : reason;
    this.destroyed = true;
    this.rest();
    for (const transaction of [...this.transactions]) transaction.gone(null, reason);
    if (lost === 'header-timeout') process.nextTick(tellIdle, this);
    process.nextTick(closeWith, this, this.refusal || (lost === 'client-reset' ? readError() : null));
  }

  // ---------------------------------------------------------------- raw bytes

  // Whose response raw bytes can be: the request's that is first in turn, or, once that response has begun, what was no request.
  rawPlace() {
    const first = this.transactions.find(({ response }) => !response?.finished);
    if (!first?.response?.headersSent) return first;
    return this.transactions.find(({ response }) => response === null);
  }

  // They are a response, head and all.
  write(chunk, encoding, callback) {
    if (typeof encoding === 'function') {
      callback = encoding;
      encoding = undefined;
    }
    const transaction = this.rawPlace();
    if (this.destroyed || transaction === undefined) return this.refuseWrite(callback);
    const { exchange } = transaction;
    if (!transaction.isRaw) exchange.beginRaw();
    transaction.isRaw = this.isRaw = true;
    const room = exchange.write(typeof chunk === 'string' ? Buffer.from(chunk, encoding || 'utf8') : chunk);
    this.touch();
    if (typeof callback === 'function') process.nextTick(callback);
    if (!room)
      exchange.ready().then(
        () => this.emit('drain'),
        () => {},
      );
    return room;
  }

  // Listeners of 'clientError' write when the client wants them to: nothing is thrown that would end the process.
  refuseWrite(callback) {
    const error = this.destroyed
      ? coded(Error, 'ERR_STREAM_DESTROYED', 'Cannot call write after a stream was destroyed')
      : coded(Error, 'ERR_METHOD_NOT_IMPLEMENTED', 'Raw bytes cannot be written behind the head of a response, nor without a request');
    if (!this.destroyed) process.emitWarning(error.message, { code: error.code });
    if (typeof callback === 'function') process.nextTick(callback, error);
    return false;
  }

  endRaw() {
    const transaction = this.transactions.find(({ isRaw }) => isRaw);
    if (transaction === undefined) return false;
    transaction.exchange.end();
    if (transaction.request !== null) transaction.request._dumped = true; // its content is nobody's any more
    transaction.exchange.dropContent();
    return true;
  }

  // As node has it, but that no delay is the kernel's default, two hours. Nothing over HTTP/2.
  setKeepAlive(on = false, milliseconds = 0) {
    if (this.engineConnection !== null) this.engineConnection.keepAlive(on ? Math.max(Math.floor(milliseconds / 1000), 0) || 7200 : 0);
    return this;
  }

  // ---------------------------------------------------------------- what does nothing here

  setNoDelay() {
    return this;
  }
  setEncoding() {
    throw coded(Error, 'ERR_HTTP_SOCKET_ENCODING', 'Changing the socket encoding is not allowed per RFC7230 Section 3.');
  }
  pause() {
    return this;
  }
  resume() {
    return this;
  }
  isPaused() {
    return false;
  }
  ref() {
    return this;
  }
  unref() {
    return this;
  }
  cork() {}
  uncork() {}
}

secure(Socket.prototype);
Socket.prototype.connecting = false;
Socket.prototype.pending = false;
Socket.prototype.allowHalfOpen = true;
Socket.prototype.writableHighWaterMark = 65536;
Socket.prototype.writableCorked = 0;

// The same over TLS.
class SecureSocket extends Socket {}
for (const [name, member] of Object.entries(Object.getOwnPropertyDescriptors(Socket.prototype)))
  if (name !== 'constructor') Object.defineProperty(SecureSocket.prototype, name, member);
belong(Socket.prototype, NetSocket);
belong(SecureSocket.prototype, TLSSocket);

function familyOf({ transport, hostname }) {
  return transport !== 'tcp' ? undefined : hostname.includes(':') ? 'IPv6' : 'IPv4';
}

function ranOut(socket) {
  socket.timer = null;
  const [transaction] = socket.transactions;
  socket.emit('timeout');
  const heard = [
    Boolean(transaction?.request) && !transaction.request.complete && transaction.request.emit('timeout', socket),
    Boolean(transaction?.response) && transaction.response.emit('timeout', socket),
    socket.server.emit('timeout', socket),
  ];
  if (!heard.includes(true)) socket.destroy();
}

// As node's servers do: what is wrong with a socket is told by the server.
function failed(error) {
  if (this.toldError) return;
  this.toldError = true;
  if (this.server.emit('clientError', error, this) || this.destroyed) return;
  if (this.rawPlace() !== undefined) this.end(refusal(400));
  else this.destroy();
}

// The engine has closed it, since no request came in time: nobody can keep it open any more.
function tellIdle(socket) {
  socket.emit('timeout');
  socket.server.emit('timeout', socket);
}

function readError() {
  const error = coded(Error, 'ECONNRESET', 'read ECONNRESET');
  error.syscall = 'read';
  return error;
}

function closeWith(socket, error) {
  if (socket.closed) return;
  if (error) socket.emit('error', error);
  close(socket, error);
}

function close(socket, error) {
  if (socket.closed) return;
  socket.closed = socket.destroyed = true;
  socket.emit('close', Boolean(error));
}

// The socket of a connection of the ring.
function socketFor(server, connection) {
  return new (connection.secure ? SecureSocket : Socket)(server, connection);
}

// That of one exchange over HTTP/2.
function streamSocketFor(server, exchange) {
  return new (exchange.secure ? SecureSocket : Socket)(server, null, exchange);
}

module.exports = { Socket, SecureSocket, socketFor, streamSocketFor };
