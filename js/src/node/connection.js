// The `socket` of a request and its response. It tells about the peer and can be destroyed. It cannot be read, since the engine does
// that, and what is written to it must be a response. It lives as long as the exchange.
'use strict';

const { EventEmitter } = require('node:events');
const { channel } = require('node:diagnostics_channel');
const { coded, connectionReset } = require('./errors.js');
const { RawResponse } = require('./raw-response.js');
const { secure } = require('./secure.js');

const responseFinish = channel('http.server.response.finish');

class Connection extends EventEmitter {
  constructor(exchange, server) {
    super();
    this.exchange = exchange;
    this.server = server;
    this.parser = null;
    this.request = null;
    this.response = null;
    this.peer = exchange.remoteAddress(); // the slot that has it may be used again later
    this.destroyed = false;
    this.over = false;
    this.closed = false;
    this.timeout = 0;
    this.timer = null;
    this.writableLength = 0;
    this.failed = false;
    this.raw = null; // a RawResponse
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
  get local() {
    const addr = this.server !== null && this.server.addr;
    return addr && addr.transport === 'tcp' ? addr : { transport: 'unix' };
  }

  get readable() {
    return !this.over && !this.destroyed;
  }
  get writable() {
    return !this.over && !this.destroyed;
  }
  get readyState() {
    return this.writable ? 'open' : 'closed';
  }

  address() {
    const { local } = this;
    return local.transport === 'tcp' ? { address: local.hostname, family: familyOf(local), port: local.port } : {};
  }

  // ---------------------------------------------------------------- time-outs

  setTimeout(milliseconds, callback) {
    const time = Number(milliseconds) || 0;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.timeout = time;
    if (typeof callback === 'function') {
      if (time > 0) this.once('timeout', callback);
      else this.removeListener('timeout', callback);
    }
    if (time > 0 && !this.over) {
      this.timer = setTimeout(ranOut, time, this);
      this.timer.unref();
    }
    return this;
  }

  touch() {
    if (this.timer !== null) this.timer.refresh();
  }

  // ---------------------------------------------------------------- the end

  destroy(error) {
    if (this.destroyed) return this;
    this.destroyed = true;
    if (this.over || (this.raw !== null && this.raw.end())) return this;
    this.exchange.cancel();
    this.gone(error || null);
    return this;
  }

  destroySoon() {
    return this.destroy();
  }
  end(chunk, encoding, callback) {
    if (chunk !== undefined && chunk !== null && typeof chunk !== 'function') this.write(chunk, encoding, callback);
    return this.destroy();
  }
  resetAndDestroy() {
    return this.destroy();
  }

  // The exchange has ended without a whole response.
  gone(error) {
    if (!this.settle()) return;
    this.destroyed = true;
    const { request } = this;
    if (!request.destroyed && !(request.complete && request.readableEnded)) request.destroy(error || connectionReset());
    process.nextTick(closeAll, this, error);
  }

  // The response is in the hands of the engine, so the exchange counts as ended well.
  complete() {
    if (this.settle()) process.nextTick(finishAll, this);
  }

  settle() {
    if (this.over) return false;
    this.over = true;
    this.writableLength = 0;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    return true;
  }

  // The engine has refused the response. Node has no event for that which nobody need listen to, so it is a warning; the client
  // gets a 500, or a reset when it has the head already.
  refuse(error) {
    const { exchange, request } = this;
    if (this.failed || error.code === 'CAROM_ELENGTH') exchange.cancel();
    else {
      this.failed = true;
      exchange.respond(500, [], null);
    }
    process.emitWarning(`the response to ${request.method} ${request.url} was refused: ${error.message}`, { code: error.code });
  }

  // ---------------------------------------------------------------- raw bytes

  // Of a whole response, instead of that of the listener's ServerResponse.
  write(chunk, encoding, callback) {
    if (typeof encoding === 'function') {
      callback = encoding;
      encoding = undefined;
    }
    if (this.raw === null && this.response.headersSent)
      throw coded(Error, 'ERR_METHOD_NOT_IMPLEMENTED', 'Raw bytes cannot be written behind the head of a response');
    this.raw ||= new RawResponse(this.exchange);
    let room = false;
    let fault = null;
    try {
      room = this.raw.write(typeof chunk === 'string' ? Buffer.from(chunk, encoding || 'utf8') : chunk);
    } catch (error) {
      fault = error;
    }
    if (typeof callback === 'function') process.nextTick(callback, fault);
    if (fault !== null) this.destroy(fault);
    else if (!room)
      this.exchange.ready().then(
        () => this.emit('drain'),
        () => {},
      );
    return room;
  }

  // ---------------------------------------------------------------- what does nothing here

  setNoDelay() {
    return this;
  }
  setKeepAlive() {
    return this;
  }
  setEncoding() {
    return this;
  }
  pause() {
    return this;
  }
  resume() {
    return this;
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

secure(Connection.prototype);
Connection.prototype.connecting = false;
Connection.prototype.pending = false;
Connection.prototype.bytesRead = 0;
Connection.prototype.bytesWritten = 0;
Connection.prototype.writableHighWaterMark = 65536;
Connection.prototype.writableCorked = 0;

function familyOf({ transport, hostname }) {
  return transport !== 'tcp' ? undefined : hostname.includes(':') ? 'IPv6' : 'IPv4';
}

function ranOut(connection) {
  connection.timer = null;
  const { request, response, server } = connection;
  connection.emit('timeout');
  const heard = [
    !request.complete && request.emit('timeout', connection),
    response.emit('timeout', connection),
    server !== null && server.emit('timeout', connection),
  ];
  if (!heard.includes(true)) connection.destroy();
}

function close(connection, error) {
  const { response } = connection;
  response.closeNow(response);
  if (connection.closed) return;
  connection.closed = true;
  connection.destroyed = true;
  connection.emit('close', Boolean(error));
}

function closeAll(connection, error) {
  if (error && connection.listenerCount('error') > 0) connection.emit('error', error);
  close(connection, error);
}

function finishAll(connection) {
  const { request, response } = connection;
  if (response.finished) {
    response.emit('finish');
    if (responseFinish.hasSubscribers) responseFinish.publish({ request, response, socket: connection, server: connection.server });
  }
  request.responseSent(request);
  close(connection, null);
}

module.exports = { Connection };
