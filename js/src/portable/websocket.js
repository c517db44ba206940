// A WebSocket (RFC 6455) over what carries its bytes: a connection that was HTTP/1.1, or a stream of HTTP/2. That has send(bytes),
// touch(), queued, receive(on), end(unread), abort(reason, reset). Its owner hears opened(), message(data, isBinary), control(name,
// data), drained(), failed(code), closed(code, reason, clean).
'use strict';

const { isUtf8 } = require('node:buffer');
const zlib = require('node:zlib');
const { clearTimeout } = require('node:timers');

const { guarded, later } = require('./timers.js');

const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10];
const PROTOCOL_ERROR = 1002;
const NO_STATUS = 1005;
const ABNORMAL = 1006;
const NOT_UTF8 = 1007;
const POLICY = 1008;
const TOO_BIG = 1009;
const GOING_AWAY = 1001;
const CONTROL_MOST = 125;
const TAIL = Buffer.from([0, 0, 255, 255]); // RFC 7692, 7.2.1
const NOTHING = Buffer.alloc(0);

class Failed extends Error {
  constructor(code) {
    super(`the client broke the protocol: ${code}`);
    this.code = code;
  }
}

function isCloseCode(code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

function validText(bytes) {
  if (isUtf8 !== undefined) return isUtf8(bytes);
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

// `from`: how many bytes of the frame lie before these.
function unmasked(bytes, mask, from) {
  const plain = Buffer.from(bytes);
  for (let i = 0; i < plain.length; i++) plain[i] ^= mask[(from + i) & 3];
  return plain;
}

// A frame's head with its payload behind it.
function frame(opcode, payload, compressed) {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65536 ? 4 : 10);
  head[0] = 0x80 | (compressed ? 0x40 : 0) | opcode;
  head[1] = length < 126 ? length : length < 65536 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload], head.length + length);
}

class WebSocket {
  constructor(server, settings, protocol, deflate, owner) {
    this.server = server;
    this.settings = settings;
    this.protocol = protocol;
    this.deflate = deflate; // whether messages may be compressed
    this.owner = owner;
    this.wire = null;
    this.state = 'open'; // 'closing', 'closed'
    this.isTold = false;
    this.data = NOTHING; // that was not read
    this.later = []; // pieces behind it, and their bytes: joined when a frame may be whole
    this.laterBytes = 0;
    this.needs = 0; // bytes without which nothing can be read
    this.parts = null; // of a message: { opcode, compressed, pieces, length }
    this.text = null; // the decoder of a text that is not whole yet
    this.watched = null; // of a frame of such a text that is not whole yet: { mask, start, looked: bytes of it that were decoded }
    this.isPaused = false;
    this.failure = 0; // the code of what the client did wrong: the Close waits for the owner
    this.peerIsDone = false;
    this.heard = this.spoke = false; // since the last look
    this.timer = null;
    server.counts.webSocketsAccepted++;
    server.counts.webSocketsOpen++;
  }

  begin(wire) {
    this.wire = wire;
    if (this.state === 'closed') {
      wire.abort('canceled', true); // it was given up before it began
      return;
    }
    this.isTold = true;
    this.owner.opened();
    this.keepTime(this.settings.pingInterval, () => this.intervalIsOver());
    if (this.closeDue !== undefined) this.close(...this.closeDue);
    wire.receive(!this.isPaused);
  }

  get unsent() {
    return this.wire === null ? 0 : this.wire.queued;
  }

  // ---------------------------------------------------------------- receiving

  received(bytes) {
    this.heard = true;
    this.later.push(bytes);
    this.laterBytes += bytes.length;
    if (this.data.length + this.laterBytes >= this.needs) this.read();
    else if (this.watched !== null && !this.isPaused) this.attempt(() => this.look(bytes));
  }

  join() {
    if (this.later.length === 0) return;
    this.data = this.data.length === 0 && this.later.length === 1 ? this.later[0] : Buffer.concat([this.data, ...this.later]);
    this.later = [];
    this.laterBytes = 0;
  }

  attempt(act) {
    try {
      act();
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      this.fail(error.code);
    }
  }

  read() {
    this.attempt(() => {
      while (!this.isPaused && this.state !== 'closed' && this.readFrame());
    });
    if (this.peerIsDone && !this.isPaused && this.state !== 'closed') this.over(ABNORMAL, '', false);
  }

  // False: more bytes are wanted.
  readFrame() {
    this.join();
    const { data } = this;
    this.needs = 0;
    if (data.length < 2) {
      if (data.length === 1) this.checkFirst(data[0]);
      return false;
    }
    this.checkFirst(data[0]);
    const opcode = data[0] & 15;
    const short = data[1] & 127;
    if (data[1] < 128 || (opcode >= CLOSE && short > CONTROL_MOST)) throw new Failed(PROTOCOL_ERROR);
    const extra = short < 126 ? 0 : short === 126 ? 2 : 8;
    if (data.length < 2 + extra) return false;
    const length = extra === 0 ? short : extra === 2 ? data.readUInt16BE(2) : Number(data.readBigUInt64BE(2));
    if ((extra === 2 && length < 126) || (extra === 8 && (length < 65536 || data[2] > 127))) throw new Failed(PROTOCOL_ERROR);
    const start = 6 + extra;
    if (data.length < start) return false;
    const frame = { opcode, fin: data[0] > 127, compressed: (data[0] & 64) !== 0, length };
    if (opcode < CLOSE) this.checkFrame(frame);
    const mask = data.subarray(start - 4, start);
    if (data.length < start + length) {
      this.needs = start + length;
      if (this.isText(frame)) this.lookFrom(start);
      return false;
    }
    const payload = unmasked(data.subarray(start, start + length), mask, 0);
    this.data = data.subarray(start + length);
    if (opcode >= CLOSE) this.control(opcode, payload);
    else this.part(frame, payload);
    return true;
  }

  checkFirst(byte) {
    const opcode = byte & 15;
    const compressed = (byte & 0x40) !== 0;
    const fine =
      (byte & 0x30) === 0 &&
      (opcode >= CLOSE
        ? opcode <= PONG && byte > 127 && !compressed
        : opcode <= BINARY && (!compressed || (this.deflate && opcode !== CONTINUATION)));
    if (!fine) throw new Failed(PROTOCOL_ERROR);
  }

  checkFrame({ opcode, length, compressed }) {
    const { parts } = this;
    const { maxMessage } = this.settings;
    if ((opcode === CONTINUATION) !== (parts !== null)) throw new Failed(PROTOCOL_ERROR);
    if (parts !== null && parts.pieces.length >= this.settings.maxFragments) throw new Failed(POLICY);
    // What cannot be compressed becomes longer; what it stands for is measured when it is inflated.
    const most = (parts === null ? compressed : parts.compressed) ? Math.ceil(maxMessage * 1.25) + 64 : maxMessage;
    if (length > most - (parts === null ? 0 : parts.length)) throw new Failed(TOO_BIG);
  }

  part({ opcode, fin, compressed }, payload) {
    this.parts ||= { opcode, compressed, pieces: [], length: 0 };
    const { parts } = this;
    parts.pieces.push(payload);
    parts.length += payload.length;
    if (!fin && this.isText(parts)) this.checkText(payload.subarray(this.watched === null ? 0 : this.watched.looked));
    this.watched = null;
    if (!fin) return;
    this.parts = null;
    this.text = null;
    let message = parts.pieces.length === 1 ? payload : Buffer.concat(parts.pieces);
    if (parts.compressed) message = this.inflate(message);
    if (parts.opcode === TEXT && !validText(message)) throw new Failed(NOT_UTF8);
    this.server.counts.webSocketMessagesReceived++;
    this.server.counts.webSocketBytesReceived += message.length;
    if (this.state === 'open') this.owner.message(message, parts.opcode === BINARY);
  }

  // Of a frame, or of a message.
  isText({ opcode, compressed }) {
    if (opcode === CONTINUATION) return this.isText(this.parts);
    return opcode === TEXT && !compressed;
  }

  // What has come of a frame whose payload begins there.
  lookFrom(start) {
    this.watched ||= { mask: Buffer.from(this.data.subarray(start - 4, start)), start, looked: 0 };
    this.look(this.data.subarray(start + this.watched.looked));
  }

  look(bytes) {
    const { watched } = this;
    const { looked } = watched;
    watched.looked += bytes.length;
    // What came while nothing was read is looked at with the rest.
    if (watched.start + watched.looked < this.data.length + this.laterBytes) {
      watched.looked = looked;
      this.join();
      this.lookFrom(watched.start);
    } else this.checkText(unmasked(bytes, watched.mask, looked));
  }

  // What can become no text is refused at once, and not at its end.
  checkText(bytes) {
    this.text ||= new TextDecoder('utf-8', { fatal: true });
    try {
      this.text.decode(bytes, { stream: true });
    } catch {
      throw new Failed(NOT_UTF8);
    }
  }

  inflate(bytes) {
    try {
      return zlib.inflateRawSync(Buffer.concat([bytes, TAIL]), {
        finishFlush: zlib.constants.Z_SYNC_FLUSH,
        maxOutputLength: this.settings.maxMessage,
      });
    } catch (error) {
      throw new Failed(error.code === 'ERR_BUFFER_TOO_LARGE' || error instanceof RangeError ? TOO_BIG : NOT_UTF8);
    }
  }

  control(opcode, payload) {
    if (opcode === CLOSE) this.closeCame(payload);
    else if (this.state !== 'open') return;
    else if (opcode === PONG) this.owner.control('pong', payload);
    else {
      if (this.unsent < this.settings.writeBuffer) this.put(frame(PONG, payload, false));
      this.owner.control('ping', payload);
    }
  }

  closeCame(payload) {
    const code = payload.length === 0 ? NO_STATUS : payload.length === 1 ? 0 : payload.readUInt16BE(0);
    if (payload.length > 0 && !isCloseCode(code)) throw new Failed(PROTOCOL_ERROR);
    if (!validText(payload.subarray(2))) throw new Failed(NOT_UTF8);
    if (this.state === 'open') this.put(frame(CLOSE, payload, false));
    this.over(code, payload.toString('utf8', 2), true);
  }

  peerDone() {
    this.peerIsDone = true;
    this.read();
  }

  pause(on) {
    if (this.failure !== 0) return;
    this.isPaused = on;
    this.wire?.receive(!on);
    if (!on && this.wire !== null) setImmediate(() => guarded(() => this.state !== 'closed' && this.read()));
  }

  // ---------------------------------------------------------------- sending

  put(bytes) {
    this.spoke = true;
    this.wire.send(bytes);
    this.wire.touch();
  }

  // Whether so many bytes may wait beside those that do. The first message may have any length: what is longer than the limit also
  // behind a pong and a ping.
  admits(length) {
    const { unsent } = this;
    const { writeLimit } = this.settings;
    const isFirst = unsent === 0 || (unsent <= 2 * (2 + CONTROL_MOST) && length > writeLimit);
    return isFirst || unsent + length <= writeLimit;
  }

  // A message was too much for it.
  cutOff() {
    if (this.settings.closeAtLimit) this.abort();
  }

  send(bytes, isBinary, plain) {
    if (this.state !== 'open') return;
    this.server.counts.webSocketMessagesSent++;
    this.server.counts.webSocketBytesSent += bytes.length;
    const opcode = isBinary ? BINARY : TEXT;
    const packed = this.deflate && !plain && bytes.length >= this.settings.threshold ? this.packed(bytes) : null;
    if (packed === null || packed.length >= bytes.length) {
      this.put(frame(opcode, bytes, false));
      return;
    }
    this.server.counts.webSocketBytesSaved += bytes.length - packed.length;
    this.put(frame(opcode, packed, true));
  }

  packed(bytes) {
    const whole = zlib.deflateRawSync(bytes, { level: this.settings.level, finishFlush: zlib.constants.Z_SYNC_FLUSH });
    return whole.subarray(0, whole.length - TAIL.length);
  }

  ping(bytes) {
    if (this.state === 'open') this.put(frame(PING, bytes, false));
  }

  pong(bytes) {
    if (this.state === 'open') this.put(frame(PONG, bytes, false));
  }

  // What carries it has sent some.
  sent() {
    if (this.state === 'closed') return;
    if (this.state === 'closing') {
      this.moves = true;
      if (this.unsent === 0) this.keepTime(this.settings.closeTimeout, () => this.closeIsDue());
    }
    this.owner.left();
  }

  // ---------------------------------------------------------------- ends

  // `code`: 0: none.
  close(code, reason) {
    if (this.state !== 'open') return;
    if (this.wire === null) {
      this.closeDue = [code, reason];
      return;
    }
    this.sendClose(code, reason);
    if (this.failure !== 0) {
      this.over(this.failure, '', false);
      return;
    }
    this.state = 'closing';
    this.wire.receive(true);
    this.isPaused = false;
    setImmediate(() => guarded(() => this.state !== 'closed' && this.read()));
    this.moves = false;
    this.keepTime(this.settings.closeTimeout, () => this.closeIsDue());
  }

  // What was sent before the Close may take its time, as long as the client takes some of it.
  closeIsDue() {
    if (this.moves && this.unsent > 0) this.keepTime(this.settings.closeTimeout, () => this.closeIsDue());
    else this.abort();
    this.moves = false;
  }

  sendClose(code, reason) {
    const payload = Buffer.alloc(code === 0 ? 0 : 2);
    if (code !== 0) payload.writeUInt16BE(code, 0);
    this.put(frame(CLOSE, Buffer.concat([payload, reason]), false));
  }

  goAway() {
    this.close(GOING_AWAY, NOTHING);
  }

  // Nothing more is read; the owner closes when it has answered what came before.
  fail(code) {
    if (this.state !== 'open') {
      this.over(code, '', false);
      return;
    }
    this.failure = code;
    this.isPaused = true;
    this.wire.receive(false);
    this.keepTime(this.settings.closeTimeout, () => this.close(code, NOTHING));
    this.owner.failed(code);
  }

  abort() {
    if (this.state === 'closed') return;
    this.finish(ABNORMAL, '', false);
    this.wire?.abort('canceled', true);
  }

  lost() {
    this.finish(ABNORMAL, '', false);
  }

  over(code, reason, clean) {
    if (this.state === 'closed') return;
    this.finish(code, reason, clean);
    this.wire.end(true);
  }

  finish(code, reason, clean) {
    if (this.state === 'closed') return;
    this.state = 'closed';
    clearTimeout(this.timer);
    this.server.counts.webSocketsOpen--;
    this.server.closedCounts[code >= 1000 && code < 1015 ? code : 'other']++;
    this.owner.closed(code, reason, clean);
  }

  // ---------------------------------------------------------------- time

  keepTime(milliseconds, act) {
    clearTimeout(this.timer);
    this.timer = later(milliseconds, act);
  }

  // When one side was silent for an interval a ping follows.
  intervalIsOver() {
    const { pingInterval, pongTimeout } = this.settings;
    const silent = !this.heard || !this.spoke;
    if (silent) this.put(frame(PING, NOTHING, false));
    this.heard = this.spoke = false;
    const waits = silent && pongTimeout !== false;
    this.keepTime(waits ? pongTimeout : pingInterval, () => (waits ? this.pongIsDue() : this.intervalIsOver()));
  }

  pongIsDue() {
    const { pingInterval, pongTimeout } = this.settings;
    if (!this.heard && !this.isPaused) {
      this.abort();
      return;
    }
    this.keepTime(pingInterval > pongTimeout ? pingInterval - pongTimeout : pingInterval, () => this.intervalIsOver());
  }
}

module.exports = { WebSocket };
