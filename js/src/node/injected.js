// Connections that a program brings itself, by emitting 'connection' with a stream of its own. The engine knows nothing of them:
// node's parser reads them, and the listeners of our server are called for their requests.
'use strict';

const http = require('node:http');
const https = require('node:https');
const { EventEmitter } = require('node:events');

// As they are now: a program may put ours in their place.
const PLAIN = http.Server;
const SECURE = https.Server;
const OF_READER = ['connection', 'secureConnection'];

// A server of node that listens nowhere, in the place of `server`.
function readerFor(server) {
  const reader = new (server instanceof SECURE ? SECURE : PLAIN)(server.options);
  const { emit, listenerCount } = EventEmitter.prototype;
  reader.emit = (name, ...args) => (OF_READER.includes(name) ? emit.call(reader, name, ...args) : server.emit(name, ...args));
  reader.listenerCount = (name) => (OF_READER.includes(name) ? listenerCount.call(reader, name) : server.listenerCount(name));
  return reader;
}

// `stream`: of the bytes of HTTP/1.1, or of TLS, if the server speaks that.
function inject(server, stream) {
  server.reader ||= readerFor(server);
  server.reader.emit('connection', stream);
}

module.exports = { inject };
