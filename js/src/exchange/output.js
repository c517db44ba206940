// What an exchange sends in more than one message. Heads, pieces of content and the end wait here until the engine has taken the
// message before.
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
  SLOT_FIELDS_LOAN,
  SLOT_OUT,
  RING_SLOT_SIZE,
  FLAG_INFORM,
  FLAG_RAW,
  FLAG_UPGRADE,
  FLAG_HEAD,
  FLAG_DATA,
  FLAG_END,
  FLAG_CANCEL,
  FLAG_RELEASE,
  FLAG_FETCH,
  FLAG_FILL,
} = require('../memory/layout.js');
const { ClientGone } = require('./client-gone.js');
const { encodeFields, writeFields } = require('../ring/codec.js');
const { ownBytes } = require('../ring/copies.js');

const ROOM = RING_SLOT_SIZE - SLOT_OUT;
// Content that may wait here before write() says to wait.
const HIGH_WATER = 65536;
// Pieces at least so long are lent alone; shorter ones are joined.
const ALONE = 16384;
// Text of at most so many characters is joined as it is written, to so many.
const SHORT = 256;
const JOINED = 1024;

// Whether a piece ends with the first half of a character, to which the next one must not be joined.
function endsWithin(text) {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff;
}

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
    this.text = ''; // behind the pieces: short ones, joined
    this.buffered = 0; // of the text at least
    this.ending = null; // { trailers }
    this.waiting = null; // who waits for room
    this.scheduled = false;
    this.starving = false; // in the ring's list
    this.released = false;
  }

  get busy() {
    return this.flags !== 0 || this.heads.length > 0 || this.hasContent || this.ending !== null;
  }

  get hasContent() {
    return this.pieces.length > 0 || this.text !== '';
  }

  // ---------------------------------------------------------------- what is to be sent

  add(flags) {
    this.flags |= flags;
    this.pump();
  }

  pushHead(flag, status, fields, length) {
    this.exchange.fields = fields;
    this.exchange.status = status;
    const fits = this.exchange.fits(fields);
    if (fits) this.heads.push({ flag, status, fields: fields.slice(), length });
    return fits;
  }

  inform(status, fields) {
    this.pushHead(FLAG_INFORM, status, fields, -1);
    this.pump();
  }

  begin(flag, status, fields, length) {
    const fits = this.pushHead(flag, status, fields, length);
    if (flag === FLAG_UPGRADE) this.pump();
    else this.schedule(); // with the first piece, when that comes at once
    return fits;
  }

  whole(status, fields, bytes) {
    if (!this.pushHead(FLAG_HEAD, status, fields, bytes === null ? 0 : bytes.length)) return;
    if (bytes !== null && bytes.length > 0) this.push(bytes);
    this.exchange.answered = true;
    this.end(null);
  }

  // The bytes are lent to the engine where there are many: they must be nobody else's.
  push(bytes) {
    this.settle();
    this.pieces.push(bytes);
    this.buffered += bytes.length;
  }

  // Bytes, which stay the caller's, or text.
  write(content) {
    if (typeof content === 'string' && content.length <= SHORT) this.join(content);
    else {
      const bytes = ownBytes(content, false); // TypeError: they are detached
      if (bytes.length > 0) this.push(bytes);
    }
    const room = this.buffered < HIGH_WATER;
    if (room) this.schedule();
    else this.pump();
    return room;
  }

  join(text) {
    if (this.text.length > JOINED) this.settle();
    this.text += text;
    this.buffered += text.length;
    if (endsWithin(text)) this.settle();
  }

  // Makes what was joined one of the pieces.
  settle() {
    const { text } = this;
    if (text === '') return;
    this.text = '';
    const bytes = ownBytes(text, false);
    this.pieces.push(bytes);
    this.buffered += bytes.length - text.length;
  }

  end(trailers) {
    if (trailers !== null) this.exchange.fields = trailers;
    else {
      this.settle();
      if (this.buffered > 0) this.stateLength();
    }
    this.ending = { trailers };
    this.pump();
  }

  // All content is here and its head has not left: the head can say how long it is, in however many messages it goes.
  stateLength() {
    const head = this.heads.at(-1);
    if (head !== undefined && head.flag === FLAG_HEAD && head.length < 0) head.length = this.buffered;
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
    this.settle();
    const words = exchange.slot.words;
    if (Atomics.load(words, SLOT_FLAGS) !== 0) {
      Atomics.store(words, SLOT_NOTIFY, 1);
      if (Atomics.load(words, SLOT_FLAGS) !== 0) return;
    }
    this.compose(words);
    if (this.waiting !== null && this.buffered < HIGH_WATER) {
      this.waiting.resolve();
      this.waiting = null;
    }
  }

  compose(words) {
    const exchange = this.exchange;
    const bytes = exchange.slot.bytes;
    let { flags } = this;
    this.flags = 0;
    words[SLOT_DATA_LENGTH] = words[SLOT_DATA_LOAN] = words[SLOT_OUT_TRAILERS] = words[SLOT_FIELDS_LOAN] = 0;
    words[SLOT_FIELDS_LENGTH] = 0;
    const head = exchange.over ? 0 : this.composeHead(words, bytes);
    flags |= head;
    let used = words[SLOT_FIELDS_LENGTH];
    const alone = head === 0 ? this.heads.length > 0 : head !== FLAG_HEAD && head !== FLAG_RAW; // without content
    if (!alone && !exchange.over && this.pieces.length > 0) {
      const length = this.composePieces(words, bytes, used);
      if (length >= 0) {
        flags |= FLAG_DATA;
        used += length;
      }
    }
    if (!alone && this.ending !== null && this.pieces.length === 0 && this.heads.length === 0)
      flags |= this.composeEnd(words, bytes, used, flags);
    if (flags & FLAG_RELEASE) this.released = true; // the exchange is over
    if (flags & FLAG_FETCH) exchange.lendRoom();
    if (this.busy && !this.released) Atomics.store(words, SLOT_NOTIFY, 1); // before an engine on a thread can take the message
    if (flags !== 0) exchange.put(flags);
  }

  // The flag of the next head; 0: there is none, or it waits for a loan.
  composeHead(words, bytes) {
    if (this.heads.length === 0) return 0;
    const { flag, status, fields, length } = this.heads[0];
    const used = writeFields(bytes, SLOT_OUT, ROOM, fields);
    if (used >= 0) words[SLOT_FIELDS_LENGTH] = used;
    else if (!this.lendFields(words, encodeFields(fields))) return 0;
    this.heads.shift();
    words[SLOT_STATUS] = status;
    words[SLOT_WHOLE_LOW] = length < 0 ? -1 : length % 4294967296;
    words[SLOT_WHOLE_HIGH] = length < 0 ? -1 : Math.floor(length / 4294967296);
    return flag;
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
    const loan = this.lend(piece);
    if (loan < 0) {
      this.pieces.unshift(piece);
      this.buffered += piece.length;
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

  // A loan, or -1: then it is tried again when one comes back, as the kernel takes bytes.
  lend(bytes) {
    const { ring } = this.exchange.slot;
    const loan = ring.lend(bytes);
    if (loan < 0) ring.starve(this);
    return loan;
  }

  // Fields that do not fit into the slot. False: there is no loan.
  lendFields(words, bytes) {
    const loan = this.lend(bytes);
    words[SLOT_FIELDS_LOAN] = loan + 1;
    return loan >= 0;
  }

  // 0: the trailers need a message of their own, or a loan.
  composeEnd(words, bytes, used, flags) {
    const { trailers } = this.ending;
    if (trailers !== null && trailers.length > 0) {
      const length = writeFields(bytes, SLOT_OUT + used, ROOM - used, trailers);
      if (length >= 0) words[SLOT_OUT_TRAILERS] = length;
      else if ((flags & (FLAG_HEAD | FLAG_DATA)) !== 0 || !this.lendFields(words, encodeFields(trailers))) return 0;
    }
    this.ending = null;
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
    this.text = '';
    this.buffered = 0;
    this.ending = null;
    this.flags &= FLAG_FETCH | FLAG_FILL | FLAG_CANCEL | FLAG_RELEASE;
  }
}

module.exports = { Output };
