// node ws-carom.mjs PORT [plain|shared|own] [object]: handlers for the whole server, or the standard object.
import { Response, serve, upgradeWebSocket } from '../../js/index.mjs';

const [port, compression = 'plain', object] = process.argv.slice(2);
const deflate = { plain: false, shared: 'shared', own: {} }[compression];
const room = new Set();

const handlers = {
  deflate,
  open(ws) {
    if (ws.data) ws.subscribe('room');
  },
  message(ws, data) {
    if (ws.data) server.publish('room', data);
    else ws.send(data);
  },
};

const options = { deflate };

function upgrade(request, isRoom) {
  const { socket, response } = upgradeWebSocket(request, options);
  if (isRoom) {
    socket.onopen = () => room.add(socket);
    socket.onclose = () => room.delete(socket);
    socket.onmessage = (event) => {
      for (const member of room) member.send(event.data);
    };
  } else {
    socket.onmessage = (event) => socket.send(event.data);
  }
  return response;
}

const server = serve(
  { port: Number(port), hostname: '127.0.0.1', onListen() {}, ...(object ? {} : { websocket: handlers }) },
  (request, info) => {
    const isRoom = request.url.endsWith('/room');
    if (request.url.endsWith('/collect')) {
      globalThis.gc();
      return new Response('');
    }
    if (object) return upgrade(request, isRoom);
    return info.upgrade(request, { data: isRoom }) ? undefined : new Response('', { status: 426 });
  },
);
