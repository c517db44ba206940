// HTTP/2 on a connection: the runtime's session reads and writes it; each stream is a record's exchange.
'use strict';

const http2 = require('node:http2');
const { clearTimeout } = require('node:timers');

const { ContentRate } = require('./content-rate.js');
const { TARGET, isAuthority } = require('./head-reader.js');
const { E } = require('./names.js');
const { Record, WRITE_BUFFER } = require('./record.js');

const NO_ERROR = 0; // RFC 9113, 7
const CANCEL = 8;
const INTERNAL_ERROR = 2;
// Fields of a connection, which have no meaning here (RFC 9113, 8.2.2).
const OF_CONNECTIONS = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings']);

// The runtime's server of sessions, which listens nowhere.
function sessionsOf(server) {
  const { h2MaxStreams, h2ConnectProtocol, h2StreamWindow, maxHeaderSection } = server.settings;
  server.sessions ||= http2.createServer({
    settings: {
      maxConcurrentStreams: h2MaxStreams,
      initialWindowSize: h2StreamWindow,
      enableConnectProtocol: h2ConnectProtocol,
      maxHeaderListSize: 65536,
    },
    maxHeaderListPairs: server.settings.maxFields + 8,
    maxSendHeaderBlockLength: 1 << 20,
    peerMaxHeaderListSize: maxHeaderSection,
  });
  return server.sessions;
}

// The fields of `headers`: pairs as they came if the runtime tells, else of the object.
function pairsOf(headers, raw) {
  if (Array.isArray(raw) && raw.length > 0) return raw;
  return Object.entries(headers).flatMap(([name, value]) => [value].flat().flatMap((one) => [name, String(one)]));
}

// Fields as the runtime wants them. It takes one line of many a name, and two have one meaning when they are joined (RFC 9110, 5.3).
function headersOf(fields, status) {
  const headers = Object.assign(Object.create(null), status);
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i].toLowerCase();
    if (OF_CONNECTIONS.has(name) || name === 'content-length') continue;
    const before = headers[name];
    if (name === 'set-cookie') headers[name] = [...(before || []), fields[i + 1]];
    else headers[name] = before === undefined ? fields[i + 1] : `${before}, ${fields[i + 1]}`;
  }
  return headers;
}

function headOf(headers, raw, isWhole) {
  const pairs = pairsOf(headers, raw);
  const fields = [];
  const cookies = [];
  const pseudo = {};
  for (let i = 0; i < pairs.length; i += 2) {
    const [name, value] = [pairs[i], pairs[i + 1]];
    if (name[0] === ':') pseudo[name] = value;
    else if (name === 'cookie') cookies.push(value);
    else if (name !== 'host' || headers[':authority'] === undefined) fields.push(name, value);
  }
  if (cookies.length > 0) fields.push('cookie', cookies.join('; '));
  if (pseudo[':authority'] !== undefined) fields.unshift('host', pseudo[':authority']);
  const method = pseudo[':method'];
  const length = headers['content-length'];
  const isTunnel = method === 'CONNECT';
  return {
    method,
    target: isTunnel && pseudo[':path'] === undefined ? pseudo[':authority'] : pseudo[':path'],
    version: 20,
    fields,
    isHead: method === 'HEAD',
    isConnect: isTunnel,
    keepAlive: true,
    contentLength: isWhole || isTunnel ? 0 : length === undefined ? -1 : Number(length),
    expectsContinue: /^100-continue$/i.test(headers.expect || ''),
    wantsUpgrade: false,
    protocol: pseudo[':protocol'] ?? null,
    refusal: 0,
    refusalReason: 'none',
  };
}

// Whether it says where to (RFC 9113, 8.3.1), by the rules for targets and hosts of HTTP/1.1: of these the runtime looks at a part.
function isTarget({ method, target, isConnect, protocol, fields }) {
  const isTunnel = isConnect && protocol === null;
  const host = fields.find((_, i) => i % 2 === 1 && fields[i - 1] === 'host');
  if (host === undefined || host === '' || !isAuthority(host, isTunnel)) return false;
  return isTunnel || ((target?.[0] === '/' || (target === '*' && method === 'OPTIONS')) && TARGET.test(target));
}

class Http2 {
  constructor(core) {
    this.core = core;
    this.streams = new Set();
    this.session = null;
    this.leaves = false; // it was told to go
    this.leaving = null; // until when a client that was told to go may stay
  }

  start(bytes) {
    const { core } = this;
    const sessions = sessionsOf(core.server);
    core.server.counts.h2Connections++;
    core.stopListening();
    if (bytes !== null) {
      core.socket.pause();
      core.socket.unshift(bytes);
    }
    const take = (session) => {
      this.session = session;
    };
    sessions.once('session', take);
    sessions.emit('connection', core.socket);
    sessions.off('session', take); // which none may have come for
    core.socket.on('end', () => core.hearEnd());
    this.session?.on('error', () => {});
    this.session?.on('close', () => core.destroy());
    this.session?.on('stream', (stream, headers, flags, raw) => {
      core.guard(() => this.streams.add(new Stream(this, stream, headers, raw, (flags & 1) !== 0)));
      // In a turn of its own: before it, Node 18 would not count this one among those that are served.
      if (++core.requests === core.server.settings.maxConnectionRequests) setImmediate(() => core.guard(() => this.leave()));
    });
    this.idle();
  }

  get isIdle() {
    return this.streams.size === 0;
  }

  idle() {
    const { keepAlive, keepAliveGrace } = this.core.server.settings;
    if (!this.isIdle) this.core.readWithin(false);
    else if (this.core.server.draining || this.leaves) this.drain();
    else this.core.readWithin(keepAlive === false ? false : keepAlive + keepAliveGrace);
  }

  received() {}

  // Who has closed his side of a connection of HTTP/2 has left.
  peerDone() {
    this.core.destroy();
  }

  flush() {
    for (const stream of this.streams) stream.flush();
  }

  readLate() {
    this.drain();
  }

  // It takes no more requests, and ends behind those that it has.
  leave() {
    if (this.isIdle) this.drain();
    else if (!this.leaves) this.session?.goaway();
    this.leaves = true;
  }

  drain() {
    if (!this.isIdle) {
      this.leave(); // Node 18 loses what is answered on a session that is closing
      return;
    }
    this.session?.close();
    clearTimeout(this.leaving);
    this.leaving = this.core.later(this.core.server.settings.lingerTimeout, () => this.isIdle && this.core.destroy());
  }

  lost(reason) {
    clearTimeout(this.leaving);
    for (const stream of [...this.streams]) stream.lost(reason);
    this.session?.destroy();
  }
}

// What carries one record.
class Stream {
  constructor(connection, stream, headers, raw, isWhole) {
    this.connection = connection;
    this.core = connection.core;
    this.stream = stream;
    this.isOver = false;
    this.isEnded = false;
    this.peerIsDone = false; // with the bytes of a WebSocket
    this.size = 0; // bytes of content
    this.pending = 0; // writes that the session has not sent
    this.timer = null; // until when it must send one
    this.socket = null; // a WebSocket that has it
    stream.on('error', () => {});
    stream.on('close', () => this.core.guard(() => this.closed()));
    const { server } = this.core;
    const head = headOf(headers, raw, isWhole);
    this.record = new Record(head, this);
    this.rate = new ContentRate(server.settings, () => this.tooSlow());
    connection.idle();
    stream.on('data', (bytes) => this.core.guard(() => this.data(bytes)));
    stream.on('trailers', (_, __, trailers) => {
      this.trailers = trailers;
    });
    stream.on('end', () => this.core.guard(() => this.ended()));
    if (isWhole || head.isConnect) this.record.contentWhole();
    const status = this.fault(head) || server.admit(this.record, this.core.secure);
    if (status > 0) this.record.refuse(status, status === 400 || status === 417 ? 'bad-request' : 'over-limit');
    else server.dispatch(this.record);
  }

  // The status with which the head is refused, or 0.
  fault(head) {
    const { target, fields, expectsContinue } = head;
    const { maxTarget, maxHeaderSection, maxFields } = this.core.server.settings;
    let size = 0;
    for (const text of fields) size += text.length + 2;
    if (target?.length > maxTarget) return 414;
    if (size > maxHeaderSection || fields.length > 2 * maxFields) return 431;
    if (!isTarget(head)) return 400;
    return !expectsContinue && fields.some((text, i) => i % 2 === 0 && text === 'expect') ? 417 : 0;
  }

  data(bytes) {
    this.core.server.turnSoon();
    const { record } = this;
    if (this.socket !== null) {
      if (this.socket.wire === null) record.contentCame(bytes);
      else this.socket.received(bytes);
      return;
    }
    this.size += bytes.length;
    if (this.size > record.limits.maxContent) record.refuse(413, 'over-limit');
    else if (record.held && !record.isGone) {
      this.rate.came(bytes.length);
      record.contentCame(bytes);
    }
    if (!record.wanted) this.rate.pause();
    if (record.unread >= WRITE_BUFFER && !record.wanted) this.stream.pause();
  }

  ended() {
    this.core.server.turnSoon();
    const { record, stream } = this;
    const { contentLength } = record.head;
    // The runtime ends a stream that the client has reset, too.
    if (stream.rstCode || stream.aborted) this.lost('client-reset');
    else if (this.socket !== null) {
      this.peerIsDone = true;
      if (this.socket.wire !== null) this.socket.peerDone();
    } else {
      this.rate.pause();
      if (contentLength > 0 && this.size < contentLength) record.contentLost();
      else record.contentWhole(this.trailers);
    }
  }

  tooSlow() {
    this.core.server.counts.timeouts++;
    this.record.refuse(408, 'body-timeout');
    this.core.server.turnSoon();
  }

  closed() {
    if (this.isOver) return;
    if (this.isEnded && !this.stream.rstCode) this.record.sent();
    this.lost('client-reset');
  }

  lost(reason) {
    if (this.isOver) return;
    this.isOver = true;
    this.rate.pause();
    clearTimeout(this.timer);
    this.socket?.lost();
    const { record } = this;
    record.contentLost();
    record.cancelWhole(reason);
    this.connection.streams.delete(this);
    this.connection.idle();
    this.core.server.turnSoon();
  }

  // ---------------------------------------------------------------- the record's side

  head(record, plan, { status, fields }) {
    if (this.isClosed) return E.ECANCELED;
    const headers = headersOf(fields, { ':status': status });
    if (plan.lengthField) headers['content-length'] = String(plan.length);
    try {
      if (status < 200) this.stream.additionalHeaders(headers);
      else {
        this.endsWithHead = plan.body === 'none' || (plan.whole && plan.length === 0);
        this.stream.respond(headers, { endStream: this.endsWithHead, waitForTrailers: !this.endsWithHead && plan.body === 'chunked' });
        if (this.endsWithHead) this.isEnded = true;
        this.stream.on('wantTrailers', () => this.sendTrailers(record));
      }
    } catch (error) {
      console.error('carom: a response that HTTP/2 of the runtime does not take:', error.message);
      return E.EFIELD;
    }
    return 0;
  }

  sendTrailers({ tail }) {
    try {
      this.stream.sendTrailers(headersOf(tail || []));
    } catch (error) {
      console.error('carom: trailers that HTTP/2 of the runtime does not take:', error);
      this.stream.close(INTERNAL_ERROR);
    }
  }

  changed() {
    this.core.touch();
  }

  // Its end is heard of a moment later.
  get isClosed() {
    return this.stream.closed || this.stream.destroyed;
  }

  unsent() {
    return this.stream.destroyed ? 0 : this.stream.writableLength || 0;
  }

  want(record) {
    if (record.head.expectsContinue && record.response === 'open' && !this.isClosed) {
      record.head.expectsContinue = false;
      this.stream.additionalHeaders({ ':status': 100 });
    }
    if (record.content === 'coming' && this.socket === null) this.rate.wait();
    this.stream.resume();
  }

  released() {
    this.rate.pause();
    this.stream.resume();
    this.stopContent();
    this.core.touch();
  }

  becomes(record, socket) {
    record.response = 'whole';
    record.held = false;
    this.socket = socket;
    record.sent();
    setImmediate(() => this.core.guard(() => this.beginSocket(record, socket)));
  }

  // What came before the WebSocket was told of is with the record.
  beginSocket(record, socket) {
    if (this.isOver) return;
    socket.begin(this);
    if (record.unread > 0) socket.received(record.read(Infinity));
    if (this.peerIsDone) socket.peerDone();
  }

  flush() {
    const { record, stream } = this;
    if (this.isOver) return;
    if (record.response === 'cancelled') {
      stream.close(record.reason === 'canceled' ? INTERNAL_ERROR : CANCEL);
      return;
    }
    if (record.response === 'open' && record.refused > 0) record.answerRefusal();
    for (const bytes of record.body.splice(0)) {
      record.framed += bytes.length;
      for (let at = 0; at < bytes.length; at += WRITE_BUFFER) this.write(bytes.subarray(at, at + WRITE_BUFFER));
    }
    record.bodyBytes = 0;
    if (this.socket !== null) this.socket.sent();
    else if (record.response === 'whole' && !this.isEnded) {
      this.isEnded = true;
      stream.end((error) => error || this.core.guard(() => this.finished()));
    } else if (record.response === 'whole' && this.endsWithHead) this.finished();
    else record.owner?.roomCame();
  }

  // The client takes something of it within the time for that, or is cut off.
  write(bytes) {
    if (this.pending++ === 0) this.writeWithin();
    this.stream.write(bytes, () => {
      if (--this.pending > 0) this.writeWithin();
      else clearTimeout(this.timer);
      this.core.touch();
    });
  }

  writeWithin() {
    clearTimeout(this.timer);
    this.timer = this.core.later(this.core.server.settings.writeTimeout, () => {
      this.core.server.counts.timeouts++;
      this.lost('write-timeout');
      this.stream.close(CANCEL);
    });
  }

  // The response is with the session, whole.
  finished() {
    this.record.sent();
    this.stopContent();
    this.core.server.turnSoon();
  }

  // Content that nobody reads any more need not come (RFC 9113, 8.1).
  stopContent() {
    const { record, stream } = this;
    if (record.content === 'coming' && record.response === 'sent' && !record.held) stream.close(NO_ERROR);
  }

  // ---------------------------------------------------------------- what carries a WebSocket

  send(bytes) {
    this.write(bytes);
  }

  touch() {
    this.core.touch();
  }

  get queued() {
    return this.unsent();
  }

  receive(on) {
    if (on) this.stream.resume();
    else this.stream.pause();
  }

  end() {
    this.isEnded = true;
    this.stream.end();
    this.stream.resume();
  }

  abort() {
    this.stream.close(CANCEL);
  }
}

module.exports = { Http2 };
