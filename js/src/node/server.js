// createServer: a server like that of node:http, whose listeners are served by the engine.
'use strict';

const { EventEmitter } = require('node:events');
const { channel } = require('node:diagnostics_channel');
const http = require('node:http');
const https = require('node:https');
const dns = require('node:dns');
const { isIP } = require('node:net');
const { refusal, refusedError } = require('./client-error.js');
const { IncomingMessage } = require('./incoming.js');
const { ServerResponse } = require('./response.js');
const { placeOf } = require('./listen.js');
const { inject } = require('./injected.js');
const { Socket, SecureSocket, socketFor, streamSocketFor } = require('./socket.js');
const { Transaction } = require('./transaction.js');
const { UpgradeSocket } = require('./upgrade.js');
const { coded, listenError } = require('./errors.js');
const { chosenOf, addChosen, settable } = require('./settings.js');
const { callSite, MADE_AT } = require('../engine/call-site.js');
const { CLOSE_IDLE, CLOSE_NOW } = require('../engine/closing.js');
const { IPV6_ONLY, SOCKET_MODE } = require('../engine/options.js');
const { meantBy, noOption } = require('../engine/option-names.js');
const { tlsOf, CURES, NAMES_OF_TLS, OF_A_CERTIFICATE } = require('../engine/tls-options.js');

// The options of TLS and HTTP/2 among those that createServer was given.
const OF_TLS = [...NAMES_OF_TLS, ...Object.keys(CURES), 'tls', 'http2', 'handshakeTimeout'];

// How often a server that is closed and listens again at once looks whether its place is free.
const TURNS = 100;

const OF_CERTIFICATES = ['tls', ...OF_A_CERTIFICATE];

// As node does.
function checkArguments(options, listener) {
  const isObject = options === undefined || options === null || (typeof options === 'object' && !Array.isArray(options));
  if (!isObject)
    throw coded(TypeError, 'ERR_INVALID_ARG_TYPE', `The "options" argument must be of type object. Received ${String(options)}`);
  if (listener !== undefined && listener !== null && typeof listener !== 'function')
    throw coded(TypeError, 'ERR_INVALID_ARG_TYPE', `The "listener" argument must be of type function. Received ${String(listener)}`);
}

function isSecure(options) {
  return Boolean(tlsOf({ ...options.carom, ...tlsSettings(options) }));
}

function tlsSettings(options) {
  const settings = {};
  for (const name of OF_TLS) if (options[name] !== undefined && options[name] !== null) settings[name] = options[name];
  return settings;
}

// The options of a server with others of TLS in their place: all certificates together, the rest one by one.
function withTls(before, given) {
  const names = Object.keys(given).filter((name) => given[name] !== undefined);
  const gone = names.some((name) => OF_CERTIFICATES.includes(name)) ? [...names, ...OF_CERTIFICATES] : names;
  const kept = (options) => Object.fromEntries(Object.entries(options).filter(([name]) => !gone.includes(name)));
  const after = kept(before);
  if (before.carom) after.carom = kept(before.carom);
  for (const name of names) after[name] = given[name];
  return after;
}

// As node names them; tools that monitor applications subscribe to them.
const requestStart = channel('http.server.request.start');
const responseCreated = channel('http.server.response.created');

// From 22.12 on node's ServerResponse, which ours is made of, tells of itself.
const [major, minor] = process.versions.node.split('.').map(Number);
const TELLS_OF_ITSELF = major > 22 || (major === 22 && minor >= 12);

class Server extends EventEmitter {
  constructor(options, listener) {
    super();
    this.setUp(options, listener);
  }

  // Constructors that are functions call node's without new, for an object of theirs.
  setUp(options, listener) {
    if (typeof options === 'function') {
      listener = options;
      options = {};
    }
    checkArguments(options, listener);
    this.options = options || {};
    this.handle = null; // of the engine that listens
    this.closing = new Set(); // those that do not listen any more, and have not ended
    this.addr = null; // in the engine's words
    this.opening = null; // what listens soon: an object of each listen()
    this.referenced = true;
    this.timeout = 0;
    this.sockets = new Set(); // that are open
    this.noDelay = true; // always
    this.halfOpen = false; // who has sent FIN is still answered
    this.reader = null; // of connections that a program brings (injected.js)
    this.on('connection', takeOther);
    this.chosen = chosenOf(this.options);
    this.checkTls();
    this.madeAt = callSite();
    if (listener !== undefined && listener !== null) this.on('request', listener);
  }

  get listening() {
    return this.handle !== null;
  }

  // ---------------------------------------------------------------- listening

  listen(...args) {
    const { place, callback } = placeOf(args);
    if (this.handle !== null || this.opening)
      throw coded(Error, 'ERR_SERVER_ALREADY_LISTEN', 'Listen method has been called more than once without closing.');
    if (callback !== null) this.once('listening', callback);
    const { host } = place;
    if (host === undefined || host === 'localhost' || isIP(host) !== 0) {
      if (this.closing.size === 0) this.open(place);
      else this.openSoon(place, TURNS);
      return this;
    }
    const opening = {};
    this.opening = opening;
    dns.lookup(host, (error, address) => {
      if (this.opening !== opening) return;
      this.opening = null;
      if (error) this.emit('error', error);
      else this.open({ ...place, host: address });
    });
    return this;
  }

  // The engine of before stops listening in its next turn, and may have the very place. When that turn comes is the loop's matter.
  openSoon(place, turns) {
    const opening = {};
    this.opening = opening;
    setImmediate(() => {
      if (this.opening !== opening) return;
      this.opening = null;
      this.open(place, this.closing.size > 0 ? turns - 1 : 0);
    });
  }

  // `turns`: how often a place that is in use is tried once more.
  open(place, turns = 0) {
    const { signal } = place;
    if (signal && signal.aborted) {
      process.nextTick(closed, this);
      return;
    }
    try {
      const { serveExchanges, takeOver } = require('../engine/engine.js');
      if (place.handle) place = { signal, fd: takeOver(place.handle) };
      this.handle = serveExchanges(this.settings(place), (exchange) => this.accept(exchange), this.observer());
    } catch (error) {
      if (turns > 0 && error.code === 'CAROM_EADDRINUSE') this.openSoon(place, turns);
      else process.nextTick(() => this.emit('error', listenError(error, place)));
      return;
    }
    const { handle } = this;
    this.addr = handle.addr;
    handle.finished.then(() => process.nextTick(finished, this, handle));
    if (!this.referenced) handle.unref();
    if (signal) {
      const stop = () => {
        this.close();
      };
      signal.addEventListener('abort', stop, { once: true });
      handle.finished.then(() => signal.removeEventListener('abort', stop));
    }
    process.nextTick(() => {
      if (this.handle === handle) this.emit('listening');
    });
  }

  // Checked here because node:https throws from createServer and not from listen.
  checkTls() {
    for (const name of Object.keys(this.options)) {
      const meant = OF_TLS.includes(name) ? undefined : meantBy(name, NAMES_OF_TLS);
      if (meant !== undefined) throw noOption('', name, meant);
    }
    tlsOf({ ...this.options.carom, ...tlsSettings(this.options) });
  }

  // The options for the engine. What is not named here has the engine's defaults.
  settings({ host, port, path, fd, backlog, exclusive, ipv6Only, mode }) {
    const settings = { ...this.options.carom, ...tlsSettings(this.options), [MADE_AT]: this.madeAt };
    addChosen(settings, this.chosen);
    if (this.options.requireHostHeader === false) settings.hostOptional = true;
    if (this.halfOpen) settings.halfClose = true;
    if (backlog > 0) settings.backlog = backlog;
    if (exclusive) settings.reusePort = false; // in a cluster
    if (fd !== undefined) settings.fd = fd;
    else if (path !== undefined) {
      settings.path = path;
      settings[SOCKET_MODE] = mode;
    } else {
      settings.port = port;
      settings[IPV6_ONLY] = ipv6Only;
      if (host !== undefined) settings.hostname = host;
    }
    return settings;
  }

  address() {
    const { addr } = this;
    if (addr === null) return null;
    if (addr.transport === 'unix') return addr.path;
    return { address: addr.hostname, family: addr.hostname.includes(':') ? 'IPv6' : 'IPv4', port: addr.port };
  }

  // As in tls.Server: new connections get these certificates, also when it listens again.
  setSecureContext(options) {
    if (this.handle !== null) this.handle.reloadTls(options);
    this.options = withTls(this.options, options || {});
  }

  getConnections(callback) {
    process.nextTick(callback, null, this.sockets.size);
    return this;
  }

  // ---------------------------------------------------------------- closing

  close(callback) {
    const { handle } = this;
    if (typeof callback === 'function') {
      if (handle === null && !this.opening)
        this.once('close', () => callback(coded(Error, 'ERR_SERVER_NOT_RUNNING', 'Server is not running.')));
      else this.once('close', callback);
    }
    this.opening = null;
    if (handle === null) {
      if (this.closing.size === 0) process.nextTick(closed, this);
      return this;
    }
    this.handle = null;
    this.addr = null;
    this.closing.add(handle);
    handle.shutdown({});
    return this;
  }

  // The engine that listens, and those that are closing.
  get handles() {
    return this.handle === null ? [...this.closing] : [this.handle, ...this.closing];
  }

  // With those that are over but for what the client has not taken. As in node, those that have changed their protocol stay, to close as
  // that protocol does.
  closeAllConnections() {
    let stays = false;
    for (const socket of [...this.sockets]) {
      if (socket.changed) stays = true;
      else if (socket.destroyed) socket.engineConnection?.close(CLOSE_NOW);
      else socket.destroy();
    }
    if (stays) return;
    for (const handle of this.handles) handle.closeConnections(CLOSE_NOW);
    for (const handle of this.closing) handle.shutdown({ deadline: 0 });
  }

  closeIdleConnections() {
    for (const handle of this.handles) handle.closeConnections(CLOSE_IDLE);
  }

  ref() {
    this.referenced = true;
    if (this.handle !== null) this.handle.ref();
    return this;
  }

  unref() {
    this.referenced = false;
    if (this.handle !== null) this.handle.unref();
    return this;
  }

  // As supertest looks for it.
  get _handle() {
    return this.handle;
  }

  get connections() {
    return this.sockets.size;
  }

  get httpAllowHalfOpen() {
    return this.halfOpen;
  }

  // While it listens it can be set, and holds from then on.
  set httpAllowHalfOpen(value) {
    this.halfOpen = Boolean(value);
    if (this.halfOpen && this.handle !== null) this.handle.adjust({ halfClose: true });
  }

  setTimeout(milliseconds, callback) {
    if (typeof milliseconds === 'function') {
      callback = milliseconds;
      milliseconds = 0;
    }
    this.timeout = Number(milliseconds) || 0;
    if (typeof callback === 'function') this.on('timeout', callback);
    return this;
  }

  // ---------------------------------------------------------------- connections

  // What the engine tells of each connection (ring.js).
  observer() {
    return { opened: (connection) => this.opened(connection), closed: (socket, reason) => this.closed(socket, reason) };
  }

  opened(connection) {
    const socket = socketFor(this, connection);
    this.sockets.add(socket);
    if (this.timeout > 0) socket.setTimeout(this.timeout);
    if (this.options.keepAlive) socket.setKeepAlive(true, this.options.keepAliveInitialDelay);
    process.nextTick(tellOpened, this, socket, connection.secure);
    return socket;
  }

  closed(socket, reason) {
    this.sockets.delete(socket);
    socket.gone(reason);
  }

  // ---------------------------------------------------------------- requests

  // What a listener throws becomes an uncaught exception, and the other exchanges of the batch are still served.
  accept(exchange) {
    try {
      if (exchange.refusal) this.refused(exchange);
      else if (!this.change(exchange)) this.serve(exchange);
    } catch (error) {
      process.nextTick(raise, error);
    }
  }

  // Over HTTP/2 each exchange has a socket of its own, with a time-out of its own.
  socketOf(exchange) {
    const { connection } = exchange;
    if (exchange.version < 20) return connection || streamSocketFor(this, exchange);
    connection?.setTimeout(0);
    return streamSocketFor(this, exchange);
  }

  // What is no request, or came too late.
  refused(exchange) {
    const socket = this.socketOf(exchange);
    const transaction = new Transaction(exchange, socket);
    socket.enter(transaction);
    const error = refusedError(exchange);
    socket.toldError = true;
    if (this.emit('clientError', error, socket)) return;
    socket.refusal = error;
    socket.end(refusal(exchange.refusal));
  }

  serve(exchange) {
    const socket = this.socketOf(exchange);
    const transaction = new Transaction(exchange, socket);
    const request = new IncomingMessage(exchange, socket, this);
    const response = new ServerResponse(request, exchange, transaction, this.options);
    transaction.request = request;
    transaction.response = response;
    this.giveClasses(request, response);
    socket.enter(transaction);
    if (exchange.contentLength !== 0 && this.requestTimeout > 0) transaction.limit(this.requestTimeout);
    if (!TELLS_OF_ITSELF && responseCreated.hasSubscribers) responseCreated.publish({ request, response });
    if (requestStart.hasSubscribers) requestStart.publish({ request, response, socket, server: this });
    const expected = exchange.field('expect');
    if (expected !== null && /^100-continue$/i.test(expected)) {
      if (this.emit('checkContinue', request, response)) return;
    } else if (expected !== null) {
      if (!this.emit('checkExpectation', request, response)) response.writeHead(417).end();
      return;
    }
    this.emit('request', request, response);
    if (!request.complete && !request._consumed) process.nextTick(readAhead, request);
  }

  // The options IncomingMessage and ServerResponse: their methods are there, though their constructors are not called.
  giveClasses(request, response) {
    const { IncomingMessage: Incoming, ServerResponse: Outgoing } = this.options;
    if (Incoming) Object.setPrototypeOf(request, Incoming.prototype);
    if (Outgoing) Object.setPrototypeOf(response, Outgoing.prototype);
  }

  // Requests for another protocol go to listeners of 'upgrade' and 'connect'.
  change(exchange) {
    let event = null;
    if (
      this.listenerCount('upgrade') > 0 &&
      exchange.version !== 10 && // RFC 9110, 7.8
      exchange.contentLength === 0 && // the protocol would change behind the content: such a request is answered like others
      exchange.field('upgrade') !== null &&
      /(^|,)\s*upgrade\s*(,|$)/i.test(exchange.field('connection') || '')
    )
      event = 'upgrade';
    else if (this.listenerCount('connect') > 0 && exchange.method === 'CONNECT') event = 'connect';
    if (event === null) {
      if (exchange.method !== 'CONNECT') return false;
      exchange.respond(405, [], null); // nobody is there who could make a tunnel
      return true;
    }
    const socket = new UpgradeSocket(exchange, this);
    if (exchange.version < 20 && exchange.connection) exchange.connection.changed = true;
    const request = new IncomingMessage(exchange, socket, this);
    if (this.options.IncomingMessage) Object.setPrototypeOf(request, this.options.IncomingMessage.prototype);
    request.upgrade = true;
    request.complete = true;
    this.emit(event, request, socket, Buffer.alloc(0));
    return true;
  }
}

settable(Server.prototype);
// For those who ask whether it is a server of node: nothing of node's is called.
if (http.Server?.prototype) Object.setPrototypeOf(Server.prototype, http.Server.prototype);

if (Symbol.asyncDispose)
  Server.prototype[Symbol.asyncDispose] = function () {
    return new Promise((resolve, reject) => this.close((error) => (error ? reject(error) : resolve())));
  };

// The same for TLS, since node's have no ancestor in common but net.Server.
function SecureServer() {}
const ofServer = Object.getOwnPropertyDescriptors(Server.prototype);
SecureServer.prototype = Object.create(https.Server?.prototype || Server.prototype, ofServer);

// Node's may be called without new, also for an object that inherits from it.
const CallableServer = new Proxy(Server, {
  apply(target, self, args) {
    if (!(self instanceof Server)) return createServer(...args);
    EventEmitter.call(self);
    self.setUp(...args);
    return self;
  },
});
Server.prototype.constructor = SecureServer.prototype.constructor = CallableServer;
Object.defineProperty(Server, Symbol.hasInstance, {
  value(object) {
    const ordinary = Function.prototype[Symbol.hasInstance];
    const ours = this === Server || this === CallableServer;
    return ordinary.call(this, object) || (ours && ordinary.call(SecureServer, object));
  },
});

function finished(server, handle) {
  server.closing.delete(handle);
  if (server.handle === handle) {
    server.handle = null;
    server.addr = null;
  }
  closed(server);
}

// When it listens again, or an older engine goes on, it has not closed.
function closed(server) {
  if (server.handle === null && server.closing.size === 0 && !server.opening) server.emit('close');
}

function readAhead(request) {
  request.readAhead();
}

function takeOther(socket) {
  if (!(socket instanceof Socket || socket instanceof SecureSocket)) inject(this, socket);
}

function tellOpened(server, socket, secure) {
  server.emit('connection', socket);
  if (secure) server.emit('secureConnection', socket);
}

function raise(error) {
  throw error;
}

function createServer(options, listener) {
  const secure = options !== null && typeof options === 'object' && isSecure(options);
  return Reflect.construct(Server, [options, listener], secure ? SecureServer : Server);
}

module.exports = { createServer, Server: CallableServer };
