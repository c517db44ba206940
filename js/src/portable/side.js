// The engine's side of a ring: gives slots to requests, tells the program its news, and takes its messages. docs/internals/ring.md
// explains the protocol; here both sides run on one thread, in turns.
'use strict';

const {
  RING_CAPACITY,
  RING_BAD_COMMANDS,
  RING_PROTOCOL,
  RING_EVENT_TAIL,
  RING_COMMAND_TAIL,
  RING_RETURN_TAIL,
  RING_ENGINE_ASLEEP,
  RING_VM_ASLEEP,
  RING_SLOTS_WANTED,
  RING_SLOTS,
  RING_REFUSED,
  RING_CONNECTION_NEWS,
  RING_PAGES_HELD,
  RING_CONTROL_WORDS,
  RING_VERSION,
  RING_SLOT_SIZE,
  RING_BLOCK_SLOTS,
  RING_PAGE_SIZE,
  RING_PAGES,
  RING_LOANS,
  RING_OPENED,
  RING_CLOSED,
  SLOT_NEWS,
  SLOT_GENERATION,
  SLOT_FLAGS,
  SLOT_NOTIFY,
  NEWS_REQUEST,
  NEWS_CONTENT,
  NEWS_CONTENT_END,
} = require('../memory/layout.js');
const { Slot, sizeOf } = require('./slot.js');
const { E } = require('./names.js');

class Side {
  // `bytes`: of slots, at most.
  constructor(server, index, memory, capacity, bytes = Infinity) {
    this.server = server;
    this.index = index;
    this.words = new Int32Array(memory);
    this.mask = capacity - 1;
    this.commands = RING_CONTROL_WORDS + capacity;
    this.returns = this.commands + capacity;
    this.blocks = this.returns + RING_LOANS;
    this.pages = Buffer.from(memory, (this.blocks + capacity / RING_BLOCK_SLOTS) * 4);
    this.words[RING_CAPACITY] = capacity;
    this.words[RING_PROTOCOL] = RING_VERSION;
    this.words[RING_VM_ASLEEP] = 1;
    this.slots = [];
    this.blockMost = Math.min(capacity / RING_BLOCK_SLOTS, Math.floor(bytes / (RING_BLOCK_SLOTS * RING_SLOT_SIZE)));
    this.free = [];
    this.waiting = []; // records that wait for a slot
    this.starved = new Set(); // slots that wait for a page
    this.loans = new Map();
    this.eventTail = this.commandHead = this.returnTail = 0;
    this.news = []; // of connections
    this.sockets = null;
    this.hasNews = false;
  }

  // ---------------------------------------------------------------- memory

  addBlock(number, block) {
    if (number >= this.blockMost) return -E.ETOOBIG;
    this.words[this.blocks + number] = 1;
    for (let i = 0; i < RING_BLOCK_SLOTS; i++) {
      const slot = new Slot(this, number * RING_BLOCK_SLOTS + i, block, i * RING_SLOT_SIZE);
      this.slots[slot.index] = slot;
      this.free.push(slot);
    }
    this.server.turnSoon(); // which counts them: until then they are on their way
    return 0;
  }

  lend(loan, bytes) {
    if (this.loans.has(loan) || loan >= RING_LOANS) return -E.ESTATE;
    this.loans.set(loan, bytes);
    return 0;
  }

  // A copy of what is lent; the loan comes back at once. undefined: there is none.
  takeLoan(loan) {
    const bytes = this.loans.get(loan);
    if (bytes === undefined) return undefined;
    const copy = Buffer.from(bytes);
    this.giveLoan(loan);
    return copy;
  }

  giveLoan(loan) {
    if (!this.loans.delete(loan)) return;
    this.words[this.returns + (this.returnTail & (RING_LOANS - 1))] = loan;
    this.returnTail = (this.returnTail + 1) | 0;
    this.words[RING_RETURN_TAIL] = this.returnTail;
    this.hasNews = true;
  }

  // The number of a free page, or 0.
  freePage() {
    for (let page = 1; page <= RING_PAGES; page++) if (this.words[RING_PAGES_HELD + page - 1] === 0) return page;
    return 0;
  }

  takePage() {
    const page = this.freePage();
    if (page > 0) this.words[RING_PAGES_HELD + page - 1] = 1;
    return page;
  }

  givePage(page) {
    if (page > 0) this.words[RING_PAGES_HELD + page - 1] = 0;
  }

  page(number) {
    return this.pages.subarray((number - 1) * RING_PAGE_SIZE, number * RING_PAGE_SIZE);
  }

  // ---------------------------------------------------------------- requests

  handle(record) {
    if (sizeOf(record.head) > RING_PAGE_SIZE) {
      record.refuse(431, 'over-limit');
      record.release();
      return;
    }
    if (this.free.length === 0 && this.slots.length + this.waiting.length >= this.blockMost * RING_BLOCK_SLOTS) {
      this.countRefused();
      record.refuse(503, 'over-limit');
      record.release();
      return;
    }
    record.held = true;
    this.waiting.push(record);
    this.serveWaiting();
    this.server.turnSoon();
  }

  // The program has the log.
  countRefused() {
    this.server.counts.requestsRefused++;
    this.words[RING_REFUSED]++;
    this.hasNews = true;
    this.server.turnSoon();
  }

  serveWaiting() {
    while (this.waiting.length > 0 && (this.waiting[0].over || this.free.length > 0)) {
      const record = this.waiting.shift();
      if (record.over) record.core.guard(() => record.release());
      else this.give(this.free.pop(), record);
    }
    this.words[RING_SLOTS] = this.slots.length;
    if (this.waiting.length !== this.words[RING_SLOTS_WANTED]) this.hasNews = true;
    this.words[RING_SLOTS_WANTED] = this.waiting.length;
    for (const slot of [...this.starved]) {
      if (this.freePage() === 0) break;
      if (this.starved.delete(slot)) slot.goOn();
    }
  }

  give(slot, record) {
    slot.record = record;
    slot.watched = slot.reading = false;
    slot.generation = (slot.generation + 1) | 0;
    slot.words[SLOT_GENERATION] = slot.generation;
    slot.words[SLOT_FLAGS] = slot.words[SLOT_NOTIFY] = 0;
    record.owner = slot;
    slot.goOn();
  }

  tellRequest(slot) {
    const unheard = slot.words[SLOT_NEWS];
    slot.words[SLOT_NEWS] = NEWS_REQUEST;
    slot.held = true;
    if (unheard === 0) this.putEvent(slot);
    if (unheard & (NEWS_CONTENT | NEWS_CONTENT_END)) this.givePage(slot.piecePage);
    slot.piecePage = 0;
    this.hasNews = true;
  }

  tell(slot, news) {
    const before = slot.words[SLOT_NEWS];
    slot.words[SLOT_NEWS] = before | news;
    if (before === 0) this.putEvent(slot);
    this.hasNews = true;
    this.server.turnSoon();
  }

  putEvent(slot) {
    this.words[RING_CONTROL_WORDS + (this.eventTail & this.mask)] = slot.index;
    this.eventTail = (this.eventTail + 1) | 0;
    this.words[RING_EVENT_TAIL] = this.eventTail;
  }

  // ---------------------------------------------------------------- connections

  opened(connection) {
    const { number, peer, secure } = connection;
    this.tellConnection([number, RING_OPENED, peer.family, peer.port, peer.text, secure, 'none', 0, 0]);
  }

  closed(connection, reason) {
    const { number, peer, secure, received, sent } = connection;
    this.tellConnection([number, RING_CLOSED, peer.family, peer.port, peer.text, secure, reason, received, sent]);
  }

  tellConnection(news) {
    this.news.push(news);
    this.words[RING_CONNECTION_NEWS] = (this.words[RING_CONNECTION_NEWS] + 1) | 0;
    this.hasNews = true;
    this.server.turnSoon();
  }

  // ---------------------------------------------------------------- turns

  // What the program asks for.
  takeCommands() {
    this.serveWaiting();
    const tail = this.words[RING_COMMAND_TAIL];
    while (this.commandHead !== tail) {
      const slot = this.slots[this.words[this.commands + (this.commandHead & this.mask)]];
      this.commandHead = (this.commandHead + 1) | 0;
      if (slot === undefined) this.words[RING_BAD_COMMANDS]++;
      else slot.takeMessage();
    }
    this.sockets?.takeMessages();
    this.serveWaiting();
  }

  // Whether the program is to be called: it sleeps, and there is something for it.
  get wakesProgram() {
    if (!this.hasNews || this.words[RING_VM_ASLEEP] === 0) return false;
    this.words[RING_VM_ASLEEP] = 0;
    this.hasNews = false;
    return true;
  }

  // Whether there is something that the engine has not taken.
  get isAwake() {
    return this.commandHead !== this.words[RING_COMMAND_TAIL] || (this.hasNews && this.words[RING_VM_ASLEEP] !== 0);
  }

  sleep() {
    this.words[RING_ENGINE_ASLEEP] = 1;
  }
}

module.exports = { Side };
