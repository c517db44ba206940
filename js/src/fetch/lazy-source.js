// What a stream of ours does as long as nobody looks at it: it asks its source and keeps what that gives, as the Streams standard says
// (4.5, without sizes of pieces), but has no reader, no requests and no promise for each piece. One sink may take the pieces.
'use strict';

const READABLE = 0;
const CLOSED = 1;
const ERRORED = 2;
const NOW = Promise.resolve();

const isPromise = (value) => value !== null && typeof value === 'object' && typeof value.then === 'function';

function closedAlready() {
  const error = new TypeError('Invalid state: Controller is already closed');
  error.code = 'ERR_INVALID_STATE'; // as Node's own has it
  return error;
}

// A sink has piece(bytes), which says whether it wants the next one (else it calls want() when it does), end(), fail(error), and
// handOver(reader), after which the pieces come from that reader of the runtime's stream. None of them throws.
class LazySource {
  constructor(source, { start, pull, cancel, highWaterMark }, Controller, Native) {
    this.source = source;
    this.pull = pull;
    this.onCancel = cancel;
    this.highWaterMark = highWaterMark;
    this.Native = Native;
    this.state = READABLE;
    this.error = undefined;
    this.queue = [];
    this.isClosing = false; // the program has closed it, and some pieces are left
    this.isStarted = false;
    this.isPulling = false;
    this.pullsAgain = false;
    this.progress = undefined; // of what start() or pull() does, if that is to be waited for
    this.sink = null;
    this.isTaken = false;
    this.isWanted = false; // the sink waits for a piece
    this.wantsAgain = false; // it will, when the jobs before have run
    this.hasTurn = false;
    this.hasReturned = false; // start() or pull() did, with nothing to wait for
    this.onTurn = () => this.turn();
    this.native = null; // the runtime's stream, once somebody has looked
    this.nativeController = null;
    this.controller = new Controller(this);
    const started = start === undefined ? undefined : Reflect.apply(start, source, [this.controller]);
    this.follow(started);
  }

  get isFresh() {
    return !this.isTaken && this.native === null;
  }

  // ---------------------------------------------------------------- of the controller

  get desiredSize() {
    if (this.nativeController !== null) return this.nativeController.desiredSize;
    if (this.state !== READABLE) return this.state === CLOSED ? 0 : null;
    return this.highWaterMark - this.queue.length;
  }

  enqueue(piece) {
    if (this.nativeController !== null) {
      this.nativeController.enqueue(piece);
      return;
    }
    if (this.state !== READABLE || this.isClosing) throw closedAlready();
    if (this.isWanted) this.give(piece);
    else this.queue.push(piece);
    this.pullIfNeeded();
  }

  close() {
    if (this.nativeController !== null) {
      this.nativeController.close();
      return;
    }
    if (this.state !== READABLE || this.isClosing) throw closedAlready();
    this.isClosing = true;
    if (this.queue.length === 0) this.become(CLOSED);
  }

  fail(error) {
    if (this.nativeController !== null) {
      this.nativeController.error(error);
      return;
    }
    if (this.state !== READABLE) return;
    this.error = error;
    this.become(ERRORED);
  }

  // The sink hears of it when the jobs before have run, as a reader would.
  become(state) {
    this.state = state;
    if (this.queue.length > 0) this.queue = [];
    if (this.sink !== null) this.schedule();
  }

  // ---------------------------------------------------------------- of the source

  pullIfNeeded() {
    if (this.pull === undefined || !this.isStarted || this.state !== READABLE || this.isClosing) return;
    if (!this.isWanted && this.queue.length >= this.highWaterMark) return;
    if (this.isPulling) {
      this.pullsAgain = true;
      return;
    }
    this.isPulling = true;
    let pulled;
    try {
      pulled = Reflect.apply(this.pull, this.source, [this.controller]);
    } catch (error) {
      pulled = Promise.reject(error);
    }
    this.follow(pulled);
  }

  // Goes on when what start() or pull() has returned is fulfilled.
  follow(returned) {
    if (!isPromise(returned)) {
      this.progress = undefined;
      this.hasReturned = true;
      this.schedule();
      return;
    }
    this.progress = Promise.resolve(returned);
    this.progress.then(
      () => this.goOn(),
      (error) => {
        if (this.native === null) this.fail(error);
      },
    );
  }

  goOn() {
    if (this.native !== null) return;
    if (!this.isStarted) {
      this.isStarted = true;
      this.pullIfNeeded();
      return;
    }
    this.isPulling = false;
    if (!this.pullsAgain) return;
    this.pullsAgain = false;
    this.pullIfNeeded();
  }

  schedule() {
    if (this.hasTurn) return;
    this.hasTurn = true;
    NOW.then(this.onTurn);
  }

  turn() {
    this.hasTurn = false;
    if (this.state !== READABLE) {
      this.finish();
      return;
    }
    if (this.wantsAgain) {
      this.wantsAgain = false;
      this.want();
    }
    if (!this.hasReturned) return;
    this.hasReturned = false;
    this.goOn();
  }

  // ---------------------------------------------------------------- of the sink

  take(sink) {
    this.isTaken = true;
    this.sink = sink;
    if (this.state === READABLE) this.want();
    else this.schedule();
  }

  want() {
    if (this.native !== null || this.sink === null || this.state !== READABLE) return;
    while (this.queue.length > 0) {
      const more = this.sink.piece(this.queue.shift());
      if (this.sink === null) return; // it has cancelled
      if (this.isClosing && this.queue.length === 0) {
        this.become(CLOSED);
        return;
      }
      if (!more) {
        this.pullIfNeeded();
        return;
      }
    }
    this.isWanted = true;
    this.pullIfNeeded();
  }

  give(piece) {
    this.isWanted = false;
    if (!this.sink.piece(piece)) return;
    this.wantsAgain = true;
    this.schedule();
  }

  finish() {
    const { sink } = this;
    if (sink === null) return;
    this.sink = null;
    if (this.state === CLOSED) sink.end();
    else sink.fail(this.error);
  }

  // The sink wants no more; the program hears of it.
  cancel(reason) {
    this.isTaken = true;
    this.sink = null;
    if (this.state !== READABLE) return undefined;
    this.become(CLOSED);
    return this.onCancel === undefined ? undefined : Reflect.apply(this.onCancel, this.source, [reason]);
  }

  // ---------------------------------------------------------------- looked at

  // The runtime's stream over what is left of this one. A sink reads on from that.
  toNative() {
    if (this.native !== null) return this.native;
    const { source, pull, onCancel, controller, highWaterMark } = this;
    const relay = {
      start: (native) => {
        this.nativeController = native;
        for (const piece of this.queue) native.enqueue(piece);
        if (this.state === ERRORED) native.error(this.error);
        else if (this.state === CLOSED || this.isClosing) native.close();
        return this.isStarted && !this.isPulling ? undefined : this.progress;
      },
    };
    if (pull !== undefined) relay.pull = () => Reflect.apply(pull, source, [controller]);
    if (onCancel !== undefined) relay.cancel = (reason) => Reflect.apply(onCancel, source, [reason]);
    this.native = new this.Native(relay, { highWaterMark });
    this.queue = [];
    if (this.isTaken) this.readOn();
    return this.native;
  }

  readOn() {
    const reader = this.native.getReader();
    if (this.sink !== null && this.state === READABLE) {
      const { sink } = this;
      this.sink = null;
      sink.handOver(reader);
    } else reader.read().catch(() => {}); // so it counts as read from
  }
}

module.exports = { LazySource };
