// The request as an http.IncomingMessage. Frameworks change its prototype to one that inherits from node's. So it is a real
// IncomingMessage, and what is different here are own properties, which stay.
'use strict';

const http = require('node:http');
const { connectionReset } = require('./errors.js');

class IncomingMessage extends http.IncomingMessage {
  constructor(exchange, socket, { maxHeadersCount, options }) {
    super(socket);
    this.exchange = exchange;
    this._read = pull;
    this._destroy = tearDown;
    this.readAhead = readAhead;
    this.responseSent = responseSent;
    const { version } = exchange;
    this.httpVersionMajor = Math.floor(version / 10);
    this.httpVersionMinor = version % 10;
    this.httpVersion = version === 11 ? '1.1' : version === 10 ? '1.0' : `${this.httpVersionMajor}.${this.httpVersionMinor}`;
    this.upgrade = false;
    this.method = exchange.method;
    this.url = exchange.target;
    const fields = exchange.rawFields();
    if (options.joinDuplicateHeaders) this.joinDuplicateHeaders = true;
    if (options.highWaterMark > 0) this._readableState.highWaterMark = options.highWaterMark;
    this._addHeaderLines(fields, maxHeadersCount > 0 ? Math.min(fields.length, 2 * maxHeadersCount) : fields.length);
    if (exchange.contentLength === 0) this.complete = true;
  }
}

// What comes is received as far as the stream takes it, though nobody reads, so that `complete` and 'aborted' say what is. Who waits
// for a 100 is not told to send, unless somebody listens.
function readAhead() {
  const { exchange } = this;
  if (this._consumed || this.complete || this.destroyed || exchange.released) return;
  if (exchange.field('expect') === null || exchange.contentIsHere || isWanted(this)) this.read(0);
}

function isWanted(request) {
  return request.readableFlowing === true || request.listenerCount('data') + request.listenerCount('readable') > 0;
}

function toBuffer(bytes) {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

// Called by Readable when it wants more content.
function pull() {
  if (this.complete) {
    this._consumed = true;
    this.push(null);
    return;
  }
  if (!this._consumed) {
    this._readableState.readingMore = false; // node's constructor holds reading back till here
    this._consumed = true;
    const whole = this.exchange.contentNow();
    if (whole !== null) {
      this.complete = true;
      if (whole.length > 0) this.push(toBuffer(whole));
      this.push(null);
      return;
    }
  }
  this.exchange.keepContent();
  this.exchange.read().then(
    (bytes) => {
      if (this.destroyed || this._dumped) return;
      if (this.socket !== null) this.socket.touch();
      if (bytes !== null) {
        this.push(toBuffer(bytes));
        return;
      }
      this.complete = true;
      const trailers = this.exchange.trailers();
      this._addHeaderLines(trailers, trailers.length);
      this.push(null);
    },
    () => {
      if (!this.destroyed && !this._dumped) this.destroy(connectionReset());
    },
  );
}

// Who breaks off an iteration, or whose pipeline fails, has taken the socket away, and answers still: the content is nobody's then.
function tearDown(error, callback) {
  if (!this.complete) this.exchange.dropContent();
  if (!this.readableEnded || !this.complete) {
    this.aborted = true;
    this.emit('aborted');
  }
  if (this.aborted && this.socket && !this.socket.destroyed) this.socket.destroy(error);
  process.nextTick(tornDown, this, error, callback);
}

// An error is passed on only when somebody listens for it.
function tornDown(request, error, callback) {
  callback(request.listenerCount('error') > 0 ? error : null);
}

// Called when the response has been sent. Who reads goes on, and who has paused may, but not when the connection ends behind the
// response. For those who only want to know of its end content flows unread. What nobody asks for is left to the engine, which
// knows how much of it a connection is worth.
function responseSent(request, last) {
  if (request.destroyed || request.readableEnded) return;
  const paused = request.readableFlowing === false;
  if (paused ? !last : request.listenerCount('data') + request.listenerCount('readable') > 0) return;
  const left = !request.complete && request._consumed;
  if (!request._consumed) request.complete = true; // and cannot be read any more
  if (request.listenerCount('end') + request.listenerCount('close') > 0) request.resume();
  else if (left) {
    request._dumped = true;
    request.exchange.dropContent();
  }
}

module.exports = { IncomingMessage };
