// A connection that changes its protocol, as a Duplex. Listeners of node:http write the response head themselves, as text. It is
// parsed here and given to the engine; all that is written behind it is sent as it is.
'use strict';

const { Duplex } = require('node:stream');
const { coded, connectionReset } = require('./errors.js');
const { Connection } = require('./connection.js');
const { secure } = require('./secure.js');

const LONGEST_HEAD = 65536;

class UpgradeSocket extends Duplex {
  constructor(exchange, server) {
    super({ allowHalfOpen: true });
    this.exchange = exchange;
    this.server = server;
    this.peer = exchange.remoteAddress();
    this.head = ''; // as far as it was written, latin1
    this.switched = false;
    this.answered = null; // { status, fields, parts }: the protocol stays
    this.wanted = false;
    this.isOver = false;
    exchange.onend = (reason) => this.ended(reason);
    exchange.onerror = (error) => this.destroy(error);
  }

  _read() {
    if (!this.switched) {
      this.wanted = true;
      return;
    }
    this.exchange.read().then(
      (bytes) => {
        if (this.destroyed) return;
        this.push(bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      },
      () => {
        if (!this.destroyed) this.destroy(connectionReset());
      },
    );
  }

  _write(chunk, encoding, callback) {
    if (this.answered !== null) {
      this.answered.parts.push(chunk);
      callback();
    } else if (this.switched) this.writeRaw(chunk, callback);
    else this.takeHead(chunk, callback);
  }

  writeRaw(chunk, callback) {
    if (chunk.length === 0 || this.exchange.write(chunk)) callback();
    else
      this.exchange.ready().then(
        () => callback(),
        () => callback(connectionReset()),
      );
  }

  takeHead(chunk, callback) {
    this.head += chunk.latin1Slice(0, chunk.length);
    const end = this.head.indexOf('\r\n\r\n');
    if (end < 0) {
      callback(this.head.length > LONGEST_HEAD ? coded(Error, 'ERR_INVALID_HTTP_RESPONSE', 'no response head was written') : null);
      return;
    }
    const lines = this.head.slice(0, end).split('\r\n');
    const rest = Buffer.from(this.head.slice(end + 4), 'latin1');
    this.head = '';
    const status = Number(/^HTTP\/1\.[01] ([0-9]{3})/.exec(lines[0])?.[1]);
    if (!status) {
      callback(coded(Error, 'ERR_INVALID_HTTP_RESPONSE', 'no response head was written'));
      return;
    }
    const fields = fieldsOf(lines.slice(1));
    if (status === 101 || (this.exchange.method === 'CONNECT' && status < 300)) {
      this.exchange.upgrade(status, fields);
      this.switched = true;
      if (this.wanted) this._read();
      this.writeRaw(rest, callback);
    } else {
      this.answered = { status, fields, parts: [rest] };
      callback();
    }
  }

  _final(callback) {
    if (this.answered !== null) {
      const { status, fields, parts } = this.answered;
      this.exchange.respond(status, fields, Buffer.concat(parts));
      this.isOver = true;
      this.push(null);
    } else if (this.switched) this.exchange.end();
    else this.exchange.cancel();
    callback();
  }

  _destroy(error, callback) {
    if (!this.isOver && !(this.writableFinished && this.readableEnded)) this.exchange.cancel();
    callback(error);
  }

  ended(reason) {
    this.isOver = true;
    if (this.destroyed) return;
    if (reason === 'complete') return; // read() tells the rest
    this.destroy(this.listenerCount('error') > 0 ? connectionReset() : null);
  }

  setTimeout(milliseconds, callback) {
    clearTimeout(this.timer);
    if (milliseconds > 0) {
      if (typeof callback === 'function') this.once('timeout', callback);
      this.timer = setTimeout(() => this.emit('timeout'), milliseconds);
      this.timer.unref();
      this.once('close', () => clearTimeout(this.timer));
    }
    return this;
  }

  setNoDelay() {
    return this;
  }
  setKeepAlive() {
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
for (const name of ['remoteAddress', 'remotePort', 'remoteFamily', 'local', 'localAddress', 'localPort', 'localFamily', 'address'])
  Object.defineProperty(UpgradeSocket.prototype, name, Object.getOwnPropertyDescriptor(Connection.prototype, name));

// Fields about the connection and the framing are left out: the engine writes them.
function fieldsOf(lines) {
  const fields = [];
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon <= 0) continue;
    const name = line.slice(0, colon);
    if (!/^(connection|content-length|transfer-encoding)$/i.test(name)) fields.push(name, line.slice(colon + 1).trim());
  }
  return fields;
}

module.exports = { UpgradeSocket };
