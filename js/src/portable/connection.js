// A connection: the runtime's socket below, a protocol above, and between them what waits to be sent, how much has left, and times.
// A protocol (http1.js, http2.js, a tunnel of websocket.js) has received(bytes), peerDone(), flush(), lost(reason), drain(), isIdle.
'use strict';

const { clearTimeout } = require('node:timers');

const { Http1 } = require('./http1.js');
const { Http2 } = require('./http2.js');
const { later } = require('./timers.js');

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const PIECE = 65536; // bytes that are given to the socket at once, so that it tells of each when it has left
const AHEAD = 131072; // and what it may have at one time

class Connection {
  constructor(server, socket) {
    this.server = server;
    this.socket = socket;
    this.secure = socket.encrypted === true;
    this.alpn = this.secure ? socket.alpnProtocol || null : null;
    this.peer = endpoint(socket.remoteFamily, socket.remoteAddress, socket.remotePort);
    this.local = endpoint(socket.localFamily, socket.localAddress, socket.localPort);
    this.side = server.nextSide();
    this.number = 0; // for an observer
    this.protocol = null; // until the first bytes tell
    this.state = 'open'; // 'ending', 'closed'
    this.out = [];
    this.queued = 0; // bytes of it, and of what the socket has
    this.withSocket = 0;
    this.sent = 0; // that have left
    this.received = 0;
    this.requests = 0;
    this.peerIsDone = false;
    this.reason = null; // why it was ended, when we did it
    this.touched = this.wasReset = false;
    this.readTimer = this.writeTimer = null;
    this.first = []; // bytes before it is known what is spoken
    this.listen();
    if (this.alpn === 'h2') this.speak(new Http2(this), null);
    else this.readWithin(server.settings.firstByteTimeout);
  }

  listen() {
    const { socket } = this;
    socket.setNoDelay?.(true);
    socket.on('data', (bytes) => this.hear(bytes));
    socket.on('end', () => this.hearEnd());
    socket.on('error', () => {
      this.wasReset = true; // 'close' follows
    });
    socket.on('close', () => this.closed());
  }

  // HTTP/2 reads the socket itself.
  stopListening() {
    for (const event of ['data', 'end']) this.socket.removeAllListeners(event);
  }

  hear(bytes) {
    this.received += bytes.length;
    this.server.counts.bytesReceived += bytes.length;
    this.guard(() => {
      if (this.protocol === null) this.detect(bytes);
      else if (this.state === 'open') this.protocol.received(bytes);
    });
    this.server.turnSoon();
  }

  // A fault of the engine's own, in what it does for this connection, ends the connection and not the process. True: there was none.
  guard(act) {
    try {
      act();
      return true;
    } catch (error) {
      console.error('carom: a fault of the portable engine, which ends a connection:', error);
      this.socket.destroy();
      return false;
    }
  }

  later(milliseconds, act) {
    return later(milliseconds, () => this.guard(act));
  }

  // Which protocol the first bytes are of.
  detect(bytes) {
    this.first.push(bytes);
    const start = Buffer.concat(this.first);
    const couldBe = this.server.settings.http2 && !this.secure && !process.versions.bun; // whose sessions want all bytes
    const length = Math.min(start.length, PREFACE.length);
    if (couldBe && start.compare(PREFACE, 0, length, 0, length) === 0) {
      if (length < PREFACE.length) return;
      this.speak(new Http2(this), start);
    } else this.speak(new Http1(this), start);
  }

  speak(protocol, bytes) {
    this.readWithin(false);
    this.first = [];
    this.protocol = protocol;
    protocol.start?.(bytes);
    if (protocol.start === undefined) protocol.received(bytes);
  }

  // Heard when the turn ends: what came before it is answered first, if it is answered at once.
  hearEnd() {
    this.server.ends.push(this);
    this.server.turnSoon();
  }

  peerDone() {
    if (this.state === 'closed') return;
    this.peerIsDone = true;
    if (this.protocol === null || this.state !== 'open') this.destroy();
    else this.protocol.peerDone();
  }

  closed() {
    if (this.state === 'closed') return;
    const wasEnding = this.state === 'ending';
    this.state = 'closed';
    clearTimeout(this.readTimer);
    clearTimeout(this.writeTimer);
    const isOrderly = !this.wasReset && (this.peerIsDone || this.isIdle || wasEnding);
    const reason = this.reason || (isOrderly ? 'client-closed' : 'client-reset');
    this.guard(() => this.protocol?.lost(this.reason || (this.peerIsDone ? 'client-closed' : 'client-reset')));
    this.server.connectionClosed(this, reason);
  }

  get isIdle() {
    return this.protocol === null || this.protocol.isIdle;
  }

  // ---------------------------------------------------------------- sending

  // Flushed before the turn ends.
  touch() {
    if (!this.touched) this.server.touched.push(this);
    this.touched = true;
    this.server.turnSoon();
  }

  send(bytes) {
    this.out.push(bytes);
    this.queued += bytes.length;
  }

  get total() {
    return this.sent + this.queued;
  }

  pump() {
    if (this.state === 'closed') return;
    while (this.out.length > 0 && this.withSocket < AHEAD) this.write(this.nextPiece());
  }

  nextPiece() {
    const parts = [];
    let length = 0;
    while (this.out.length > 0 && length < PIECE) {
      const part = this.out[0].subarray(0, PIECE - length);
      if (part.length === this.out[0].length) this.out.shift();
      else this.out[0] = this.out[0].subarray(part.length);
      parts.push(part);
      length += part.length;
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts, length);
  }

  write(piece) {
    this.withSocket += piece.length;
    this.writeWithin(this.server.settings.writeTimeout);
    this.socket.write(piece, (error) => {
      if (error || this.state === 'closed') return;
      this.withSocket -= piece.length;
      this.queued -= piece.length;
      this.sent += piece.length;
      this.server.counts.bytesSent += piece.length;
      this.writeWithin(this.queued > 0 ? this.server.settings.writeTimeout : false);
      this.touch();
    });
  }

  // ---------------------------------------------------------------- reading

  receive(on) {
    if (on) this.socket.resume();
    else this.socket.pause();
  }

  // ---------------------------------------------------------------- times

  readWithin(milliseconds) {
    clearTimeout(this.readTimer);
    this.readTimer = this.later(milliseconds, () => this.readLate());
  }

  readLate() {
    this.server.counts.timeouts++;
    if (this.protocol !== null) this.protocol.readLate();
    else if (!this.server.observed) this.end(false);
    else {
      this.protocol = new Http1(this);
      this.protocol.refuse(408, 'header-timeout');
    }
    this.server.turnSoon();
  }

  writeWithin(milliseconds) {
    clearTimeout(this.writeTimer);
    this.writeTimer = this.later(milliseconds, () => {
      this.server.counts.timeouts++;
      this.abort('write-timeout', true);
    });
  }

  // ---------------------------------------------------------------- ends

  // What was given leaves, then FIN. `unread`: the client may still send what nobody reads, and must not be answered by a reset.
  end(unread, reason = null) {
    if (this.state !== 'open') return;
    this.state = 'ending';
    this.reason = reason;
    const { socket, server } = this;
    this.readWithin(false);
    while (this.out.length > 0) this.write(this.nextPiece());
    socket.resume();
    if (unread && !this.peerIsDone) {
      socket.end();
      this.readTimer = later(server.settings.lingerTimeout, () => this.destroy());
    } else socket.end(() => this.destroy());
  }

  // At once. `reset`: the client sees that.
  abort(reason, reset) {
    if (this.state === 'closed') return;
    this.reason ||= reason;
    const { socket } = this;
    // A socket that has sent FIN cannot be reset, and node would leave it open.
    const canReset = typeof socket.resetAndDestroy === 'function' && !this.secure && this.peer.family < 3 && !socket.writableEnded;
    if (reset && canReset) socket.resetAndDestroy();
    else socket.destroy();
    this.closed(); // its own event comes later
  }

  destroy() {
    if (this.state !== 'closed') this.socket.destroy();
  }

  // What was answered before is sent as far as the client takes it at once, then FIN; what is in flight is cancelled.
  closeNow(reset) {
    if (this.state === 'closed') return;
    this.protocol?.flush();
    this.protocol?.lost('canceled');
    if (reset) this.abort('canceled', true);
    else {
      this.end(false, 'canceled');
      this.readTimer = later(this.server.settings.lingerTimeout, () => this.destroy());
    }
  }

  tls() {
    const { socket } = this;
    const certificate = socket.getPeerX509Certificate?.()?.raw || socket.getPeerCertificate?.()?.raw || null;
    const cipher = socket.getCipher?.();
    return {
      version: socket.getProtocol?.() || '',
      cipher: cipher?.standardName || cipher?.name || '',
      alpn: this.alpn || '',
      serverName: socket.servername || '',
      resumed: Boolean(socket.isSessionReused?.()),
      peerCertificate: certificate === null ? null : new Uint8Array(certificate),
    };
  }
}

function endpoint(family, address, port) {
  if (address === undefined || port === undefined) return { family: 3, port: 0, text: '' };
  const is6 = family === 'IPv6' || family === 6 || address.includes(':');
  return { family: is6 ? 2 : 1, port, text: address };
}

module.exports = { Connection };
