// The settings of node's servers that the engine has, too. They are given as options or set later, most of them also while the
// server listens.
'use strict';

const { coded } = require('./errors.js');

// By node's name: the engine's option, what it is when nobody sets it (false: off), and whether it can change while the server listens.
const SETTINGS = {
  keepAliveTimeout: { option: 'keepAlive', byDefault: 75000, live: true },
  keepAliveTimeoutBuffer: { option: 'keepAliveGrace', byDefault: 1000, live: true },
  headersTimeout: { option: 'headerTimeout', byDefault: 10000, live: true },
  maxConnections: { option: 'maxConnections', byDefault: null, engine: 16384, live: true },
  maxRequestsPerSocket: { option: 'maxConnectionRequests', byDefault: null, engine: false, live: true },
  maxHeadersCount: { option: 'maxFields', byDefault: null, engine: 100, live: false },
  maxHeaderSize: { option: 'maxHeaderSection', byDefault: null, engine: 16384, live: false },
};

// Options whose every other value would have to be ignored.
const ONLY = { insecureHTTPParser: false, requireHostHeader: true, shouldUpgradeCallback: undefined };

// For the engine. 0 is no limit of time; of a count it means that the engine's own holds, as null does.
function forEngine({ byDefault, engine }, value) {
  if (typeof value === 'number' && value > 0) return value;
  if (byDefault === null) return engine;
  return value === 0 ? false : byDefault;
}

function chosenOf(options) {
  for (const [name, only] of Object.entries(ONLY))
    if (options[name] !== undefined && options[name] !== null && options[name] !== only)
      throw coded(TypeError, 'ERR_INVALID_ARG_VALUE', `Carom does not have the option ${name}: ${String(options[name])}`);
  const chosen = {};
  for (const [name, { byDefault }] of Object.entries(SETTINGS))
    chosen[name] = typeof options[name] === 'number' && options[name] >= 0 ? options[name] : byDefault;
  return chosen;
}

// Adds to `settings` what was chosen. The rest has the engine's defaults, or what `carom` says.
function addChosen(settings, chosen) {
  for (const [name, setting] of Object.entries(SETTINGS))
    if (chosen[name] !== setting.byDefault) settings[setting.option] = forEngine(setting, chosen[name]);
}

function change(server, name, value) {
  const setting = SETTINGS[name];
  if (server.handle !== null && !server.closing) {
    if (!setting.live) throw coded(Error, 'CAROM_ESTATE', `${name} cannot change while the server listens`);
    try {
      server.handle.adjust({ [setting.option]: forEngine(setting, value) });
    } catch (error) {
      if (error.code !== 'CAROM_ESTATE') throw error;
      throw coded(Error, error.code, `${name} cannot change while the server listens: its engine has threads of its own`);
    }
  }
  server.chosen[name] = value;
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
