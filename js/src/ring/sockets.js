// The WebSockets of a ring: the memory in which they travel, the log of news from the engine, and the log of messages to it
// (carom_ring.h, "layout: sockets"). What a socket is, its connection knows (../websocket/connection.js).
'use strict';

const native = require('./native.js');
const { ownBytes } = require('./copies.js');
const { writeShort } = require('./codec.js');
const {
  SOCKETS_NEWS_TAIL,
  SOCKETS_NEWS_HEAD,
  SOCKETS_MESSAGES_TAIL,
  SOCKETS_MESSAGES_HEAD,
  SOCKETS_ROOM_WANTED,
  SOCKETS_NEWS_BYTE,
  SOCKETS_MESSAGES_BYTE,
  SOCKETS_LEFT_WORD,
  ENTRY_HEAD,
  ENTRY_ALIGN,
  ENTRY_PADDING,
  ENTRY_COMPRESSED,
  ENTRY_CLEAN,
  ENTRY_LENT,
  TOLD_OPENED,
  TOLD_TEXT,
  TOLD_BINARY,
  TOLD_MORE,
  TOLD_DRAINED,
  TOLD_PING,
  TOLD_PONG,
  TOLD_CLOSED,
  TOLD_REFUSED,
  TOLD_DROPPED,
  TOLD_FAILED,
} = require('../memory/layout.js');

const MOST = 131072; // sockets of a ring
const NEWS_SIZE = 256 * 1024;
const MESSAGES_SIZE = 256 * 1024;
const MEMORY = Math.ceil(((SOCKETS_LEFT_WORD + MOST) * 4) / 64) * 64 + NEWS_SIZE + MESSAGES_SIZE;
const INLINE = 8192; // bytes of a message; more are lent
const SHORT = Math.floor(INLINE / 3); // characters
const BATCH = 512; // news until JavaScript's own loop gets its turn
const TOLD_EACH = NEWS_SIZE / 4; // bytes of news, until the engine is told that there is room

function aligned(size) {
  return (size + ENTRY_ALIGN - 1) & -ENTRY_ALIGN;
}

class Sockets {
  constructor(ring) {
    this.ring = ring;
    this.memory = new ArrayBuffer(MEMORY);
    const error = native.addSockets(ring.handle, ring.index, this.memory, MOST, NEWS_SIZE, MESSAGES_SIZE);
    if (error < 0) throw Object.assign(new Error(`no WebSockets: ${native.errorText(-error)}`), { code: native.errorName(-error) });
    this.words = new Int32Array(this.memory);
    this.news = this.words[SOCKETS_NEWS_BYTE]; // where they begin
    this.messages = this.words[SOCKETS_MESSAGES_BYTE];
    this.bytes = Buffer.from(this.memory);
    this.newsHead = 0;
    this.newsTold = 0;
    this.messagesTail = 0;
    this.messagesHead = 0; // as it was seen last
    this.connections = [undefined]; // by number
    this.free = [];
    this.waiting = []; // messages for which there was no room
    this.settings = new Map(); // numbers by key
  }

  // ---------------------------------------------------------------- numbers

  // A number for the connection; 0: there is none.
  add(connection) {
    const number = this.free.length > 0 ? this.free.pop() : this.connections.length;
    if (number > MOST) return 0;
    this.connections[number] = connection;
    this.words[SOCKETS_LEFT_WORD + number - 1] = 0; // of who had the number before; the engine writes again when it has accepted
    return number;
  }

  remove(number) {
    this.connections[number] = undefined;
    this.free.push(number);
  }

  // The number of settings in the engine, or a negative error.
  settingsNumber({ key, native: settings }) {
    let number = this.settings.get(key);
    if (number === undefined) {
      number = native.addSocketSettings(this.ring.handle, this.ring.index, settings);
      if (number >= 0) this.settings.set(key, number);
    }
    return number;
  }

  // How many bytes of its messages have left, since it was accepted (modulo 2^32).
  left(number) {
    return this.words[SOCKETS_LEFT_WORD + number - 1];
  }

  // ---------------------------------------------------------------- messages

  // Room for an entry of up to so many bytes; where it begins, or -1.
  reserve(size) {
    const need = aligned(size);
    const at = this.messagesTail & (MESSAGES_SIZE - 1);
    const toEnd = MESSAGES_SIZE - at;
    const total = need > toEnd ? toEnd + need : need;
    if (total > MESSAGES_SIZE - ((this.messagesTail - this.messagesHead) | 0)) {
      this.messagesHead = this.look(SOCKETS_MESSAGES_HEAD);
      if (total > MESSAGES_SIZE - ((this.messagesTail - this.messagesHead) | 0)) return -1;
    }
    if (need <= toEnd) return this.messages + at;
    this.head(this.messages + at, toEnd, ENTRY_PADDING, 0, 0);
    this.messagesTail = (this.messagesTail + toEnd) | 0;
    return this.messages;
  }

  head(at, size, kind, number, value) {
    const word = at >> 2;
    this.words[word] = size;
    this.words[word + 1] = kind;
    this.words[word + 2] = number;
    this.words[word + 3] = value;
  }

  // As those of the ring.
  look(word) {
    return this.ring.inline ? this.words[word] : Atomics.load(this.words, word);
  }

  tell(word, value) {
    if (this.ring.inline) this.words[word] = value;
    else Atomics.store(this.words, word, value);
  }

  // The entry is written.
  post(size) {
    this.messagesTail = (this.messagesTail + aligned(size)) | 0;
    const { ring } = this;
    this.tell(SOCKETS_MESSAGES_TAIL, this.messagesTail);
    if (!ring.draining) ring.wakeEngine();
  }

  // Ask for something. `bytes`: Uint8Array or null. It is never lost: what finds no room waits.
  ask(kind, number, value, bytes) {
    if (this.waiting.length > 0 || !this.put(kind, number, value, bytes)) this.wait(kind, number, value, bytes);
  }

  put(kind, number, value, bytes) {
    const size = ENTRY_HEAD + (bytes === null ? 0 : bytes.length);
    const at = this.reserve(size);
    if (at < 0) return false;
    this.head(at, size, kind, number, value);
    if (bytes !== null) this.bytes.set(bytes, at + ENTRY_HEAD);
    this.post(size);
    return true;
  }

  // Send a text; how many bytes it has.
  sendText(kind, number, text) {
    if (text.length <= SHORT && this.waiting.length === 0) {
      const at = this.reserve(ENTRY_HEAD + text.length * 3);
      if (at >= 0) {
        const length = writeShort(this.bytes, at + ENTRY_HEAD, text.length * 3, text);
        this.head(at, ENTRY_HEAD + length, kind, number, 0);
        this.post(ENTRY_HEAD + length);
        return length;
      }
    }
    const bytes = ownBytes(text, true);
    this.sendOwn(kind, number, bytes);
    return bytes.length;
  }

  sendBytes(kind, number, bytes) {
    if (bytes.length > INLINE || this.waiting.length > 0) this.sendOwn(kind, number, ownBytes(bytes, false));
    else if (!this.put(kind, number, 0, bytes)) this.wait(kind, number, 0, new Uint8Array(bytes));
  }

  // Bytes that are in nobody else's hands.
  sendOwn(kind, number, bytes) {
    if (this.waiting.length > 0 || !(bytes.length > INLINE ? this.lend(kind, number, bytes, null) : this.put(kind, number, 0, bytes)))
      this.wait(kind, number, 0, bytes);
  }

  // Ask for something with a message that is lent; `head` goes before it, or null.
  lend(kind, number, bytes, head) {
    if (this.reserve(ENTRY_HEAD + (head === null ? 0 : head.length)) < 0) return false;
    const loan = this.ring.lend(bytes);
    return loan >= 0 && this.put(kind | (ENTRY_LENT << 16), number, loan, head);
  }

  // `head`: of a publication, its topic. Bytes are nobody else's.
  publish(kind, number, head, bytes) {
    if (this.waiting.length > 0 || !this.putPublication(kind, number, head, bytes)) this.wait(kind, number, 0, bytes, head);
  }

  putPublication(kind, number, head, bytes) {
    if (bytes.length > INLINE) return this.lend(kind, number, bytes, head);
    const size = ENTRY_HEAD + head.length + bytes.length;
    const at = this.reserve(size);
    if (at < 0) return false;
    this.head(at, size, kind, number, 0);
    this.bytes.set(head, at + ENTRY_HEAD);
    this.bytes.set(bytes, at + ENTRY_HEAD + head.length);
    this.post(size);
    return true;
  }

  // It goes when the engine has taken what is before it.
  wait(kind, number, value, bytes, head = null) {
    this.waiting.push({ kind, number, value, bytes, head });
    if (this.wantRoom()) this.pump();
  }

  // Asks to be woken when the engine has taken something. True: it just has, before it was asked, and wakes nobody.
  wantRoom() {
    this.tell(SOCKETS_ROOM_WANTED, 1);
    const head = this.look(SOCKETS_MESSAGES_HEAD);
    if (head === this.messagesHead) return false;
    this.messagesHead = head;
    return true;
  }

  pump() {
    do this.pumpOnce();
    while (this.waiting.length > 0 && this.wantRoom());
  }

  pumpOnce() {
    const { waiting } = this;
    let next = 0;
    while (next < waiting.length) {
      const { kind, number, value, bytes, head } = waiting[next];
      let done;
      if (head !== null) done = this.putPublication(kind, number, head, bytes);
      else if (bytes !== null && bytes.length > INLINE) done = this.lend(kind, number, bytes, null);
      else done = this.put(kind, number, value, bytes);
      if (!done) break;
      next++;
    }
    waiting.splice(0, next);
  }

  // ---------------------------------------------------------------- news

  get hasNews() {
    return this.look(SOCKETS_NEWS_TAIL) !== this.newsHead;
  }

  // Take what is told, a batch at most; true when more may be there.
  takeNews() {
    if (this.waiting.length > 0) this.pump();
    let left = BATCH;
    for (;;) {
      const tail = this.look(SOCKETS_NEWS_TAIL);
      if (this.newsHead === tail) break;
      while (this.newsHead !== tail && left > 0) {
        this.takeEntry(this.news + (this.newsHead & (NEWS_SIZE - 1)));
        left--;
        if (((this.newsHead - this.newsTold) | 0) >= TOLD_EACH) this.tellHead();
      }
      if (left === 0) break;
    }
    this.tellHead();
    return left === 0;
  }

  tellHead() {
    this.newsTold = this.newsHead;
    this.tell(SOCKETS_NEWS_HEAD, this.newsHead);
  }

  takeEntry(at) {
    const word = at >> 2;
    const { words } = this;
    const size = words[word];
    const kind = words[word + 1] & 0xffff;
    this.newsHead = (this.newsHead + aligned(size)) | 0;
    if (kind === ENTRY_PADDING) return;
    const connection = this.connections[words[word + 2]];
    try {
      this.hear(connection, kind, words[word + 1] >> 16, words[word + 3], at + ENTRY_HEAD, at + size);
    } catch (error) {
      connection.cannotHear(error); // there is no memory for it, say: the others go on
    }
  }

  hear(connection, kind, flags, value, start, end) {
    const { bytes } = this;
    switch (kind) {
      case TOLD_TEXT:
        if (value === end - start) connection.hearMessage(bytes.utf8Slice(start, end), false);
        else connection.hearPart(bytes.subarray(start, end), value, false);
        break;
      case TOLD_BINARY:
        if (value === end - start) connection.hearMessage(new Uint8Array(bytes.subarray(start, end)), true);
        else connection.hearPart(bytes.subarray(start, end), value, true);
        break;
      case TOLD_MORE:
        connection.hearMore(bytes.subarray(start, end));
        break;
      case TOLD_OPENED:
        connection.hearOpened(bytes.latin1Slice(start, end), (flags & ENTRY_COMPRESSED) !== 0);
        break;
      case TOLD_DRAINED:
        connection.hearDrained();
        break;
      case TOLD_PING:
      case TOLD_PONG:
        connection.hearControl(kind === TOLD_PING ? 'ping' : 'pong', new Uint8Array(bytes.subarray(start, end)));
        break;
      case TOLD_CLOSED:
        connection.hearClosed(value, bytes.utf8Slice(start, end), (flags & ENTRY_CLEAN) !== 0);
        break;
      case TOLD_REFUSED:
        connection.hearRefused(native.errorName(value), native.errorText(value));
        break;
      case TOLD_DROPPED:
        connection.hearDropped(value);
        break;
      case TOLD_FAILED:
        connection.hearFailed(value);
        break;
    }
  }

  // The last news, when all has ended; of who is not told by then nothing will ever be.
  takeLast() {
    while (this.takeNews());
    for (const connection of this.connections) if (connection !== undefined) connection.hearClosed(1006, '', false);
  }
}

module.exports = { Sockets };
