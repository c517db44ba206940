const [port, mode = 'plain'] = process.argv.slice(2);
const compresses = mode !== 'plain';

const server = Bun.serve({
  port: Number(port),
  hostname: '127.0.0.1',
  websocket: {
    perMessageDeflate: { plain: false, shared: { compress: 'shared', decompress: 'shared' }, own: { compress: '4KB', decompress: '4KB' } }[
      mode
    ],
    open(ws) {
      if (ws.data.isRoom) ws.subscribe('room');
    },
    message(ws, data) {
      if (ws.data.isRoom) server.publish('room', data, compresses);
      else ws.send(data, compresses);
    },
  },
  fetch(request, info) {
    if (request.url.endsWith('/collect')) {
      Bun.gc(true);
      return new Response('');
    }
    if (info.upgrade(request, { data: { isRoom: request.url.endsWith('/room') } })) return;
    return new Response('', { status: 426 });
  },
});
