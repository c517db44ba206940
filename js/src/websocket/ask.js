// The request for a WebSocket, as `upgradeWebSocket` looks at it before there is one.
'use strict';

const { requestFromExchange } = require('../fetch/request.js');
const { switchingResponse } = require('../fetch/response.js');
const accepting = require('./accept.js');
const { GONE } = require('./connection.js');
const { checkNames, socketSettings } = require('./options.js');

const NOT_CLEAN = 1006; // (RFC 6455, 7.1.5)

// The exchange of a request that asks for a WebSocket.
function exchangeOf(name, request) {
  const exchange = (request !== null && typeof request === 'object' && requestFromExchange.exchangeOf(request)) || null;
  if (exchange === null) throw new TypeError(`${name}: the request must be one that serve() has given to its handler`);
  if (exchange.over || !exchange.mayBecomeSocket) throw new TypeError(`${name}: the request was answered already, or its client has left`);
  if (!exchange.asksForWebSocket) throw new TypeError(`${name}: the request does not ask for a WebSocket (Upgrade: websocket)`);
  return exchange;
}

// Seconds without news of the client, as Deno has them: a ping after half of them, and as much to answer it. 0: never.
function timesOf(name, { idleTimeout }) {
  if (idleTimeout === undefined) return {};
  if (typeof idleTimeout !== 'number' || !(idleTimeout >= 0)) throw new TypeError(`${name}: idleTimeout must be a number of at least 0`);
  const half = idleTimeout === 0 || idleTimeout === Infinity ? false : Math.ceil(idleTimeout * 500);
  return { pingInterval: half, pongTimeout: half };
}

// Handlers for all sockets of a class: each tells the object that is its connection's `data`. `own` are the class's own functions:
// opened(object), received(object, data), gone(object, code, reason, wasClean) when it has ended and messages wait before that is told,
// ended(object, code, reason, wasClean), setError(object, error), isConnecting(object), accepted(object, connection), setUrl(object,
// url). So a socket costs no closures.
function handlersFor(own) {
  return {
    open: ({ data: object }) => own.opened(object),
    message: ({ data: object }, data) => own.received(object, data),
    error: ({ data: object }, error) => own.setError(object, error),
    [GONE]: ({ data: object }, code, reason, wasClean) => own.gone(object, code, reason, wasClean),
    close: ({ data: object }, code, reason, wasClean) => own.ended(object, code, reason, wasClean),
    refused({ data: object }, error) {
      own.setError(object, error);
      own.ended(object, NOT_CLEAN, '', false);
    },
  };
}

// Makes the object that of the socket which the request asks for; the response, with status 101, accepts it when the server would send
// it. An object that was closed by then refuses it. `handlers` are those of handlersFor(own).
function ask(name, request, options, object, own, handlers) {
  if (options === null || (typeof options !== 'object' && typeof options !== 'function'))
    throw new TypeError(`${name}: options must be an object`);
  const exchange = exchangeOf(name, request);
  const { headers, idleTimeout, protocol, ...rest } = options;
  accepting.checkProtocol(name, exchange, protocol);
  checkNames(rest);
  const settings = socketSettings({ ...rest, ...timesOf(name, { idleTimeout }), binaryType: 'arraybuffer' }, handlers);
  let isAccepted = false;
  exchange.watch(() => {
    if (!isAccepted) own.ended(object, NOT_CLEAN, '', false);
  });
  const accept = (fields) => {
    if (!own.isConnecting(object)) {
      exchange.respond(403, ['content-type', 'text/plain'], '403 Forbidden\n');
      return;
    }
    isAccepted = true;
    try {
      own.accepted(object, accepting.acceptSocket(request, handlers, { data: object, protocol, settings, headers: pairsOf(fields) }));
    } catch (error) {
      isAccepted = false;
      throw error;
    }
  };
  own.setUrl(object, request.url.replace('http', 'ws'));
  return switchingResponse(accept, headers);
}

// Names and values that stand in turn, in pairs. A reason phrase has no name, and is not a field.
function pairsOf(fields) {
  const pairs = [];
  for (let i = 0; i < fields.length; i += 2) if (fields[i] !== '') pairs.push([fields[i], fields[i + 1]]);
  return pairs;
}

// A code and a reason with which a program may close, as both standards check them.
function checkClose(code, reason) {
  if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999))
    throw new DOMException(`the code must be 1000, or from 3000 to 4999, not ${code}`, 'InvalidAccessError');
  if (Buffer.byteLength(reason) > 123) throw new DOMException('the reason has more than 123 bytes of UTF-8', 'SyntaxError');
}

module.exports = { ask, handlersFor, checkClose };
