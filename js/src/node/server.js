// createServer: a server like that of node:http, whose listeners are served by the engine.
'use strict';

const { EventEmitter } = require('node:events');
const { channel } = require('node:diagnostics_channel');
const http = require('node:http');
const { lookup } = require('node:dns');
const { isIP } = require('node:net');
const { Connection } = require('./connection.js');
const { IncomingMessage } = require('./incoming.js');
const { ServerResponse } = require('./response.js');
const { UpgradeSocket } = require('./upgrade.js');
const { coded, listenError } = require('./errors.js');
const { chosenOf, addChosen, settable } = require('./settings.js');
const { callSite, MADE_AT } = require('../engine/call-site.js');
const { meantBy, noOption } = require('../engine/option-names.js');
const { tlsOf, CURES, NAMES_OF_TLS } = require('../engine/tls-options.js');

// The options of TLS and HTTP/2 among those that createServer was given.
const OF_TLS = [...NAMES_OF_TLS, ...Object.keys(CURES), 'tls', 'http2', 'handshakeTimeout'];

// As node names it; watchers of applications listen there.
const requestStart = channel('http.server.request.start');

class Server extends EventEmitter {
  constructor(options, listener) {
    super();
    if (typeof options === 'function') {
      listener = options;
      options = {};
    }
    this.options = options || {};
    this.handle = null;
    this.addr = null; // in the engine's words
    this.closing = false;
    this.opening = false;
    this.forced = false; // closeAllConnections was called just now
    this.referenced = true;
    this.timeout = 0;
    this.chosen = chosenOf(this.options);
    this.requestTimeout = numberOr(this.options.requestTimeout, 0);
    this.checkTls();
    this.madeAt = callSite();
    if (listener !== undefined && listener !== null) this.on('request', listener);
  }

  get listening() {
    return this.handle !== null && !this.closing;
  }

  // ---------------------------------------------------------------- listening

  listen(...args) {
    const { place, callback } = placeOf(args);
    if (this.handle !== null || this.opening)
      throw coded(Error, 'ERR_SERVER_ALREADY_LISTEN', 'Listen method has been called more than once without closing.');
    if (callback !== null) this.once('listening', callback);
    const { host } = place;
    if (host === undefined || host === 'localhost' || isIP(host) !== 0) {
      this.open(place);
      return this;
    }
    this.opening = true;
    lookup(host, (error, address) => {
      if (!this.opening) return;
      this.opening = false;
      if (error) this.emit('error', error);
      else this.open({ ...place, host: address });
    });
    return this;
  }

  open(place) {
    const { signal } = place;
    if (signal && signal.aborted) return;
    try {
      const { serveExchanges } = require('../engine/engine.js');
      this.handle = serveExchanges(this.settings(place), (exchange) => this.accept(exchange));
    } catch (error) {
      process.nextTick(() => this.emit('error', listenError(error, place)));
      return;
    }
    const { handle } = this;
    this.addr = handle.addr;
    this.closing = false;
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

  tlsSettings() {
    const settings = {};
    for (const name of OF_TLS) if (this.options[name] !== undefined && this.options[name] !== null) settings[name] = this.options[name];
    return settings;
  }

  // Checked here because node:https throws from createServer and not from listen.
  checkTls() {
    for (const name of Object.keys(this.options)) {
      const meant = OF_TLS.includes(name) ? undefined : meantBy(name, NAMES_OF_TLS);
      if (meant !== undefined) throw noOption('', name, meant);
    }
    tlsOf({ ...this.options.carom, ...this.tlsSettings() });
  }

  // The options for the engine. What is not named here has the engine's defaults.
  settings({ host, port, path, fd, backlog, exclusive }) {
    const settings = { ...this.options.carom, ...this.tlsSettings(), [MADE_AT]: this.madeAt };
    addChosen(settings, this.chosen);
    if (backlog > 0) settings.backlog = backlog;
    if (exclusive) settings.reusePort = false; // in a cluster
    if (fd !== undefined) settings.fd = fd;
    else if (path !== undefined) settings.path = path;
    else {
      settings.port = port;
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

  // As in tls.Server: new connections get these certificates.
  setSecureContext(options) {
    if (this.handle === null) this.options = { ...this.options, ...options };
    else this.handle.reloadTls(options);
  }

  getConnections(callback) {
    const stats = this.handle !== null && typeof this.handle.stats === 'function' ? this.handle.stats() : {};
    process.nextTick(callback, null, Number(stats.connectionsOpen || 0));
    return this;
  }

  // ---------------------------------------------------------------- closing

  close(callback) {
    const idle = this.handle === null || this.closing;
    if (typeof callback === 'function') {
      if (idle && !this.opening) this.once('close', () => callback(coded(Error, 'ERR_SERVER_NOT_RUNNING', 'Server is not running.')));
      else this.once('close', callback);
    }
    if (this.opening) this.opening = false;
    if (this.handle === null) process.nextTick(() => this.emit('close'));
    else if (!this.closing) {
      this.closing = true;
      this.handle.shutdown(this.forced ? { deadline: 0 } : {});
    }
    return this;
  }

  // The engine closes all connections by a shutdown, which closes the listener, too. So a call before close() is remembered, for a
  // close() that follows in the same turn.
  closeAllConnections() {
    if (this.handle !== null && this.closing) this.handle.shutdown({ deadline: 0 });
    else {
      this.forced = true;
      setImmediate(() => {
        this.forced = false;
      });
    }
  }

  // Nothing to do: close() closes idle connections.
  closeIdleConnections() {}

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

  setTimeout(milliseconds, callback) {
    if (typeof milliseconds === 'function') {
      callback = milliseconds;
      milliseconds = 0;
    }
    this.timeout = Number(milliseconds) || 0;
    if (typeof callback === 'function') this.on('timeout', callback);
    return this;
  }

  // ---------------------------------------------------------------- requests

  // What a listener throws becomes an uncaught exception, and the other exchanges of the batch are still served.
  accept(exchange) {
    try {
      if (!this.change(exchange)) this.serve(exchange);
    } catch (error) {
      process.nextTick(raise, error);
    }
  }

  serve(exchange) {
    const connection = new Connection(exchange, this);
    const request = new IncomingMessage(exchange, connection);
    if (this.options.joinDuplicateHeaders) request.joinDuplicateHeaders = true;
    const response = new ServerResponse(request, exchange, connection);
    connection.request = request;
    connection.response = response;
    exchange.onend = (reason) => {
      if (reason === 'complete') connection.complete();
      else connection.gone(null);
    };
    exchange.onerror = (error) => connection.refuse(error);
    this.giveClasses(request, response);
    if (this.timeout > 0) connection.setTimeout(this.timeout);
    if (requestStart.hasSubscribers) requestStart.publish({ request, response, socket: connection, server: this });
    if (this.listenerCount('checkContinue') > 0 && /^100-continue$/i.test(exchange.field('expect') || ''))
      this.emit('checkContinue', request, response);
    else this.emit('request', request, response);
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
    const request = new IncomingMessage(exchange, socket);
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

function finished(server, handle) {
  if (server.handle !== handle) return;
  server.handle = null;
  server.addr = null;
  server.closing = false;
  server.emit('close');
}

function raise(error) {
  throw error;
}

function numberOr(value, byDefault) {
  return typeof value === 'number' && value >= 0 ? value : byDefault;
}

function portOf(value) {
  const port = value === undefined || value === null || value === '' ? 0 : Number(value);
  if (Number.isInteger(port) && port >= 0 && port <= 65535) return port;
  throw coded(RangeError, 'ERR_SOCKET_BAD_PORT', `options.port should be >= 0 and < 65536. Received ${String(value)}.`);
}

// listen([port[, host[, backlog]]][, callback]), listen(path[, backlog][, callback]),
// listen({ port, host, path, fd, backlog, signal, exclusive }[, callback])
function placeOf(args) {
  const callback = typeof args[args.length - 1] === 'function' ? args[args.length - 1] : null;
  const given = args.filter((arg) => typeof arg !== 'function');
  const [first] = given;
  if (first !== null && typeof first === 'object') {
    const { port, host, path, fd, backlog, signal, exclusive } = first;
    if (first.ipv6Only || first._handle || first.handle)
      throw coded(TypeError, 'ERR_INVALID_ARG_VALUE', 'Carom listens on no handle of node, nor has it ipv6Only.');
    if (typeof path === 'string') return { place: { path, backlog, signal }, callback };
    if (port === undefined && typeof fd === 'number' && fd >= 0) return { place: { fd, signal }, callback };
    return { place: { port: portOf(port), host: host || undefined, backlog, signal, exclusive }, callback };
  }
  if (typeof first === 'string' && !/^[0-9]+$/.test(first.trim()))
    return { place: { path: first, backlog: Number(given[1]) || 0 }, callback };
  const host = typeof given[1] === 'string' && given[1] !== '' ? given[1] : undefined;
  const backlog = Number(typeof given[1] === 'number' ? given[1] : given[2]) || 0;
  return { place: { port: portOf(first), host, backlog }, callback };
}

function createServer(options, listener) {
  return new Server(options, listener);
}

module.exports = { createServer, Server };
