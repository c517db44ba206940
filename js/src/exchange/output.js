// What an exchange sends in more than one message: heads, pieces of content and the end wait here
// until the engine has taken the message before.
'use strict';

const {
  SLOT_FLAGS,
  SLOT_STATUS,
  SLOT_FIELDS_LENGTH,
  SLOT_DATA_LENGTH,
  SLOT_DATA_LOAN,
  SLOT_WHOLE_LOW,
  SLOT_WHOLE_HIGH,
  SLOT_OUT_TRAILERS,
  SLOT_NOTIFY,
  SLOT_OUT,
  RING_SLOT_SIZE,
  FLAG_INFORM,
  FLAG_UPGRADE,
  FLAG_HEAD,
  FLAG_DATA,
  FLAG_END,
  FLAG_READ,
  FLAG_CANCEL,
  FLAG_RELEASE,
} = require('../ring/layout.js');
const { ClientGone } = require('./client-gone.js');
const { encodeFields, fieldsLength, writeFields } = require('../ring/codec.js');

const ROOM = RING_SLOT_SIZE - SLOT_OUT;
// Content that may wait here before write() says to wait.
const HIGH_WATER = 65536;
// Pieces at least so long are lent alone; shorter ones are joined.
const ALONE = 16384;

let scheduled = [];

function pumpScheduled() {
  const outputs = scheduled;
  scheduled = [];
  for (const output of outputs) {
    output.scheduled = false;
    output.pump();
  }
}

class Output {
  constructor(exchange) {
    this.exchange = exchange;
    this.flags = 0; // to go with the next message
    this.heads = []; // { flag, status, fields, length }, in order
    this.pieces = [];
    this.buffered = 0;
    this.ending = null; // { trailers }
    this.waiting = null; // who waits for room
    this.scheduled = false;
    this.starving = false; // in the ring's list
    this.released = false;
  }

  get busy() {
    return this.flags !== 0 || this.heads.length > 0 || this.pieces.length > 0 || this.ending !== null;
  }

  // ---------------------------------------------------------------- what is to be sent

  add(flags) {
    this.flags |= flags;
    this.pump();
  }

  pushHead(flag, status, fields, length) {
    if (fieldsLength(fields) > ROOM) this.exchange.refuseFields();
    else this.heads.push({ flag, status, fields: fields.slice(), length });
  }

  inform(status, fields) {
    this.pushHead(FLAG_INFORM, status, fields, -1);
    this.pump();
  }

  begin(flag, status, fields, length) {
    this.pushHead(flag, status, fields, length);
    if (flag === FLAG_UPGRADE) this.pump();
    else this.schedule(); // with the first piece, when that comes at once
  }

  whole(status, fields, bytes) {
    this.pushHead(FLAG_HEAD, status, fields, bytes === null ? 0 : bytes.length);
    if (bytes !== null && bytes.length > 0) this.push(bytes);
    this.exchange.ended = true;
    this.end(null);
  }

  // The bytes are lent to the engine where there are many: they must be nobody else's.
  push(bytes) {
    this.pieces.push(bytes);
    this.buffered += bytes.length;
  }

  write(bytes) {
    if (bytes.length > 0) this.push(bytes);
    const room = this.buffered < HIGH_WATER;
    if (room) this.schedule();
    else this.pump();
    return room;
  }

  end(trailers) {
    this.ending = { trailers };
    this.pump();
  }

  ready() {
    // A turn of the loop all the same: an engine on a thread may take bytes as fast as a stream gives them, and
    // the stream must not keep JavaScript from hearing that the client has gone.
    if (this.buffered < HIGH_WATER)
      return new Promise((resolve) => {
        setImmediate(resolve);
      });
    if (this.waiting === null) {
      this.waiting = {};
      this.waiting.promise = new Promise((resolve, reject) => {
        this.waiting.resolve = resolve;
        this.waiting.reject = reject;
      });
    }
    return this.waiting.promise;
  }

  // What is written while JavaScript has something to do leaves in one message.
  schedule() {
    if (this.scheduled) return;
    this.scheduled = true;
    if (scheduled.push(this) === 1) setImmediate(pumpScheduled);
  }

  // ---------------------------------------------------------------- messages

  // Send the next message, if the engine has taken the last one; otherwise it says when.
  pump() {
    const exchange = this.exchange;
    if (this.released || !this.busy) return;
    const words = exchange.slot.words;
    if (Atomics.load(words, SLOT_FLAGS) !== 0) {
      Atomics.store(words, SLOT_NOTIFY, 1);
      if (Atomics.load(words, SLOT_FLAGS) !== 0) return;
    }
    this.compose(words);
    if (this.busy && !this.released) Atomics.store(words, SLOT_NOTIFY, 1);
    if (this.waiting !== null && this.buffered < HIGH_WATER) {
      this.waiting.resolve();
      this.waiting = null;
    }
  }

  compose(words) {
    const exchange = this.exchange;
    const bytes = exchange.slot.bytes;
    let flags = this.flags & ~FLAG_RELEASE;
    this.flags &= FLAG_RELEASE;
    let used = 0;
    words[SLOT_DATA_LENGTH] = words[SLOT_DATA_LOAN] = words[SLOT_OUT_TRAILERS] = 0;
    const head = exchange.over ? undefined : this.heads.shift();
    if (head !== undefined) {
      used = writeFields(bytes, SLOT_OUT, ROOM, head.fields);
      words[SLOT_STATUS] = head.status;
      words[SLOT_WHOLE_LOW] = head.length < 0 ? -1 : head.length % 4294967296;
      words[SLOT_WHOLE_HIGH] = head.length < 0 ? -1 : Math.floor(head.length / 4294967296);
      flags |= head.flag;
    }
    words[SLOT_FIELDS_LENGTH] = used;
    const alone = head !== undefined && head.flag !== FLAG_HEAD;
    if (!alone && !exchange.over && this.pieces.length > 0) {
      const length = this.composePieces(words, bytes, used);
      if (length >= 0) {
        flags |= FLAG_DATA;
        used += length;
      }
    }
    if (!alone && this.ending !== null && this.pieces.length === 0 && this.heads.length === 0) flags |= this.composeEnd(words, bytes, used);
    if (this.flags & FLAG_RELEASE && (exchange.over || !this.busyButRelease())) {
      flags |= FLAG_RELEASE;
      this.flags = 0;
      this.released = true;
    }
    if (flags !== 0) exchange.put(flags);
  }

  busyButRelease() {
    return this.heads.length > 0 || this.pieces.length > 0 || this.ending !== null;
  }

  // How many bytes of the slot it took; -1: nothing could be sent now.
  composePieces(words, bytes, used) {
    if (this.buffered <= ROOM - used) {
      let at = SLOT_OUT + used;
      for (const piece of this.pieces) {
        bytes.set(piece, at);
        at += piece.length;
      }
      const length = at - SLOT_OUT - used;
      this.pieces = [];
      this.buffered = 0;
      words[SLOT_DATA_LENGTH] = length;
      return length;
    }
    const piece = this.nextPiece();
    const loan = this.exchange.slot.ring.lend(piece);
    if (loan < 0) {
      this.pieces.unshift(piece);
      this.buffered += piece.length;
      this.exchange.slot.ring.starve(this); // loans come back as the kernel takes bytes
      return -1;
    }
    words[SLOT_DATA_LOAN] = loan + 1;
    words[SLOT_DATA_LENGTH] = piece.length;
    return 0;
  }

  nextPiece() {
    let count = 1;
    let length = this.pieces[0].length;
    while (length < ALONE && count < this.pieces.length) length += this.pieces[count++].length;
    const taken = this.pieces.splice(0, count);
    this.buffered -= length;
    return count === 1 ? taken[0] : Buffer.concat(taken);
  }

  composeEnd(words, bytes, used) {
    const { trailers } = this.ending;
    this.ending = null;
    if (trailers !== null && trailers.length > 0) {
      const block = encodeFields(trailers);
      if (block.length <= ROOM - used) {
        bytes.set(block, SLOT_OUT + used);
        words[SLOT_OUT_TRAILERS] = block.length;
      }
    }
    const flag = this.exchange.endFlag();
    if (flag === FLAG_RELEASE) this.released = true;
    return FLAG_END | flag;
  }

  // ---------------------------------------------------------------- the end

  // The exchange is over: nothing more is sent.
  close(reason) {
    this.drop();
    if (this.waiting !== null) {
      this.waiting.reject(new ClientGone(reason));
      this.waiting.promise.catch(() => {}); // nobody may be waiting any more
      this.waiting = null;
    }
  }

  // The engine refused the message: what follows it is void.
  refused() {
    this.drop();
    this.released = false;
  }

  drop() {
    this.heads = [];
    this.pieces = [];
    this.buffered = 0;
    this.ending = null;
    this.flags &= FLAG_READ | FLAG_CANCEL | FLAG_RELEASE;
  }
}

module.exports = { Output };
