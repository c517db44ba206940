// Accepts the WebSocket that a request asks for. Both APIs stand on it: handlers for the whole server, and the standard object.
'use strict';

const { ASK_ACCEPT, SOCKETS_MOST_ACCEPT } = require('../memory/layout.js');
const { writeFields } = require('../ring/codec.js');
const { requestFromExchange } = require('../fetch/request.js');
const { Headers } = require('../fetch/headers.js');
const { WebSocketConnection, setNumber } = require('./connection.js');
const { socketSettings } = require('./options.js');
const { topicsOf } = require('./topics.js');

const WORDS = 12; // bytes, before the fields
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

function exchangeOf(request) {
  return (request !== null && typeof request === 'object' && requestFromExchange.exchangeOf(request)) || null;
}

function stateError(text) {
  return Object.assign(new TypeError(text), { code: 'CAROM_ESTATE' });
}

// Whether the request asks for a WebSocket, and nobody has answered it.
function asksForSocket(request) {
  const exchange = exchangeOf(request);
  return exchange !== null && exchange.asksForWebSocket && exchange.mayBecomeSocket;
}

function exchangeFor(request) {
  const exchange = exchangeOf(request);
  if (exchange === null) throw new TypeError("this is no request of carom's server");
  if (exchange.socket !== null) throw stateError('the request has become a WebSocket already');
  if (exchange.over) throw stateError('the client has gone');
  if (!exchange.mayBecomeSocket) throw stateError('the request was answered already');
  if (!exchange.asksForWebSocket) throw new TypeError('the request asks for no WebSocket: it has no "Upgrade: websocket"');
  return exchange;
}

// The parts of a field that is a list, without blanks around them.
function partsOf(value) {
  return (value || '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

// A client ends the connection when it is told of a protocol that it does not offer (RFC 6455, 4.1).
function checkProtocol(where, exchange, protocol) {
  if (protocol === undefined || protocol === '') return;
  if (!TOKEN.test(protocol)) throw new TypeError(`${where}: ${JSON.stringify(protocol)} is no name of a subprotocol`);
  if (!partsOf(exchange.field('sec-websocket-protocol')).includes(protocol))
    throw new TypeError(`${where}: the client does not offer the protocol ${protocol}`);
}

// The fields of the answer beside those of the handshake, as they were given: [name, value, ...].
function fieldsOf({ headers, protocol }) {
  const fields = headers === undefined ? [] : [...new Headers(headers)].flat();
  if (protocol === undefined || protocol === '') return fields;
  return [...fields, 'sec-websocket-protocol', protocol];
}

function protocolIn(fields) {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === 'sec-websocket-protocol') return fields[i + 1];
  return '';
}

function acceptBytes(exchange, settings, fields) {
  const bytes = new Uint8Array(SOCKETS_MOST_ACCEPT);
  new Uint32Array(bytes.buffer, 0, 3).set([exchange.slot.index, exchange.generation, settings]);
  const used = writeFields(bytes, WORDS, bytes.length - WORDS, fields);
  if (used < 0) throw new TypeError(`the fields of the answer are longer than ${bytes.length - WORDS} bytes`);
  return bytes.subarray(0, WORDS + used);
}

// Make the request a WebSocket; returns its connection (connection.js), on which nothing is told before this has returned.
// `request`: of carom's server, not answered yet. What its handler returns is ignored then.
// `handlers`: { open(ws), message(ws, data, isBinary), drain(ws), close(ws, code, reason, wasClean), error(ws, error),
//   ping(ws, data), pong(ws, data), refused(ws, error) }, each may be missing; called with `this` = handlers. `close` is called once
//   and last, for a socket that was opened. Where the engine has refused the request (its origin, key or version) `refused` is called
//   in the place of all others.
// `options`: { data, headers, protocol, settings }; `settings` are those of socketSettings(options, handlers). Without them the
//   options of sockets are taken from here: maxMessage, maxFragments, writeLimit, onLimit, pingInterval, pongTimeout, closeTimeout, deflate,
//   origins, protocols, binaryType.
// Throws a TypeError when the request asks for no WebSocket, was answered, or is not of carom's server.
function acceptSocket(request, handlers, options = {}) {
  const exchange = exchangeFor(request);
  const { ring } = exchange.slot;
  checkProtocol('upgrade', exchange, options.protocol);
  const settings = options.settings || socketSettings(options, handlers);
  const fields = fieldsOf(options);
  const sockets = ring.openSockets();
  const known = sockets.settingsNumber(settings);
  if (known < 0) throw stateError('there are too many kinds of settings for WebSockets');
  const bytes = acceptBytes(exchange, known, fields);
  const { hostname } = exchange.remoteAddress();
  const connection = new WebSocketConnection(sockets, topicsOf(ring.handle), handlers, settings, options.data, hostname);
  const number = sockets.add(connection);
  if (number === 0) throw stateError('there are too many WebSockets');
  setNumber(connection, number);
  connection.protocol = protocolIn(fields);
  sockets.ask(ASK_ACCEPT, number, 0, bytes);
  exchange.becomeSocket();
  exchange.socket = connection;
  return connection;
}

module.exports = { acceptSocket, asksForSocket, checkProtocol };
