// The package `carom`: serve HTTP with the web-standard API.
'use strict';

const { serve } = require('./src/serve/serve.js');
const { Headers, Request, Response, ReadableStream } = require('./src/fetch/index.js');
const { upgradeWebSocket } = require('./src/websocket/standard.js');
const { upgradeWebSocketStream, WebSocketError } = require('./src/websocket/stream.js');
const { redirectToHttps, STRICT_TRANSPORT_SECURITY } = require('./src/serve/https.js');

module.exports = {
  serve,
  upgradeWebSocket,
  upgradeWebSocketStream,
  WebSocketError,
  redirectToHttps,
  STRICT_TRANSPORT_SECURITY,
  Headers,
  Request,
  Response,
  ReadableStream,
};
