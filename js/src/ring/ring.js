// The rings of a server, as JavaScript sees them: events taken in batches, commands put in, slots
// and loans. docs/internals/ring.md explains the protocol; the layout is that of carom_ring.h.
'use strict';

const native = require('./native.js');
const { giveBack } = require('./copies.js');
const { urlsOf } = require('./urls.js');
const {
  RING_EVENT_TAIL,
  RING_COMMAND_TAIL,
  RING_RETURN_TAIL,
  RING_ENGINE_ASLEEP,
  RING_VM_ASLEEP,
  RING_SLOTS_WANTED,
  RING_CONTROL_WORDS,
  RING_SLOT_SIZE,
  RING_PAGE_SIZE,
  RING_PAGES,
  RING_LOANS,
  SLOT_NEWS,
  SLOT_GENERATION,
  NEWS_REQUEST,
} = require('./layout.js');

const CAPACITY = 16384;
const FIRST_SLOTS = 64;
const YIELDS = 2; // in VM_ASLEEP
// Events that are taken before JavaScript's own loop gets its turn again.
const BATCH = 512;
// Bytes that are lent before the engine gets its turn to send them: they are in the cache still, and their
// memory is used again for the next ones.
const LENT_AT_ONCE = 256 * 1024;

const CONTROL_SIZE = (RING_CONTROL_WORDS + 2 * CAPACITY + RING_LOANS) * 4 + RING_PAGES * RING_PAGE_SIZE;

class Slot {
  constructor(ring, index, block, offset) {
    this.ring = ring;
    this.index = index;
    this.words = new Int32Array(block, offset, RING_SLOT_SIZE / 4);
    this.bytes = Buffer.from(block, offset, RING_SLOT_SIZE);
    this.exchange = null;
  }
}

class Ring {
  constructor(index, memory, inline, secure) {
    this.index = index;
    this.secure = secure; // requests come over TLS
    this.urls = urlsOf(secure);
    this.inline = inline; // the engine runs between our calls only: no need of atomic accesses
    this.handle = null;
    this.memory = memory;
    const control = new ArrayBuffer(CONTROL_SIZE);
    memory.push(control);
    this.control = new Int32Array(control);
    this.pages = Buffer.from(control, CONTROL_SIZE - RING_PAGES * RING_PAGE_SIZE);
    this.slots = [];
    this.eventHead = 0;
    this.commandTail = 0;
    this.returnHead = 0;
    this.lent = new Array(RING_LOANS).fill(null);
    this.freeLoans = [];
    this.nextLoan = 0;
    this.lentNow = 0; // bytes, since the engine had its turn
    this.draining = false;
    this.open = true;
  }

  addSlots(count) {
    const block = new ArrayBuffer(count * RING_SLOT_SIZE);
    const error = native.addSlots(this.handle, this.index, block);
    if (error < 0) return;
    this.memory.push(block);
    for (let i = 0; i < count; i++) this.slots.push(new Slot(this, this.slots.length, block, i * RING_SLOT_SIZE));
  }

  get wantsSlots() {
    return Atomics.load(this.control, RING_SLOTS_WANTED) !== 0 && this.slots.length < CAPACITY;
  }

  // As many again, so that there are few blocks.
  growIfWanted() {
    if (this.wantsSlots) this.addSlots(Math.min(this.slots.length, CAPACITY - this.slots.length));
  }

  // Put a slot in the queue of commands: its message is written.
  post(slot) {
    const tail = this.commandTail;
    this.control[RING_CONTROL_WORDS + CAPACITY + (tail & (CAPACITY - 1))] = slot.index;
    this.commandTail = (tail + 1) | 0;
    if (this.inline) this.control[RING_COMMAND_TAIL] = this.commandTail;
    else {
      Atomics.store(this.control, RING_COMMAND_TAIL, this.commandTail);
      if (!this.draining) this.wakeEngine();
    }
  }

  wakeEngine() {
    if (!this.inline && this.open && Atomics.exchange(this.control, RING_ENGINE_ASLEEP, 0) === 1) native.wake(this.handle, this.index);
  }

  // Lend bytes to the engine; the number to put into the message, or -1: too many are lent.
  lend(bytes) {
    let loan;
    if (this.freeLoans.length > 0) loan = this.freeLoans.pop();
    else if (this.nextLoan < RING_LOANS) loan = this.nextLoan++;
    else return -1;
    if (native.lend(this.handle, this.index, loan, bytes) < 0) return -1;
    this.lent[loan] = bytes;
    this.lentNow += bytes.length;
    return loan;
  }

  takeReturns() {
    const tail = Atomics.load(this.control, RING_RETURN_TAIL);
    const queue = RING_CONTROL_WORDS + 2 * CAPACITY;
    while (this.returnHead !== tail) {
      const loan = this.control[queue + (this.returnHead & (RING_LOANS - 1))];
      this.returnHead = (this.returnHead + 1) | 0;
      giveBack(this.lent[loan]);
      this.lent[loan] = null;
      this.freeLoans.push(loan);
    }
  }

  takeNews(slot, Exchange, accept) {
    let news;
    if (this.inline) {
      news = slot.words[SLOT_NEWS];
      slot.words[SLOT_NEWS] = 0;
    } else news = Atomics.exchange(slot.words, SLOT_NEWS, 0);
    if (news & NEWS_REQUEST) {
      slot.exchange = new Exchange(slot, slot.words[SLOT_GENERATION]);
      accept(slot.exchange);
    }
    if (news > NEWS_REQUEST && slot.exchange !== null) slot.exchange.hear(news & ~NEWS_REQUEST);
  }

  // The engine sends what it was lent. True when it does so only after we return: it calls us again.
  letSend() {
    this.lentNow = 0;
    if (this.inline) this.control[RING_VM_ASLEEP] = YIELDS;
    else this.wakeEngine();
    return this.inline;
  }

  // Take up to BATCH events; true when more may be there.
  takeEvents(Exchange, accept) {
    let left = BATCH;
    for (;;) {
      const tail = Atomics.load(this.control, RING_EVENT_TAIL);
      if (this.eventHead === tail) return false;
      while (this.eventHead !== tail) {
        if (left-- === 0) return true;
        const index = this.control[RING_CONTROL_WORDS + (this.eventHead & (CAPACITY - 1))];
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

  // Take what is there, and let the engine wake us for what comes after.
  drain(Exchange, accept, again) {
    this.draining = true;
    this.lentNow = 0;
    let more = false;
    do {
      this.takeReturns();
      this.growIfWanted();
      more = this.takeEvents(Exchange, accept);
      if (more || this.control[RING_VM_ASLEEP] === YIELDS) break;
      Atomics.store(this.control, RING_VM_ASLEEP, 1);
      // What came just before that store woke nobody.
    } while (
      (Atomics.load(this.control, RING_EVENT_TAIL) !== this.eventHead || this.wantsSlots) &&
      Atomics.exchange(this.control, RING_VM_ASLEEP, 0) === 1
    );
    this.draining = false;
    this.wakeEngine();
    if (more) setImmediate(again);
  }
}

function raise(error) {
  throw error;
}

module.exports = { Ring, CAPACITY, FIRST_SLOTS };
