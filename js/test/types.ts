// What users write must pass the type checker: package.test.mjs runs it, and test/types.test.mjs of js/tools with other releases.
import carom, {
  serve,
  upgradeWebSocket,
  upgradeWebSocketStream,
  WebSocketError,
  redirectToHttps,
  STRICT_TRANSPORT_SECURITY,
  Request,
  Response,
  Headers,
} from 'carom';
import type { ServerWebSocket, WebSocketHandlers } from 'carom';

const server = serve(
  {
    port: 0,
    keepAlive: 5000,
    handlerTimeout: false,
    onListen(addr) {
      if (addr.transport === 'tcp') void addr.port;
    },
  },
  async (request, info) => {
    const { remoteAddr } = info;
    info.completed.catch(() => {});
    const headers: Headers = new Headers({ 'x-a': remoteAddr.hostname });
    if (request.signal.aborted) return new Response(null, { status: 204 });
    return Response.json(await request.json(), { headers });
  },
);
const { recordsInFlight } = server.stats();
void recordsInFlight;
server.reload(() => new Response('x'));
server.reload({
  fetch: (request, info) => (info.upgrade(request) ? undefined : new Response('x')),
  websocket: { open: (ws) => void ws.send('x') },
});
server.draining satisfies AbortSignal;
server.shutdown({ deadline: 1000 }).then(() => server.finished);
carom.serve({ fetch: () => new Response(new Request('http://a').url) });
carom.serve({
  port: 0,
  handler: () =>
    new Response(
      (async function* () {
        yield 'piece';
        yield new Uint8Array(1);
      })(),
    ),
});
carom.serve(() => new Response(['one', 'two'].values()));
const secure = serve(
  {
    tls: [
      { cert: 'PEM', key: [{ pem: 'PEM', passphrase: 'x' }], alpnProtocols: ['h2'] },
      { cert: new Uint8Array(1), key: 'PEM', serverName: '*.a.test' },
    ],
    handshakeTimeout: 5000,
    h2MaxStreams: 64,
    h2PingInterval: false,
  },
  (request, { tls, alpn }) => new Response(`${alpn} ${tls?.cipher}`),
);
secure.reloadTls();
secure.reloadTls({ certFile: 'a', keyFile: 'b' });
const isSecure: boolean = secure.secure;
void isSecure;
serve({ port: 80 }, (request) => redirectToHttps(request, 8443)).unref();
new Headers().set('strict-transport-security', STRICT_TRANSPORT_SECURITY);
// @ts-expect-error there is no such option
serve({ certfile: 'x' }, () => new Response('x'));
export class Mine extends Response {}
// @ts-expect-error a handler returns a Response
serve(() => undefined);
// What libraries and other realms call a Response.
interface OfUndici {
  readonly headers: { forEach: (callback: (value: string, key: string, self: object) => void, self?: unknown) => void };
  readonly ok: boolean;
  readonly status: number;
  readonly statusText: string;
  readonly body: { getReader(): unknown } | null;
  readonly bodyUsed: boolean;
  readonly text: () => Promise<string>;
}
interface OfNodeFetch {
  headers: { forEach(callback: (value: string, name: string) => void): void; [Symbol.iterator](): IterableIterator<[string, string]> };
  status: number;
  statusText: string;
  body: AsyncIterable<string | Uint8Array> | null;
  readonly bodyUsed: boolean;
}
declare function ofUndici(): Promise<OfUndici>;
declare function ofNodeFetch(): OfNodeFetch;
serve(() => ofUndici());
serve({ onError: ofNodeFetch, fetch: () => ofNodeFetch() });
// @ts-expect-error what has no headers is none
serve(() => ({ status: 200, body: null }));
// carom/node stands where a server of node:http does.
import type http from 'node:http';
import { createServer, type Server } from 'carom/node';

const node: Server = createServer({ keepAliveTimeout: 1000, carom: { maxInFlight: 10 } }, (req, res) => {
  res.end(req.url);
});
const asHttp: http.Server = node;
asHttp.on('clientError', (error, socket) => socket.end(String(error)));
node.keepAliveTimeoutBuffer = 10;
node.setSecureContext({ certFile: 'a', keyFile: 'b' });
void fetch(`http://127.0.0.1:${server.addr.port}/`);

// WebSockets: the standard object, streams, and handlers.
serve((request) => {
  const { socket, response } = upgradeWebSocket(request, {
    protocol: 'chat',
    headers: [['set-cookie', 'a=1']],
    idleTimeout: 30,
    maxMessage: 65536,
    pingInterval: false,
    onLimit: 'close',
    deflate: { windowBits: 10, memLevel: 4, threshold: 128 },
    origins: ['https://a.test'],
  });
  socket.binaryType = 'arraybuffer';
  socket.onmessage = (event) => socket.send(event.data);
  socket.addEventListener('close', ({ code, reason, wasClean }) => void [code, reason, wasClean], { once: true });
  response.headers.set('x-a', '1');
  return response;
});
serve(async (request) => {
  const { stream, response } = upgradeWebSocketStream(request, { deflate: 'shared', origins: '*', protocols: ['a', 'b'] });
  void stream.opened.then(async ({ readable, writable, protocol }) => {
    protocol satisfies string;
    const writer = writable.getWriter();
    for await (const message of readable as unknown as AsyncIterable<string | Uint8Array>) await writer.write(message);
    // @ts-expect-error a message is text or bytes
    await writer.write(5);
    stream.close({ closeCode: 3000, reason: new WebSocketError('x', { closeCode: 3000 }).reason });
  });
  (await stream.closed).closeCode satisfies number;
  return response;
});
// @ts-expect-error it is a time in milliseconds, or off
upgradeWebSocket(new Request('http://a'), { pingInterval: '5s' });
// @ts-expect-error there is no such compression
upgradeWebSocket(new Request('http://a'), { deflate: 'dedicated' });
const handlers: WebSocketHandlers<{ name: string }> = {
  maxMessage: 1024,
  open(ws) {
    ws.subscribe('room');
  },
  async message(ws, data, isBinary) {
    if (ws.send(isBinary ? data : `${ws.data.name}: ${data}`) === -1) await ws.ready();
    ws.publish('room', data);
    // @ts-expect-error the data is what upgrade was given
    void ws.data.other;
  },
  close(ws, code, reason, wasClean) {
    void [ws.readyState, code, reason, wasClean];
  },
};
const rooms = serve({ port: 0, websocket: handlers }, (request, server) =>
  server.upgrade(request, { data: { name: 'ann' } }) ? undefined : new Response('x'),
);
rooms.publish('room', 'hello') satisfies number;
rooms.subscriberCount('room') satisfies number;
serve({
  websocket: {
    message(ws: ServerWebSocket<number>, data) {
      (ws.data satisfies number).toFixed();
      if (typeof data !== 'string') void data.byteLength;
      for (const topic of ws.subscriptions) ws.publishText(topic, 'x') satisfies number;
      ws.publishBinary('room', new Uint8Array(1), false) satisfies number;
    },
  },
  fetch(request, server) {
    if (server.upgrade(request, { data: 5, headers: { 'set-cookie': 'a=1' }, protocol: 'a' })) return;
    // @ts-expect-error the data of its sockets is a number
    server.upgrade(request, { data: 'x' });
    return new Response(server.requestIP(request)?.hostname);
  },
});
// @ts-expect-error without handlers of WebSockets a handler returns a Response
serve({ fetch: (request, server) => void server });
