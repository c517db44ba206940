// Hono's `upgradeWebSocket`: an app gives what is to be called (onOpen, onMessage, onClose, onError) for a context, and gets a handler.
'use strict';

const { asksForSocket } = require('./accept.js');
const { upgradeWebSocket } = require('./standard.js');

// The parts of Hono's WSContext.
class Context {
  #socket;
  binaryType = 'arraybuffer';

  constructor(socket) {
    this.#socket = socket;
    this.raw = socket;
    this.url = new URL(socket.url);
  }

  get protocol() {
    return this.#socket.protocol || null;
  }
  get readyState() {
    return this.#socket.readyState;
  }
  send(data) {
    this.#socket.send(data);
  }
  close(code, reason) {
    this.#socket.close(code, reason);
  }
}

// Fields that the app has set stand in the Response that Hono has made for them, of a class of which no 101 can be made: they are taken
// over, and ours is put in its place. Fields that a middleware sets later go into ours, which Hono copies unless it was read.
function intoContext(context, response) {
  for (const [name, value] of context.res.headers) if (name !== 'content-type') response.headers.append(name, value);
  Object.defineProperty(response, 'bodyUsed', { value: true });
  context.res = undefined;
  context.res = response;
  return response;
}

function accept(context, events, options = {}) {
  const { onOpen, onMessage, onClose, onError } = events;
  const [first] = (context.req.header('sec-websocket-protocol') || '').split(',');
  const protocol = options.protocols === undefined && first.trim() !== '' ? { protocol: first.trim() } : {};
  const { socket, response } = upgradeWebSocket(context.req.raw, { ...protocol, ...options });
  const ws = new Context(socket);
  const listen = (type, call) => {
    // A binaryType that is set on the context holds from the next message on.
    socket.addEventListener(type, (event) => {
      const result = call?.call(events, event, ws);
      if (socket.binaryType !== ws.binaryType) socket.binaryType = ws.binaryType;
      return result;
    });
  };
  socket.binaryType = ws.binaryType;
  listen('open', onOpen);
  listen('message', onMessage);
  listen('close', onClose);
  listen('error', onError);
  return intoContext(context, response);
}

// upgradeWebSocket(createEvents, options): a handler for a route; other requests go on to the next one. upgradeWebSocket(context,
// events, options): the Response, or an error.
function upgradeForHono(first, second, third) {
  if (typeof first === 'function')
    return async (context, next) => (asksForSocket(context.req.raw) ? accept(context, await first(context), second) : next());
  return (async () => {
    if (!asksForSocket(first.req.raw)) throw new Error('upgradeWebSocket: the request does not ask for a WebSocket');
    return accept(first, second, third);
  })();
}

module.exports = { upgradeWebSocket: upgradeForHono };
