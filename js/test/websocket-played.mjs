// What the tests of a WebSocket's standard object share: the engine's side of it, which the test plays.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

import { upgradeWebSocket } from '../index.mjs';

const require = createRequire(import.meta.url);
const accepting = require('../src/websocket/accept.js');
const { requestFromExchange } = require('../src/fetch/request.js');
const { responseParts } = require('../src/fetch/response.js');

// A connection as acceptSocket gives it. `calls` has what was asked of it; tell(event, ...) is what the engine would tell.
class Connection {
  calls = [];
  bufferedAmount = 0;
  result = 1;
  readyState = 1;
  protocol = '';
  extensions = '';

  constructor(handlers, options) {
    this.handlers = handlers;
    this.options = options;
    this.data = options.data;
    this.protocol = options.protocol || '';
  }

  tell(event, ...given) {
    this.handlers[event]?.(this, ...given);
  }
  send(data) {
    this.calls.push(['send', data]);
    if (this.result !== 0) this.bufferedAmount += typeof data === 'string' ? Buffer.byteLength(data) : data.byteLength;
    return this.result;
  }
  ready() {
    this.calls.push(['ready']);
    return new Promise((resolve) => {
      this.drained = resolve;
    });
  }
  sent() {
    return this.calls.filter(([name]) => name === 'send').map(([, data]) => data);
  }
}
for (const name of ['close', 'terminate', 'pause', 'resume'])
  Connection.prototype[name] = function (...given) {
    this.calls.push([name, ...given]);
  };

// A request that asks for a WebSocket, with what becomes of its exchange.
export function asking(fields = {}) {
  const all = { upgrade: 'websocket', host: 'here.test', ...fields };
  const exchange = {
    asksForWebSocket: all.upgrade.toLowerCase().includes('websocket'),
    mayBecomeSocket: true,
    over: false,
    secure: false,
    method: 'GET',
    target: '/chat?a=b',
    watchers: [],
    cached: { url: '' },
    field: (name) => all[name] ?? null,
    cachedUrl: () => exchange.cached,
    watch: (act) => exchange.watchers.push(act),
    respond(...given) {
      exchange.response = given;
    },
  };
  return { exchange, request: requestFromExchange(exchange, () => 'http://here.test') };
}

// The server has sent the response: the connection, which is open.
export function accept(response, open = true) {
  let connection = null;
  const { acceptSocket } = accepting;
  accepting.acceptSocket = (request, handlers, options) => {
    connection = new Connection(handlers, options);
    return connection;
  };
  const { accept: act, fields } = responseParts(response);
  act(fields);
  accepting.acceptSocket = acceptSocket;
  if (open) connection?.tell('open');
  return connection;
}

export function opened(options, fields) {
  const { request } = asking(fields);
  const { socket, response } = upgradeWebSocket(request, options);
  return { socket, connection: accept(response) };
}

// What a socket says from here on, in order.
export function heard(socket, ...types) {
  const events = [];
  for (const type of types.length === 0 ? ['open', 'message', 'error', 'close'] : types)
    socket.addEventListener(type, (event) =>
      events.push(type === 'message' ? event.data : type === 'close' ? [event.code, event.reason] : type),
    );
  return events;
}

export const bytes = (...list) => new Uint8Array(list).buffer;
export const refuses = (act, name) => assert.throws(act, (error) => error instanceof DOMException && error.name === name);
