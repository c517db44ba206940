// The ways in which the observer of connections can have one closed: enum carom_ring_close of include/carom_ring.h.
'use strict';

const { CLOSE_IDLE, CLOSE_NOW, CLOSE_RESET } = require('../memory/layout.js');

module.exports = { CLOSE_IDLE, CLOSE_NOW, CLOSE_RESET };
