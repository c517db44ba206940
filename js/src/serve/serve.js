// `serve`: the web-standard API over exchanges.
'use strict';

const { open, addRoute } = require('../engine/engine.js');
const { requestFromExchange, abortRequest } = require('../fetch/request.js');
const { Headers } = require('../fetch/headers.js');
const { Response, responseParts } = require('../fetch/response.js');

// Blobs up to here are gathered and sent at once.
const SMALL_BLOB = 65536;
const LONGEST_ROUTE = 1023;
const LONGEST_TIMER = 2147483; // seconds

function isHead(exchange, status) {
  return status === 204 || status === 304 || exchange.method === 'HEAD';
}

// What goes with a request; nothing is computed before it is asked for.
class Info {
  #exchange;
  #address = null;
  #protocol = null;
  #tls = undefined;
  #completed = null;

  constructor(exchange) {
    this.#exchange = exchange;
  }

  get remoteAddr() {
    if (this.#address === null) this.#address = this.#exchange.remoteAddress();
    return this.#address;
  }

  get alpn() {
    if (this.#protocol === null) this.#protocol = this.#exchange.protocol;
    return this.#protocol;
  }

  get tls() {
    if (this.#tls === undefined) this.#tls = this.#exchange.tls();
    return this.#tls;
  }

  get completed() {
    if (this.#completed === null) {
      this.#completed = new Promise((resolve, reject) => {
        this.#exchange.watch((reason) => {
          const { bytesSent } = this.#exchange;
          if (reason === 'complete') resolve({ bytesSent });
          else reject(Object.assign(new Error(`the response was not sent whole: ${reason}`), { code: 'CAROM_ECANCELED', reason, bytesSent }));
        });
      });
      this.#completed.catch(() => {}); // nobody need look at it
    }
    return this.#completed;
  }

  inform(status, headers) {
    if (!Number.isInteger(status) || status < 102 || status > 199)
      throw new RangeError(`an informational status is from 102 to 199, not ${status}`);
    const { begun, ended } = this.#exchange;
    if (begun && !ended) throw Object.assign(new TypeError('the response has begun'), { code: 'CAROM_ESTATE' });
    this.#exchange.inform(status, [...new Headers(headers)].flat());
  }

  trailers(headers) {
    this.#exchange.responseTrailers = [...new Headers(headers)].flat();
  }
}

// ---------------------------------------------------------------- sending

function isGone(error) {
  return error !== null && typeof error === 'object' && error.code === 'CAROM_ECANCELED';
}

function toBytes(chunk) {
  if (chunk instanceof Uint8Array) return chunk;
  if (typeof chunk === 'string') return chunk;
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  throw new TypeError('a response body gives Uint8Array chunks');
}

// The length that the handler's fields say, or -1.
function lengthOf(fields) {
  for (let i = 0; i < fields.length; i += 2)
    if (fields[i] === 'content-length') return Number(fields[i + 1]);
  return -1;
}

async function pump(server, exchange, { next, cancel }) {
  try {
    for (;;) {
      const { done, value } = await next();
      if (done || exchange.over) break;
      if (!exchange.write(toBytes(value))) await exchange.ready();
    }
    exchange.source = null;
    if (exchange.over) cancel();
    else exchange.end(exchange.responseTrailers);
  } catch (error) {
    exchange.source = null;
    cancel(error);
    if (!isGone(error)) {
      server.report(error);
      exchange.cancel();
    }
  }
}

// Who is told to stop may object; nobody hears it.
async function quietly(stop) {
  try {
    await stop();
  } catch {}
}

// What gives the chunks of a body: { next, cancel }.
function sourceOf(body) {
  if (typeof body.getReader === 'function') {
    const reader = body.getReader();
    return { next: () => reader.read(), cancel: (reason) => { quietly(() => reader.cancel(reason)); } };
  }
  const iterator = body[Symbol.asyncIterator]();
  return { next: () => iterator.next(), cancel: () => { quietly(() => iterator.return?.()); } };
}

function sendStream(server, exchange, { status, fields }, source) {
  if (exchange.over || isHead(exchange, status)) {
    source.cancel();
    exchange.respond(status, fields, null);
    return;
  }
  exchange.begin(status, fields, lengthOf(fields));
  exchange.source = source;
  pump(server, exchange, source);
}

// A Response of the runtime has its content in a stream only. Most have one chunk: when the end comes
// before the event loop turns, its length is known. One that gives nothing by then is sent as a stream:
// its client waits for the head, and may leave.
async function sendForeign(server, exchange, parts) {
  const { status, fields, body } = parts;
  try {
    const source = sourceOf(body);
    const turn = new Promise((resolve) => { setImmediate(resolve); });
    const read = [source.next()];
    const first = await Promise.race([read[0], turn]);
    if (first !== undefined && first.done) {
      exchange.respond(status, fields, null);
      return;
    }
    if (first !== undefined) {
      read.push(source.next());
      const second = await Promise.race([read[1], turn]);
      if (second !== undefined && second.done) {
        exchange.respond(status, fields, toBytes(first.value));
        return;
      }
    }
    sendStream(server, exchange, parts, { next: () => read.shift() || source.next(), cancel: source.cancel });
  } catch (error) {
    server.fail(exchange, error);
  }
}

function sendBlob(server, exchange, parts) {
  const { status, fields, body } = parts;
  if (body.size > SMALL_BLOB) {
    sendStream(server, exchange, { status, fields: lengthOf(fields) >= 0 ? fields : [...fields, 'content-length', String(body.size)] }, sourceOf(body.stream()));
    return;
  }
  body.arrayBuffer().then((bytes) => exchange.respond(status, fields, new Uint8Array(bytes), true),
    (error) => server.fail(exchange, error));
}

function send(server, exchange, response) {
  const parts = responseParts(response);
  const { status, fields, body } = parts;
  if (exchange.responseTrailers !== null) sendWithTrailers(server, exchange, parts);
  else if (body === null || typeof body === 'string' || body instanceof Uint8Array)
    exchange.respond(status, fields, body, true);
  else if (typeof body.arrayBuffer === 'function') sendBlob(server, exchange, parts);
  else if (parts.foreign) sendForeign(server, exchange, parts);
  else sendStream(server, exchange, parts, sourceOf(body));
}

// Trailers need the chunked coding.
function sendWithTrailers(server, exchange, { status, fields, body }) {
  if (body !== null && typeof body !== 'string' && !(body instanceof Uint8Array)) {
    sendStream(server, exchange, { status, fields }, sourceOf(typeof body.stream === 'function' ? body.stream() : body));
    return;
  }
  exchange.begin(status, fields, -1);
  if (body !== null) exchange.write(body);
  exchange.end(exchange.responseTrailers);
}

// ---------------------------------------------------------------- the server

function notAResponse(value) {
  return new TypeError(`the handler must return a Response, not ${value === null ? 'null' : typeof value}`);
}

class Server {
  #engine;
  #origin;

  constructor(options, handler) {
    this.options = options;
    this.handler = handler;
    const server = this;
    // As `onerror` of an exchange: the engine refused what the handler gave.
    this.refused = function refused(error) { server.fail(this, error); };
    this.onError = options.onError;
    this.#engine = open(options, (exchange) => this.#accept(exchange), (engine) => this.#addRoutes(engine));
    const { addr } = this.#engine;
    const host = addr.transport === 'unix' ? 'localhost'
      : addr.hostname.includes(':') ? `[${addr.hostname === '::' ? '::1' : addr.hostname}]` : addr.hostname;
    const [scheme, port] = this.#engine.tls === null ? ['http', 80] : ['https', 443];
    this.#origin = addr.transport === 'unix' || addr.port === port ? `${scheme}://${host}` : `${scheme}://${host}:${addr.port}`;
    this.origin = () => this.#origin;
    this.finished = this.#engine.finished;
  }

  get addr() { return this.#engine.addr; }
  get backend() { return this.#engine.backend; }
  get secure() { return this.#engine.tls !== null; }
  get pendingRequests() {
    const { recordsInFlight = 0 } = this.#engine.stats();
    return recordsInFlight;
  }

  shutdown(options) { return this.#engine.shutdown(options); }

  stats() { return this.#engine.stats(); }
  ref() { this.#engine.reference(true); }
  unref() { this.#engine.reference(false); }

  reload(handler) {
    this.handler = handlerOf(handler);
  }

  reloadTls(options) {
    this.#engine.reloadTls(options);
  }

  requestIP(request) {
    const exchange = exchangeOf(request);
    return exchange === null || exchange.released ? null : exchange.remoteAddress();
  }

  timeout(request, seconds) {
    if (typeof seconds !== 'number' || !(seconds >= 0)) throw new TypeError(`seconds must be a number of at least 0, not ${seconds}`);
    const exchange = exchangeOf(request);
    if (exchange === null || exchange.over || exchange.ended) return;
    if (exchange.timer === null) exchange.watch(() => clearTimeout(exchange.timer));
    clearTimeout(exchange.timer);
    if (seconds === 0 || seconds > LONGEST_TIMER) return;
    exchange.timer = setTimeout(() => {
      if (exchange.over || exchange.ended || exchange.begun) return;
      exchange.respond(503, ['content-type', 'text/plain'], '503 Service Unavailable\n');
      abortRequest(request, 'handler-timeout');
    }, seconds * 1000);
  }

  async [Symbol.asyncDispose || Symbol.for('Symbol.asyncDispose')]() {
    await this.shutdown();
  }

  // -------------------------------------------------------------- requests

  // Whatever the handler returns or throws ends here: nothing of it may reach the loop over the batch.
  #accept(exchange) {
    exchange.onerror = this.refused;
    try {
      const { handler } = this;
      const result = handler(requestFromExchange(exchange, this.origin), new Info(exchange));
      if (result !== null && typeof result === 'object' && !(result instanceof Response) && typeof result.then === 'function')
        Promise.resolve(result).then((response) => this.deliver(exchange, response), (error) => this.fail(exchange, error));
      else this.deliver(exchange, result);
    } catch (error) {
      this.fail(exchange, error);
    }
  }

  deliver(exchange, response) {
    try {
      if (!(response instanceof Response) && !(response instanceof globalThis.Response)) throw notAResponse(response);
      send(this, exchange, response);
    } catch (error) {
      this.fail(exchange, error);
    }
  }

  // The handler failed: onError answers, or a 500 that tells nothing.
  async fail(exchange, error) {
    const { onError } = this;
    const first = !exchange.failed;
    exchange.failed = true;
    if (first && typeof onError === 'function') {
      try {
        send(this, exchange, await onError(error));
        return;
      } catch (second) {
        this.report(error);
        error = second;
      }
    }
    // ESTATE: what onError gave came behind a head that was out.
    if (first || error?.code !== 'CAROM_ESTATE') this.report(error);
    exchange.onerror = () => exchange.cancel();
    if (exchange.output !== null && exchange.ended) exchange.cancel();
    else exchange.respond(500, ['content-type', 'text/plain'], 'Internal Server Error\n');
  }

  report(error) {
    console.error('carom: the handler failed:', error);
  }

  #addRoutes(engine) {
    for (const [path, response] of Object.entries(this.options.routes || {})) {
      if (!path.startsWith('/')) throw new TypeError(`a route begins with "/": ${path}`);
      if (path.length > LONGEST_ROUTE || /[^!-~]|[?#]/.test(path))
        throw new TypeError(`a route is a path as it is sent, of up to ${LONGEST_ROUTE} characters of ASCII, without a query: ${path.slice(0, 100)}`);
      const ours = response instanceof Response;
      if (!ours && !(response instanceof globalThis.Response)) throw new TypeError(`the route ${path} must be a Response`);
      const { status, fields, body } = responseParts(ours ? response.clone() : response); // others may have it too
      const bytes = body === null ? new Uint8Array(0) : typeof body === 'string' ? Buffer.from(body) : body;
      if (!(bytes instanceof Uint8Array))
        throw new TypeError(`the route ${path} must be a Response of carom's own class, of a string or bytes: others have a stream only`);
      addRoute(engine, path, status, fields, bytes);
    }
  }
}

function exchangeOf(request) {
  return (request !== null && typeof request === 'object' && requestFromExchange.exchangeOf(request)) || null;
}

function handlerOf(handler) {
  if (typeof handler === 'function') return handler;
  if (handler !== null && typeof handler === 'object' && typeof handler.fetch === 'function')
    return (request, info) => handler.fetch(request, info);
  throw new TypeError('a handler is a function that takes a Request, or an object with such a function `fetch`');
}

function isPlain(object) {
  const prototype = Object.getPrototypeOf(object);
  return prototype === Object.prototype || prototype === null;
}

// serve(handler), serve(options, handler), serve({ fetch, ...options })
function argumentsOf(first, second) {
  if (typeof first === 'function') return [{ ...second }, first];
  if (first === null || typeof first !== 'object') throw new TypeError('serve(handler) or serve(options, handler)');
  if (second !== undefined) return [first, handlerOf(second)];
  if (typeof first.handler === 'function') return [first, first.handler];
  // An app of a framework is an object with much else in it: only plain objects are options.
  return [isPlain(first) ? first : {}, handlerOf(first)];
}

// The signal may live longer than the server.
function follow(server, signal) {
  const stop = () => { server.shutdown(); };
  signal.addEventListener('abort', stop, { once: true });
  server.finished.then(() => signal.removeEventListener('abort', stop));
}

function serve(first, second) {
  const [options, handler] = argumentsOf(first, second);
  const { signal, onListen } = options;
  for (const name of ['onListen', 'onError'])
    if (options[name] !== undefined && options[name] !== null && typeof options[name] !== 'function') throw new TypeError(`${name} must be a function`);
  if (signal && typeof signal.addEventListener !== 'function') throw new TypeError('signal must be an AbortSignal');
  if (signal && signal.aborted) throw signal.reason;
  const server = new Server(options, handler);
  try {
    if (signal) follow(server, signal);
    if (typeof onListen === 'function') onListen.call(options, server.addr);
    else if (onListen === undefined)
      console.log(`carom: listening on ${server.addr.transport === 'unix' ? server.addr.path : server.origin() + '/'}`);
  } catch (error) {
    server.shutdown({ deadline: 0 }); // the caller is given no server
    throw error;
  }
  return server;
}

module.exports = { serve, isPlain };
