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
    this.responseSent = responseSent;
    const { version } = exchange;
    this.httpVersionMajor = Math.floor(version / 10);
    this.httpVersionMinor = version % 10;
    this.httpVersion = version === 11 ? '1.1' : version === 10 ? '1.0' : `${this.httpVersionMajor}.${this.httpVersionMinor}`;
    this.method = exchange.method;
    this.url = exchange.target;
    const fields = exchange.rawFields();
    if (options.joinDuplicateHeaders) this.joinDuplicateHeaders = true;
    if (options.highWaterMark > 0) this._readableState.highWaterMark = options.highWaterMark;
    this._addHeaderLines(fields, maxHeadersCount > 0 ? Math.min(fields.length, 2 * maxHeadersCount) : fields.length);
    if (exchange.contentLength === 0) this.complete = true;
  }
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

// Whether the content flows although nobody listens for it.
function isDropped(request) {
  return request.readableFlowing === true && request.listenerCount('data') + request.listenerCount('readable') === 0;
}

function tearDown(error, callback) {
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

// Called when the response has been sent. Content that nobody reads is dropped; a reader of content that is still missing is told
// that it will not come.
function responseSent(request) {
  if (request.destroyed || request.readableEnded) return;
  if (request.complete || !request._consumed) {
    if (request.listenerCount('end') + request.listenerCount('close') === 0) return;
    if (request._consumed && !request._dumped && request.readableFlowing !== null) return;
    request.complete = true;
    request._dumped = true;
    request.resume();
  } else if (isDropped(request)) {
    request.complete = true;
    request._dumped = true;
    request.push(null);
  } else request.destroy(connectionReset());
}

module.exports = { IncomingMessage };
