// Sends a Response on an exchange. An error goes to `server`: report(error) logs it, fail(exchange, error) also answers.
'use strict';

const { responseParts } = require('../fetch/response.js');
const { isEnd, isGone, sourceOf, start, toBytes } = require('./flow.js');
const { codingOf, forContent, forWhole, withType } = require('./framing.js');

// Blobs of up to this size are read whole and sent at once; larger ones are streamed.
const SMALL_BLOB = 65536;

function hasNoContent(exchange, status) {
  return status === 204 || status === 304 || exchange.method === 'HEAD';
}

// The Content-Length among the handler's fields, or -1.
function lengthOf(fields) {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === 'content-length') return Number(fields[i + 1]);
  return -1;
}

function promised(next) {
  try {
    return Promise.resolve(next());
  } catch (error) {
    return Promise.reject(error);
  }
}

function sendStream(server, exchange, { status, fields }, source) {
  if (exchange.over || hasNoContent(exchange, status)) {
    source.cancel();
    exchange.respond(status, fields, null);
    return;
  }
  if (!exchange.begin(status, fields, lengthOf(fields))) {
    source.cancel();
    return;
  }
  exchange.source = source;
  start(server, exchange, source);
}

// Sends content that is here whole: null, a string or bytes.
function sendWhole(exchange, status, fields, body, own) {
  if (exchange.over) return;
  const stands = body === null && (status === 304 || exchange.method === 'HEAD'); // for content that is not sent
  exchange.respond(status, stands ? fields : forWhole(fields, body), body, own);
}

// Responses whose content is looked at since the event loop turned last.
const looks = [];

function turned() {
  for (const look of looks.splice(0)) look.turned();
}

// Sends content that can only be read as a stream, after a look at how it begins. Most streams have one chunk. When the stream has
// ended before the event loop turns, the length is known and the response is sent whole. Otherwise it is streamed, so that the
// client gets the head and can leave. A head that names a coding waits for the first chunk, which shows whether it fits.
class Look {
  constructor(server, exchange, parts, source) {
    this.server = server;
    this.exchange = exchange;
    this.parts = parts;
    this.source = source;
    this.first = undefined; // a chunk
    this.reads = []; // those that were begun
    this.over = false;
    this.late = false;
    this.failed = (error) => this.fail(error);
    if (looks.push(this) === 1) setImmediate(turned);
    this.read((result) => this.begin(result));
  }

  read(next) {
    const read = promised(this.source.next);
    this.reads.push(read);
    read.then((result) => {
      if (this.over) return;
      try {
        next(result);
      } catch (error) {
        this.fail(error);
      }
    }, this.failed);
  }

  begin({ done, value }) {
    if (done) {
      this.whole(null);
      return;
    }
    this.first = toBytes(value);
    if (this.late) this.stream();
    else this.read((result) => (result.done ? this.whole(this.first) : this.stream()));
  }

  turned() {
    if (this.over) return;
    this.late = true;
    if (this.first !== undefined || codingOf(this.parts.fields) === null) this.stream();
  }

  whole(body) {
    this.over = true;
    this.exchange.source = null;
    const { status, fields, untyped } = this.parts;
    sendWhole(this.exchange, status, untyped && body !== null && typeof body !== 'string' ? withType(fields, body) : fields, body);
  }

  stream() {
    this.over = true;
    const { status, fields } = this.parts;
    const fitting = forContent(fields, this.first === undefined ? '' : this.first);
    const next = () => this.reads.shift() || this.source.next();
    sendStream(this.server, this.exchange, { status, fields: fitting }, { next, cancel: this.source.cancel });
  }

  fail(error) {
    if (this.over) return;
    this.over = true;
    this.exchange.source = null;
    if (!this.exchange.over || !isEnd(this.exchange, error)) this.server.fail(this.exchange, error);
  }
}

function sendAhead(server, exchange, parts) {
  const source = sourceOf(parts.body, parts.scope);
  if (exchange.over || hasNoContent(exchange, parts.status)) {
    sendStream(server, exchange, parts, source);
    return;
  }
  exchange.source = source;
  new Look(server, exchange, parts, source);
}

function sendBlob(server, exchange, parts) {
  const { status, fields, body } = parts;
  if (body.size > SMALL_BLOB) {
    const sized = lengthOf(fields) >= 0 ? fields : [...fields, 'content-length', String(body.size)];
    sendAhead(server, exchange, { status, fields: sized, body: body.stream() });
    return;
  }
  body.arrayBuffer().then(
    (bytes) => sendWhole(exchange, status, fields, new Uint8Array(bytes), true),
    (error) => server.fail(exchange, error),
  );
}

function send(server, exchange, response) {
  const parts = responseParts(response);
  const { status, fields, body, accept } = parts;
  if (accept) accept(fields);
  else if (exchange.responseTrailers !== null) sendWithTrailers(server, exchange, parts);
  else if (body === null || typeof body === 'string' || body instanceof Uint8Array)
    sendWhole(exchange, status, fields, body, !parts.foreign);
  else if (typeof body.arrayBuffer === 'function') sendBlob(server, exchange, parts);
  else if (parts.foreign || codingOf(fields) !== null) sendAhead(server, exchange, parts);
  else sendStream(server, exchange, { status, fields: forContent(fields, '') }, sourceOf(body, parts.scope, true));
}

// Sends a response with trailers, which over HTTP/1.1 need the chunked coding.
function sendWithTrailers(server, exchange, { status, fields, body, scope }) {
  if (body !== null && typeof body !== 'string' && !(body instanceof Uint8Array)) {
    sendStream(server, exchange, { status, fields }, sourceOf(typeof body.stream === 'function' ? body.stream() : body, scope, true));
    return;
  }
  if (!exchange.begin(status, fields, -1)) return;
  if (body !== null) exchange.write(body);
  exchange.end(exchange.responseTrailers);
}

module.exports = { send, isGone };
