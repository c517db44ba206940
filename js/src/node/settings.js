// Those settings of node's servers that the engine has, too. They are given as options or set later, most of them also while the
// server listens.
'use strict';

const { coded } = require('./errors.js');
const { roomForHead } = require('../engine/options.js');

// By node's name: the engine's option (and one that is alike), what it is when nobody sets it (false: off), and whether it can change while the server listens.
const SETTINGS = {
  keepAliveTimeout: { option: 'keepAlive', byDefault: 5000 },
  keepAliveTimeoutBuffer: { option: 'keepAliveGrace', byDefault: 1000, engine: 1 },
  headersTimeout: { option: 'headerTimeout', alike: 'firstByteTimeout', byDefault: 60000, isTime: true },
  requestTimeout: { option: 'headerTimeout', alike: 'firstByteTimeout', byDefault: 300000, isTime: true },
  maxConnections: { option: 'maxConnections', byDefault: null, engine: 16384 },
  maxRequestsPerSocket: { option: 'maxConnectionRequests', byDefault: 0, engine: false },
  maxHeadersCount: { option: 'maxFields', byDefault: null, engine: 1000, fixed: true },
  maxHeaderSize: { option: 'maxHeaderSection', byDefault: null, engine: 16384, fixed: true },
};

// Bytes, of the engine's own.
const MAX_TARGET = 8192;

// Options whose every other value would have to be ignored.
const ONLY = { insecureHTTPParser: false, shouldUpgradeCallback: undefined };

function checkTime(name, value) {
  if (typeof value !== 'number') throw coded(TypeError, 'ERR_INVALID_ARG_TYPE', `The "${name}" argument must be of type number.`);
  if (!Number.isInteger(value) || value < 0)
    throw coded(RangeError, 'ERR_OUT_OF_RANGE', `The value of "${name}" is out of range. It must be an integer >= 0. Received ${value}`);
}

function checkTimes({ headersTimeout, requestTimeout }, isGiven) {
  if (isGiven && headersTimeout > 0 && requestTimeout > 0 && headersTimeout > requestTimeout)
    throw coded(
      RangeError,
      'ERR_OUT_OF_RANGE',
      `The value of "headersTimeout" is out of range. It must be <= requestTimeout. Received ${headersTimeout}`,
    );
}

function chosenOf(options) {
  for (const [name, only] of Object.entries(ONLY))
    if (options[name] !== undefined && options[name] !== null && options[name] !== only)
      throw coded(TypeError, 'ERR_INVALID_ARG_VALUE', `Carom does not have the option ${name}: ${String(options[name])}`);
  const chosen = {};
  for (const [name, { byDefault, isTime }] of Object.entries(SETTINGS)) {
    const given = options[name];
    if (isTime && given !== undefined) checkTime(name, given);
    chosen[name] = typeof given === 'number' && given >= 0 ? given : byDefault;
  }
  if (options.headersTimeout === undefined && chosen.requestTimeout > 0)
    chosen.headersTimeout = Math.min(chosen.headersTimeout, chosen.requestTimeout);
  checkTimes(chosen, true);
  return chosen;
}

// For the engine. 0 is no limit of time; of a count it means that the engine's own holds, as null does.
function forEngine(name, chosen) {
  const { byDefault, engine } = SETTINGS[name];
  const value = chosen[name];
  if (name === 'headersTimeout' || name === 'requestTimeout') {
    const times = [chosen.headersTimeout, chosen.requestTimeout].filter((time) => time > 0);
    return times.length > 0 ? Math.min(...times) : false;
  }
  if (typeof value === 'number' && value > 0) return name === 'maxHeadersCount' ? Math.max(value, engine) : value;
  if (engine !== undefined) return engine;
  return value === 0 ? false : byDefault;
}

// Adds to `settings`, in which stands what `carom` says: that goes before what nobody has chosen.
function addChosen(settings, chosen) {
  for (const [name, { option, alike, byDefault }] of Object.entries(SETTINGS))
    for (const one of alike === undefined ? [option] : [option, alike])
      if (chosen[name] !== byDefault || settings[one] === undefined) settings[one] = forEngine(name, chosen);
  const { maxHeaderSize } = chosen;
  if (maxHeaderSize > 0) settings.maxTarget = Math.min(settings.maxTarget || MAX_TARGET, maxHeaderSize); // node counts it, too
  fitHead(settings);
}

// A head and the table of its fields have one page: a section that would be too large for it is as large as can be, and leaves room
// for fewer fields, but for a hundred.
function fitHead(settings) {
  const { maxTarget, maxFields } = settings;
  const room = roomForHead(maxTarget);
  settings.maxHeaderSection = Math.min(settings.maxHeaderSection, room - 8 * Math.min(maxFields, 100));
  settings.maxFields = Math.min(maxFields, Math.floor((room - settings.maxHeaderSection) / 8));
}

function change(server, name, value) {
  const { option, alike, fixed } = SETTINGS[name];
  const chosen = { ...server.chosen, [name]: value };
  if (server.handle !== null && !fixed) {
    try {
      const value = forEngine(name, chosen);
      server.handle.adjust(alike === undefined ? { [option]: value } : { [option]: value, [alike]: value });
    } catch (error) {
      if (error.code !== 'CAROM_ESTATE') throw error;
      throw coded(Error, error.code, `${name} cannot change while the server listens: its engine has threads of its own`);
    }
  }
  server.chosen = chosen;
}

// The settings as members of a server.
function settable(prototype) {
  for (const name of Object.keys(SETTINGS))
    Object.defineProperty(prototype, name, {
      configurable: true,
      enumerable: true,
      get() {
        return this.chosen[name];
      },
      set(value) {
        change(this, name, value);
      },
    });
}

module.exports = { chosenOf, addChosen, settable };
