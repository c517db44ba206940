// The engine: the addon, carom.node; or, on a machine for which there is none, the portable engine, which has the same functions.
// Where there is an addon that cannot be loaded, that is an error.
'use strict';

const { findBinary, nameOfMachine } = require('../binary/binary.js');

function load() {
  const { CAROM_ENGINE } = process.env;
  if (CAROM_ENGINE === 'portable') return require('../portable/index.js');
  if (CAROM_ENGINE) throw Object.assign(new Error(`CAROM_ENGINE can only be 'portable', not '${CAROM_ENGINE}'`), { code: 'CAROM_EINVAL' });
  const addon = findBinary();
  if (addon !== null) return addon;
  console.warn(`carom: no native engine for ${nameOfMachine()}, using the portable one: for development`);
  return require('../portable/index.js');
}

module.exports = load();
