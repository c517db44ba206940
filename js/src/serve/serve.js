// `serve`: a server whose handler takes a Request and gives a Response.
'use strict';

const { open, addRoute } = require('../engine/engine.js');
const { requestFromExchange, abortRequest } = require('../fetch/request.js');
const { isResponse } = require('../fetch/foreign.js');
const { responseParts, isOurResponse } = require('../fetch/response.js');
const { letRuntimeTakeOurs } = require('../globals/requests.js');
const { acceptSocket, asksForSocket } = require('../websocket/accept.js');
const { publish } = require('../websocket/connection.js');
const { checkNames: checkSocketNames, socketSettings } = require('../websocket/options.js');
const { topicsOf } = require('../websocket/topics.js');
const { Info } = require('./info.js');
const { send, isGone } = require('./send.js');

const LONGEST_ROUTE = 1023;
const LONGEST_TIMER = 2147483; // seconds

function notAResponse(value) {
  return new TypeError(`the handler must return a Response, not ${value === null ? 'null' : typeof value}`);
}

class Server {
  #engine;
  #origin;
  #drain = new AbortController();
  #websocket = null; // the handlers of WebSockets,
  #settings = null; // and their options

  constructor(options, handler) {
    this.options = options;
    this.handler = handler;
    const server = this;
    // Called as `onerror` of an exchange when the engine has refused what the handler returned.
    this.refused = function refused(error) {
      server.fail(this, error);
    };
    this.onError = options.onError;
    if (options.websocket !== undefined) this.#takeWebSocket(options.websocket);
    this.#engine = open(
      options,
      (exchange) => this.#accept(exchange),
      (engine) => this.#addRoutes(engine),
    );
    const { addr } = this.#engine;
    const host =
      addr.transport === 'unix'
        ? 'localhost'
        : addr.hostname.includes(':')
          ? `[${addr.hostname === '::' ? '::1' : addr.hostname}]`
          : addr.hostname;
    const [scheme, port] = this.#engine.tls === null ? ['http', 80] : ['https', 443];
    this.#origin = addr.transport === 'unix' || addr.port === port ? `${scheme}://${host}` : `${scheme}://${host}:${addr.port}`;
    this.origin = () => this.#origin;
    this.finished = this.#engine.finished;
  }

  get addr() {
    return this.#engine.addr;
  }
  get backend() {
    return this.#engine.backend;
  }
  get secure() {
    return this.#engine.tls !== null;
  }
  get pendingRequests() {
    const { recordsInFlight = 0 } = this.#engine.stats();
    return recordsInFlight;
  }

  get draining() {
    return this.#drain.signal;
  }

  shutdown(options) {
    const finished = this.#engine.shutdown(options);
    this.#drain.abort(new DOMException('the server shuts down', 'AbortError'));
    return finished;
  }

  stats() {
    return this.#engine.stats();
  }
  ref() {
    this.#engine.reference(true);
  }
  unref() {
    this.#engine.reference(false);
  }

  // Sockets that are open keep their handlers.
  reload(handler) {
    const next = handlerOf(handler);
    if (isPlain(handler) && handler.websocket !== undefined) this.#takeWebSocket(handler.websocket);
    this.handler = next;
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
    if (exchange === null || exchange.over || exchange.answered) return;
    if (exchange.timer === null) exchange.watch(() => clearTimeout(exchange.timer));
    clearTimeout(exchange.timer);
    if (seconds === 0 || seconds > LONGEST_TIMER) return;
    exchange.timer = setTimeout(() => {
      if (exchange.over || exchange.answered || exchange.begun) return;
      exchange.respond(503, ['content-type', 'text/plain'], '503 Service Unavailable\n');
      abortRequest(request, 'handler-timeout');
    }, seconds * 1000);
  }

  // -------------------------------------------------------------- WebSockets

  #takeWebSocket(websocket) {
    if (websocket === null || typeof websocket !== 'object') throw new TypeError('websocket must be an object with handlers');
    checkSocketNames(websocket);
    this.#settings = socketSettings(websocket, websocket);
    this.#websocket = websocket;
  }

  // Make the request a WebSocket; false when it asks for none, or cannot become one any more.
  upgrade(request, options) {
    if (this.#websocket === null) throw new TypeError('serve() was given no handlers of WebSockets: websocket: { message(ws, data) {} }');
    if (!asksForSocket(request)) return false;
    const { data, headers, protocol } = options || {};
    acceptSocket(request, this.#websocket, { data, headers, protocol, settings: this.#settings });
    return true;
  }

  // Send to all sockets that are subscribed to the topic; how many bytes, 0 when there are none.
  publish(topic, data, compress) {
    if (this.subscriberCount(topic) === 0) return 0;
    return publish(this.#engine.rings[0].openSockets(), 0, topic, data, compress);
  }

  subscriberCount(topic) {
    return topicsOf(this.#engine.handle).count(topic);
  }

  async [Symbol.asyncDispose || Symbol.for('Symbol.asyncDispose')]() {
    await this.shutdown();
  }

  // -------------------------------------------------------------- requests

  // Calls the handler. Whatever it throws is caught here, because it must not reach the loop over the batch.
  #accept(exchange) {
    exchange.onerror = this.refused;
    if (exchange.isConnect) {
      exchange.respond(405, ['allow', ''], null); // there is no tunnel that it could become (RFC 9110, 9.3.6)
      return;
    }
    try {
      const { handler } = this;
      const result = handler(requestFromExchange(exchange, this.origin), new Info(exchange, this));
      if (result !== null && typeof result === 'object' && !isOurResponse(result) && typeof result.then === 'function')
        Promise.resolve(result).then(
          (response) => this.deliver(exchange, response),
          (error) => this.fail(exchange, error),
        );
      else this.deliver(exchange, result);
    } catch (error) {
      this.fail(exchange, error);
    }
  }

  deliver(exchange, response) {
    if (exchange.socket !== null) return; // it was answered with 101
    try {
      if (!isOurResponse(response) && !isResponse(response)) throw notAResponse(response);
      if (this.#websocket !== null && response.ok && exchange.version === 20 && exchange.asksForWebSocket) {
        exchange.respond(400, ['content-type', 'text/plain'], 'There is no WebSocket here\n'); // 2xx would say that there is (RFC 8441, 4)
        return;
      }
      send(this, exchange, response);
    } catch (error) {
      this.fail(exchange, error);
    }
  }

  // The handler has failed: onError makes the response, or it is a 500 that says nothing about the error.
  async fail(exchange, error) {
    const { onError } = this;
    if (exchange.socket !== null) {
      this.report(error);
      return;
    }
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
    // With ESTATE a head had been sent already when onError answered; the first error was reported then.
    if (first || error?.code !== 'CAROM_ESTATE') this.report(error);
    exchange.onerror = () => exchange.cancel();
    if (exchange.output !== null && exchange.answered) exchange.cancel();
    else exchange.respond(500, ['content-type', 'text/plain'], 'Internal Server Error\n');
  }

  report(error) {
    if (isGone(error)) console.error(`carom: the handler failed: ${error.message}`);
    else console.error('carom: the handler failed:', error);
  }

  #addRoutes(engine) {
    for (const [path, response] of Object.entries(this.options.routes || {})) {
      if (!path.startsWith('/')) throw new TypeError(`a route begins with "/": ${path}`);
      if (path.length > LONGEST_ROUTE || /[^!-~]|[?#]/.test(path))
        throw new TypeError(
          `a route is a path as it is sent, of up to ${LONGEST_ROUTE} characters of ASCII, without a query: ${path.slice(0, 100)}`,
        );
      const ours = isOurResponse(response);
      if (!isResponse(response)) throw new TypeError(`the route ${path} must be a Response`);
      const { status, fields, body } = responseParts(ours ? response.clone() : response); // others may have it too
      const bytes = body === null ? new Uint8Array(0) : typeof body === 'string' ? Buffer.from(body) : body;
      if (!(bytes instanceof Uint8Array) || (body !== null && !ours))
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

// The options and the handler of serve(handler), serve(options, handler) and serve({ fetch, ...options }).
function argumentsOf(first, second) {
  if (typeof first === 'function') return [{ ...second }, first];
  if (first === null || typeof first !== 'object') throw new TypeError('serve(handler) or serve(options, handler)');
  if (second !== undefined) return [first, handlerOf(second)];
  if (typeof first.handler === 'function') return [first, first.handler];
  // An app of a framework is an object that has much besides `fetch`. Only a plain object is taken for options.
  return [isPlain(first) ? first : {}, handlerOf(first)];
}

// Shuts the server down when the signal aborts. The listener is removed, since the signal may live longer than the server.
function follow(server, signal) {
  const stop = () => {
    server.shutdown();
  };
  signal.addEventListener('abort', stop, { once: true });
  server.finished.then(() => signal.removeEventListener('abort', stop));
}

// Where a server on all addresses can be reached from here has one name for people.
function shownOf({ addr, origin }) {
  if (addr.transport === 'unix') return addr.path;
  const everywhere = addr.hostname === '::' || addr.hostname === '0.0.0.0';
  return `${everywhere ? origin().replace(addr.hostname === '::' ? '[::1]' : '0.0.0.0', 'localhost') : origin()}/`;
}

function serve(first, second) {
  const [options, handler] = argumentsOf(first, second);
  const { signal, onListen } = options;
  for (const name of ['onListen', 'onError'])
    if (options[name] !== undefined && options[name] !== null && typeof options[name] !== 'function')
      throw new TypeError(`${name} must be a function`);
  if (signal && typeof signal.addEventListener !== 'function') throw new TypeError('signal must be an AbortSignal');
  if (signal && signal.aborted) throw signal.reason;
  letRuntimeTakeOurs();
  const server = new Server(options, handler);
  try {
    if (signal) follow(server, signal);
    if (typeof onListen === 'function') onListen.call(options, server.addr);
    else if (onListen === undefined) console.log(`carom: listening on ${shownOf(server)}`);
  } catch (error) {
    server.shutdown({ deadline: 0 }); // the caller is given no server
    throw error;
  }
  return server;
}

module.exports = { serve, isPlain };
