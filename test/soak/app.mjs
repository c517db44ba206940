// The test server's routes as an app, for the load driver and the soak: node app.mjs inline|thread epoll|uring.
// It says where it listens, and ends when its standard input does.
import carom from '../../js/index.mjs';

const [io, backend] = process.argv.slice(2);
const letters = (offset, length) => Uint8Array.from({ length }, (_, i) => 97 + ((offset + i) % 26));
const BLOCK = letters(0, 26 * 200);

function stream(size) {
  let sent = 0;
  return new ReadableStream({
    pull(controller) {
      const length = Math.min(size - sent, 1 + (sent % 5000));
      controller.enqueue(BLOCK.subarray(sent % 26, (sent % 26) + length));
      sent += length;
      if (sent === size) controller.close();
    },
  });
}

async function count(request) {
  let bytes = 0,
    sum = 0;
  for await (const piece of request.body) {
    bytes += piece.length;
    for (const byte of piece) sum += byte;
  }
  return new Response(`${bytes} ${sum}\n`);
}

// Responses of the runtime, but for the streams: of those it would say the length when it is quick.
const routes = {
  '/hello': () => new Response('hello\n'),
  '/later': () =>
    new Promise((resolve) => {
      setTimeout(() => resolve(new Response('later\n')), 1);
    }),
  '/thread': async () => new Response(await Promise.resolve('thread\n')),
  '/stream': (request, query) => new carom.Response(stream(Number(query.get('size')))),
  '/file': (request, query) => new Response(letters(0, Number(query.get('size')))),
  '/count': count,
  '/echo': (request) => new carom.Response(request.body),
  '/allocations': () => new Response('-1\n'),
  '/throw': () => {
    throw new Error('as asked');
  },
  '/stats': () => {
    global.gc();
    const { memory, connectionsOpen, recordsInFlight, recordsPooled, requests, cancellations, webSocketsOpen, webSocketMessagesSent } =
      server.stats();
    return Response.json({
      memory,
      connections_open: connectionsOpen,
      records_in_flight: recordsInFlight,
      records_pooled: recordsPooled,
      requests,
      cancellations,
      websockets_open: webSocketsOpen,
      websocket_messages_sent: webSocketMessagesSent,
      heap: process.memoryUsage().heapUsed,
    });
  },
  '/restart': () => {
    restart();
    return new Response('again\n');
  },
};

// ---------------------------------------------------------------- WebSockets

const websocket = {
  deflate: 'shared',
  open(ws) {
    if (ws.data === '/room') ws.subscribe('room');
  },
  message(ws, data) {
    if (ws.data === '/room') server.publish('room', data);
    else if (ws.send(data) < 0) return ws.ready(); // who does not read is not read
    return undefined;
  },
};

function echoing(request) {
  const { socket, response } = carom.upgradeWebSocket(request, { deflate: {} });
  socket.binaryType = 'arraybuffer';
  socket.onmessage = ({ data }) => socket.send(data);
  return response;
}

async function handler(request, info) {
  const { pathname, searchParams } = new URL(request.url);
  if (pathname === '/sockets' && searchParams.get('deflate') === '2') return echoing(request);
  if ((pathname === '/sockets' || pathname === '/room') && info.upgrade(request, { data: pathname })) return undefined;
  return Object.hasOwn(routes, pathname) ? routes[pathname](request, searchParams) : new Response(null, { status: 404 });
}

function start(port) {
  const onError = () => new Response(null, { status: 500 });
  return carom.serve({ port, hostname: '127.0.0.1', io, backend, reusePort: true, onListen() {}, onError, websocket }, handler);
}

// A new server takes the port before the old one has answered what it has.
function restart() {
  const old = server;
  server = start(old.addr.port);
  old.shutdown({ deadline: 10_000 });
}

let server = start(0);
console.log(`127.0.0.1:${server.addr.port}`);
process.stdin.on('end', () => server.shutdown({ deadline: 1000 }).then(() => process.exit())).resume();
