// What carom/node exports.
'use strict';

const { METHODS, STATUS_CODES } = require('node:http');
const { createServer, Server } = require('./server.js');
const { IncomingMessage } = require('./incoming.js');
const { ServerResponse } = require('./response.js');

module.exports = { createServer, Server, IncomingMessage, ServerResponse, METHODS, STATUS_CODES };
