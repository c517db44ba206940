// The engine's side of the WebSockets of a ring: takes what the program asks of them from one log, and writes what there is to tell
// into the other (carom_ring.h, "layout: sockets").
'use strict';

const {
  SOCKETS_NEWS_TAIL,
  SOCKETS_NEWS_HEAD,
  SOCKETS_MESSAGES_TAIL,
  SOCKETS_MESSAGES_HEAD,
  SOCKETS_ROOM_WANTED,
  SOCKETS_MOST,
  SOCKETS_NEWS_SIZE,
  SOCKETS_MESSAGES_SIZE,
  SOCKETS_NEWS_BYTE,
  SOCKETS_MESSAGES_BYTE,
  SOCKETS_LEFT_WORD,
  ENTRY_HEAD,
  ENTRY_ALIGN,
  ENTRY_PADDING,
  ENTRY_COMPRESSED,
  ENTRY_CLEAN,
  ENTRY_LENT,
  ENTRY_DRAIN,
  ENTRY_PLAIN,
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
  ASK_ACCEPT,
  ASK_TEXT,
  ASK_BINARY,
  ASK_CLOSE,
  ASK_ABORT,
  ASK_PING,
  ASK_PONG,
  ASK_PAUSE,
  ASK_RESUME,
  ASK_SUBSCRIBE,
  ASK_UNSUBSCRIBE,
  ASK_PUBLISH_TEXT,
  ASK_PUBLISH_BINARY,
  ASK_DRAIN,
} = require('../memory/layout.js');
const { readFields } = require('./bytes.js');
const { handshake } = require('./handshake.js');
const { E } = require('./names.js');
const { WebSocket } = require('./websocket.js');
const { guarded } = require('./timers.js');

const LEAST_PIECE = 1024; // bytes of a message that are worth an entry
const SPREAD = 5000; // milliseconds, in which all are closed in a shutdown without a deadline
const NOTHING = Buffer.alloc(0);

const aligned = (size) => (size + ENTRY_ALIGN - 1) & -ENTRY_ALIGN;

// One socket of the program's, by its number: the owner of a WebSocket.
class Owner {
  constructor(sockets, number, settings) {
    this.sockets = sockets;
    this.number = number;
    this.settings = settings;
    this.socket = null;
    this.core = null; // its connection
    this.isPaused = false; // by the program
    this.taken = this.leftBytes = 0; // bytes of messages, as the program counts them
    this.wantsDrained = false; // when half of the write buffer is free
    this.roomAt = -1; // bytes that may wait when the program is told; -1: it has not asked
    this.tellLeft();
  }

  opened() {
    const flags = this.socket.deflate ? ENTRY_COMPRESSED : 0;
    this.tell(TOLD_OPENED, flags, 0, Buffer.from(this.socket.protocol, 'latin1'));
  }

  message(bytes, isBinary) {
    this.tell(isBinary ? TOLD_BINARY : TOLD_TEXT, 0, bytes.length, bytes);
  }

  control(name, bytes) {
    if (name === 'ping' ? this.settings.pings : this.settings.pongs) this.tell(name === 'ping' ? TOLD_PING : TOLD_PONG, 0, 0, bytes);
  }

  // The program closes it when it has answered what came before.
  failed(code) {
    this.tell(TOLD_FAILED, 0, code, NOTHING);
  }

  closed(code, reason, clean) {
    this.sockets.forget(this);
    this.leftBytes = this.taken;
    this.tellLeft();
    this.tell(TOLD_CLOSED, clean ? ENTRY_CLEAN : 0, code, Buffer.from(reason, 'utf8'));
  }

  tell(kind, flags, value, bytes) {
    this.sockets.tell({ kind, flags, number: this.number, value, bytes, told: 0, owner: this });
  }

  // Who has news that found no room gets no more until they do.
  hold(on) {
    this.isHeld = on;
    if (this.socket !== null && this.socket.state === 'open') this.socket.pause(on || this.isPaused);
  }

  left() {
    const pending = Math.min(this.taken - this.leftBytes, this.socket.unsent);
    this.leftBytes = this.taken - pending;
    this.tellLeft();
    const isDrained = this.wantsDrained && pending <= this.settings.writeBuffer / 2;
    const hasRoom = pending <= this.roomAt;
    if (isDrained) this.wantsDrained = false;
    if (hasRoom) this.roomAt = -1;
    if (isDrained || hasRoom) this.tell(TOLD_DRAINED, 0, 0, NOTHING);
  }

  tellLeft() {
    this.sockets.words[SOCKETS_LEFT_WORD + this.number - 1] = this.leftBytes | 0;
  }

  send(bytes, isBinary, wantsDrained, plain) {
    this.taken += bytes.length;
    if (wantsDrained) this.wantsDrained = true;
    const { socket } = this;
    if (socket.admits(bytes.length)) socket.send(bytes, isBinary, plain);
    else {
      this.tell(TOLD_DROPPED, 0, bytes.length, NOTHING);
      socket.cutOff();
    }
    socket.wire?.touch();
  }
}

class Sockets {
  constructor(side, memory, most, newsSize, messagesSize) {
    this.side = side;
    this.words = new Int32Array(memory);
    this.bytes = Buffer.from(memory);
    const first = Math.ceil(((SOCKETS_LEFT_WORD + most) * 4) / 64) * 64;
    const { words } = this;
    words[SOCKETS_MOST] = most;
    words[SOCKETS_NEWS_SIZE] = newsSize;
    words[SOCKETS_MESSAGES_SIZE] = messagesSize;
    words[SOCKETS_NEWS_BYTE] = first;
    words[SOCKETS_MESSAGES_BYTE] = first + newsSize;
    this.newsSize = newsSize;
    this.messagesSize = messagesSize;
    this.newsAt = this.messagesAt = 0;
    this.settings = [];
    this.owners = new Map(); // by number
    this.waiting = []; // news that found no room
    this.isDraining = false;
    side.server.topics ||= new Map(); // sets of sockets
  }

  addSettings(given) {
    const time = (value, usual) => (value < 0 ? false : value || usual);
    this.settings.push({
      ...given,
      maxFragments: given.maxFragments || 1024,
      pingInterval: time(given.pingInterval, 25_000),
      pongTimeout: time(given.pongTimeout, 20_000),
      closeTimeout: time(given.closeTimeout, 5000),
      closeAtLimit: given.closeAtLimit === 1,
      deflates: given.deflate > 0,
      level: given.deflateLevel || 1,
      threshold: given.deflateThreshold || 64,
      protocols: listOf(given.protocols),
      origins: listOf(given.origins),
    });
    return this.settings.length - 1;
  }

  // ---------------------------------------------------------------- news

  tell(news) {
    if (this.waiting.length === 0 && this.put(news)) return;
    this.waiting.push(news);
    news.owner.hold(true);
  }

  tellWaiting() {
    while (this.waiting.length > 0 && this.put(this.waiting[0])) {
      const { owner } = this.waiting.shift();
      if (!this.waiting.some((news) => news.owner === owner)) owner.hold(false);
    }
  }

  // False: not all of it found room.
  put(news) {
    const isMessage = news.kind === TOLD_TEXT || news.kind === TOLD_BINARY;
    do {
      const rest = news.bytes.subarray(news.told);
      const room = this.roomFor(ENTRY_HEAD + rest.length);
      const size = Math.min(ENTRY_HEAD + rest.length, room);
      if (size < ENTRY_HEAD + rest.length && (!isMessage || size < ENTRY_HEAD + LEAST_PIECE)) return false;
      this.write(news.isBegun ? TOLD_MORE : news.kind | (news.flags << 16), news, rest.subarray(0, size - ENTRY_HEAD));
      news.isBegun = true;
      news.told += size - ENTRY_HEAD;
    } while (news.told < news.bytes.length);
    return true;
  }

  // Bytes that can be written in one piece, behind padding where that is needed for as many as `wanted`.
  roomFor(wanted) {
    const size = this.newsSize;
    const free = size - ((this.newsAt - this.words[SOCKETS_NEWS_HEAD]) | 0);
    const toEnd = size - (this.newsAt & (size - 1));
    if (free <= toEnd) return free;
    if (Math.min(wanted, size / 2) <= toEnd) return toEnd;
    this.head(toEnd, ENTRY_PADDING, 0, 0);
    this.newsAt = (this.newsAt + toEnd) | 0;
    this.words[SOCKETS_NEWS_TAIL] = this.newsAt;
    return free - toEnd;
  }

  head(size, kind, number, value) {
    const word = (this.words[SOCKETS_NEWS_BYTE] + (this.newsAt & (this.newsSize - 1))) >> 2;
    this.words.set([size, kind, number, value], word);
  }

  write(kind, { number, value }, bytes) {
    const at = this.words[SOCKETS_NEWS_BYTE] + (this.newsAt & (this.newsSize - 1));
    this.head(ENTRY_HEAD + bytes.length, kind, number, value);
    this.bytes.set(bytes, at + ENTRY_HEAD);
    this.newsAt = (this.newsAt + aligned(ENTRY_HEAD + bytes.length)) | 0;
    this.words[SOCKETS_NEWS_TAIL] = this.newsAt;
    this.side.hasNews = true;
    this.side.server.turnSoon();
  }

  // ---------------------------------------------------------------- what the program asks for

  takeMessages() {
    const { words } = this;
    const tail = words[SOCKETS_MESSAGES_TAIL];
    while (this.messagesAt !== tail) {
      const at = words[SOCKETS_MESSAGES_BYTE] + (this.messagesAt & (this.messagesSize - 1));
      const [size, kind, number, value] = words.subarray(at >> 2, (at >> 2) + 4);
      const bytes = Buffer.from(this.bytes.subarray(at + ENTRY_HEAD, at + size));
      this.messagesAt = (this.messagesAt + aligned(size)) | 0;
      words[SOCKETS_MESSAGES_HEAD] = this.messagesAt;
      this.guard(number, () => this.take(kind & 0xffff, kind >> 16, number, value, bytes));
    }
    if (words[SOCKETS_ROOM_WANTED] !== 0) {
      words[SOCKETS_ROOM_WANTED] = 0;
      this.side.hasNews = true;
    }
    this.tellWaiting();
  }

  // A fault in what is done for a socket ends its connection.
  guard(number, act) {
    const core = this.owners.get(number)?.core;
    if (core === undefined) guarded(act);
    else core.guard(act);
  }

  take(kind, flags, number, value, bytes) {
    if (kind === ENTRY_PADDING) return;
    if (kind === ASK_ACCEPT) {
      this.accept(number, bytes);
      return;
    }
    const owner = this.owners.get(number);
    if (kind === ASK_PUBLISH_TEXT || kind === ASK_PUBLISH_BINARY) {
      const length = bytes.readUInt32LE(0);
      const content = flags & ENTRY_LENT ? this.side.takeLoan(value) : bytes.subarray(4 + length);
      this.publish(bytes.toString('latin1', 4, 4 + length), owner, content, kind === ASK_PUBLISH_BINARY, (flags & ENTRY_PLAIN) !== 0);
    } else if (kind === ASK_TEXT || kind === ASK_BINARY) {
      const content = flags & ENTRY_LENT ? this.side.takeLoan(value) : bytes;
      owner?.send(content, kind === ASK_BINARY, (flags & ENTRY_DRAIN) !== 0, (flags & ENTRY_PLAIN) !== 0);
    } else if (owner !== undefined) this.ask(kind, owner, value, bytes);
  }

  ask(kind, owner, value, bytes) {
    const { socket } = owner;
    switch (kind) {
      case ASK_CLOSE:
        socket.close(value, bytes);
        break;
      case ASK_ABORT:
        socket.abort();
        break;
      case ASK_PING:
        socket.ping(bytes);
        break;
      case ASK_PONG:
        socket.pong(bytes);
        break;
      case ASK_PAUSE:
      case ASK_RESUME:
        owner.isPaused = kind === ASK_PAUSE;
        if (socket.state === 'open') socket.pause(owner.isPaused || owner.isHeld === true);
        break;
      case ASK_DRAIN:
        owner.roomAt = value;
        owner.left();
        break;
      case ASK_SUBSCRIBE:
        this.subscribersOf(bytes.latin1Slice(), true).add(owner);
        break;
      case ASK_UNSUBSCRIBE:
        this.unsubscribe(bytes.latin1Slice(), owner);
        break;
    }
  }

  // ---------------------------------------------------------------- sockets

  accept(number, bytes) {
    const [index, generation, settingsNumber] = [0, 4, 8].map((at) => bytes.readInt32LE(at));
    const slot = this.side.slots[index];
    const settings = this.settings[settingsNumber];
    if (slot === undefined || !slot.held || slot.generation !== generation || settings === undefined) return;
    const { record } = slot;
    const owner = new Owner(this, number, settings);
    const error = this.become(record, owner, readFields(bytes, 12, bytes.length - 12, 2));
    record.owner = null;
    if (error === 0) slot.give();
    else {
      slot.release();
      this.tell({ kind: TOLD_REFUSED, flags: 0, number, value: error, bytes: NOTHING, told: 0, owner });
    }
  }

  become(record, owner, fields) {
    if (record.over) return E.ECANCELED;
    const answer = handshake(record, owner.settings, fields);
    if (typeof answer === 'number') return answer;
    const { server } = this.side;
    if (answer.response === undefined) {
      server.counts.webSocketsRefused++;
      return record.respond({ status: answer.status, phrase: '', fields: answer.fields }, NOTHING) || E.EPROTOCOL;
    }
    const error = record.upgrade(answer.response);
    if (error > 0) return error;
    owner.socket = new WebSocket(server, owner.settings, answer.protocol, answer.deflate, owner);
    owner.core = record.core;
    this.owners.set(owner.number, owner);
    record.exchange.becomes(record, owner.socket);
    if (this.isDraining) owner.socket.goAway();
    return 0;
  }

  forget(owner) {
    if (this.owners.get(owner.number) === owner) this.owners.delete(owner.number);
    for (const topic of [...this.side.server.topics.keys()]) this.unsubscribe(topic, owner);
  }

  subscribersOf(topic, make) {
    const { topics } = this.side.server;
    if (!topics.has(topic) && make) topics.set(topic, new Set());
    return topics.get(topic) || new Set();
  }

  unsubscribe(topic, owner) {
    const subscribers = this.subscribersOf(topic, false);
    subscribers.delete(owner);
    if (subscribers.size === 0) this.side.server.topics.delete(topic);
  }

  publish(topic, from, bytes, isBinary, plain) {
    for (const owner of [...this.subscribersOf(topic, false)])
      if (owner !== from)
        owner.core.guard(() => {
          if (owner.socket.admits(bytes.length)) owner.socket.send(bytes, isBinary, plain);
          else owner.socket.cutOff();
        });
  }

  // All are closed, one after another, in half of the time there is.
  drain(milliseconds) {
    this.isDraining = true;
    const each = (milliseconds < 0 ? SPREAD : milliseconds / 2) / Math.max(1, this.owners.size);
    let index = 0;
    for (const { core, socket } of this.owners.values()) core.later(each * index++, () => socket.goAway());
  }
}

function listOf(text) {
  return text === undefined ? [] : text.split(', ');
}

module.exports = { Sockets };
