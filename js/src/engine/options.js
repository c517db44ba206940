// Checks the options of a server, and translates those that the engine takes.
'use strict';

const { RING_PAGE_SIZE, RING_BLOCK_SLOTS, RING_SLOT_SIZE } = require('../memory/layout.js');
const { NAMES_OF_TLS } = require('./tls-options.js');

const LIMITS = [
  'backlog',
  'poolFloor',
  'maxTarget',
  'maxHeaderSection',
  'maxFields',
  'maxContent',
  'maxConnections',
  'refuseConnections',
  'maxInFlight',
  'maxConnectionRequests',
  'maxPipeline',
  'writeBuffer',
  'drainContent',
  'maxResponseHead',
  'headerTimeout',
  'firstByteTimeout',
  'keepAlive',
  'keepAliveGrace',
  'contentRate',
  'contentWindow',
  'writeTimeout',
  'handlerTimeout',
  'lingerTimeout',
  'halfClose',
  'hostOptional',
  'reusePort',
  'handshakeTimeout',
  'maxHandshakes',
  'h2MaxStreams',
  'h2StreamWindow',
  'h2StreamWindowMax',
  'h2ConnectionWindow',
  'h2ConnectionWindowMax',
  'h2MaxResets',
  'h2MaxControlFrames',
  'h2PingInterval',
  'maxUnsent',
  'maxRingMemory',
];
const NAMES = [
  'port',
  'hostname',
  'path',
  'fd',
  'signal',
  'onListen',
  'onError',
  'routes',
  'backend',
  'io',
  'workers',
  'http2',
  'tls',
  'fetch',
  'handler',
  'websocket',
  ...NAMES_OF_TLS,
  ...LIMITS,
];
const SWITCHES = new Set(['refuseConnections', 'halfClose', 'hostOptional', 'reusePort']);
// For `carom/node`: a listener on all addresses takes no IPv4; the mode of a Unix socket.
const IPV6_ONLY = Symbol('ipv6Only');
const SOCKET_MODE = Symbol('mode');
const OFF = -1;
const MOST = 0xfffffffe; // what a limit can be; and where the engine has another bound:
const MOST_OF = {
  maxContent: Number.MAX_SAFE_INTEGER,
  maxUnsent: Number.MAX_SAFE_INTEGER,
  maxTarget: 65280,
  maxHeaderSection: 65280,
  maxFields: 65280,
  backlog: 0x7fffffff,
  h2MaxStreams: 16384,
  maxRingMemory: 2 ** 33,
  h2StreamWindow: 0x7fffffff,
  h2StreamWindowMax: 0x7fffffff,
  h2ConnectionWindow: 0x7fffffff,
  h2ConnectionWindowMax: 0x7fffffff,
};
const RING_BYTES = 128 * 1024 * 1024;
const LEAST_WINDOW = 1024;
// Windows of HTTP/2, with their default, and that of the size up to which they grow.
const WINDOWS = [
  ['h2StreamWindow', 65536, 1048576],
  ['h2ConnectionWindow', 1048576, 4194304],
];

// Bun and Deno have no libuv loop that could poll the engine.
const IS_NODE =
  typeof process === 'object' &&
  typeof process.versions === 'object' &&
  process.versions.node !== undefined &&
  process.versions.bun === undefined &&
  globalThis.Deno === undefined;

// The number for the engine. 0 means the default, so a fraction below one is rounded up.
function limitOf(name, value) {
  const most = MOST_OF[name] || MOST;
  if (value === false || value === Infinity) return name === 'poolFloor' ? 1 : most < MOST ? most : OFF;
  if (value === true) return 0;
  if (typeof value !== 'number' || !(value >= 0)) throw new TypeError(`${name} must be a number of at least 0, or false for off`);
  if (value > most) throw new RangeError(`${name} must be up to ${most}, or false for off`);
  return Math.ceil(value);
}

// Bytes for the fields of a head and the table of them, beside its target and what else is in its first line.
function roomForHead(maxTarget = 8192) {
  return RING_PAGE_SIZE - maxTarget - 256;
}

// The largest head must fit into a page of the ring, together with the table of its fields.
function checkHead({ maxTarget, maxHeaderSection, maxFields }) {
  const lines = (maxTarget || 8192) + (maxHeaderSection || 16384) + 256;
  if (Math.max(lines, 32768) + 8 * (maxFields || 100) > RING_PAGE_SIZE)
    throw new RangeError('maxTarget, maxHeaderSection and 8 bytes for each of maxFields may be 65,280 bytes in all, and cannot be off');
}

// The size at which a window begins must not exceed the size up to which it grows.
function checkWindows(settings) {
  for (const [name, byDefault, mostByDefault] of WINDOWS) {
    const most = settings[`${name}Max`] || mostByDefault;
    const window = settings[name] || byDefault;
    if (window < LEAST_WINDOW || window > most)
      throw new RangeError(`${name} (${window}) must be from ${LEAST_WINDOW} to ${name}Max (${most})`);
  }
}

// Bytes for the slots of each worker: one carries one request in flight.
function ringBytes({ maxRingMemory }) {
  return Math.max(maxRingMemory || RING_BYTES, RING_BLOCK_SLOTS * RING_SLOT_SIZE);
}

// Bytes of the names and values of a response's fields.
function maxHeadOf({ maxResponseHead }) {
  return maxResponseHead === OFF ? Infinity : maxResponseHead || 65536;
}

function switchOf(name, value) {
  if (typeof value === 'boolean' || value === 0 || value === 1) return Number(value);
  throw new TypeError(`${name} must be true or false`);
}

function backendOf({ backend = 'epoll' }) {
  if (backend !== 'epoll' && backend !== 'uring') throw new TypeError(`backend must be 'epoll' or 'uring', not ${backend}`);
  return backend;
}

function settingsOf(options) {
  const settings = {};
  for (const name of LIMITS)
    if (options[name] !== undefined) settings[name] = (SWITCHES.has(name) ? switchOf : limitOf)(name, options[name]);
  checkHead(settings);
  checkWindows(settings);
  settings.uring = backendOf(options) === 'uring';
  if (options.http2 !== undefined) settings.noHttp2 = 1 - switchOf('http2', options.http2);
  return settings;
}

// A string of digits is taken, too: values of the environment are strings.
function integer(options, name, byDefault, least, most) {
  const value = options[name] === undefined ? byDefault : options[name];
  const number = typeof value === 'string' && /^[0-9]+$/.test(value) ? Number(value) : value;
  if (!Number.isInteger(number) || number < least || number > most)
    throw new RangeError(`${name} must be an integer from ${least} to ${most}, not ${value === '' ? "''" : String(value)}`);
  return number;
}

function text(options, name) {
  const value = options[name];
  if (typeof value !== 'string' || value === '' || value.includes('\0')) throw new TypeError(`${name} must be a string that is not empty`);
  return value;
}

function addressOf(options) {
  if (options.fd !== undefined) return `fd:${integer(options, 'fd', 0, 0, 0x7fffffff)}`;
  if (options.path !== undefined) {
    const mode = options[SOCKET_MODE];
    return `unix:${text(options, 'path')}${mode === undefined ? '' : `?mode=0${mode.toString(8)}`}`;
  }
  const port = integer(options, 'port', 8000, 0, 65535);
  const hostname = options.hostname === undefined ? '*' : text(options, 'hostname');
  if (options[IPV6_ONLY] && (hostname === '*' || hostname === '::')) return `[::]:${port}`;
  if (hostname === '*' || hostname === '::' || hostname === '[::]') return `*:${port}`;
  if (hostname === 'localhost') return `127.0.0.1:${port}`;
  return hostname.includes(':') && !hostname.startsWith('[') ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

function deadlineOf(milliseconds) {
  if (milliseconds === undefined || milliseconds === null || milliseconds > MOST) return OFF;
  if (typeof milliseconds === 'number' && milliseconds >= 0) return milliseconds;
  throw new TypeError(`deadline must be a number of at least 0, not ${milliseconds}`);
}

function ioOf(options) {
  const io = options.io === undefined ? (IS_NODE && !(options.workers > 1) ? 'inline' : 'thread') : options.io;
  if (io !== 'inline' && io !== 'thread') throw new TypeError(`io must be 'inline' or 'thread', not ${io}`);
  if (io === 'inline' && !IS_NODE) throw new TypeError("io: 'inline' is there in Node only; use 'thread'");
  if (io === 'inline' && options.workers > 1) throw new TypeError("io: 'inline' has one worker; use io: 'thread' for more");
  return io;
}

module.exports = {
  IPV6_ONLY,
  SOCKET_MODE,
  roomForHead,
  NAMES,
  settingsOf,
  ringBytes,
  maxHeadOf,
  backendOf,
  addressOf,
  deadlineOf,
  ioOf,
  integer,
};
