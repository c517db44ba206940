// A connection that changes its protocol, as a Duplex. Listeners of node:http write the response head themselves, as text. When it
// changes the protocol it is parsed here and given to the engine; all that is written behind it is sent as it is. Another response is
// sent as it was written from its head on, but over HTTP/2, where it is gathered and given to the engine whole.
'use strict';

const { Duplex } = require('node:stream');
const { closeBehind } = require('./close-behind.js');
const { connectionReset } = require('./errors.js');
const { Socket } = require('./socket.js');
const { RawHead } = require('./raw-head.js');
const { secure } = require('./secure.js');
const { CLOSE_NOW, CLOSE_RESET } = require('../engine/closing.js');

class UpgradeSocket extends Duplex {
  constructor(exchange, server) {
    super({ allowHalfOpen: true });
    this.exchange = exchange;
    this.server = server;
    this.peer = exchange.remoteAddress();
    this.head = new RawHead();
    this.switched = false;
    this.isRaw = false; // the protocol stays: what is written is the response
    this.answered = null; // the same over HTTP/2: { status, fields, parts }
    this.wanted = false;
    this.isOver = false;
    this.left = false;
    this.resets = false;
    this.timeout = 0;
    this.timer = null;
    this.connection = (exchange.version < 20 && exchange.connection) || null; // its socket
    exchange.connection?.setTimeout(0); // that was of requests
    exchange.onend = (reason) => this.ended(reason);
    exchange.onerror = (error) => this.refused(error);
  }

  _read() {
    if (!this.switched) {
      this.wanted = true;
      return;
    }
    this.exchange.read().then(
      (bytes) => {
        if (this.destroyed) return;
        this.touch();
        if (bytes !== null) this.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
        else this.tellEnd();
      },
      () => this.lost(),
    );
  }

  // Also when nobody reads.
  tellEnd() {
    if (!this.push(null)) this.read(0);
  }

  // Unanswered, which is no fault of the client's.
  leave() {
    this.isOver = this.left = true;
    this.closeNow(CLOSE_NOW);
  }

  // The client has gone. Who has no listener for it ends no process by that.
  lost() {
    if (!this.destroyed) this.destroy(this.listenerCount('error') > 0 ? connectionReset() : null);
  }

  _write(chunk, encoding, callback) {
    this.touch();
    if (this.answered !== null) {
      this.answered.parts.push(chunk);
      callback();
    } else if (this.switched || this.isRaw) this.writeRaw(chunk, callback);
    else this.takeHead(chunk, callback);
  }

  writeRaw(chunk, callback) {
    if (this.connection !== null) this.connection.handed += chunk.length;
    if (chunk.length === 0 || this.exchange.write(chunk)) callback();
    else
      this.exchange.ready().then(
        () => {
          this.touch();
          callback();
        },
        () => callback(connectionReset()),
      );
  }

  takeHead(chunk, callback) {
    let head;
    try {
      head = this.head.take(chunk);
    } catch (error) {
      this.refused(error);
      callback();
      return;
    }
    if (head === null) {
      callback();
      return;
    }
    const { status, fields, rest, all } = head;
    if (status === 101 || (this.exchange.method === 'CONNECT' && status < 300)) {
      this.exchange.upgrade(status, fields);
      this.switched = true;
      if (this.wanted) this._read();
      else this.read(0); // to hear of the client's end, as sockets of node do
      this.writeRaw(rest, callback);
    } else if (this.exchange.version < 20) {
      this.exchange.beginRaw();
      this.isRaw = true;
      this.writeRaw(all, callback);
    } else {
      this.answered = { status, fields, parts: [rest] };
      callback();
    }
  }

  // The engine does not take what was written as a head. It ends no process that has no listener for it.
  refused(error) {
    if (this.listenerCount('error') > 0) {
      this.destroy(error);
      return;
    }
    process.emitWarning(error.message, { code: error.code });
    this.destroy();
  }

  _final(callback) {
    if (this.answered !== null) {
      this.answer();
      this.push(null);
    } else {
      if (this.switched || this.isRaw) this.exchange.end();
      else this.leave();
      if (!this.switched) this.tellEnd();
    }
    callback();
  }

  // Over HTTP/2, where the protocol stays.
  answer() {
    const { status, fields, parts } = this.answered;
    this.answered = null;
    this.isOver = true;
    this.exchange.respond(status, fields, Buffer.concat(parts));
  }

  // What was written before arrives, as far as the client takes it at once; then the connection ends.
  _destroy(error, callback) {
    const { exchange } = this;
    this.rest();
    if (this.resets) {
      this.closeNow(CLOSE_RESET);
      callback(error);
      return;
    }
    if (this.switched || this.isRaw) for (const { chunk } of this._writableState.getBuffer()) exchange.write(chunk);
    if (this.answered !== null) this.answer();
    if (!this.isOver && !(this.writableFinished && this.readableEnded)) closeBehind([exchange], () => this.closeNow(CLOSE_NOW));
    callback(error);
  }

  // The client sees a reset, and nothing more of what was written.
  resetAndDestroy() {
    this.resets = true;
    return this.destroy();
  }

  closeNow(how) {
    const { exchange } = this;
    const engineConnection = this.connection?.engineConnection;
    if (engineConnection) engineConnection.close(how);
    else exchange.cancel();
  }

  ended(reason) {
    this.isOver = true;
    if (this.left) return;
    if (this.isRaw && reason === 'client-closed') {
      this.once('end', () => this.destroy());
      this.tellEnd();
    } else if (reason !== 'complete') this.lost(); // else read() tells the rest
  }

  // Those of the connection. Over HTTP/2 nothing is known of one exchange.
  get bytesRead() {
    return this.connection === null ? 0 : this.connection.bytesRead;
  }
  get bytesWritten() {
    return this.connection === null ? 0 : this.connection.bytesWritten + this.writableLength;
  }
  get readyState() {
    if (this.destroyed) return 'closed';
    if (this.writableEnded) return this.readableEnded ? 'closed' : 'readOnly';
    return this.readableEnded ? 'writeOnly' : 'open';
  }

  // For what is silent so long. It goes on behind 'timeout' when something is read or written.
  setTimeout(milliseconds, callback) {
    if (this.destroyed) return this;
    this.timeout = Number(milliseconds) || 0;
    this.rest();
    if (typeof callback === 'function') {
      if (this.timeout > 0) this.once('timeout', callback);
      else this.removeListener('timeout', callback);
    }
    if (this.timeout > 0) {
      this.timer = setTimeout(() => this.emit('timeout'), this.timeout);
      this.timer.unref();
    }
    return this;
  }

  touch() {
    if (this.timer !== null) this.timer.refresh();
  }

  rest() {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  setNoDelay() {
    return this;
  }
  setKeepAlive(...given) {
    this.connection?.setKeepAlive(...given);
    return this;
  }
  ref() {
    return this;
  }
  unref() {
    return this;
  }
  destroySoon() {
    if (this.writableFinished) this.destroy();
    else this.end(() => this.destroy());
  }
}

secure(UpgradeSocket.prototype);
UpgradeSocket.prototype.connecting = UpgradeSocket.prototype.pending = false;
for (const name of ['remoteAddress', 'remotePort', 'remoteFamily', 'local', 'localAddress', 'localPort', 'localFamily', 'address'])
  Object.defineProperty(UpgradeSocket.prototype, name, Object.getOwnPropertyDescriptor(Socket.prototype, name));

module.exports = { UpgradeSocket };
