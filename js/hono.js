// The package `carom/hono`: the helper by which a Hono app serves WebSockets.
'use strict';

module.exports = require('./src/websocket/hono.js');
