// One HTTP exchange over its slot: the head of its request (request-head.js), the content that is read of it, and the
// response, which is written as messages. ../README.md has the interface.
'use strict';

const native = require('../ring/native.js');
const {
  RING_SLOT_SIZE,
  SLOT_HEAD_LENGTH,
  SLOT_CONTENT_HERE,
  SLOT_REASON,
  SLOT_ERROR,
  SLOT_FLAGS,
  SLOT_ECHO,
  SLOT_STATUS,
  SLOT_FIELDS_LENGTH,
  SLOT_DATA_LENGTH,
  SLOT_DATA_LOAN,
  SLOT_OUT_TRAILERS,
  SLOT_FIELDS_LOAN,
  SLOT_ROOM_LOAN,
  SLOT_IN,
  SLOT_OUT,
  SLOT_SENT_LOW,
  SLOT_SENT_HIGH,
  NEWS_CONTENT,
  NEWS_CONTENT_END,
  NEWS_ROOM,
  NEWS_ENDED,
  NEWS_ERROR,
  NEWS_CONTENT_LOST,
  FLAG_RAW,
  FLAG_CANCEL,
  FLAG_UPGRADE,
  FLAG_HEAD,
  FLAG_DATA,
  FLAG_END,
  FLAG_WATCH,
  FLAG_RELEASE,
  FLAG_FETCH,
  FLAG_WAITS,
  FLAG_FILL,
} = require('../memory/layout.js');
const { Input } = require('./input.js');
const { Output } = require('./output.js');
const { ClientGone } = require('./client-gone.js');
const { fieldsBytes, writeFields, writeShort } = require('../ring/codec.js');
const { ownBytes } = require('../ring/copies.js');
const { REASONS, RequestHead, tooLate } = require('./request-head.js');
const { whyRefused } = require('./refusal.js');

const ROOM = RING_SLOT_SIZE - SLOT_OUT;
const NOTHING = new Uint8Array(0);
const ALL_READ = Object.freeze(Object.assign(new Input(), { done: true }));

class Exchange extends RequestHead {
  constructor(slot, generation) {
    super(slot);
    this.generation = generation;
    this.over = false; // the client has gone, or has the whole response: nothing can be sent any more
    this.answered = false; // all of the response was given; its last bytes may still have to leave
    this.onend = null;
    this.onerror = null;
    this.output = null; // what is streamed
    this.input = null; // who reads content
    this.fields = null; // of the response, as they were given
    this.status = 0; // and its status
    this.source = null; // what gives the content of the response, until it has; told when the client goes
  }

  // ---------------------------------------------------------------- the request's content

  contentNow() {
    if (this.released) return null;
    if (this.contentLength === 0 && !this.wantsUpgrade) return NOTHING;
    const start = this.takeContent();
    return start < 0 ? null : new Uint8Array(this.slot.bytes.subarray(start, start + this.slot.words[SLOT_CONTENT_HERE]));
  }

  // The same as text: no bytes of it are made.
  textNow() {
    const start = this.released ? -1 : this.takeContent();
    return start < 0 ? null : this.slot.bytes.utf8Slice(start, start + this.slot.words[SLOT_CONTENT_HERE]);
  }

  // Whether it has come whole with the head, and nobody has taken it.
  get contentIsHere() {
    return this.input === null && this.slot.words[SLOT_CONTENT_HERE] !== 0;
  }

  // Where the content lies that has come whole, or -1: it has not, or is taken.
  takeContent() {
    if (!this.contentIsHere) return -1;
    const words = this.slot.words;
    this.input = ALL_READ;
    return this.table === SLOT_IN ? this.headStart() + words[SLOT_HEAD_LENGTH] : SLOT_IN; // behind a long head it is alone
  }

  // The next piece, in memory of its own; null: there is none.
  read() {
    const now = this.readNow();
    return now !== null ? now : this.ask(this.input.roomForPiece(this.contentLength, this.slot.ring.mostRoom()), true, 0);
  }

  // The same into bytes of the reader's, which it leaves alone till then; how many came, 0: that was all. `fill`: as many as there is
  // room for, if they come. `lend`: false: by a copy, because somebody else has the bytes, too.
  readInto(bytes, fill, lend = true) {
    const now = this.readNow();
    const asked = now !== null ? now : this.ask(lend ? bytes : null, false, fill ? FLAG_FILL : 0);
    return asked.then((piece) => {
      if (piece === null) return 0;
      return piece.buffer === bytes.buffer ? piece.length : this.input.putInto(bytes, piece);
    });
  }

  // Of so many bytes those for which room may be made, before they come.
  roomFor(bytes) {
    return this.slot.ring.roomFor(bytes);
  }

  // A promise of what can be read without the engine; null: that is to be asked.
  readNow() {
    if (this.input === null) {
      const now = this.contentNow();
      this.input = new Input();
      if (now !== null) {
        this.input.done = true;
        return Promise.resolve(now.length > 0 ? now : null);
      }
    }
    const { input } = this;
    const { rest } = input;
    if (rest !== null) {
      input.rest = null;
      return Promise.resolve(rest);
    }
    if (input.done) return Promise.resolve(null);
    if (this.over ? this.reason !== 'complete' : input.lost) return Promise.reject(new ClientGone(this.reason || 'client-closed'));
    if (input.lost || this.released) return Promise.reject(tooLate());
    return null;
  }

  ask(room, own, flags) {
    clearTimeout(this.idle);
    const { input } = this;
    input.room = room;
    return new Promise((resolve, reject) => {
      input.reading = { resolve, reject, own };
      this.send(FLAG_FETCH | flags);
    });
  }

  // Lends the room for the piece that the next message asks for.
  lendRoom() {
    const { input, slot } = this;
    input.loan = input.room === null ? 0 : slot.ring.lendRoom(input.room);
    slot.words[SLOT_ROOM_LOAN] = input.loan;
  }

  // Content that is being read is read to its end, though the response may be sent before. Who does not read on loses it in a while.
  keepContent() {
    this.keepsContent = true;
  }

  // Nobody wants what is left of it, nor a piece that was asked for.
  dropContent() {
    const { input } = this;
    this.keepsContent = false;
    if (input !== null && input !== ALL_READ) {
      input.lost = true;
      const { reading } = input;
      input.reading = null;
      if (reading !== null) reading.reject(new ClientGone('client-closed'));
    }
    this.releaseIfDone();
  }

  // Whether somebody waits for content, or will.
  isReading() {
    const { input } = this;
    if (input === null || input === ALL_READ) return false;
    return input.reading !== null || (this.keepsContent && !input.done && !input.lost && (!this.over || this.reason === 'complete'));
  }

  trailers() {
    return this.input !== null && this.input.trailers !== null ? this.input.trailers : [];
  }

  hearContent(news) {
    const input = this.input;
    if (input === null || input.reading === null) return;
    const { resolve, reject, own } = input.reading;
    input.reading = null;
    if (news & NEWS_CONTENT_END) input.done = true;
    if (news & NEWS_CONTENT_LOST) input.lost = true;
    const piece = input.take(this.slot, own);
    if (piece !== null) resolve(piece);
    else if (input.done) resolve(null);
    else reject(new ClientGone(this.reason || 'client-closed'));
    this.releaseIfDone();
  }

  // ---------------------------------------------------------------- the response

  // `own`: the bytes of the body are in nobody else's hands; others are copied before they wait.
  respond(status, fields, body, own = false) {
    if (this.over || this.answered) return;
    if (body === null && this.method === 'HEAD') {
      // what is left out is not known to be empty
      this.begin(status, fields, -1);
      this.end();
      return;
    }
    const slot = this.slot;
    const words = slot.words;
    if (this.output !== null || words[SLOT_FLAGS] !== 0) {
      this.stream().whole(status, fields, ownBytes(body, own));
      return;
    }
    this.fields = fields;
    this.status = status;
    const used = writeFields(slot.bytes, SLOT_OUT, ROOM, fields);
    if (used < 0) {
      this.stream().whole(status, fields, ownBytes(body, own));
      return;
    }
    words[SLOT_FIELDS_LENGTH] = used;
    words[SLOT_DATA_LOAN] = 0;
    words[SLOT_OUT_TRAILERS] = 0;
    words[SLOT_FIELDS_LOAN] = 0;
    let length = 0;
    if (typeof body === 'string') length = writeShort(slot.bytes, SLOT_OUT + used, ROOM - used, body);
    else if (body !== null && body.length <= ROOM - used) {
      slot.bytes.set(body, SLOT_OUT + used);
      length = body.length;
    } else if (body !== null) length = -1;
    if (length < 0) {
      const bytes = ownBytes(body, own);
      const loan = slot.ring.lend(bytes);
      if (loan < 0) {
        this.stream().whole(status, fields, bytes);
        return;
      }
      words[SLOT_DATA_LOAN] = loan + 1;
      length = bytes.length;
    }
    words[SLOT_STATUS] = status;
    words[SLOT_DATA_LENGTH] = length;
    this.answered = true;
    this.put(FLAG_HEAD | FLAG_DATA | FLAG_END | this.endFlag());
  }

  // Nobody looks at the exchange after its end: the slot can go with the last message.
  endFlag() {
    if (this.onend !== null || this.isReading()) return FLAG_WATCH;
    this.released = true;
    return FLAG_RELEASE;
  }

  // False: it was refused, and nothing must follow.
  begin(status, fields, length) {
    if (this.over || this.answered) return true;
    this.begun = true;
    return this.stream().begin(FLAG_HEAD, status, fields, length);
  }

  // What write() is given are the bytes of the response, its head included; the connection ends behind end(). Not for HTTP/2.
  beginRaw() {
    if (this.over || this.answered) return;
    this.begun = true;
    this.stream().begin(FLAG_RAW, 0, [], -1);
  }

  // The engine is to answer.
  leave() {
    if (this.released) return;
    this.over = this.answered = true;
    this.releaseIfDone();
  }

  inform(status, fields) {
    if (!this.over && !this.answered) this.stream().inform(status, fields);
  }

  upgrade(status, fields) {
    if (this.over || this.answered) return;
    this.input = new Input();
    this.stream().begin(FLAG_UPGRADE, status, fields, -1);
  }

  // Whether the response can be that of a WebSocket still.
  get mayBecomeSocket() {
    return !this.over && !this.answered && !this.begun && this.output === null && this.slot.words[SLOT_FLAGS] === 0;
  }

  // The engine has the slot: it was told to make the request a WebSocket.
  becomeSocket() {
    clearTimeout(this.timer);
    this.answered = this.over = this.released = true;
    this.reason = 'complete';
    const { onend } = this;
    this.onend = null;
    if (onend !== null) onend('complete');
  }

  write(bytes) {
    if (this.over || this.answered) return true;
    return this.stream().write(bytes);
  }

  // What was given so far leaves in a message of its own.
  flush() {
    if (this.output !== null) this.output.pump();
  }

  // Whether the engine has yet to take some of what was written.
  get isSending() {
    return !this.over && this.output !== null && (this.output.busy || (this.slot.words[SLOT_FLAGS] & FLAG_DATA) !== 0);
  }

  get waitsForClient() {
    return (this.slot.words[SLOT_FLAGS] & FLAG_WAITS) !== 0;
  }

  ready() {
    if (this.over) return Promise.reject(new ClientGone(this.reason));
    return this.stream().ready();
  }

  end(trailers) {
    if (this.over || this.answered) return;
    this.answered = true;
    this.stream().end(trailers || null);
  }

  cancel() {
    if (this.over || this.released) return;
    this.send(FLAG_CANCEL);
  }

  stream() {
    if (this.output === null) this.output = new Output(this);
    return this.output;
  }

  // Whether the engine will take so many fields. It would say no itself, but here the stack still leads to who gave them.
  fits(fields) {
    const { maxHead } = this.slot.ring;
    if (fieldsBytes(fields) <= maxHead) return true;
    this.begun = false;
    this.fail('CAROM_ETOOBIG', `over ${maxHead} bytes`);
    return false;
  }

  // The response was refused. The message says why, which one it is, and whose.
  fail(code, text) {
    const { maxHead, server } = this.slot.ring;
    const which = this.released ? '' : `, in the response to ${this.method} ${this.target.split('?', 1)[0]}`;
    const error = new TypeError(`${whyRefused(code, text, this, maxHead)}${which}${server}`);
    error.code = code;
    if (this.onerror !== null) this.onerror(error);
    else this.respond(500, [], null);
  }

  // Call `fn` with the reason when the exchange is over, beside onend.
  watch(fn) {
    if (this.over || this.released) {
      queueMicrotask(() => fn(this.reason || 'complete'));
      return;
    }
    const before = this.onend;
    this.onend =
      before === null
        ? fn
        : (reason) => {
            before(reason);
            fn(reason);
          };
  }

  // ---------------------------------------------------------------- messages

  // FETCH or CANCEL: added to the message that is on its way, which may wait for the client. The engine looks at that again only
  // when it is told to. Behind a head that has yet to leave it goes with that: what is read depends on it.
  send(flags) {
    if (this.released) return;
    if (this.output !== null && this.output.heads.length > 0) {
      this.output.add(flags);
      return;
    }
    if (flags & FLAG_FETCH) this.lendRoom(); // before the engine can see that it is asked for
    const { words } = this.slot;
    words[SLOT_ECHO] = this.generation;
    const before = Atomics.or(words, SLOT_FLAGS, flags);
    if (before === 0 || (before & (FLAG_WAITS | FLAG_FETCH | FLAG_CANCEL)) === FLAG_WAITS) this.slot.ring.post(this.slot);
  }

  // On another thread the engine may look before it comes to this command: when it finds the last one, whose flag it took already.
  put(flags) {
    const { words, ring } = this.slot;
    words[SLOT_ECHO] = this.generation;
    if (ring.inline) words[SLOT_FLAGS] = flags;
    else Atomics.store(words, SLOT_FLAGS, flags);
    this.slot.ring.post(this.slot);
  }

  releaseIfDone() {
    if (this.released || !this.over) return;
    clearTimeout(this.idle);
    if (this.isReading()) {
      if (this.input.reading !== null) return;
      this.idle = setTimeout(() => this.dropContent(), this.slot.ring.unreadTime);
      this.idle.unref?.();
      return;
    }
    this.released = true;
    if (this.output === null && this.slot.words[SLOT_FLAGS] === 0) {
      this.slot.words[SLOT_FIELDS_LENGTH] = 0;
      this.put(FLAG_RELEASE);
    } else this.stream().add(FLAG_RELEASE);
  }

  // ---------------------------------------------------------------- news

  hear(news) {
    if (news & NEWS_ERROR) this.hearError();
    if (news & (NEWS_CONTENT | NEWS_CONTENT_END | NEWS_CONTENT_LOST)) this.hearContent(news);
    if (news & NEWS_ENDED) this.hearEnd();
    if (news & NEWS_ROOM && this.output !== null) this.output.pump();
  }

  hearError() {
    const number = this.slot.words[SLOT_ERROR];
    const code = native.errorName(number);
    this.released = false;
    this.answered = false;
    this.begun = false;
    if (this.output !== null) this.output.refused();
    this.fail(code, native.errorText(number));
  }

  hearEnd() {
    if (this.over) return;
    this.over = true;
    const { words } = this.slot;
    this.reason = REASONS[words[SLOT_REASON]];
    this.bytesSent = (words[SLOT_SENT_HIGH] >>> 0) * 4294967296 + (words[SLOT_SENT_LOW] >>> 0);
    if (this.output !== null) this.output.close(this.reason);
    if (this.source !== null && this.reason !== 'complete') this.source.cancel(this.reason);
    if (this.input !== null && this.input.reading !== null && this.reason !== 'complete') {
      const { reject } = this.input.reading;
      this.input.reading = null;
      this.input.lost = true;
      reject(new ClientGone(this.reason));
    }
    const onend = this.onend;
    this.onend = null;
    if (onend !== null) onend(this.reason);
    this.releaseIfDone();
  }
}

Exchange.prototype.reason = '';
Exchange.prototype.bytesSent = undefined; // of content; known when the end is heard of
Exchange.prototype.responseTrailers = null;
Exchange.prototype.begun = false; // its head was given, and content may follow
Exchange.prototype.keepsContent = false;
Exchange.prototype.socket = null; // the WebSocket that it has become
Exchange.prototype.idle = undefined; // the time in which the next piece of content must be asked for, once the response is sent
Exchange.prototype.timer = null; // of a time-out of its own
Exchange.prototype.failed = false; // its handler did, and onError was asked

module.exports = { Exchange, ROOM };
