// The addon, carom.node, which has the engine.
'use strict';

const { findBinary, nameOfMachine } = require('../binary/binary.js');

function load() {
  const addon = findBinary();
  if (addon !== null) return addon;
  const error = new Error(
    `no native engine of carom for ${nameOfMachine()}: build one from its repository (make), and name build/carom.node in CAROM_NODE`,
  );
  error.code = 'CAROM_NO_BINARY';
  throw error;
}

module.exports = load();
