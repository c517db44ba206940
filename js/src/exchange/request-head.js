// The head of a request, which lies in its slot. Each part is decoded when somebody first looks at it.
'use strict';

const native = require('../ring/native.js');
const {
  RING_PAGE_SIZE,
  SLOT_HEAD_PAGE,
  SLOT_METHOD_LENGTH,
  SLOT_VERSION,
  SLOT_TARGET,
  SLOT_TARGET_LENGTH,
  SLOT_FIELD_COUNT,
  SLOT_HEAD_LENGTH,
  SLOT_LENGTH_LOW,
  SLOT_LENGTH_HIGH,
  SLOT_REASON,
  SLOT_PEER,
  SLOT_CONNECTION,
  SLOT_LOCAL,
  SLOT_PROTOCOL,
  SLOT_IN,
} = require('../memory/layout.js');
const { sameName, ipv6Text } = require('../ring/codec.js');
const urls = require('../ring/urls.js');

const REASONS = native.reasons();
const METHODS = ['GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'PATCH', 'OPTIONS'];

function tooLate() {
  const error = new TypeError('the request was not looked at before its response was sent');
  error.code = 'CAROM_ESTATE';
  return error;
}

class RequestHead {
  constructor(slot) {
    this.slot = slot;
    this.released = false; // the slot is the engine's again, and may carry another request
    this.text = null; // the head, decoded
    this.bytes = slot.bytes; // where the head lies
    this.table = SLOT_IN; // its field table there
    if (slot.words[SLOT_HEAD_PAGE] !== 0) this.takeLongHead();
  }

  // Pages are few: a head that lies in one is copied, and the ring gives the page back.
  takeLongHead() {
    const words = this.slot.words;
    const start = (words[SLOT_HEAD_PAGE] - 1) * RING_PAGE_SIZE;
    const length = words[SLOT_FIELD_COUNT] * 8 + words[SLOT_HEAD_LENGTH];
    this.bytes = Buffer.from(this.slot.ring.pages.subarray(start, start + length));
    this.table = 0;
  }

  headStart() {
    return this.table + this.slot.words[SLOT_FIELD_COUNT] * 8;
  }

  // The whole head as one string: all names and values are slices of it.
  head() {
    if (this.released) throw tooLate();
    if (this.text === null) {
      const start = this.headStart();
      this.text = this.bytes.latin1Slice(start, start + this.slot.words[SLOT_HEAD_LENGTH]);
    }
    return this.text;
  }

  get method() {
    if (this.released) throw tooLate();
    const length = this.slot.words[SLOT_METHOD_LENGTH];
    const { bytes } = this;
    const start = this.headStart();
    for (const method of METHODS) {
      if (method.length !== length) continue;
      let i = 0;
      while (i < length && bytes[start + i] === method.charCodeAt(i)) i++;
      if (i === length) return method;
    }
    const method = bytes.latin1Slice(start, start + length);
    return method === 'CONNECT' && this.asksForWebSocket ? 'GET' : method; // RFC 8441, 5: what would be GET of HTTP/1.1
  }

  // Whether it asks for a WebSocket (RFC 6455, 4.2.1; of HTTP/2 RFC 8441, 4).
  get asksForWebSocket() {
    if (this.released) return false;
    const place = this.slot.words[SLOT_PROTOCOL];
    return place !== 0 && place >>> 16 === 9 && sameName(this.bytes, this.headStart() + (place & 0xffff), 'websocket');
  }

  // Whether the client has asked for no more than an answer (RFC 9110, 9.2.1).
  get isSafe() {
    const { method } = this;
    return (method === 'GET' || method === 'HEAD') && this.refusal === 0;
  }

  get isConnect() {
    return this.slot.words[SLOT_METHOD_LENGTH] === 7 && this.method === 'CONNECT';
  }

  get target() {
    const head = this.head();
    const place = this.slot.words[SLOT_TARGET];
    return head.slice(place, place + this.slot.words[SLOT_TARGET_LENGTH]);
  }

  // Where the URL is, or is to be put, for this target and Host.
  cachedUrl() {
    if (this.released) throw tooLate();
    const start = this.headStart();
    const host = this.findField('host');
    if (host < 0) return urls.none(); // the origin of the server
    const { bytes } = this;
    const words = this.slot.words;
    return this.slot.ring.urls.find(
      bytes,
      start + words[SLOT_TARGET],
      words[SLOT_TARGET_LENGTH],
      start + (bytes[host + 4] | (bytes[host + 5] << 8)),
      bytes[host + 6] | (bytes[host + 7] << 8),
    );
  }

  // The place of the first field of that name in the table, or -1.
  findField(name) {
    const { bytes } = this;
    const start = this.headStart();
    for (let at = this.table; at < start; at += 8)
      if ((bytes[at + 2] | (bytes[at + 3] << 8)) === name.length && sameName(bytes, start + (bytes[at] | (bytes[at + 1] << 8)), name))
        return at;
    return -1;
  }

  get version() {
    return this.slot.words[SLOT_VERSION] & 255;
  }

  get secure() {
    return this.slot.ring.secure;
  }

  // The status with which the engine answers what is no request, unless somebody else does; 0 for a request. What came is `target`.
  get refusal() {
    return this.slot.words[SLOT_VERSION] >>> 16;
  }

  // Why it is no request: as for an exchange that has ended.
  get refusalReason() {
    return REASONS[this.slot.words[SLOT_REASON]];
  }

  // What the observer of connections made of its connection (ring.js); undefined: nobody watches.
  get connection() {
    if (this.released) throw tooLate();
    return this.slot.ring.connectionOf(this.slot.words[SLOT_CONNECTION]);
  }

  // The protocol by its name (RFC 7301, 6).
  get protocol() {
    if (this.released) throw tooLate();
    const { version } = this;
    return version === 11 ? 'http/1.1' : version === 10 ? 'http/1.0' : this.secure ? 'h2' : 'h2c';
  }

  // What is known of the TLS below, or null. Asked of the engine, which is sure of it only as long as we hold the slot.
  tls() {
    if (!this.secure) return null;
    if (this.released) throw tooLate();
    const { ring, index } = this.slot;
    return native.tls(ring.handle, ring.index, index);
  }

  get wantsUpgrade() {
    return (this.slot.words[SLOT_VERSION] & 256) !== 0;
  }

  get contentLength() {
    const low = this.slot.words[SLOT_LENGTH_LOW] >>> 0;
    const high = this.slot.words[SLOT_LENGTH_HIGH];
    return high < 0 ? -1 : high * 4294967296 + low;
  }

  get fieldCount() {
    return this.slot.words[SLOT_FIELD_COUNT];
  }

  rawFields() {
    const head = this.head();
    const list = [];
    const bytes = this.bytes;
    for (let at = this.table, end = this.headStart(); at < end; at += 8) {
      const name = bytes[at] | (bytes[at + 1] << 8),
        value = bytes[at + 4] | (bytes[at + 5] << 8);
      list.push(
        head.slice(name, name + (bytes[at + 2] | (bytes[at + 3] << 8))),
        head.slice(value, value + (bytes[at + 6] | (bytes[at + 7] << 8))),
      );
    }
    return list;
  }

  field(name) {
    if (this.released) throw tooLate();
    const bytes = this.bytes;
    const start = this.headStart();
    let found = null;
    for (let at = this.table; at < start; at += 8) {
      if ((bytes[at + 2] | (bytes[at + 3] << 8)) !== name.length) continue;
      const place = start + (bytes[at] | (bytes[at + 1] << 8));
      if (!sameName(bytes, place, name)) continue;
      const from = start + (bytes[at + 4] | (bytes[at + 5] << 8));
      const value = bytes.latin1Slice(from, from + (bytes[at + 6] | (bytes[at + 7] << 8)));
      found = found === null ? value : `${found}${name === 'cookie' ? '; ' : ', '}${value}`;
    }
    return found;
  }

  remoteAddress() {
    return this.addressAt(SLOT_PEER);
  }

  localAddress() {
    return this.addressAt(SLOT_LOCAL);
  }

  // A word of family and port, and four of the address.
  addressAt(word) {
    if (this.released) throw tooLate(); // the slot may be another client's
    const { words, bytes } = this.slot;
    const family = words[word] & 0xffff;
    const at = (word + 1) * 4;
    if (family === 1) return { transport: 'tcp', hostname: bytes.subarray(at, at + 4).join('.'), port: words[word] >>> 16 };
    if (family === 2) return { transport: 'tcp', hostname: ipv6Text(bytes, at), port: words[word] >>> 16 };
    return { transport: 'unix', hostname: '', port: 0 };
  }
}

module.exports = { REASONS, RequestHead, tooLate };
