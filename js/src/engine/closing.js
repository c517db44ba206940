// How a connection is closed that its observer wants closed: include/carom_ring.h, enum carom_ring_close.
'use strict';

const { CLOSE_IDLE, CLOSE_NOW, CLOSE_RESET } = require('../ring/layout.js');

module.exports = { CLOSE_IDLE, CLOSE_NOW, CLOSE_RESET };
