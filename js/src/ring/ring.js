// The rings of a server, for JavaScript: takes events in batches, puts commands in, and keeps slots and loans.
// docs/internals/ring.md explains the protocol; the layout is that of carom_ring.h.
'use strict';

const native = require('./native.js');
const { giveBack } = require('./copies.js');
const { Loans } = require('./loans.js');
const { Sockets } = require('./sockets.js');
const { urlsOf } = require('./urls.js');
const {
  RING_EVENT_TAIL,
  RING_EVENT_HEAD,
  RING_COMMAND_TAIL,
  RING_RETURN_TAIL,
  RING_ENGINE_ASLEEP,
  RING_VM_ASLEEP,
  RING_SLOTS_WANTED,
  RING_SLOTS,
  RING_BLOCKS_BACK,
  RING_REFUSED,
  RING_CONNECTION_NEWS,
  RING_OPENED,
  RING_CLOSED,
  RING_PAGES_HELD,
  RING_CONTROL_WORDS,
  RING_SLOT_SIZE,
  RING_BLOCK_SLOTS,
  RING_PAGE_SIZE,
  RING_PAGES,
  RING_LOANS,
  SLOT_NEWS,
  SLOT_GENERATION,
  SLOT_HEAD_PAGE,
  SLOT_PIECE_PAGE,
  NEWS_REQUEST,
  NEWS_CONTENT,
  NEWS_CONTENT_END,
  NEWS_ENDED,
} = require('../memory/layout.js');

const BLOCK_SIZE = RING_BLOCK_SLOTS * RING_SLOT_SIZE;
const FIRST_BLOCKS = 4;
const WARN_EACH = 10000; // milliseconds
const YIELDS = 2; // in VM_ASLEEP
const UNREAD = 30_000; // milliseconds
// Events that are taken before JavaScript's own loop gets its turn again; fewer while answers are large, since those of a batch that
// come of promises leave at its end.
const BATCH = 512;
// Milliseconds after which a batch ends all the same: handlers that take long would keep the engine from hearing which of those who
// wait have left, and would be called for all of them. The clock is read once for so many events.
const SLICE = 10;
const LOOK = 4;
// Bytes that are lent before the engine gets its turn to send them: they are in the cache still, and their
// memory is used again for the next ones.
const LENT_AT_ONCE = 256 * 1024;
// Bytes of rooms that may be lent at one time, so that uploads whose clients send nothing hold no more than this. Each is lent a part of
// what the others have left, so that there is some for the next one. Where that part is small, content comes through a page, which
// costs a second copy.
const ROOMS = 16 * 1024 * 1024;
const PART = 16;
const SMALL = 4096;

// Entries of the queues of a ring with so many bytes of slots: a power of two.
function capacityFor(bytes) {
  return 2 ** Math.ceil(Math.log2(Math.max(RING_BLOCK_SLOTS, Math.ceil(bytes / RING_SLOT_SIZE))));
}

class Slot {
  constructor(ring, index, block, offset) {
    this.ring = ring;
    this.index = index;
    this.words = new Int32Array(block, offset, RING_SLOT_SIZE / 4);
    this.bytes = Buffer.from(block, offset, RING_SLOT_SIZE);
    this.exchange = null;
  }
}

// A connection, for an observer: { opened(connection) gives what exchange.connection is, closed(that, reason) }.
class Connection {
  constructor(ring, number, peer, secure) {
    this.ring = ring;
    this.number = number;
    this.peer = peer;
    this.secure = secure;
    this.received = this.sent = 0; // bytes, when it has closed
    this.open = true;
  }

  // `how`: CLOSE_...
  close(how) {
    if (this.open) native.closeConnection(this.ring.handle, this.ring.index, this.number, how);
  }

  // The kernel asks a peer that has been silent for so many seconds whether it is there; 0: no more.
  keepAlive(seconds) {
    if (this.open) native.keepAlive(this.ring.handle, this.ring.index, this.number, seconds);
  }

  // Bytes received and sent, before encryption.
  traffic() {
    return this.open ? native.traffic(this.ring.handle, this.ring.index, this.number) : [this.received, this.sent];
  }
}

// What is lent to the engine for it to write into. By the time that it is known to have come back its reader may have handed the
// buffer on, so that its bytes are none.
class Room {
  constructor(bytes) {
    this.bytes = bytes;
    this.length = bytes.length;
  }
}

class Ring {
  constructor(index, capacity, inline, secure) {
    this.index = index;
    this.secure = secure; // requests come over TLS
    this.urls = urlsOf(secure);
    this.inline = inline; // the engine runs between our calls only: no need of atomic accesses
    this.handle = null;
    this.maxHead = Infinity; // bytes of the fields of a response
    this.server = ''; // for messages: where it was made
    // The queues, one behind the other.
    this.mask = capacity - 1;
    this.commands = RING_CONTROL_WORDS + capacity;
    this.returns = this.commands + capacity;
    this.blockWords = this.returns + RING_LOANS;
    const pages = (this.blockWords + capacity / RING_BLOCK_SLOTS) * 4;
    this.memory = new ArrayBuffer(pages + RING_PAGES * RING_PAGE_SIZE);
    this.control = new Int32Array(this.memory);
    this.pages = Buffer.from(this.memory, pages);
    this.blocks = []; // by number; undefined: the engine has none of it
    this.slots = []; // by number
    this.slotCount = 0; // that were given, and have not come back
    this.blocksBack = 0;
    this.noMemory = false;
    this.refused = 0;
    this.warned = -Infinity;
    this.eventHead = 0;
    this.eventsDone = 0; // that the engine was told of
    this.commandTail = 0;
    this.returnHead = 0;
    this.loans = new Loans();
    this.starving = []; // outputs that wait for a loan
    this.lentNow = 0; // bytes, since the engine had its turn
    this.roomsLent = 0; // bytes
    this.batch = BATCH;
    // The last batch did not come to the end of the events. Then requests by safe methods whose client has left are dealt with by
    // nobody: else those who wait would wait for answers that have no reader.
    this.behind = false;
    this.draining = false;
    this.open = true;
    this.sockets = null; // WebSockets, once there was one
    this.unreadTime = UNREAD; // how long the rest of content is kept, behind its response, for who has begun to read it
    this.observer = null; // of connections
    this.connections = []; // by number: what the observer made of them, and the connection
    this.connectionNews = 0;
    this.gone = []; // connections that have closed, whose exchanges may have news still
  }

  // False when there is no memory for one, or no number.
  addBlock() {
    let number = this.blocks.indexOf(undefined);
    if (number < 0) number = this.blocks.length;
    let block;
    try {
      block = new ArrayBuffer(BLOCK_SIZE);
    } catch {
      return false;
    }
    if (native.addBlock(this.handle, this.index, number, block) < 0) return false;
    this.blocks[number] = block;
    this.slotCount += RING_BLOCK_SLOTS;
    for (let i = 0; i < RING_BLOCK_SLOTS; i++) {
      const slot = number * RING_BLOCK_SLOTS + i;
      this.slots[slot] = new Slot(this, slot, block, i * RING_SLOT_SIZE);
    }
    return true;
  }

  // How many slots are wanted beyond those that were given: the engine may not have taken those yet.
  get slotsLacking() {
    const given = this.slotCount - this.look(RING_SLOTS);
    return this.noMemory ? 0 : this.look(RING_SLOTS_WANTED) - given;
  }

  growIfWanted() {
    this.noMemory = false; // perhaps there is some now
    while (this.slotsLacking > 0) this.noMemory = !this.addBlock();
  }

  // What a burst has left is ours again.
  takeBlocksBack() {
    const back = this.look(RING_BLOCKS_BACK);
    if (back === this.blocksBack) return;
    this.blocksBack = back;
    for (let number = 0; number < this.blocks.length; number++) {
      if (this.blocks[number] === undefined || this.look(this.blockWords + number) !== 0) continue;
      this.blocks[number] = undefined;
      this.slotCount -= RING_BLOCK_SLOTS;
      for (let i = 0; i < RING_BLOCK_SLOTS; i++) this.slots[number * RING_BLOCK_SLOTS + i] = undefined;
    }
    for (const table of [this.blocks, this.slots]) trim(table);
  }

  openSockets() {
    if (this.sockets === null) this.sockets = new Sockets(this);
    return this.sockets;
  }

  // Say so when requests were refused, and again while they are.
  warnOfRefusals() {
    const refused = this.look(RING_REFUSED);
    const now = Date.now();
    if (refused === this.refused || now - this.warned < WARN_EACH) return;
    const count = (refused - this.refused) >>> 0;
    this.refused = refused;
    this.warned = now;
    console.warn(`carom: ${count} requests were answered 503, since all that may be in flight are (maxInFlight, maxRingMemory)`);
  }

  // Put a slot in the queue of commands: its message is written.
  post(slot) {
    const tail = this.commandTail;
    this.control[this.commands + (tail & this.mask)] = slot.index;
    this.commandTail = (tail + 1) | 0;
    this.tell(RING_COMMAND_TAIL, this.commandTail);
    if (!this.draining) this.wakeEngine();
  }

  // Words of the control block. Inline the engine runs on this very thread, and for V8 an atomic access to an array is a call of a hundred
  // instructions.
  look(word) {
    return this.inline ? this.control[word] : Atomics.load(this.control, word);
  }

  tell(word, value) {
    if (this.inline) this.control[word] = value;
    else Atomics.store(this.control, word, value);
  }

  wakeEngine() {
    if (!this.inline && this.open && Atomics.exchange(this.control, RING_ENGINE_ASLEEP, 0) === 1) native.wake(this.handle, this.index);
  }

  // Lend bytes to the engine; the number to put into the message, or -1: too many are lent.
  lend(bytes) {
    const loan = this.loans.take(bytes);
    if (native.lend(this.handle, this.index, loan, bytes) < 0) {
      this.loans.give(loan); // of that number there is none, or no memory
      return -1;
    }
    this.lentNow += bytes.length;
    return loan;
  }

  // Of so many bytes those for which room may be made, for content that is promised: no more than may be lent.
  roomFor(bytes) {
    return Math.min(bytes, Math.max(SMALL, this.mostRoom()));
  }

  mostRoom() {
    return Math.floor((ROOMS - this.roomsLent) / PART);
  }

  // Lend room for content to the engine, at the beginning of these bytes; the number + 1 to put into the message, or 0: too much is lent.
  lendRoom(bytes) {
    const most = this.mostRoom();
    if (most < SMALL) return 0;
    const part = bytes.length <= most ? bytes : bytes.subarray(0, most);
    const loan = this.loans.take(new Room(part));
    if (native.lendRoom(this.handle, this.index, loan, part) < 0) {
      this.loans.give(loan);
      return 0;
    }
    this.roomsLent += part.length;
    return loan + 1;
  }

  takeReturns() {
    const tail = this.look(RING_RETURN_TAIL);
    if (this.returnHead === tail) return;
    while (this.returnHead !== tail) {
      const loan = this.control[this.returns + (this.returnHead & (RING_LOANS - 1))];
      this.returnHead = (this.returnHead + 1) | 0;
      const lent = this.loans.give(loan);
      if (lent instanceof Room) this.roomsLent -= lent.length;
      else giveBack(lent);
    }
    if (this.starving.length > 0) this.feed();
  }

  // From now on nobody reads on behind a response.
  dropUnread() {
    this.unreadTime = 0;
    for (const slot of this.slots) if (slot?.exchange?.over) slot.exchange.dropContent();
  }

  starve(output) {
    if (!output.starving) this.starving.push(output);
    output.starving = true;
  }

  // Those that waited for a loan go on, in turn, until one finds none: it and those behind it wait again.
  feed() {
    const waiting = this.starving;
    this.starving = [];
    let next = 0;
    while (next < waiting.length && this.starving.length === 0) {
      const output = waiting[next++];
      output.starving = false;
      output.pump();
    }
    if (next < waiting.length) this.starving = this.starving.concat(waiting.slice(next));
  }

  // What lay in a page was copied. (0: none.)
  givePage(page) {
    if (page === 0) return;
    this.tell(RING_PAGES_HELD + page - 1, 0);
  }

  // ---------------------------------------------------------------- connections

  connectionOf(number) {
    if (this.observer === null) return undefined;
    if (this.connections[number] === undefined) this.takeConnections(); // it has opened just now
    return this.connections[number]?.made;
  }

  takeConnections() {
    const told = this.look(RING_CONNECTION_NEWS);
    if (told === this.connectionNews) return;
    this.connectionNews = told;
    for (;;) {
      const news = native.connection(this.handle, this.index);
      if (news === undefined) return;
      this.hearConnection(news);
    }
  }

  hearConnection([number, news, family, port, hostname, secure, reason, received, sent]) {
    if (news & RING_OPENED) {
      const peer = family === 3 ? { transport: 'unix', hostname: '', port: 0 } : { transport: 'tcp', hostname, port };
      const connection = new Connection(this, number, peer, secure);
      this.connections[number] = { connection, made: undefined };
      guarded(() => {
        this.connections[number].made = this.observer.opened(connection);
      });
    }
    if (news & RING_CLOSED) this.gone.push({ number, reason, received, sent });
  }

  // All that the exchanges had to tell was taken.
  tellGone() {
    const { gone } = this;
    if (gone.length === 0 || this.look(RING_EVENT_TAIL) !== this.eventHead) return;
    this.gone = [];
    for (const { number, reason, received, sent } of gone) {
      const { connection, made } = this.connections[number];
      this.connections[number] = undefined;
      connection.open = false;
      connection.received = received;
      connection.sent = sent;
      native.forgetConnection(this.handle, this.index, number);
      guarded(() => this.observer.closed(made, reason));
    }
    trim(this.connections);
  }

  // The last news, when all has ended.
  takeLast() {
    this.takeConnections();
    this.eventHead = this.look(RING_EVENT_TAIL);
    this.tellGone();
  }

  get hasConnectionNews() {
    return this.observer !== null && this.look(RING_CONNECTION_NEWS) !== this.connectionNews;
  }

  get hasSocketNews() {
    return this.sockets !== null && this.sockets.hasNews;
  }

  // ---------------------------------------------------------------- news

  takeNews(slot, Exchange, accept) {
    let news;
    if (this.inline) {
      news = slot.words[SLOT_NEWS];
      slot.words[SLOT_NEWS] = 0;
    } else news = Atomics.exchange(slot.words, SLOT_NEWS, 0);
    if (news & NEWS_REQUEST) {
      slot.exchange = new Exchange(slot, slot.words[SLOT_GENERATION]); // copies a head that lies in a page
      this.givePage(slot.words[SLOT_HEAD_PAGE]);
      if (news & NEWS_ENDED && this.behind && slot.exchange.isSafe) slot.exchange.leave();
      else accept(slot.exchange);
    }
    if (news <= NEWS_REQUEST) return;
    // Known before it is copied: the next piece may come as soon as it is asked for.
    const page = news & (NEWS_CONTENT | NEWS_CONTENT_END) ? slot.words[SLOT_PIECE_PAGE] : 0;
    try {
      if (slot.exchange !== null) slot.exchange.hear(news & ~NEWS_REQUEST);
    } finally {
      this.givePage(page);
    }
  }

  // The engine sends what it was lent. True when it does so only after we return: it calls us again.
  letSend() {
    this.lentNow = 0;
    if (this.inline) this.control[RING_VM_ASLEEP] = YIELDS;
    else this.wakeEngine();
    return this.inline;
  }

  // The answers of the last batch have shown how many events the next one may have.
  measureBatch() {
    this.batch = this.lentNow > LENT_AT_ONCE ? Math.ceil(this.batch / 2) : Math.min(BATCH, 2 * this.batch);
    this.lentNow = 0;
  }

  // Take a batch of events; true when more may be there.
  takeEvents(Exchange, accept) {
    let end = 0;
    let taken = 0;
    for (;;) {
      const tail = this.look(RING_EVENT_TAIL);
      if (this.eventHead === tail) return false;
      while (this.eventHead !== tail) {
        if (taken === this.batch || (taken % LOOK === LOOK - 1 && performance.now() > end)) return true;
        if (++taken === 2) end = performance.now() + SLICE; // one alone needs no clock
        const index = this.control[RING_CONTROL_WORDS + (this.eventHead & this.mask)];
        this.eventHead = (this.eventHead + 1) | 0;
        try {
          this.takeNews(this.slots[index], Exchange, accept);
        } catch (error) {
          setImmediate(raise, error); // uncaught, as it must be; but the others of the batch go on
        }
        if (this.lentNow >= LENT_AT_ONCE && this.letSend()) return false;
      }
    }
  }

  // All that was taken is dealt with: callbacks have returned, and what they left for microtasks was done. So on another thread than
  // the engine's it is told in the next call, which the engine makes when somebody waits for that.
  tellHeard() {
    if (this.eventsDone === this.eventHead) return;
    this.eventsDone = this.eventHead;
    this.tell(RING_EVENT_HEAD, this.eventHead);
  }

  // Take what is there, and let the engine wake us for what comes after. An exception is uncaught, and the next call takes the rest.
  drain(Exchange, accept, again) {
    let more = true;
    this.draining = true;
    try {
      this.measureBatch();
      if (!this.inline) this.tellHeard();
      more = this.takeBatch(Exchange, accept);
    } finally {
      this.draining = false;
      this.behind = this.look(RING_EVENT_TAIL) !== this.eventHead;
      if (this.inline) this.tellHeard(); // before the engine goes on, microtasks run
      this.wakeEngine();
      if (more) setImmediate(again);
    }
  }

  // True when more is there; otherwise the engine knows that we sleep.
  takeBatch(Exchange, accept) {
    do {
      this.takeReturns();
      this.takeBlocksBack();
      this.growIfWanted();
      this.warnOfRefusals();
      if (this.observer !== null) this.takeConnections();
      let more = this.takeEvents(Exchange, accept);
      if (this.sockets !== null && this.sockets.takeNews()) more = true;
      if (this.observer !== null) this.tellGone();
      if (more || this.control[RING_VM_ASLEEP] === YIELDS) return more;
      this.tell(RING_VM_ASLEEP, 1);
      // What came just before that store woke nobody.
    } while (
      (this.look(RING_EVENT_TAIL) !== this.eventHead || this.slotsLacking > 0 || this.hasConnectionNews || this.hasSocketNews) &&
      Atomics.exchange(this.control, RING_VM_ASLEEP, 0) === 1
    );
    return false;
  }
}

// A table by number ends where the last one is.
function trim(table) {
  while (table.length > 0 && table.at(-1) === undefined) table.pop();
}

function raise(error) {
  throw error;
}

// What it throws is uncaught, as it must be; but the others go on.
function guarded(call) {
  try {
    call();
  } catch (error) {
    setImmediate(raise, error);
  }
}

module.exports = { Ring, FIRST_BLOCKS, capacityFor };
