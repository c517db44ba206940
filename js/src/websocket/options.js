// Checks the options of WebSockets, and translates those that the engine takes.
'use strict';

const { constants } = require('node:buffer');

const { meantBy, noOption } = require('../engine/option-names.js');

const OFF = -1;
const MOST = 0x7fffffff;
const LONGEST = Math.min(MOST, constants.MAX_STRING_LENGTH); // bytes of a message: a text becomes one string
const HANDLERS = ['open', 'message', 'drain', 'close', 'error', 'ping', 'pong', 'refused'];
const OPTIONS = [
  'maxMessage',
  'maxFragments',
  'writeLimit',
  'writeBuffer',
  'onLimit',
  'pingInterval',
  'pongTimeout',
  'closeTimeout',
  'deflate',
  'protocols',
  'origins',
  'binaryType',
];
const NAMES = [...HANDLERS, ...OPTIONS];
// Names that other servers have for them.
const OF_OTHERS = {
  maxPayload: 'maxMessage',
  maxPayloadLength: 'maxMessage',
  backpressureLimit: 'writeLimit',
  maxBackpressure: 'writeLimit',
  closeOnBackpressureLimit: "onLimit: 'close'",
  compression: 'deflate',
  perMessageDeflate: 'deflate',
  idleTimeout: 'pingInterval and pongTimeout, in milliseconds',
  sendPings: 'pingInterval',
  sendPingsAutomatically: 'pingInterval',
  handleProtocols: 'protocols',
};
// And what of theirs has nothing in its place: it is refused where it is not off.
const NOT_HERE = {
  publishToSelf: 'server.publish leaves nobody out',
  maxLifetime: 'a timer that calls ws.close() does it',
  upgrade: 'server.upgrade makes a request a WebSocket, in the handler of requests',
  dropped: 'send returns 0 for what it does not take',
  subscription: 'who subscribes and unsubscribes does so by calls of the program',
};
const BINARY_TYPES = ['uint8array', 'arraybuffer', 'nodebuffer'];
const DEFAULTS = { maxMessage: 1048576, maxFragments: 1024, writeLimit: 1048576, writeBuffer: 65536 };
const LIST = 4000; // characters
const WINDOW = [9, 15];
const LEVEL = [1, 9];

function integerOf(name, value, least, most) {
  if (!Number.isInteger(value) || value < least || value > most)
    throw new RangeError(`websocket.${name} must be an integer from ${least} to ${most}, not ${String(value)}`);
  return value;
}

function sizeOf(options, name, most = MOST) {
  return options[name] === undefined ? DEFAULTS[name] : integerOf(name, options[name], 1, most);
}

// Milliseconds; false: never.
function timeOf(options, name) {
  const value = options[name];
  if (value === undefined) return 0;
  if (value === false || value === Infinity) return OFF;
  return integerOf(name, value, 1, MOST);
}

function oneOf(options, name, choices) {
  const value = options[name] === undefined ? choices[0] : options[name];
  if (!choices.includes(value))
    throw new TypeError(`websocket.${name} must be ${choices.map((each) => `'${each}'`).join(' or ')}, not ${String(value)}`);
  return value;
}

// A list for the engine: names, separated by commas.
function listOf(name, values, pattern, what) {
  if (!Array.isArray(values)) throw new TypeError(`websocket.${name} must be an array of ${what}`);
  for (const value of values)
    if (typeof value !== 'string' || !pattern.test(value)) throw new TypeError(`websocket.${name}: ${String(value)} is none of ${what}`);
  const list = values.join(', ');
  if (list.length > LIST) throw new RangeError(`websocket.${name} is longer than ${LIST} characters`);
  return list;
}

function originsOf({ origins = 'same' }) {
  if (origins === 'same') return undefined;
  if (origins === '*') return '*';
  return listOf(
    'origins',
    typeof origins === 'string' ? [origins] : origins,
    /^[a-z][a-z0-9+.-]*:\/\/[^\s,*/]+$/i,
    "origins such as 'https://example.com'",
  );
}

function deflateOf({ deflate = false }) {
  if (deflate === false) return { deflate: 0 };
  if (deflate === 'shared') return { deflate: 1 };
  if (deflate === null || typeof deflate !== 'object') throw new TypeError("websocket.deflate must be false, 'shared', or an object");
  const known = ['windowBits', 'memLevel', 'level', 'threshold'];
  for (const name of Object.keys(deflate)) if (!known.includes(name)) throw noOption('websocket.deflate.', name, meantBy(name, known));
  const { windowBits = 12, memLevel = 5, level = 1, threshold = 64 } = deflate;
  return {
    deflate: 2,
    deflateWindow: integerOf('deflate.windowBits', windowBits, ...WINDOW),
    deflateMemory: integerOf('deflate.memLevel', memLevel, ...LEVEL),
    deflateLevel: integerOf('deflate.level', level, ...LEVEL),
    deflateThreshold: integerOf('deflate.threshold', threshold, 1, MOST),
  };
}

function checkNames(options) {
  for (const name of Object.keys(options)) {
    if (options[name] === undefined) continue;
    if (HANDLERS.includes(name) && typeof options[name] !== 'function') throw new TypeError(`websocket.${name} must be a function`);
    if (Object.hasOwn(OF_OTHERS, name)) throw noOption('websocket.', name, OF_OTHERS[name]);
    if (Object.hasOwn(NOT_HERE, name) && options[name]) throw new TypeError(`there is no option websocket.${name}: ${NOT_HERE[name]}`);
    if (!NAMES.includes(name)) {
      const meant = meantBy(name, NAMES);
      if (meant !== undefined) throw noOption('websocket.', name, meant);
    }
  }
}

// What sockets with these options and handlers share. `native` is for the engine, `key` is the same for the same.
function socketSettings(options, handlers) {
  const writeLimit = sizeOf(options, 'writeLimit');
  const onLimit = oneOf(options, 'onLimit', ['refuse', 'close']);
  const native = {
    maxMessage: sizeOf(options, 'maxMessage', LONGEST),
    maxFragments: sizeOf(options, 'maxFragments'),
    // What was sent is counted by us, without frames; that of others, for what is published.
    writeLimit: Math.min(MOST, 2 * writeLimit),
    writeBuffer: sizeOf(options, 'writeBuffer'),
    closeAtLimit: onLimit === 'close' ? 1 : 0,
    pingInterval: timeOf(options, 'pingInterval'),
    pongTimeout: timeOf(options, 'pongTimeout'),
    closeTimeout: timeOf(options, 'closeTimeout'),
    ...deflateOf(options),
    protocols:
      options.protocols === undefined ? undefined : listOf('protocols', options.protocols, /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, 'tokens'),
    origins: originsOf(options),
    pings: handlers.ping === undefined ? 0 : 1,
    pongs: handlers.pong === undefined ? 0 : 1,
  };
  return {
    native,
    key: JSON.stringify(native),
    writeLimit,
    writeBuffer: native.writeBuffer,
    onLimit,
    binaryType: oneOf(options, 'binaryType', BINARY_TYPES),
  };
}

module.exports = { checkNames, socketSettings, BINARY_TYPES };
