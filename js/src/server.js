// Servers: options, listening, batches of exchanges, shutdown. `serveExchanges` is what everything
// stands on; `serve` puts the web-standard API on it.
'use strict';

const native = require('./native.js');
const { Ring, CAPACITY, FIRST_SLOTS } = require('./ring.js');
const { Exchange } = require('./exchange.js');
const { encodeFields } = require('./codec.js');

const LIMITS = [
  'backlog', 'poolFloor', 'maxTarget', 'maxHeaderSection', 'maxFields', 'maxContent',
  'maxConnections', 'refuseConnections', 'maxInFlight', 'maxConnectionRequests', 'maxPipeline',
  'writeBuffer', 'drainContent', 'headerTimeout', 'firstByteTimeout', 'keepAlive',
  'keepAliveGrace', 'contentRate', 'contentWindow', 'writeTimeout', 'handlerTimeout',
  'lingerTimeout', 'halfClose', 'reusePort',
];
const SWITCHES = new Set(['refuseConnections', 'halfClose', 'reusePort']);
const FAMILIES = ['', 'tcp', 'tcp', 'unix'];

// Bun and Deno have no libuv that could be polled.
const IS_NODE = typeof process === 'object' && typeof process.versions === 'object' &&
  process.versions.node !== undefined && process.versions.bun === undefined &&
  globalThis.Deno === undefined;

function fault(number, what) {
  const error = new Error(`${what}: ${native.errorText(-number)}`);
  error.code = native.errorName(-number);
  return error;
}

function settingsOf(options) {
  const settings = {};
  for (const name of LIMITS) {
    const value = options[name];
    if (value === undefined) continue;
    if (typeof value === 'boolean') settings[name] = SWITCHES.has(name) ? Number(value) : value ? 0 : -1;
    else if (typeof value === 'number' && value >= 0) settings[name] = value === Infinity ? -1 : value;
    else throw new TypeError(`${name} must be a number of at least 0, or ${SWITCHES.has(name) ? 'a boolean' : 'false for off'}`);
  }
  return settings;
}

function integer(options, name, byDefault, least, most) {
  const value = options[name] === undefined ? byDefault : Number(options[name]);
  if (!Number.isInteger(value) || value < least || value > most)
    throw new RangeError(`${name} must be an integer from ${least} to ${most}, not ${options[name]}`);
  return value;
}

function addressOf(options) {
  if (options.path !== undefined) return `unix:${options.path}`;
  const port = integer(options, 'port', 8000, 0, 65535);
  const hostname = options.hostname === undefined ? '*' : String(options.hostname);
  if (hostname === '*' || hostname === '::') return `*:${port}`;
  if (hostname === 'localhost') return `127.0.0.1:${port}`;
  return hostname.includes(':') ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

function ioOf(options) {
  const io = options.io === undefined ? (IS_NODE && !(options.workers > 1) ? 'inline' : 'thread') : options.io;
  if (io !== 'inline' && io !== 'thread') throw new TypeError(`io must be 'inline' or 'thread', not ${io}`);
  if (io === 'inline' && !IS_NODE) throw new TypeError("io: 'inline' is there in Node only; use 'thread'");
  if (io === 'inline' && options.workers > 1)
    throw new TypeError("io: 'inline' has one worker; use io: 'thread' for more");
  return io;
}

class Engine {
  constructor(options, accept) {
    this.inline = ioOf(options) === 'inline';
    this.accept = accept;
    this.over = false;
    this.finished = new Promise((resolve) => { this.resolveFinished = resolve; });
    this.drain = () => this.takeAll();
    const workers = integer(options, 'workers', 1, 1, 256);
    this.memory = [];
    this.rings = [];
    for (let i = 0; i < workers; i++) this.rings.push(new Ring(i, this.memory, this.inline));
    this.handle = native.create(settingsOf(options), workers, this.inline, CAPACITY, this.memory,
      this.drain, () => this.finish());
    if (typeof this.handle === 'number') throw fault(this.handle, 'cannot make a server');
    this.lastStats = null;
    for (const ring of this.rings) {
      ring.handle = this.handle;
      ring.addSlots(FIRST_SLOTS);
    }
  }

  listen(options) {
    const address = addressOf(options);
    let error = native.listen(this.handle, address);
    // The host may have no IPv6.
    if (error < 0 && address.startsWith('*:') && options.hostname === undefined)
      error = native.listen(this.handle, `0.0.0.0${address.slice(1)}`);
    if (error < 0) throw fault(error, `cannot listen on ${address}`);
  }

  start() {
    const error = native.start(this.handle, this.inline);
    if (error < 0) throw fault(error, 'cannot start');
    const [family, port, text] = native.address(this.handle, 0);
    this.addr = family === 3 ? { transport: 'unix', path: text }
      : { transport: FAMILIES[family], hostname: text, port };
  }

  takeAll() {
    for (const ring of this.rings) if (ring.open) ring.drain(Exchange, this.accept, this.drain);
  }

  shutdown(deadline) {
    if (!this.over) native.shutdown(this.handle, deadline);
    return this.finished;
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
    for (const ring of this.rings) ring.open = false;
    this.resolveFinished();
  }
}

function open(options, accept, prepare) {
  const engine = new Engine(options, accept);
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

// A server that hands over exchanges, for other APIs than fetch.
function serveExchanges(options, onExchange) {
  const engine = open(options, onExchange);
  return {
    get addr() { return engine.addr; },
    finished: engine.finished,
    shutdown: ({ deadline } = {}) => engine.shutdown(deadline === undefined ? -1 : deadline),
    stats: () => engine.stats(),
    ref: () => engine.reference(true),
    unref: () => engine.reference(false),
  };
}

// Answer GET and HEAD of a path in the engine.
function addRoute(engine, path, status, fields, body) {
  const error = native.route(engine.handle, path, status, encodeFields(fields), body);
  if (error < 0) throw fault(error, `cannot add the route ${path}`);
}

module.exports = { open, serveExchanges, addRoute, fault };
