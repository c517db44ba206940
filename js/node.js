// The package `carom/node`: createServer for listeners that were written for node:http.
'use strict';

module.exports = require('./src/node/index.js');
