// Bodies (Fetch, 2.2.4 and 5.3). A body keeps what it was made of, and becomes a stream only when
// somebody asks for one.
'use strict';

const { AsyncResource } = require('node:async_hooks');
const { isDisturbed } = require('node:stream');
const { internals: headersInternals } = require('./headers.js');
const { copyOf, share, newRoom, room, giveBack } = require('../ring/copies.js');
const { mediaType } = require('./media-type.js');
const { NativeStream, freshSource } = require('./readable-stream.js');

const NativeResponse = globalThis.Response;
const decoder = new TextDecoder();
const encoder = new TextEncoder();
// Bytes of room for content whose length is known, and how much more there may be than has come.
const FIRST_ROOM = 65536;
const GROWTH = 16;
const SURROGATE = /[\ud800-\udfff]/;

// Whether a stream was read from, which streams do not tell by themselves. Node and Bun have isDisturbed for it. On Deno that
// function gives no answer, but a Response knows it of its own stream.
const tells = (() => {
  const stream = new NativeStream();
  stream.cancel();
  return typeof isDisturbed === 'function' && isDisturbed(stream);
})();

class Body {
  constructor(source, type, length) {
    this.source = source; // string, Uint8Array, Blob, exchange, iterable; null: there is only the stream, or the witness
    this.type = type; // content-type that goes with it, or null
    this.length = length; // bytes, or -1
    this.stream = null;
    this.witness = null; // an object of the runtime that has this content; one over the stream, where nothing else tells of that
    this.used = false; // it was consumed, or went to somebody else
    this.mark = null; // of a stream of our own: whether that was read from
    this.scope = null; // of a program's stream: what its AsyncLocalStorages held when it was given
  }

  adopt(stream) {
    if (freshSource(stream) !== null) {
      this.stream = stream;
      return;
    }
    if (!tells)
      this.witness = new NativeResponse(stream); // TypeError when the stream is locked or was read from
    else if (stream.locked || isDisturbed(stream)) throw new TypeError('the stream is locked, or was read from');
    this.stream = stream;
  }

  // A Request or Response of the runtime was made with the content, which it has from now on: what is asked here is asked there.
  follow(native) {
    this.source = this.stream = this.mark = null;
    this.witness = native;
  }

  get isUsed() {
    if (this.used) return true;
    if (this.stream === null) return this.witness !== null && this.witness.bodyUsed;
    if (this.mark !== null && this.mark.read) return true;
    if (freshSource(this.stream) !== null) return false;
    return tells ? isDisturbed(this.stream) : this.witness.bodyUsed;
  }

  get isUnusable() {
    if (this.isUsed) return true;
    const stream = this.stream === null && this.witness !== null ? this.witness.body : this.stream;
    return stream !== null && stream.locked;
  }
}

function isStream(value) {
  return value instanceof NativeStream;
}

// Whether it gives pieces one by one: an async iterable, or an iterator such as a generator. Arrays and their like are none: Fetch says
// that they become strings.
function isIterable(value) {
  if (value === null || typeof value !== 'object') return false;
  return (
    typeof value[Symbol.asyncIterator] === 'function' || (typeof value.next === 'function' && typeof value[Symbol.iterator] === 'function')
  );
}

function iteratorOf(iterable) {
  return typeof iterable[Symbol.asyncIterator] === 'function' ? iterable[Symbol.asyncIterator]() : iterable[Symbol.iterator]();
}

// "Get a copy of the bytes held by the buffer source" (WebIDL, 3.2.25).
function bytesOf(view) {
  return copyOf(ArrayBuffer.isView(view) ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : new Uint8Array(view));
}

function streamOfIterable(iterable) {
  const iterator = iteratorOf(iterable);
  return new NativeStream({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(typeof value === 'string' ? encoder.encode(value) : value);
    },
    async cancel(reason) {
      await iterator.return?.(reason);
    },
  });
}

function noStream() {
  return new TypeError('a stream cannot be the body of a request with keepalive');
}

function ofStream(stream, keepalive) {
  if (keepalive) throw noStream();
  const body = new Body(null, null, -1);
  body.adopt(stream);
  body.scope = new AsyncResource('carom.body');
  return body;
}

const crlf = (text) => text.replace(/\r\n?|\n/g, '\r\n');
const quoted = (text) => `"${text.replace(/\r/g, '%0D').replace(/\n/g, '%0A').replace(/"/g, '%22')}"`;

// "The multipart/form-data encoding algorithm" (HTML, 4.10.21.8), to a Blob: its length is known, and no
// stream is needed.
function encodeForm(form) {
  const boundary = `----carom${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`;
  const parts = [];
  for (const [name, value] of form) {
    parts.push(`--${boundary}\r\nContent-Disposition: form-data; name=${quoted(crlf(name))}`);
    if (typeof value === 'string') parts.push(`\r\n\r\n${crlf(value)}\r\n`);
    else parts.push(`; filename=${quoted(value.name)}\r\nContent-Type: ${value.type || 'application/octet-stream'}\r\n\r\n`, value, '\r\n');
  }
  parts.push(`--${boundary}--\r\n`);
  return [new Blob(parts), `multipart/form-data; boundary=${boundary}`];
}

// "Extract a body" (Fetch, 5.2).
function extract(object, keepalive = false) {
  if (typeof object === 'string') return new Body(object, 'text/plain;charset=UTF-8', -1);
  if (object !== null && typeof object === 'object') {
    if (ArrayBuffer.isView(object) || object instanceof ArrayBuffer) {
      const bytes = bytesOf(object);
      return new Body(bytes, null, bytes.length);
    }
    if (isStream(object)) return ofStream(object, keepalive);
    if (object instanceof Blob) return new Body(object, object.type === '' ? null : object.type, object.size);
    if (object instanceof URLSearchParams) return new Body(object.toString(), 'application/x-www-form-urlencoded;charset=UTF-8', -1);
    if (object instanceof FormData) {
      const [blob, type] = encodeForm(object);
      return new Body(blob, type, blob.size);
    }
    if (isIterable(object)) {
      if (keepalive) throw noStream();
      const body = new Body(object, null, -1);
      body.scope = new AsyncResource('carom.body');
      return body;
    }
  }
  return new Body(`${object}`, 'text/plain;charset=UTF-8', -1);
}

function ofExchange(exchange) {
  return new Body(exchange, null, -1);
}

// ---------------------------------------------------------------- as a stream

function isExchange(source) {
  return source !== null && typeof source === 'object' && typeof source.contentNow === 'function';
}

// Whether a reader's buffer is the stream's until the read is over, as the standard has it: on Bun the program still has it, and could
// give it away while the engine writes into it.
const TAKES_BUFFERS = globalThis.Bun === undefined;

// A stream of our own says in `mark` when it is first read from.
function streamOfExchange(mark, exchange) {
  return new NativeStream(
    {
      type: 'bytes',
      async pull(controller) {
        mark.read = true;
        exchange.keepContent();
        const request = controller.byobRequest;
        if (request) {
          const { buffer, byteOffset, byteLength } = request.view;
          const count = await exchange.readInto(new Uint8Array(buffer, byteOffset, byteLength), false, TAKES_BUFFERS);
          if (count === 0) controller.close();
          request.respond(count);
          return;
        }
        const piece = exchange.contentNow() || (await exchange.read());
        if (piece !== null && piece.length > 0) controller.enqueue(piece);
        else controller.close();
      },
      cancel() {
        mark.read = true;
        exchange.dropContent();
      },
    },
    { highWaterMark: 0 },
  );
}

function streamOfBytes(mark, bytes) {
  return new NativeStream(
    {
      type: 'bytes',
      pull(controller) {
        mark.read = true;
        if (bytes.length > 0) controller.enqueue(bytes);
        controller.close();
        controller.byobRequest?.respond(0);
      },
      cancel() {
        mark.read = true;
      },
    },
    { highWaterMark: 0 },
  );
}

// Not blob.stream() itself: Bun says of that one that it was read from when it is only locked.
function streamOfBlob(blob) {
  let reader = null;
  return new NativeStream(
    {
      type: 'bytes',
      async pull(controller) {
        if (reader === null) reader = blob.stream().getReader();
        const { done, value } = await reader.read();
        if (!done) controller.enqueue(value);
        else {
          controller.close();
          controller.byobRequest?.respond(0);
        }
      },
      async cancel(reason) {
        if (reader !== null) await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

function makeStream(source, mark) {
  if (isExchange(source)) return streamOfExchange(mark, source);
  if (typeof source === 'string') return streamOfBytes(mark, encoder.encode(source)); // not of Buffer's pool: a stream detaches it
  if (source instanceof Uint8Array) return streamOfBytes(mark, source.slice());
  if (isIterable(source)) return streamOfIterable(source);
  return streamOfBlob(source);
}

function streamOf(body) {
  if (body.stream !== null) return body.stream;
  if (body.used) {
    // what was consumed without a stream shows one that has ended, in the hands of its reader
    body.stream = new NativeStream({ type: 'bytes' });
    body.stream.getReader().cancel();
    return body.stream;
  }
  if (body.source === null) return body.witness.body;
  body.mark = { read: false };
  body.adopt(makeStream(body.source, body.mark));
  return body.stream;
}

// Makes two bodies of one ("clone", Fetch 2.2.4). What reads either of them reads from the stream of both, which is not used by that.
function clone(body) {
  if (body.stream === null && body.source === null) {
    const copy = new Body(null, body.type, body.length);
    copy.follow(body.witness.clone());
    return copy;
  }
  if (body.stream === null && !isExchange(body.source) && !isIterable(body.source)) {
    if (body.source instanceof Uint8Array) share(body.source);
    return new Body(body.source, body.type, body.length);
  }
  const [first, second] = streamOf(body).tee();
  body.source = body.mark = null;
  body.adopt(first);
  const other = new Body(null, body.type, body.length);
  other.adopt(second);
  return other;
}

// Gives the content to a new body ("create a proxy", Fetch 2.2.4). This one counts as used, and its stream stays in its place.
function handOver(body) {
  const other = new Body(body.source, body.type, body.length);
  if (body.stream !== null || body.source === null) {
    other.source = null;
    other.adopt(streamOf(body).pipeThrough(new TransformStream()));
  } else if (body.source instanceof Uint8Array) share(body.source);
  body.used = true;
  return other;
}

// What Request and Response of the runtime take for this body, without adding a type to it.
function forRuntime(body) {
  const { source } = body;
  if (body.stream !== null || source === null) return streamOf(body);
  if (typeof source === 'string') return encoder.encode(source);
  if (source instanceof Uint8Array || source instanceof Blob) return source;
  return (isExchange(source) && source.contentNow()) || streamOf(body);
}

// ---------------------------------------------------------------- consumed

function join(pieces, length) {
  if (pieces.length === 1) return pieces[0];
  const all = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

async function gather(next) {
  const pieces = [];
  let length = 0;
  for (;;) {
    const piece = await next();
    if (piece === null) return join(pieces, length);
    if (!(piece instanceof Uint8Array)) throw new TypeError('a body gives Uint8Array chunks');
    pieces.push(piece);
    length += piece.length;
  }
}

function gatherStream(stream) {
  const reader = stream.getReader();
  return gather(async () => {
    const { done, value } = await reader.read();
    if (done) return null;
    return value === null ? undefined : value;
  });
}

// Fills one buffer of the length that the content has. It grows with what has come, not with what was promised. The memory of what it
// has outgrown is used again, and that of the last one too, by who says that the bytes are not to be `kept`.
async function fill(exchange, length, kept) {
  const roomFor = (size) => (kept && size === length ? newRoom(size) : room(size));
  let bytes = roomFor(exchange.roomFor(Math.min(length, FIRST_ROOM)));
  let filled = 0;
  for (;;) {
    const count = await exchange.readInto(bytes.subarray(filled), true);
    filled += count;
    if (filled === length) {
      await exchange.read(); // trailers, and the end: over HTTP/2 it may come by itself, and till then the request is held
      return bytes;
    }
    if (count === 0) throw new TypeError('the content has ended before its length');
    if (filled < bytes.length) continue;
    const more = roomFor(Math.min(length, GROWTH * filled));
    more.set(bytes);
    giveBack(bytes);
    bytes = more;
  }
}

function gatherExchange(exchange, kept) {
  exchange.keepContent();
  const { contentLength } = exchange;
  return contentLength > 0 ? fill(exchange, contentLength, kept) : gather(() => exchange.read());
}

// All bytes of the body: at once when they are there already, else as a promise. The caller must not change them, and gives them back
// unless they are to be `kept`.
function consume(body, kept) {
  const { source } = body;
  if (body.stream !== null || source === null || isIterable(source)) {
    const all = gatherStream(streamOf(body));
    body.used = true;
    return all;
  }
  body.used = true;
  if (typeof source === 'string') return Buffer.from(source, 'utf8');
  if (source instanceof Uint8Array) return source;
  if (isExchange(source)) return source.contentNow() || gatherExchange(source, kept);
  return source.arrayBuffer().then((buffer) => new Uint8Array(buffer));
}

function withoutMark(text) {
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

function decode(bytes) {
  if (bytes.length > 4096) return decoder.decode(bytes);
  return withoutMark(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).utf8Slice(0, bytes.length));
}

// Nobody else needs them if they are `own`.
function decodeOnce(bytes, own) {
  const text = decode(bytes);
  if (own) giveBack(bytes);
  return text;
}

// The whole body as text when no bytes need be made for that, else null.
function textNow({ source, stream }) {
  if (stream !== null) return null;
  if (typeof source === 'string') return SURROGATE.test(source) ? null : source;
  return isExchange(source) ? source.textNow() : null;
}

// Converts all bytes of a body, which may be null: what bytes(), json() and their like have in common.
function consumeAs(body, convert, kept = true) {
  if (body === null) return settle(convert, new Uint8Array(0));
  if (body.isUnusable) return Promise.reject(new TypeError('the body was read already, or is locked'));
  const own = isExchange(body.source) && body.stream === null; // its bytes are made for whoever reads it
  const bytes = consume(body, kept);
  return typeof bytes.then === 'function' ? bytes.then((all) => convert(all, own)) : settle(convert, bytes, own);
}

function consumeAsText(body, convert) {
  const text = body === null || body.isUnusable ? null : textNow(body);
  if (text === null) return consumeAs(body, (bytes, own) => convert(decodeOnce(bytes, own)), false);
  body.used = true;
  return settle(convert, withoutMark(text));
}

function settle(convert, content, own = false) {
  try {
    return Promise.resolve(convert(content, own));
  } catch (error) {
    return Promise.reject(error);
  }
}

// A buffer that holds the bytes and nothing else, and is in nobody else's hands.
function ownBuffer(bytes, own) {
  if (own && bytes.byteLength === bytes.buffer.byteLength) return bytes.buffer;
  return bytes.byteLength === bytes.buffer.byteLength
    ? bytes.buffer.slice(0)
    : bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}

function parseForm(bytes, type) {
  const essence = (type || '').split(';')[0].trim().toLowerCase();
  if (essence !== 'multipart/form-data' && essence !== 'application/x-www-form-urlencoded')
    return Promise.reject(new TypeError(`a body of type ${JSON.stringify(type)} is no form`));
  return new NativeResponse(bytes, { headers: { 'content-type': type } }).formData().catch((error) => {
    throw error instanceof TypeError ? error : new TypeError(error.message); // Node 18 has others
  });
}

// The methods of Request and Response over a body; `of` gives it, `typeOf` the content-type.
function mixin(prototype, of, typeOf) {
  const methods = {
    text() {
      return consumeAsText(of(this), String);
    },
    json() {
      return consumeAsText(of(this), JSON.parse);
    },
    arrayBuffer() {
      return consumeAs(of(this), ownBuffer);
    },
    bytes() {
      return consumeAs(of(this), (bytes, own) => new Uint8Array(ownBuffer(bytes, own)));
    },
    blob() {
      return consumeAs(of(this), (bytes) => new Blob([bytes], { type: mediaType(typeOf(this)) }));
    },
    formData() {
      return consumeAs(of(this), (bytes) => parseForm(bytes, typeOf(this)));
    },
  };
  Object.defineProperty(prototype, 'textStream', {
    value: function textStream() {
      const body = of(this);
      if (body === null) return new Blob([]).stream().pipeThrough(new TextDecoderStream());
      if (body.isUnusable) throw new TypeError('the body was read already, or is locked');
      return streamOf(body).pipeThrough(new TextDecoderStream());
    },
    writable: true,
    enumerable: true,
    configurable: true,
  });
  for (const [name, method] of Object.entries(methods)) {
    // A method called on something else rejects (WebIDL: operations that return promises).
    const guarded = {
      [name]() {
        try {
          return method.call(this);
        } catch (error) {
          return Promise.reject(error);
        }
      },
    }[name];
    Object.defineProperty(prototype, name, { value: guarded, writable: true, enumerable: true, configurable: true });
  }
  Object.defineProperty(prototype, 'body', {
    get() {
      const body = of(this);
      return body === null ? null : streamOf(body);
    },
    enumerable: true,
    configurable: true,
  });
  Object.defineProperty(prototype, 'bodyUsed', {
    get() {
      const body = of(this);
      return body !== null && body.isUsed;
    },
    enumerable: true,
    configurable: true,
  });
}

module.exports = {
  Body,
  extract,
  ofExchange,
  streamOf,
  clone,
  handOver,
  forRuntime,
  mixin,
  isStream,
  isIterable,
  iteratorOf,
  headersInternals,
};
