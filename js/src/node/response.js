// The response as an http.ServerResponse. As with the request, frameworks change its prototype to one that inherits from node's.
// Node's methods collect and check the head. To produce bytes they call _storeHeader, _send and _writeRaw, which are own
// properties here, as write and end are.
'use strict';

const http = require('node:http');
const { coded } = require('./errors.js');

// Statuses whose phrase node has from elsewhere than the engine, which has those of RFC 9110.
const OTHER_PHRASES = new Set([413, 418, 422, 509, 510]);

const CLOSES = /(^|,)\s*close\s*(,|$)/i;
const KEEPS = /(^|,)\s*keep-alive\s*(,|$)/i;

// Emits 'prefinish', and ends what node measures for observers of perf_hooks.
const finishMeasured = http.ServerResponse.prototype._finish;

class ServerResponse extends http.ServerResponse {
  constructor(request, exchange, transaction, options) {
    super(request, options);
    if (request.httpVersionMajor === 2) this.useChunkedEncodingByDefault = true; // node looks at the 0 of 2.0
    this.shouldKeepAlive = clientKeeps(exchange);
    this.exchange = exchange;
    this.transaction = transaction;
    this.socket = transaction.socket;
    this.rejectsBody = options.rejectNonStandardBodyWrites === true;
    this.given = 0; // bytes of content
    this.fields = null; // of the head, flat
    this.headStatus = 0; // of the head, once it is made
    this.statedLength = -1; // what Content-Length says
    this.saysChunked = false; // and Transfer-Encoding
    this.interim = ''; // an informational response, as far as node has passed it
    this.needsDrain = false;
    this.callbacks = null; // of writes that wait for room
    this.write = write;
    this.end = end;
    this._storeHeader = storeHeader;
    this._send = send;
    this._writeRaw = writeRaw;
    this.writeEarlyHints = writeEarlyHints;
    this.closeNow = closeNow;
  }

  // From version 24 on node keeps this for what it sends by itself.
  get writableFinished() {
    return this.finished && (!this.socket || this.socket.writableLength === 0);
  }
}

// What the request says of its connection (RFC 9112, 9.3).
function clientKeeps(exchange) {
  const { version } = exchange;
  const said = version < 20 ? exchange.field('connection') : null;
  if (said === null) return version !== 10;
  return version === 10 ? KEEPS.test(said) : !CLOSES.test(said);
}

// ---------------------------------------------------------------- the head

function isNamed(name, lower) {
  return name.length === lower.length && name.toLowerCase() === lower;
}

// Framing and the life of the connection are the engine's. So what a copied head says of another connection is left out (RFC 9110,
// 7.6.1), but for what is asked of this one.
function addField(response, name, value) {
  switch (name.length) {
    case 10:
      if (isNamed(name, 'keep-alive')) return;
      if (isNamed(name, 'connection')) {
        if (CLOSES.test(value)) sayClose(response, name);
        else if (isNamed(String(value), 'keep-alive')) response.fields.push(name, 'keep-alive'); // where it stands, and if it is so
        return;
      }
      break;
    case 14:
      if (isNamed(name, 'content-length')) {
        const length = Number(value);
        if (Number.isSafeInteger(length) && length >= 0) response.statedLength = length;
        return;
      }
      break;
    case 16:
      if (isNamed(name, 'proxy-connection')) return;
      break;
    case 17:
      if (isNamed(name, 'transfer-encoding')) {
        response.saysChunked = /(^|,)\s*chunked\s*$/i.test(value);
        return;
      }
  }
  response.fields.push(name, typeof value === 'string' ? value : String(value));
}

// The connection ends behind this response; node has it by that name, too.
function sayClose(response, name) {
  response._last = true;
  response.fields.push(name, 'close');
}

function addValues(response, name, value) {
  if (Array.isArray(value)) for (const one of value) addField(response, name, one);
  else addField(response, name, value);
}

function addChecked(response, name, value) {
  http.validateHeaderName(name);
  if (Array.isArray(value)) for (const one of value) http.validateHeaderValue(name, one);
  else http.validateHeaderValue(name, value);
  addValues(response, name, value);
}

// A reason phrase of the listener's own goes before the fields, as a field without a name. HTTP/2 has none.
function addPhrase({ fields, statusMessage, req }) {
  if (statusMessage && req.httpVersionMajor === 1) fields.push('', String(statusMessage));
}

// writeHead has checked what it was given and, if there were any, joined it with the headers set
// before; otherwise `headers` is as the caller wrote it.
function storeHeader(statusLine, headers) {
  this.fields = [];
  if (this.statusMessage !== http.STATUS_CODES[this.statusCode] || OTHER_PHRASES.has(this.statusCode)) addPhrase(this);
  const names = this.getRawHeaderNames();
  if (names.length > 0) for (const name of names) addValues(this, name, this.getHeader(name));
  else if (Array.isArray(headers)) {
    if (headers.length > 0 && Array.isArray(headers[0])) for (const [name, value] of headers) addChecked(this, name, value);
    else if (headers.length % 2 !== 0)
      throw coded(TypeError, 'ERR_INVALID_ARG_VALUE', "The argument 'headers' is invalid: it has no value for a name");
    else for (let i = 0; i < headers.length; i += 2) addChecked(this, headers[i], headers[i + 1]);
  } else if (headers) for (const name of Object.keys(headers)) addChecked(this, name, headers[name]);
  if (!this.shouldKeepAlive && !this.fields.some((name, i) => i % 2 === 0 && isNamed(name, 'connection'))) sayClose(this, 'Connection');
  if (this.statedLength >= 0 && this.fields.some((name, i) => i % 2 === 0 && isNamed(name, 'trailer')))
    throw coded(Error, 'ERR_HTTP_TRAILER_INVALID', 'Trailers are invalid with this transfer encoding');
  this.headStatus = this.statusCode; // what is set from now on comes too late
  this._header = `${statusLine}\r\n`;
  this._headerSent = false;
}

// A response to HEAD and a 304 may say how long their content would be.
function sayLength(response) {
  if (!response._hasBody && response.statedLength >= 0 && response.statusCode !== 204)
    response.fields.push('Content-Length', String(response.statedLength));
}

function begin(response) {
  response._headerSent = true;
  sayLength(response);
  response.exchange.begin(response.headStatus, response.fields, response._hasBody ? response.statedLength : -1);
}

// Sends an informational response, which node passes as text, in pieces perhaps. The engine sends 100 by itself when content is
// first read.
function writeRaw(text, encoding, callback) {
  if (typeof encoding === 'function') callback = encoding;
  this.interim += String(text);
  for (let end = this.interim.indexOf('\r\n\r\n'); end >= 0; end = this.interim.indexOf('\r\n\r\n')) {
    inform(this, this.interim.slice(0, end).split('\r\n'));
    this.interim = this.interim.slice(end + 4);
  }
  if (typeof callback === 'function') process.nextTick(callback);
  return true;
}

function inform({ req, exchange }, [first, ...lines]) {
  const status = Number(first.split(' ')[1]);
  if (status === 100) req.read(0);
  else if (status > 101 && status < 200) exchange.inform(status, fieldsOf(lines));
}

function fieldsOf(lines) {
  const fields = [];
  for (const line of lines) {
    const colon = line.indexOf(': ');
    if (colon > 0) fields.push(line.slice(0, colon), line.slice(colon + 2));
  }
  return fields;
}

// Checks early hints, since node puts them into text without looking for what would split the response.
function writeEarlyHints(hints, callback) {
  const checked = {};
  if (hints === null || typeof hints !== 'object' || Array.isArray(hints))
    throw coded(TypeError, 'ERR_INVALID_ARG_TYPE', `The "hints" argument must be of type object. Received ${String(hints)}`);
  for (const name of Object.keys(hints)) {
    http.validateHeaderName(name);
    const values = [hints[name]].flat().map(String);
    for (const value of values) http.validateHeaderValue(name, value);
    Object.defineProperty(checked, name, { value: name === 'link' ? values : values.join(', '), enumerable: true });
  }
  return http.ServerResponse.prototype.writeEarlyHints.call(this, checked, callback);
}

// ---------------------------------------------------------------- the content

function checkChunk(chunk) {
  if (chunk === null) throw coded(TypeError, 'ERR_STREAM_NULL_VALUES', 'May not write null values to stream');
  if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array))
    throw coded(
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      `The "chunk" argument must be of type string or an instance of Buffer or Uint8Array. Received ${chunk === undefined ? 'undefined' : `type ${typeof chunk}`}`,
    );
}

function encoded(chunk, encoding) {
  if (typeof chunk !== 'string' || !encoding || encoding === 'utf8' || encoding === 'utf-8' || encoding === 'buffer') return chunk;
  return Buffer.from(chunk, encoding);
}

function fail(response, error, callback) {
  const heard = !response.destroyed; // now: a response that is whole closes in the next tick
  process.nextTick(() => {
    if (typeof callback === 'function') callback(error);
    if (heard) response.emit('error', error);
  });
}

function afterEnd() {
  return coded(Error, 'ERR_STREAM_WRITE_AFTER_END', 'write after end');
}

function write(chunk, encoding, callback) {
  if (typeof encoding === 'function') {
    callback = encoding;
    encoding = null;
  }
  checkChunk(chunk);
  if (this.finished) {
    fail(this, afterEnd(), callback);
    return false;
  }
  if (this.destroyed) {
    fail(this, coded(Error, 'ERR_STREAM_DESTROYED', 'Cannot call write after a stream was destroyed'), callback);
    return false;
  }
  if (!this._header) this._implicitHeader();
  checkContent(this, chunk, encoding, false);
  return this._send(chunk, encoding, callback);
}

// What node throws for content where there must be none, or more or less than was said, if that was asked for.
function checkContent(response, chunk, encoding, last) {
  if (chunk !== null && !response._hasBody && response.rejectsBody)
    throw coded(Error, 'ERR_HTTP_BODY_NOT_ALLOWED', 'Adding content for this request method or response status is not allowed.');
  if (!response.strictContentLength || !response._hasBody || response.statedLength < 0) return;
  const { statedLength } = response;
  const length = chunk === null ? 0 : typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding || 'utf8') : chunk.length;
  const given = response.given + length;
  if (given > statedLength || (last && given < statedLength))
    throw coded(
      Error,
      'ERR_HTTP_CONTENT_LENGTH_MISMATCH',
      `Response body's content-length of ${given} byte(s) does not match the content-length of ${statedLength} byte(s) set in header`,
    );
  response.given = given;
}

// Node's flushHeaders calls this with an empty chunk.
function send(chunk, encoding, callback) {
  if (typeof encoding === 'function') {
    callback = encoding;
    encoding = null;
  }
  if (this.transaction.over) {
    // It was destroyed in this turn.
    if (typeof callback === 'function') process.nextTick(callback, coded(Error, 'ERR_STREAM_DESTROYED', 'The connection was destroyed'));
    return false;
  }
  if (!this._headerSent) begin(this);
  this.socket.handed += chunk.length;
  const room = !this._hasBody || chunk.length === 0 || this.exchange.write(encoded(chunk, encoding));
  this.socket.touch();
  if (room && !this.needsDrain) {
    if (typeof callback === 'function') process.nextTick(callback);
    return true;
  }
  if (typeof callback === 'function') {
    this.callbacks ||= [];
    this.callbacks.push(callback);
  }
  if (!this.needsDrain) waitForRoom(this);
  return false;
}

function waitForRoom(response) {
  response.needsDrain = true;
  // Node's own accessor reads a symbol that only node sets.
  if (!Object.hasOwn(response, 'writableNeedDrain'))
    Object.defineProperty(response, 'writableNeedDrain', {
      configurable: true,
      get() {
        return this.needsDrain && !this.destroyed && !this.finished;
      },
    });
  response.exchange.ready().then(
    () => {
      response.needsDrain = false;
      response.socket.touch();
      callBack(response, undefined);
      if (!response.finished && !response.destroyed) response.emit('drain');
    },
    () => {},
  ); // the end of the exchange comes by onend
}

function callBack(response, error) {
  const { callbacks } = response;
  response.callbacks = null;
  if (callbacks !== null) for (const callback of callbacks) callback(error);
}

// ---------------------------------------------------------------- the end

function trailersOf(response) {
  return response._trailer ? fieldsOf(response._trailer.split('\r\n')) : null;
}

function end(chunk, encoding, callback) {
  if (typeof chunk === 'function') {
    callback = chunk;
    chunk = encoding = null;
  } else if (typeof encoding === 'function') {
    callback = encoding;
    encoding = null;
  }
  const some = chunk !== null && chunk !== undefined;
  if (some) checkChunk(chunk);
  if (this.finished) {
    endAgain(this, some, callback);
    return this;
  }
  if (!this._header) this._implicitHeader();
  checkContent(this, some && chunk.length > 0 ? chunk : null, encoding, true);
  if (typeof callback === 'function') this.once('finish', callback);
  this.finished = true;
  finishMeasured.call(this);
  if (this.destroyed || this.transaction.over) return this;
  const body = some && chunk.length > 0 ? encoded(chunk, encoding) : null;
  const trailers = trailersOf(this);
  if (this._headerSent || trailers !== null || this.saysChunked) endStream(this, body, trailers);
  else endWhole(this, body);
  return this;
}

function endAgain(response, some, callback) {
  if (some) fail(response, afterEnd(), callback);
  else if (typeof callback !== 'function') return;
  else if (response.writableFinished)
    process.nextTick(callback, coded(Error, 'ERR_STREAM_ALREADY_FINISHED', 'Cannot call end after a stream was finished'));
  else response.once('finish', callback);
}

// Sends the whole response as one message, of which no news is needed. The exchange is gone behind it: what has come of the request is
// taken before, and who is to read it may come later in this turn.
function endWhole(response, body) {
  const { exchange, transaction, req } = response;
  response._headerSent = true;
  sayLength(response);
  if (!response._hasBody && response.statedLength >= 0) body = null; // the length is that of another content
  if (!req.complete) req.readAhead();
  const alone = req.complete || !req._consumed;
  if (body !== null) response.socket.handed += body.length;
  if (alone) exchange.onend = null;
  exchange.respond(response.headStatus, response.fields, body);
  if (alone) transaction.complete();
}

function endStream(response, body, trailers) {
  const { exchange } = response;
  if (!response._headerSent) begin(response);
  if (response.saysChunked) exchange.flush(); // or the engine would see the length, and say it
  if (body !== null && response._hasBody) {
    response.socket.handed += body.length;
    exchange.write(body);
  }
  if (trailers !== null) exchange.end(trailers);
  else exchange.end();
}

function closeNow(response) {
  if (response._closed === true || response.closeEmitted === true) return;
  response.closeEmitted = true;
  response.destroyed = true;
  response._closed = true;
  if (response.callbacks !== null)
    callBack(response, response.finished ? undefined : coded(Error, 'ERR_STREAM_DESTROYED', 'The client has gone'));
  response.emit('close');
}

module.exports = { ServerResponse };
