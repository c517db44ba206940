// A server of WebSockets for a test, and clients whose events are waited for.
import assert from 'node:assert/strict';

import { Response, serve } from '../index.mjs';
import { PATIENT } from './support.mjs';
import { Ws } from './ws-client.mjs';

export const CLIENTS = globalThis.WebSocket === undefined ? { ws: Ws } : { ws: Ws, WebSocket: globalThis.WebSocket };

// Runs `body(url, server)` with a server whose handler makes everything a WebSocket with these handlers.
export async function serving(io, websocket, body, upgrade = {}, options = {}) {
  const server = serve({
    port: 0,
    hostname: '127.0.0.1',
    io,
    onListen() {},
    ...PATIENT,
    ...options,
    websocket,
    fetch(request, info) {
      if (info.upgrade(request, typeof upgrade === 'function' ? upgrade(request) : upgrade)) return undefined;
      return new Response('no socket');
    },
  });
  try {
    return await body(`${server.secure ? 'wss' : 'ws'}://127.0.0.1:${server.addr.port}/`, server);
  } finally {
    await server.shutdown({ deadline: 0 });
  }
}

// What happens, in order, to be waited for: next() is a promise of the next of what was pushed.
export function events() {
  const had = [];
  const wanted = [];
  return {
    push(...event) {
      if (wanted.length > 0) wanted.shift()(event);
      else had.push(event);
    },
    next: () => (had.length > 0 ? Promise.resolve(had.shift()) : new Promise((resolve) => wanted.push(resolve))),
    get count() {
      return had.length;
    },
  };
}

// A client whose events are waited for: ['open'], ['message', data], ['close', code, reason, wasClean].
export async function connect(Client, url, ...rest) {
  const socket = new Client(url, ...rest);
  const heard = events();
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => heard.push('open');
  socket.onmessage = ({ data }) => heard.push('message', typeof data === 'string' ? data : new Uint8Array(data));
  socket.onclose = ({ code, reason, wasClean }) => heard.push('close', code, reason, wasClean);
  socket.onerror = () => {};
  assert.deepEqual((await heard.next())[0], 'open');
  return { socket, next: heard.next, heard };
}

export const echo = {
  message(ws, data) {
    ws.send(data);
  },
};
