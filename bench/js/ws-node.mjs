// `ws` on node:http. It has no topics: its set of clients does for a room.
import http from 'node:http';
import { createRequire } from 'node:module';

const { WebSocketServer } = createRequire(new URL('../../js/package.json', import.meta.url))('ws');
const [port, mode = 'plain'] = process.argv.slice(2);
const perMessageDeflate = {
  plain: false,
  shared: { serverNoContextTakeover: true, clientNoContextTakeover: true, zlibDeflateOptions: { level: 1 }, threshold: 0 },
  own: { serverMaxWindowBits: 12, clientMaxWindowBits: 12, zlibDeflateOptions: { level: 1 }, threshold: 0 },
}[mode];

const server = http.createServer((request, response) => {
  globalThis.gc();
  response.end();
});
const sockets = new WebSocketServer({ server, perMessageDeflate });
sockets.on('connection', (socket, request) => {
  if (request.url === '/room')
    socket.on('message', (data, binary) => {
      for (const member of sockets.clients) member.send(data, { binary });
    });
  else socket.on('message', (data, binary) => socket.send(data, { binary }));
});
server.listen(Number(port), '127.0.0.1');
