// The engine in C, for JavaScript: opens it, listens, hands over batches of exchanges, shuts it down. `open` is for `serve`, which
// adds routes before it listens; `serveExchanges` is for other APIs.
'use strict';

const native = require('../ring/native.js');
const { Ring, FIRST_BLOCKS, capacityFor } = require('../ring/ring.js');
const { Exchange } = require('../exchange/exchange.js');
const { clusterWorker, joinCluster } = require('./cluster.js');
const { encodeFields, fieldsBytes } = require('../ring/codec.js');
const { callSite, MADE_AT } = require('./call-site.js');
const { checkNames } = require('./option-names.js');
const { NAMES, settingsOf, ringBytes, maxHeadOf, backendOf, addressOf, deadlineOf, ioOf, integer } = require('./options.js');
const { tlsOf, changed, forEngine, tlsFault, warn } = require('./tls-options.js');

const LONGEST_TIMER = 2147483647; // milliseconds
const FAMILIES = ['', 'tcp', 'tcp', 'unix'];

function fault(number, what) {
  const error = new Error(`${what}: ${native.errorText(-number)}`);
  error.code = native.errorName(-number);
  return error;
}

class Engine {
  constructor(options, accept, observer) {
    checkNames(options, NAMES);
    this.inline = ioOf(options) === 'inline' && !native.isPortable;
    this.options = options;
    this.tls = tlsOf(options); // or null
    this.accept = accept;
    this.over = false;
    this.finished = new Promise((resolve) => {
      this.resolveFinished = resolve;
    });
    this.drain = () => this.takeAll();
    const workers = integer(options, 'workers', 1, 1, 256);
    this.rings = [];
    const settings = settingsOf(options);
    if (options.reusePort === undefined && clusterWorker() !== null) settings.reusePort = 1;
    settings.watch = observer !== undefined;
    if (options.websocket !== undefined) settings.h2ConnectProtocol = 1;
    const bytes = ringBytes(settings);
    this.maxHead = maxHeadOf(settings);
    const made = options[MADE_AT] || callSite();
    const capacity = capacityFor(bytes);
    for (let i = 0; i < workers; i++) {
      const ring = new Ring(i, capacity, this.inline, this.tls !== null);
      ring.maxHead = this.maxHead;
      ring.server = made === '' ? '' : `, of the server made at ${made}`;
      this.rings.push(ring);
    }
    this.handle = native.create(
      settings,
      workers,
      this.inline,
      capacity,
      bytes,
      this.rings.map((ring) => ring.memory),
      this.drain,
      () => this.finish(),
    );
    if (typeof this.handle === 'number') throw fault(this.handle, 'cannot make a server');
    this.backend = native.backend(this.handle);
    if (backendOf(options) === 'uring' && this.backend === 'epoll')
      console.warn(`carom: backend: ${this.backend}, because io_uring is refused here`);
    this.lastStats = null;
    for (const ring of this.rings) {
      ring.handle = this.handle;
      ring.observer = observer || null;
      for (let i = 0; i < FIRST_BLOCKS; i++) ring.addBlock();
    }
  }

  listen(options) {
    const address = addressOf(options);
    const tls = this.tls === null ? undefined : forEngine(this.tls);
    let error = native.listen(this.handle, address, tls);
    // The host may have no IPv6.
    if (error < 0 && address.startsWith('*:') && options.hostname === undefined && (tls === undefined || tlsFault(error) === null))
      error = native.listen(this.handle, `0.0.0.0${address.slice(1)}`, tls);
    if (error < 0) throw (tls !== undefined && tlsFault(error)) || fault(error, `cannot listen on ${address}`);
    if (tls !== undefined) warn();
  }

  reloadTls(given) {
    if (this.tls === null)
      throw Object.assign(new TypeError('the server does not speak TLS: there is nothing to reload'), { code: 'CAROM_ESTATE' });
    const tls = changed(this.tls, given, this.options);
    if (this.over) return;
    const error = native.replaceTls(this.handle, forEngine(tls));
    if (error < 0) throw tlsFault(error) || fault(error, 'cannot reload');
    this.tls = tls;
    warn();
  }

  start() {
    const error = native.start(this.handle, this.inline);
    if (error < 0) throw fault(error, 'cannot start');
    const [family, port, text] = native.address(this.handle, 0);
    this.addr = family === 3 ? { transport: 'unix', path: text } : { transport: FAMILIES[family], hostname: text, port };
    joinCluster(this.addr, this.finished, () => this.shutdown());
  }

  takeAll() {
    for (const ring of this.rings) if (ring.open) ring.drain(Exchange, this.accept, this.drain);
  }

  shutdown(options) {
    const deadline = deadlineOf(options?.deadline);
    if (!this.over) {
      native.shutdown(this.handle, deadline);
      this.reference(true); // its end is told to whoever waits, though nobody kept the process for it before
      if (deadline >= 0) this.dropUnread(deadline);
    }
    return this.finished;
  }

  // Content that was begun and is not read on would keep its request behind the deadline.
  dropUnread(deadline) {
    const drop = () => {
      for (const ring of this.rings) ring.dropUnread();
    };
    const timer = setTimeout(drop, Math.min(deadline, LONGEST_TIMER));
    timer.unref?.();
    this.finished.then(() => clearTimeout(timer));
  }

  // Changes options while it runs; inline only.
  adjust(options) {
    if (this.over) return;
    if (!this.inline && !native.isPortable)
      throw Object.assign(new Error('an engine with threads cannot be changed'), { code: 'CAROM_ESTATE' });
    const error = native.adjust(this.handle, settingsOf(options));
    if (error < 0) throw fault(error, 'cannot change it');
  }

  // Of a server that watches its connections: closes all, as `how` (CLOSE_...) says.
  closeConnections(how) {
    if (!this.over) for (const ring of this.rings) native.closeConnection(this.handle, ring.index, 0, how);
  }

  stats() {
    return (this.over ? this.lastStats : native.stats(this.handle)) || {};
  }

  reference(on) {
    if (!this.over) native.reference(this.handle, on, this.inline);
  }

  finish() {
    this.lastStats = native.stats(this.handle);
    this.over = true;
    for (const ring of this.rings) {
      if (ring.observer !== null) ring.takeLast();
      if (ring.sockets !== null) ring.sockets.takeLast();
      ring.open = false;
    }
    this.resolveFinished();
  }
}

function open(options, accept, prepare, observer) {
  const engine = new Engine(options, accept, observer);
  try {
    if (prepare !== undefined) prepare(engine);
    engine.listen(options);
    engine.start();
  } catch (error) {
    native.discard(engine.handle);
    throw error;
  }
  return engine;
}

// A server that hands over exchanges, for other APIs than fetch. `observer` hears of connections (ring.js).
function serveExchanges(options, onExchange, observer) {
  const engine = open(options, onExchange, undefined, observer);
  return {
    get addr() {
      return engine.addr;
    },
    finished: engine.finished,
    shutdown: (options) => engine.shutdown(options),
    stats: () => engine.stats(),
    adjust: (options) => engine.adjust(options),
    closeConnections: (how) => engine.closeConnections(how),
    backend: engine.backend,
    secure: engine.tls !== null,
    reloadTls: (given) => engine.reloadTls(given),
    ref: () => engine.reference(true),
    unref: () => engine.reference(false),
  };
}

// The descriptor of a handle of the runtime, which listens for the engine from now on.
function takeOver(handle) {
  if (native.duplicate === undefined)
    throw Object.assign(new Error('the portable engine cannot listen on a handle of the runtime'), { code: 'CAROM_EUNSUPPORTED' });
  const fd = native.duplicate(handle.fd);
  if (fd < 0) throw fault(fd, 'cannot listen on a handle');
  handle.close();
  return fd;
}

// Answer GET and HEAD of a path in the engine.
function addRoute(engine, path, status, fields, body) {
  if (fieldsBytes(fields) > engine.maxHead)
    throw new TypeError(`the fields of the route ${path} take ${fieldsBytes(fields)} bytes, and maxResponseHead allows ${engine.maxHead}`);
  const error = native.route(engine.handle, path, status, encodeFields(fields), body);
  if (error < 0) throw fault(error, `cannot add the route ${path}`);
}

module.exports = { open, serveExchanges, addRoute, takeOver };
