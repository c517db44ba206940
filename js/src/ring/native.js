// The engine: the addon, carom.node; or, on a machine for which there is none, the portable engine, which has the same functions.
// Where there is an addon that cannot be loaded, that is an error.
'use strict';

const { findBinary, nameOfMachine } = require('../binary/binary.js');
const { variable } = require('../binary/environment.js');

// The native engine is for any Linux, also for those that have no package.
const cure = () => (process.platform === 'linux' ? '; to serve, build the native one and name it by CAROM_NODE' : '');

function load() {
  const asked = variable('CAROM_ENGINE');
  if (asked === 'portable') return require('../portable/index.js');
  if (asked) throw Object.assign(new Error(`CAROM_ENGINE can only be 'portable', not '${asked}'`), { code: 'CAROM_EINVAL' });
  const addon = findBinary();
  if (addon !== null) return addon;
  console.warn(`carom: no native engine for ${nameOfMachine()}, using the portable one: for development${cure()}`);
  return require('../portable/index.js');
}

module.exports = load();
