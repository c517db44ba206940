// A slot as the engine sees it: a request is written into it, and the messages that the program writes there are done, as
// src/ring/message.c does them.
'use strict';

const {
  RING_SLOT_SIZE,
  RING_PAGE_SIZE,
  RING_BAD_COMMANDS,
  SLOT_HEAD_PAGE,
  SLOT_METHOD_LENGTH,
  SLOT_VERSION,
  SLOT_TARGET,
  SLOT_TARGET_LENGTH,
  SLOT_FIELD_COUNT,
  SLOT_HEAD_LENGTH,
  SLOT_LENGTH_LOW,
  SLOT_LENGTH_HIGH,
  SLOT_CONTENT_HERE,
  SLOT_PIECE_PAGE,
  SLOT_PIECE_LENGTH,
  SLOT_TRAILERS_LENGTH,
  SLOT_REASON,
  SLOT_SENT_LOW,
  SLOT_SENT_HIGH,
  SLOT_ERROR,
  SLOT_PEER,
  SLOT_CONNECTION,
  SLOT_LOCAL,
  SLOT_PROTOCOL,
  SLOT_FLAGS,
  SLOT_ECHO,
  SLOT_STATUS,
  SLOT_FIELDS_LENGTH,
  SLOT_DATA_LENGTH,
  SLOT_DATA_LOAN,
  SLOT_WHOLE_LOW,
  SLOT_WHOLE_HIGH,
  SLOT_OUT_TRAILERS,
  SLOT_NOTIFY,
  SLOT_FIELDS_LOAN,
  SLOT_ROOM_LOAN,
  SLOT_IN,
  SLOT_OUT,
  NEWS_CONTENT,
  NEWS_CONTENT_END,
  NEWS_ROOM,
  NEWS_ENDED,
  NEWS_ERROR,
  NEWS_CONTENT_LOST,
  FLAG_RAW,
  FLAG_CANCEL,
  FLAG_INFORM,
  FLAG_UPGRADE,
  FLAG_HEAD,
  FLAG_DATA,
  FLAG_END,
  FLAG_READ,
  FLAG_WATCH,
  FLAG_RELEASE,
  FLAG_FETCH,
  FLAG_WAITS,
  FLAG_FILL,
} = require('../memory/layout.js');
const { E, REASONS } = require('./names.js');
const { readFields, addressInto } = require('./bytes.js');

const ROOM_IN = SLOT_OUT - SLOT_IN;
const ROOM_OUT = RING_SLOT_SIZE - SLOT_OUT;
const RESPONSE = FLAG_RAW | FLAG_INFORM | FLAG_UPGRADE | FLAG_HEAD | FLAG_DATA | FLAG_END;
const NOTHING = Buffer.alloc(0);

// Bytes that a request takes in a slot or a page.
function sizeOf({ method, target, fields }) {
  let size = 2 * 2 * fields.length + method.length + target.length + 2;
  for (const text of fields) size += text.length;
  return size;
}

class Slot {
  constructor(side, index, block, offset) {
    this.side = side;
    this.index = index;
    this.words = new Int32Array(block, offset, RING_SLOT_SIZE / 4);
    this.bytes = Buffer.from(block, offset, RING_SLOT_SIZE);
    this.record = null;
    this.generation = 0;
    this.held = false; // by the program
    this.watched = false;
    this.reading = false; // the program wants content
    this.piecePage = 0;
    this.blocked = false; // the message waits for the client
    this.room = null; // that was lent for content
    this.roomLoan = 0;
  }

  // ---------------------------------------------------------------- the request

  // Writes the request, or waits for a page.
  begin() {
    const { head } = this.record;
    const lines = [head.method, ' ', head.target, '\n'];
    const table = [];
    let at = head.method.length + 1 + head.target.length + 1;
    for (let i = 0; i < head.fields.length; i += 2) {
      const [name, value] = [head.fields[i], head.fields[i + 1]];
      table.push(at, name.length, at + name.length, value.length);
      lines.push(name, value);
      at += name.length + value.length;
    }
    const text = lines.join('');
    const size = 2 * table.length + text.length;
    const page = size > ROOM_IN ? this.side.takePage() : 0;
    if (size > ROOM_IN && page === 0) {
      this.side.starved.add(this);
      return;
    }
    const place = page === 0 ? this.bytes.subarray(SLOT_IN, SLOT_OUT) : this.side.page(page);
    for (let i = 0; i < table.length; i++) place.writeUInt16LE(table[i], 2 * i);
    place.latin1Write(text, 2 * table.length);
    this.writeNumbers(text, page);
    this.writeContent(page === 0 ? size : 0);
    this.side.tellRequest(this);
  }

  writeNumbers(text, page) {
    const { words, record } = this;
    const { head, core } = record;
    words[SLOT_HEAD_PAGE] = page;
    words[SLOT_METHOD_LENGTH] = head.method.length;
    words[SLOT_VERSION] = head.version | (head.wantsUpgrade ? 256 : 0) | (head.refusal << 16);
    words[SLOT_TARGET] = head.method.length + 1;
    words[SLOT_TARGET_LENGTH] = head.target.length;
    words[SLOT_FIELD_COUNT] = head.fields.length / 2;
    words[SLOT_HEAD_LENGTH] = text.length;
    // Content that turned out to be empty is content all the same.
    const isKnown = record.content === 'whole' && record.trailers.length === 0 && record.unread > 0;
    const length = isKnown ? record.unread : head.contentLength;
    words[SLOT_LENGTH_LOW] = length < 0 ? -1 : length % 4294967296;
    words[SLOT_LENGTH_HIGH] = length < 0 ? -1 : Math.floor(length / 4294967296);
    words[SLOT_CONTENT_HERE] = 0;
    words[SLOT_REASON] = REASONS.indexOf(head.refusalReason);
    words[SLOT_CONNECTION] = core.number;
    words[SLOT_PROTOCOL] = head.protocol === null ? 0 : text.indexOf(head.protocol, text.indexOf('\n')) | (head.protocol.length << 16);
    addressInto(words, SLOT_PEER, core.peer);
    addressInto(words, SLOT_LOCAL, core.local);
  }

  // Content that has come whole and fits goes along.
  writeContent(used) {
    const { record } = this;
    if (record.content !== 'whole' || record.unread === 0 || record.unread > ROOM_IN - used || record.trailers.length > 0) return;
    const bytes = record.read(ROOM_IN);
    this.bytes.set(bytes, SLOT_IN + used);
    this.words[SLOT_CONTENT_HERE] = bytes.length;
  }

  // ---------------------------------------------------------------- content

  contentCame() {
    if (this.reading) this.read();
  }

  // What is new, or waited for a page. A request whose client has left meanwhile is told to nobody; where a fault met it, that waits until
  // its connection has gone.
  goOn() {
    const { record } = this;
    if (record === null) return;
    const isDone = record.core.guard(() => {
      if (this.held && this.reading) this.read();
      else if (!this.held && record.over) this.release();
      else if (!this.held) this.begin();
    });
    if (!isDone) this.side.starved.add(this);
  }

  // Content is asked for: in a page, or in the room that the program has lent.
  beginRead(flags) {
    this.roomLoan = this.words[SLOT_ROOM_LOAN];
    this.room = this.roomLoan === 0 ? null : this.side.loans.get(this.roomLoan - 1) || null;
    this.have = 0; // bytes in the room
    this.fills = (flags & FLAG_FILL) !== 0;
    this.read();
  }

  read() {
    const { record, room, side } = this;
    this.reading = true;
    if (room !== null) {
      const bytes = record.read(room.length - this.have);
      room.set(bytes, this.have);
      this.have += bytes.length;
    }
    const wantsMore = room !== null && (this.have === 0 || (this.fills && this.have < room.length));
    if ((room === null || wantsMore) && record.unread === 0 && record.content === 'coming') {
      record.want();
      return;
    }
    const needsPage = room === null ? record.unread > 0 || record.trailers.length > 0 : record.trailers.length > 0;
    const page = needsPage ? side.takePage() : 0;
    if (needsPage && page === 0) {
      side.starved.add(this);
      return;
    }
    this.tellPiece(page);
  }

  tellPiece(page) {
    const { record, words, side } = this;
    const piece = this.room === null ? record.read(RING_PAGE_SIZE) : NOTHING;
    const length = this.room === null ? piece.length : this.have;
    let news = length > 0 ? NEWS_CONTENT : 0;
    words[SLOT_TRAILERS_LENGTH] = 0;
    if (piece.length > 0) side.page(page).set(piece);
    if (record.unread === 0 && record.content === 'lost') news |= NEWS_CONTENT_LOST;
    else if (record.unread === 0 && record.content === 'whole') {
      const place = page === 0 ? NOTHING : side.page(page).subarray(piece.length);
      const size = writeTrailers(place, record.trailers, piece.length === 0);
      if (size >= 0) {
        words[SLOT_TRAILERS_LENGTH] = size;
        news |= NEWS_CONTENT_END;
      }
    }
    this.reading = false;
    this.giveRoom();
    this.piecePage = words[SLOT_PIECE_PAGE] = page;
    words[SLOT_PIECE_LENGTH] = length;
    side.tell(this, news);
  }

  giveRoom() {
    if (this.room !== null) this.side.giveLoan(this.roomLoan - 1);
    this.room = null;
  }

  // ---------------------------------------------------------------- messages

  takeMessage() {
    const { words } = this;
    const flags = words[SLOT_FLAGS];
    if (flags === 0) return;
    if (!this.held || words[SLOT_ECHO] !== this.generation) this.dropMessage();
    else this.record.core.guard(() => this.doMessage(flags));
  }

  // One for another request, or for none, goes all the same: what is to be said of this one would wait for it for ever.
  dropMessage() {
    this.side.words[RING_BAD_COMMANDS]++;
    this.blocked = false;
    this.words[SLOT_FLAGS] = 0;
    if (this.held) this.tellRoom();
  }

  doMessage(flags) {
    const { words, record, side } = this;
    this.blocked = false;
    if (flags & FLAG_WATCH) this.watched = true;
    if (flags & FLAG_CANCEL) record.cancel('canceled');
    if (flags & RESPONSE) {
      const message = new Message(this, flags);
      const error = message.fits ? message.act() : E.EINVAL;
      if (error === E.EAGAIN) {
        this.blocked = true;
        words[SLOT_FLAGS] = (message.left & ~(FLAG_WATCH | FLAG_CANCEL | FLAG_FETCH | FLAG_FILL)) | FLAG_WAITS;
        if (flags & FLAG_FETCH) this.beginRead(flags);
        return;
      }
      if (error > 0) message.returnLoans();
      if (error > 0 && error !== E.ECANCELED) {
        words[SLOT_ERROR] = error;
        side.tell(this, NEWS_ERROR);
        flags &= ~FLAG_RELEASE; // the program answers otherwise
      }
    }
    this.taken(flags);
  }

  taken(flags) {
    const { words, side } = this;
    words[SLOT_FLAGS] = 0;
    if (flags & FLAG_RELEASE) {
      if (flags & (FLAG_READ | FLAG_FETCH)) side.giveLoan(words[SLOT_ROOM_LOAN] - 1);
      this.release();
      return;
    }
    if (flags & (FLAG_READ | FLAG_FETCH)) this.beginRead(flags);
    this.tellRoom();
  }

  // Who waits for the message to be taken, hears of that.
  tellRoom() {
    if (this.words[SLOT_NOTIFY] === 0) return;
    this.words[SLOT_NOTIFY] = 0;
    this.side.tell(this, NEWS_ROOM);
  }

  roomCame() {
    if (this.blocked && !this.record.isFull) this.takeMessage();
  }

  ended(reason) {
    const { words, record } = this;
    if (this.blocked) queueMicrotask(() => this.blocked && this.takeMessage());
    if (!this.held || (reason === 'complete' && !this.watched)) return;
    words[SLOT_REASON] = REASONS.indexOf(reason);
    words[SLOT_SENT_LOW] = record.framed % 4294967296;
    words[SLOT_SENT_HIGH] = Math.floor(record.framed / 4294967296);
    this.side.tell(this, NEWS_ENDED);
  }

  release() {
    const { record } = this;
    this.give();
    record.release();
  }

  // The slot is free; its record is somebody else's.
  give() {
    this.giveRoom();
    this.side.starved.delete(this);
    this.record = null;
    this.held = this.reading = this.blocked = false;
    this.side.free.push(this);
  }
}

// A message as it was when it was taken.
class Message {
  constructor({ words, bytes, record, side }, flags) {
    this.flags = this.left = flags;
    this.record = record;
    this.side = side;
    this.words = words;
    this.bytes = bytes;
    this.fields = words[SLOT_FIELDS_LENGTH];
    this.data = flags & FLAG_DATA ? words[SLOT_DATA_LENGTH] : 0;
    this.loan = flags & FLAG_DATA ? words[SLOT_DATA_LOAN] : 0; // its number + 1
    const hasHead = (flags & (FLAG_HEAD | FLAG_INFORM | FLAG_UPGRADE)) !== 0; // else its loan has come back before
    const isLoneEnd = (flags & (FLAG_END | FLAG_DATA)) === FLAG_END;
    this.fieldsLoan = hasHead || isLoneEnd ? words[SLOT_FIELDS_LOAN] : 0;
    this.trailers = flags & FLAG_END ? words[SLOT_OUT_TRAILERS] : 0;
    const [low, high] = [words[SLOT_WHOLE_LOW] >>> 0, words[SLOT_WHOLE_HIGH]];
    this.length = high < 0 ? -1 : high * 4294967296 + low;
  }

  // Whether the slot can hold what it says is there.
  get fits() {
    const { loan, data, fields, trailers } = this;
    return (loan === 0 ? data >>> 0 : 0) + (fields >>> 0) + (trailers >>> 0) <= ROOM_OUT;
  }

  // 0 or an error; after EAGAIN `left` has what is to be done still.
  act() {
    const { record, flags } = this;
    let error = 0;
    if (flags & FLAG_RAW) {
      error = record.raw();
      if (error > 0) return error;
      this.left &= ~FLAG_RAW;
    }
    if (flags & (FLAG_HEAD | FLAG_INFORM | FLAG_UPGRADE)) {
      error = this.head();
      if (error > 0 || flags & (FLAG_INFORM | FLAG_UPGRADE)) return error;
      this.left &= ~FLAG_HEAD;
      if (this.isWhole) return 0;
    }
    if (flags & FLAG_DATA) error = this.write();
    if (error > 0) return error;
    this.left &= ~FLAG_DATA;
    return flags & FLAG_END ? this.end() : 0;
  }

  // Head and end are a whole response. With trailers they are not, nor where HEAD is answered without a word of the length.
  get isWhole() {
    const open = !(this.flags & FLAG_DATA) && this.length < 0;
    return (this.flags & FLAG_END) !== 0 && this.trailers === 0 && !(open && this.record.head.isHead);
  }

  head() {
    const { record, flags } = this;
    let fields = this.takeFields(SLOT_OUT, this.fields);
    if (fields === null) return E.EINVAL;
    let phrase = '';
    if (fields.length > 0 && fields[0] === '') {
      phrase = fields[1];
      fields = fields.slice(2);
    }
    const response = { status: this.words[SLOT_STATUS], phrase, fields };
    if (flags & FLAG_INFORM) return record.inform(response);
    if (flags & FLAG_UPGRADE) return record.upgrade(response);
    if (!this.isWhole) return record.begin(response, this.length);
    const content = this.content();
    return content === undefined ? E.EINVAL : record.respond(response, content);
  }

  // Fields that lie in the slot, or in the loan that is named; null: there are none such.
  takeFields(at, length) {
    if (this.fieldsLoan === 0) return readFields(this.bytes, at, length, 2);
    const bytes = this.side.takeLoan(this.fieldsLoan - 1);
    this.fieldsLoan = 0;
    return bytes === undefined ? null : readFields(bytes, 0, bytes.length, 4);
  }

  content() {
    if (this.loan === 0) return Buffer.from(this.bytes.subarray(SLOT_OUT + this.fields, SLOT_OUT + this.fields + this.data));
    const bytes = this.side.takeLoan(this.loan - 1);
    this.loan = 0;
    return bytes;
  }

  write() {
    if (this.record.isFull) return E.EAGAIN; // and the loan stays
    const content = this.content();
    return content === undefined ? E.EINVAL : this.record.write(content);
  }

  end() {
    const withData = (this.flags & FLAG_DATA) !== 0;
    const at = SLOT_OUT + this.fields + (withData && this.words[SLOT_DATA_LOAN] === 0 ? this.data : 0);
    const fields = withData ? readFields(this.bytes, at, this.trailers, 2) : this.takeFields(at, this.trailers);
    return fields === null ? E.EINVAL : this.record.end(fields);
  }

  // Those that a refused message named and nobody took.
  returnLoans() {
    for (const loan of [this.loan, this.fieldsLoan]) if (loan > 0) this.side.giveLoan(loan - 1);
  }
}

// How many bytes; -1: there is no room. `cut`: there will be none elsewhere, so as many are written as fit.
function writeTrailers(place, trailers, cut) {
  let at = 0;
  for (let i = 0; i < trailers.length; i += 2) {
    const [name, value] = [trailers[i], trailers[i + 1]];
    if (at + 4 + name.length + value.length > place.length) return cut ? at : -1;
    place.writeUInt16LE(name.length, at);
    place.writeUInt16LE(value.length, at + 2);
    place.latin1Write(name + value, at + 4);
    at += 4 + name.length + value.length;
  }
  return at;
}

module.exports = { Slot, sizeOf };
