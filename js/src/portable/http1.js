// HTTP/1.1 on a connection: bytes become requests and their content; responses leave in the order of the requests.
'use strict';

const { RING_PAGE_SIZE } = require('../memory/layout.js');
const { Chunks } = require('./chunks.js');
const { HeadReader, Refused } = require('./head-reader.js');
const { phraseOf } = require('./plan.js');
const { Record, WRITE_BUFFER } = require('./record.js');

const LIMITS = new Set([413, 414, 431, 503]);
const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n');
const CRLF = Buffer.from('\r\n');
const NOTHING = Buffer.alloc(0);
const MOST_SHOWN = RING_PAGE_SIZE - 2; // bytes of what is no request

// The head of what is no request, for who watches connections.
function noHead(target, status, reason) {
  const rest = { method: '', version: 11, fields: [], contentLength: 0, protocol: null, refusal: status, refusalReason: reason };
  return { ...rest, target, isHead: false, isConnect: false, keepAlive: false, expectsContinue: false, wantsUpgrade: false };
}

class Http1 {
  constructor(core) {
    this.core = core;
    this.records = []; // in order
    this.reading = null; // whose content comes
    this.fresh = null; // whose handler was not called yet
    this.phase = 'head'; // 'length', 'chunked', 'trailers', 'held', 'tunnel'
    this.data = NOTHING; // that was not read
    this.reader = null; // of a head, or trailers, that has begun
    this.chunks = null;
    this.left = 0; // bytes of content
    this.dropped = 0;
    this.last = false; // no further request is taken
    this.tunnel = null; // of a WebSocket: it has the connection
    // The rate of content: its bytes in a window of the time in which somebody waits for them.
    this.rate = 0;
    this.windowLeft = 0; // milliseconds of the window
    this.waitsSince = 0; // or 0: nobody waits
    this.isTimedIdle = false; // the time in which a request must come runs
  }

  get settings() {
    return this.core.server.settings;
  }

  get isIdle() {
    return this.records.length === 0 && this.data.length === 0 && this.tunnel === null;
  }

  // ---------------------------------------------------------------- reading

  received(bytes) {
    if (this.tunnel !== null) {
      this.tunnel.received(bytes);
      return;
    }
    if (this.last && this.reading === null && this.phase === 'head') return; // is not looked at
    this.data = this.data.length > 0 ? Buffer.concat([this.data, bytes]) : bytes;
    this.process();
  }

  process() {
    try {
      while (this.data.length > 0 && this.core.state === 'open' && this.step());
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.refuse(error.status, LIMITS.has(error.status) ? 'over-limit' : 'bad-request');
    }
    this.dispatch();
    if (this.core.peerIsDone && !this.last) this.peerDone();
    this.settle();
  }

  // Whether there are requests that have come before FIN and wait for others to be answered.
  get hasWaiting() {
    return this.settings.halfClose && !this.last && this.phase === 'head' && this.reader === null && this.data.length > 0;
  }

  // False: the rest waits.
  step() {
    if (this.phase === 'head') return this.stepHead();
    if (this.phase === 'length') return this.stepLength();
    if (this.phase === 'chunked') return this.stepChunked();
    if (this.phase === 'trailers') return this.stepTrailers();
    if (this.phase === 'held') return false;
    this.content(this.take(this.data.length));
    return true;
  }

  take(size) {
    const taken = this.data.subarray(0, size);
    this.data = this.data.subarray(size);
    return taken;
  }

  stepHead() {
    if (this.last) {
      this.data = NOTHING;
      return false;
    }
    if (this.reader === null) {
      if (this.data.length === 2 && this.data.equals(CRLF)) {
        this.data = NOTHING;
        return false;
      }
      if (!this.takesAnother) return false;
      const { observed } = this.core.server;
      this.reader = new HeadReader(this.settings, { anyExpectation: observed, hostOptional: this.settings.hostOptional });
      this.readWithin(this.settings.headerTimeout);
    }
    const head = this.reader.read(this.data);
    if (head === null) return false;
    this.reader = null;
    this.readWithin(false);
    this.take(head.size);
    this.accept(new Record(head, this));
    return true;
  }

  get takesAnother() {
    return this.records.length < this.settings.maxPipeline && this.core.queued < WRITE_BUFFER;
  }

  accept(record) {
    const { head } = record;
    const { server } = this.core;
    this.dispatch();
    this.records.push(record);
    if (++this.core.requests >= this.settings.maxConnectionRequests) record.closes = true;
    if (!head.keepAlive || record.closes) this.last = true;
    this.reading = record;
    const status = server.admit(record, this.core.secure);
    if (status > 0) throw new Refused(status);
    this.fresh = record;
    if (head.contentLength === 0) {
      this.whole();
      return;
    }
    record.continueDue = head.expectsContinue;
    this.openWindow();
    this.left = head.contentLength;
    this.dropped = 0;
    this.chunks = new Chunks();
    this.phase = head.contentLength > 0 ? 'length' : 'chunked';
  }

  whole(trailers) {
    const record = this.reading;
    const { isConnect, wantsUpgrade } = record.head;
    this.reading = null;
    this.readWithin(false);
    this.phase = (isConnect || wantsUpgrade) && record.response === 'open' ? 'held' : 'head';
    record.continueDue = false;
    record.contentWhole(trailers);
    if (this.fresh === record) this.dispatch();
    else this.core.touch();
  }

  dispatch() {
    const record = this.fresh;
    this.fresh = null;
    if (record !== null) this.core.server.dispatch(record);
  }

  stepLength() {
    const piece = this.take(Math.min(this.left, this.data.length));
    this.left -= piece.length;
    this.content(piece);
    if (this.reading !== null && this.left === 0) this.whole();
    return true;
  }

  stepChunked() {
    const [size, piece] = this.chunks.read(this.data);
    if (size === 0) return false;
    this.take(size);
    if (piece !== null) this.content(piece);
    if (this.chunks.isDone) {
      this.phase = 'trailers';
      this.reader = new HeadReader(this.settings, { isTrailers: true });
    }
    return true;
  }

  stepTrailers() {
    const trailers = this.reader.read(this.data);
    if (trailers === null) return false;
    this.reader = null;
    this.take(trailers.size);
    this.whole(trailers.fields);
    return true;
  }

  content(piece) {
    const record = this.reading;
    if (record === null) return;
    record.received = (record.received || 0) + piece.length;
    this.rate += piece.length;
    record.continueDue = false;
    if (this.phase === 'chunked' && record.received > this.settings.maxContent) throw new Refused(413);
    if (!this.nobodyReads(record)) {
      record.contentCame(piece);
      return;
    }
    this.dropped += piece.length;
    if (this.dropped <= this.settings.drainContent || this.phase === 'tunnel') return;
    record.closes = true;
    record.contentLost();
    this.stop();
    this.core.touch();
  }

  nobodyReads(record) {
    return record !== this.fresh && (!record.held || record.isGone);
  }

  // What has come is read: see to it that more comes, or not.
  settle() {
    const { core, reading } = this;
    if (core.state !== 'open' || this.tunnel !== null) return;
    const content = reading !== null && this.phase !== 'head';
    const on = content ? reading.wanted || this.nobodyReads(reading) || reading.unread < WRITE_BUFFER : this.data.length < WRITE_BUFFER;
    core.receive(on);
    if (content && this.phase !== 'tunnel' && (reading.wanted || this.nobodyReads(reading))) this.startRate();
    else if (content) this.pauseRate();
    if (this.isIdle) this.idle();
  }

  startRate() {
    const { contentRate, contentWindow } = this.settings;
    if (contentRate === false || contentWindow === false || this.waitsSince > 0) return;
    this.readWithin(Math.max(1, this.windowLeft));
    this.waitsSince = performance.now();
  }

  pauseRate() {
    if (this.waitsSince > 0) this.windowLeft -= performance.now() - this.waitsSince;
    this.readWithin(false);
  }

  openWindow() {
    this.rate = 0;
    this.windowLeft = this.settings.contentWindow;
  }

  // One timer is for all that the client must do in time.
  readWithin(milliseconds) {
    this.waitsSince = 0;
    this.isTimedIdle = false;
    this.core.readWithin(milliseconds);
  }

  // The time for a request runs on whatever comes before one.
  idle() {
    const { core } = this;
    const { firstByteTimeout, keepAlive, keepAliveGrace } = this.settings;
    if (core.server.draining || this.last) core.end(false);
    else if (!this.isTimedIdle) {
      this.readWithin(core.requests === 0 ? firstByteTimeout : keepAlive === false ? false : keepAlive + keepAliveGrace);
      this.isTimedIdle = true;
    }
  }

  // ---------------------------------------------------------------- refusals, FIN, time

  refuse(status, reason) {
    const text = this.data.subarray(0, MOST_SHOWN).latin1Slice();
    const noRequest = this.reading === null;
    const record = noRequest ? new Record(noHead(text, status, reason), this) : this.reading;
    record.closes = true;
    if (noRequest) this.records.push(record);
    if (this.fresh === record) this.fresh = null;
    if (noRequest && this.core.server.observed && !this.core.server.draining) {
      record.contentLost();
      this.stop();
      this.core.server.dispatch(record);
      return;
    }
    record.refuse(status, reason);
    record.contentLost();
    this.stop();
    this.core.touch();
  }

  // Not one further byte is taken for a request.
  stop() {
    this.last = true;
    this.reading = this.reader = null;
    this.phase = 'head';
    this.data = NOTHING;
    this.readWithin(false);
    this.core.receive(true);
  }

  peerDone() {
    if (this.tunnel !== null) {
      this.tunnel.peerDone();
      return;
    }
    const { core, reading } = this;
    this.readWithin(false);
    if (this.hasWaiting) return; // an answer goes on with them
    core.touch();
    this.last = true;
    if (this.phase === 'tunnel') {
      this.reading = null;
      reading?.contentWhole();
      return;
    }
    if (this.reader !== null && this.phase === 'head' && core.server.observed) this.refuse(400, 'client-closed');
    else if (reading !== null) {
      this.stop();
      reading.closes = true;
      reading.cancel('client-closed');
    } else if (this.reader !== null) this.stop();
    if (this.settings.halfClose) return;
    for (const record of this.records)
      if ((record.response === 'open' || record.response === 'begun') && record.refused === 0 && record.head.refusal === 0)
        record.cancel('client-closed');
    if (this.records.length === 0) core.end(false, 'client-closed');
  }

  lost(reason) {
    this.tunnel?.lost(reason);
    this.stop();
    for (const record of this.records.splice(0)) {
      record.tunnelOf?.lost();
      record.contentLost();
      if (record.response === 'whole' && record.isFramed && record.streamEnd <= this.core.sent) record.sent();
      else record.cancelWhole(reason);
    }
  }

  readLate() {
    const { core, reading } = this;
    if (reading !== null) {
      this.waitsSince = 0;
      const isTooSlow = this.rate < (this.settings.contentRate * this.settings.contentWindow) / 1000;
      this.openWindow();
      if (isTooSlow) this.refuse(408, 'body-timeout');
      else this.settle();
    } else if (this.reader !== null) this.refuse(408, 'header-timeout');
    else if (this.isIdle) core.end(false, 'header-timeout');
  }

  drain() {
    if (this.isIdle) this.core.end(false);
  }

  // ---------------------------------------------------------------- the record's side

  head(record, plan, { status, phrase, fields }) {
    const lines = [`HTTP/1.1 ${status} ${phrase || phraseOf(status)}`];
    const final = status >= 200 || plan.body === 'tunnel';
    const connection = final ? this.connectionLines(record, plan) : [];
    let placed = false;
    for (let i = 0; i < fields.length; i += 2) {
      const lower = fields[i].toLowerCase();
      if (lower === 'content-length') continue;
      if (lower !== 'connection') lines.push(`${fields[i]}: ${fields[i + 1]}`);
      else if (!placed && final) {
        lines.push(...connection);
        placed = true;
      }
    }
    if (final) {
      if (!plan.ownDate) lines.push(`Date: ${new Date().toUTCString()}`);
      if (plan.lengthField) lines.push(`Content-Length: ${plan.length}`);
      else if (plan.chunkedField) lines.push('Transfer-Encoding: chunked');
      if (!placed) lines.push(...connection);
      record.continueDue = false;
    }
    record.out.push(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'));
    if (final && this.phase === 'held' && (record.head.isConnect || record.head.wantsUpgrade))
      this.leaveHold(record, plan.body === 'tunnel');
    return 0;
  }

  leaveHold(record, isTunnel) {
    this.phase = isTunnel ? 'tunnel' : 'head';
    if (isTunnel) this.reading = record;
    setImmediate(() => {
      if (this.core.state === 'open' && this.tunnel === null && record.tunnelOf === undefined) this.core.guard(() => this.process());
    });
  }

  connectionLines(record, plan) {
    if (plan.body === 'tunnel') return record.head.isConnect ? [] : ['Connection: upgrade'];
    const { core } = this;
    const upgrade = plan.upgradeField ? ['Connection: upgrade'] : [];
    const isLast = this.records.at(-1) === record;
    const ending = ((core.peerIsDone && !this.hasWaiting) || core.server.draining) && isLast;
    const inTheWay = plan.whole && this.contentInTheWay(record);
    if (
      !record.head.keepAlive ||
      plan.close ||
      plan.body === 'until-close' ||
      record.head.isConnect ||
      ending ||
      record.continueDue ||
      inTheWay
    )
      record.closes = true;
    if (record.closes) {
      this.last = true;
      return [...upgrade, 'Connection: close'];
    }
    const { keepAliveLine } = this.settings;
    if (record.head.version === 10 || keepAliveLine !== '') upgrade.push('Connection: keep-alive');
    return keepAliveLine === '' ? upgrade : [...upgrade, keepAliveLine];
  }

  contentInTheWay(record) {
    if (record.content !== 'coming') return record.content === 'lost';
    return record.continueDue || (this.phase === 'length' && !record.wanted && this.left > this.settings.drainContent);
  }

  raw(record) {
    record.closes = true;
    this.last = true;
  }

  changed() {
    this.core.touch();
  }

  want(record) {
    if (record.continueDue && record.response === 'open') {
      record.continueDue = false;
      record.out.push(CONTINUE);
      this.core.touch();
    }
    if (record === this.reading) this.settle();
  }

  // What the request asked for is agreed on: behind its answer the connection is the WebSocket's.
  becomes(record, socket) {
    record.tunnelOf = socket;
    record.response = 'whole';
    record.held = false;
    this.reading = null;
    this.phase = 'held';
    this.core.touch();
  }

  released() {
    this.settle();
    this.core.touch();
  }

  streamEnd(record) {
    return record.streamEnd === undefined ? Infinity : record.streamEnd;
  }

  unsent(record) {
    return record.streamEnd === undefined ? 0 : Math.max(0, record.streamEnd - this.core.sent);
  }

  // ---------------------------------------------------------------- writing

  flush() {
    const { core } = this;
    if (core.state !== 'open') {
      core.pump();
      return;
    }
    if (this.tunnel !== null) {
      core.pump();
      this.tunnel.sent();
      return;
    }
    for (const record of this.records) {
      if (record.response === 'cancelled') break;
      this.moveOut(record);
      if (!record.isFramed || record.closes) break;
    }
    core.pump();
    this.finishSent();
    if (core.state !== 'open') return;
    this.records[0]?.owner?.roomCame();
    if (this.data.length > 0 && this.reading === null && this.phase === 'head') this.process();
    else if (this.reading === null || this.nobodyReads(this.reading)) this.settle();
  }

  // Gives what a record has ready to the connection.
  moveOut(record) {
    const { core } = this;
    if (record.isFramed) return;
    if (record.response === 'open' && record.refused > 0) record.answerRefusal();
    for (const bytes of record.out.splice(0)) core.send(bytes);
    if (record.bodyBytes > 0) {
      const chunked = record.bodyKind === 'chunked';
      if (chunked) core.send(Buffer.from(`${record.bodyBytes.toString(16)}\r\n`));
      for (const bytes of record.body.splice(0)) core.send(bytes);
      if (chunked) core.send(CRLF);
      record.framed += record.bodyBytes;
      record.bodyBytes = 0;
    }
    if (record.response === 'whole') {
      if (record.bodyKind === 'chunked') core.send(this.lastChunk(record.tail || []));
      record.isFramed = true;
    }
    record.streamEnd = core.total;
  }

  lastChunk(trailers) {
    const lines = ['0'];
    for (let i = 0; i < trailers.length; i += 2) lines.push(`${trailers[i]}: ${trailers[i + 1]}`);
    return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  }

  // Lets go of the records whose responses are out.
  finishSent() {
    const { core } = this;
    while (this.records.length > 0) {
      const [record] = this.records;
      if (record.response === 'cancelled') {
        this.endAtCancelled(record);
        return;
      }
      if (!record.isFramed || record.streamEnd > core.sent) return;
      record.sent();
      if (record.tunnelOf !== undefined) {
        this.becomeTunnel(record);
        return;
      }
      if (!this.finishFirst(record)) return;
      this.records.shift();
    }
  }

  // False: it is not done with.
  finishFirst(record) {
    const { core } = this;
    const isTunnel = record.bodyKind === 'tunnel';
    const content = record.content === 'coming';
    if (isTunnel && content && record.held) {
      if (!record.finSent) core.socket.end();
      record.finSent = true;
      return false;
    }
    if (record.closes || isTunnel) {
      if (content && !isTunnel && record.held) return false; // it is read on
      core.end(record.content !== 'whole' || this.data.length > 0);
      return false;
    }
    return !content;
  }

  endAtCancelled(record) {
    const { core } = this;
    if (core.peerIsDone) core.end(false, record.reason);
    else core.abort(record.reason, true);
  }

  // The connection is the WebSocket's, with what has come behind its request.
  becomeTunnel(record) {
    const { data } = this;
    this.records = [];
    this.reading = null;
    this.data = NOTHING;
    this.tunnel = record.tunnelOf;
    record.contentWhole();
    this.readWithin(false);
    this.tunnel.begin(this.core);
    if (data.length > 0) this.tunnel.received(data);
    else this.core.receive(true);
    if (this.core.peerIsDone) this.tunnel.peerDone();
  }
}

module.exports = { Http1 };
