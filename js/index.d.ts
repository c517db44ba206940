/// <reference lib="esnext.disposable" />

/** Carom's own class, typed like the global one and an instance of it: `instanceof` holds for both. */
export const Headers: typeof globalThis.Headers;
export type Headers = globalThis.Headers;

/** Carom's own class, typed like the global one and an instance of it: `instanceof` holds for both. */
export const Request: typeof globalThis.Request;
export type Request = globalThis.Request;

/**
 * Carom's own class, typed like the global one and an instance of it: `instanceof` holds for both.
 * The body may be an async iterable or an iterator, too: `new Response((async function* () { yield 'piece'; })())`. It is iterated
 * without a stream in between; what it gives until the event loop turns is sent at once, with a Content-Length when it has ended by then.
 */
export const Response: typeof globalThis.Response & {
  new (
    body: AsyncIterable<string | Uint8Array> | IterableIterator<string | Uint8Array>,
    init?: ConstructorParameters<typeof globalThis.Response>[1],
  ): globalThis.Response;
};
export type Response = globalThis.Response;

/**
 * On Node a class of Carom's own, typed like the global one and an instance of it; elsewhere the runtime's. As the body of a response its
 * source is asked directly, and strings may be pieces, too. When somebody else looks at it, the runtime's stream is made of what is left.
 */
export const ReadableStream: typeof globalThis.ReadableStream;
export type ReadableStream<R = unknown> = globalThis.ReadableStream<R>;

/** What `new Headers()` takes. */
export type HeadersSource = ConstructorParameters<typeof globalThis.Headers>[0];

/** An end of a TCP connection. */
export interface TcpAddr {
  /** TCP, over IPv4 or IPv6. */
  readonly transport: 'tcp';
  /** An IP address: `"192.0.2.1"`, `"2001:db8::1"`. */
  readonly hostname: string;
  /** 1 to 65535. */
  readonly port: number;
  /** It has none. */
  readonly path?: undefined;
}

/** The Unix socket that a server listens on. */
export interface UnixAddr {
  /** A Unix socket. */
  readonly transport: 'unix';
  /** Its file. */
  readonly path: string;
  /** It has none. */
  readonly hostname?: undefined;
  /** It has none. */
  readonly port?: undefined;
}

/** The client of a Unix socket, which has no address: `hostname` is `""`, `port` is 0. */
export interface UnixPeer {
  /** A Unix socket. */
  readonly transport: 'unix';
  /** It has none. */
  readonly hostname: '';
  /** It has none. */
  readonly port: 0;
}

/** Where a server listens; `port` is the real one when 0 was asked for. */
export type ListenAddr = TcpAddr | UnixAddr;
/** Who sent a request. */
export type RemoteAddr = TcpAddr | UnixPeer;

/** What goes with a request. Nothing is computed before it is asked for. */
export interface ServeHandlerInfo {
  /** The client. First look at it before the response is sent; after that a TypeError is thrown. */
  readonly remoteAddr: RemoteAddr;
  /** The server's end of the connection: the address that the client has reached. First look at it before the response is sent. */
  readonly localAddr: RemoteAddr;
  /** The protocol (RFC 7301, 6); `'h2c'` is HTTP/2 in the clear. First look at it before the response is sent. */
  readonly alpn: 'http/1.0' | 'http/1.1' | 'h2' | 'h2c';
  /** The connection's TLS; null when it has none. First look at it before the response is sent. */
  readonly tls: TlsInfo | null;
  /**
   * Resolves when the whole response was handed to the kernel. Rejects with an {@link ExchangeError}
   * when it never will be; a rejection that nobody handles is no error. Both tell how many bytes of content
   * were sent, unless the response was sent before this property was first looked at.
   */
  readonly completed: Promise<{ bytesSent: number | undefined }>;
  /**
   * Send an informational response before the final one: `info.inform(103, { link: '...' })`.
   * HTTP/1.0 clients do not get it.
   * @param status 102 to 199
   * @throws {RangeError} for another status
   * @throws {TypeError} when the response has begun, or for headers that may not be sent
   */
  inform(status: number, headers?: HeadersSource): void;
  /** Send these fields after the content. Call it before the handler returns; the response is chunked. */
  trailers(headers: HeadersSource): void;
  /** As of {@link Server}. */
  requestIP: Server['requestIP'];
  /** As of {@link Server}. */
  timeout: Server['timeout'];
}

/** What is known of a connection's TLS. */
export interface TlsInfo {
  /** The version that was agreed on. */
  readonly version: 'TLSv1.2' | 'TLSv1.3';
  /** The cipher suite, by its name in the RFCs. */
  readonly cipher: string;
  /** The protocol that ALPN agreed on; `''` for a client that offered none. */
  readonly alpn: string;
  /** The host that the client asked for; `''` for one that named none. */
  readonly serverName: string;
  /** Whether the client resumed an earlier session. */
  readonly resumed: boolean;
  /** The client's certificate (X.509, DER), or null: see `requestCert`. */
  readonly peerCertificate: Uint8Array | null;
}

/** PEM: text, bytes, or a file of Bun, which the engine reads by its name. */
export type Pem = string | ArrayBuffer | ArrayBufferView | { readonly name?: string; arrayBuffer(): Promise<ArrayBuffer> };

/** A certificate, or several, with their keys. */
export interface TlsCertificate {
  /** The certificate, followed by those that lead to its root; for several certificates a list. */
  cert?: Pem | Pem[];
  /** The key of the certificate, or a list with the key of each, perhaps with its passphrase. Not needed when `cert` has the key. */
  key?: Pem | (Pem | { pem: Pem; passphrase?: string })[];
  /** The file of the certificate, instead of `cert`; a reload reads it again. */
  certFile?: string;
  /** The file of the key, instead of `key`; a reload reads it again. */
  keyFile?: string;
  /** The passphrase of encrypted keys. */
  passphrase?: string;
  /** A file with an OCSP response (DER) that is stapled to the certificate; a reload reads it again. */
  ocspFile?: string;
  /** The host that the certificate is for, or `'*.'` and a domain. Default: the names in the certificate. */
  serverName?: string;
}

/** Options of TLS, named as in node:https, Bun and Deno. An option of theirs that is not here is refused with an error that names it. */
export interface TlsOptions extends TlsCertificate {
  /** The authorities that certificates of clients are checked against. */
  ca?: Pem | Pem[];
  /** The file of the authorities, instead of `ca`. */
  caFile?: string;
  /** Ask clients for a certificate. Default false. */
  requestCert?: boolean;
  /** With `requestCert`: end the handshake of clients that show no trusted certificate. Default true. */
  rejectUnauthorized?: boolean;
  /** The protocols that ALPN may agree on, the preferred one first. Default: `['h2', 'http/1.1', 'http/1.0']`. */
  alpn?: ('h2' | 'http/1.1' | 'http/1.0')[];
  /** The name of `alpn` in node and Bun. */
  ALPNProtocols?: TlsOptions['alpn'];
  /** The name of `alpn` in Deno. */
  alpnProtocols?: TlsOptions['alpn'];
  /** The oldest version that is spoken. Default `'TLSv1.2'`. */
  minVersion?: 'TLSv1.2' | 'TLSv1.3';
  /** The newest version that is spoken. Default: the newest that there is. */
  maxVersion?: 'TLSv1.3';
  /** Cipher suites, as OpenSSL lists them; names that begin with TLS_ are those of TLS 1.3. */
  ciphers?: string;
  /** Groups for the key exchange, as OpenSSL lists them. Default `'X25519:P-256:P-384'`. */
  ecdhCurve?: string;
  /** Keys of session tickets, 80 random bytes each, which processes may share: the first makes tickets, all open them. */
  ticketKeys?: Uint8Array;
  /** Seconds that a session ticket is valid. Default 7200. */
  sessionTimeout?: number;
  /** End the handshake of clients that ask for a host that no certificate is for. Default false: they get the first certificate. */
  refuseUnknownNames?: boolean;
}

/**
 * A Response of a library (undici, node-fetch, ...) or of another realm: any object with these members. Its body is a web stream, an
 * async iterable of bytes, as streams of Node are, or null.
 */
export interface ResponseLike {
  /** As of a Response. */
  readonly status: number;
  /** As of a Response. */
  readonly statusText?: string;
  /** Its fields. */
  readonly headers: Iterable<[string, string]> | { forEach(callback: (value: string, name: string) => void): void };
  /** A web stream, an async iterable of bytes, or null. */
  readonly body: unknown;
  /** Whether its body was read; then it cannot be sent. */
  readonly bodyUsed?: boolean;
}

/** Answers a request, at once or later. What it throws goes to `onError`, or becomes a 500. */
export type Handler = (request: Request, info: ServeHandlerInfo) => Response | ResponseLike | Promise<Response | ResponseLike>;

/** An object with a handler. */
export interface HandlerObject {
  /** The handler. */
  fetch: Handler;
}

/** Why an exchange ended. */
export type Reason =
  | 'complete'
  | 'client-closed'
  | 'client-reset'
  | 'bad-request'
  | 'over-limit'
  | 'header-timeout'
  | 'body-timeout'
  | 'write-timeout'
  | 'handler-timeout'
  | 'abandoned'
  | 'canceled'
  | 'shutdown'
  | 'no-memory'
  | 'file-failed';

/** The `code` of an error of Carom. */
export type ErrorCode =
  /** The exchange is over: the client has gone, or a time-out or a shutdown ended it. */
  | 'CAROM_ECANCELED'
  /** An option is not valid, or limits contradict each other. */
  | 'CAROM_EINVAL'
  /** Out of memory. */
  | 'CAROM_ENOMEM'
  /** Not allowed in this state, such as reading a request after its response was sent. */
  | 'CAROM_ESTATE'
  /** Over a limit, such as response fields that are too long in all. */
  | 'CAROM_ETOOBIG'
  /** A field that may not be sent: the engine alone sets Transfer-Encoding (`chunked` is ignored) and Keep-Alive; Connection may be close or keep-alive. */
  | 'CAROM_EFIELD'
  /** The content does not match the Content-Length that was given. */
  | 'CAROM_ELENGTH'
  /** The address is in use. */
  | 'CAROM_EADDRINUSE'
  /** The address is not one of this host. */
  | 'CAROM_EADDRNOTAVAIL'
  /** Permission denied: a port below 1024, a folder that may not be written. */
  | 'CAROM_EACCES'
  /** The folder of the Unix socket is not there. */
  | 'CAROM_ENOENT'
  /** Out of file descriptors. */
  | 'CAROM_EMFILE'
  /** Not an address that can be listened on. */
  | 'CAROM_EADDRESS'
  /** Not supported on this system or in this build. */
  | 'CAROM_EUNSUPPORTED'
  /** The system refused, for a reason without a name here. */
  | 'CAROM_ESYSTEM'
  /** A certificate cannot be used; the message has the file and the cause. */
  | 'CAROM_ECERTIFICATE'
  /** A private key cannot be used, or is not that of its certificate. */
  | 'CAROM_EKEY'
  /** The peer broke the protocol. */
  | 'CAROM_EPROTOCOL'
  /** Thrown by loading the package: the binary for this system was not installed, or is not where CAROM_NODE says; the message has the cure. */
  | 'CAROM_BINARY_MISSING'
  /** Thrown by loading the package: the binary cannot be loaded, or is of another version; the message has the cause and the cure. */
  | 'CAROM_BINARY_BROKEN';

/** An error of Carom; tell them apart by `code`. */
export interface CaromError extends Error {
  /** What has happened. */
  code: ErrorCode;
}

/** The exchange ended before its response, or its request, was whole. */
export interface ExchangeError extends CaromError {
  /** The exchange is over. */
  code: 'CAROM_ECANCELED';
  /** What ended it. */
  reason: Exclude<Reason, 'complete'>;
  /** Of `completed`: bytes of content that were sent. */
  bytesSent?: number;
}

/**
 * Limits and time-outs of the engine. Sizes are bytes, times are milliseconds. `false` or `Infinity`
 * turns a limit off; 0 and `true` stand for its default.
 */
export interface Limits {
  /** Longest request target; beyond, 414. Default 8 KiB. Together with the next two at most 65,280; never off. */
  maxTarget?: number;
  /** Longest header section, and trailer section; beyond, 431. Default 16 KiB. Never off. */
  maxHeaderSection?: number;
  /** Most field lines in a section; beyond, 431. Default 100. Each counts for 8 bytes; never off. */
  maxFields?: number;
  /** Longest request content; beyond, 413. Default 1 GiB. */
  maxContent?: number | boolean;
  /** Most connections of a worker. Default 16,384. */
  maxConnections?: number | boolean;
  /** At `maxConnections`: `false` leaves new ones in the kernel's queue, `true` answers 503. Default false. */
  refuseConnections?: boolean;
  /** Most requests of a worker being answered; beyond, 503 with Retry-After. Default 16,384. */
  maxInFlight?: number | boolean;
  /**
   * Bytes of memory, in each worker, for the requests that are with the handler, 8 KiB for each. A request beyond is answered 503
   * with `Retry-After`, and a warning is printed; so is one whose connection has more of them than are left. The memory is taken when
   * it is needed and given back after a burst. Default 128 MiB.
   */
  maxRingMemory?: number | boolean;
  /**
   * Bytes of answers, in each worker, that wait until their clients take them. While more waits for a connection, its largest answer
   * not counted, than it leaves of these for others, its further requests wait. Default 64 MiB.
   */
  maxUnsent?: number | boolean;
  /** Most requests of a connection; the last is answered with `Connection: close`. Default off. */
  maxConnectionRequests?: number | boolean;
  /** Most requests of a connection that are answered at once; then no more are read. Fewer while answers are large or not taken. Default 32. */
  maxPipeline?: number | boolean;
  /** Bytes of a connection's responses that may be unsent before writing waits. Default 64 KiB. */
  writeBuffer?: number | boolean;
  /** Unread request content that is read and dropped to keep a connection. Default 256 KiB. */
  drainContent?: number | boolean;
  /**
   * Names and values of a response's fields in bytes, in all; one field may be that long. Beyond, the response is refused (CAROM_ETOOBIG),
   * and a 500 is sent. Default 64 KiB.
   */
  maxResponseHead?: number | boolean;
  /** From a request's first byte to the end of its header section; then 408. Default 10,000. */
  headerTimeout?: number | boolean;
  /** From accept to the first byte; then closed. Default 15,000. */
  firstByteTimeout?: number | boolean;
  /** Idle time between requests, told to the client; then closed. Default 75,000. */
  keepAlive?: number | boolean;
  /** Idle connections are closed this much after `keepAlive`. Default 1000. */
  keepAliveGrace?: number | boolean;
  /** Least bytes a second of content that is waited for; slower, 408. Default 240. */
  contentRate?: number | boolean;
  /** The time over which `contentRate` is measured. Default 5000. */
  contentWindow?: number | boolean;
  /** Time without the client taking a byte; then reset. Default 30,000. */
  writeTimeout?: number | boolean;
  /** From the handler's call to the response's head; then 503. Default off. */
  handlerTimeout?: number | boolean;
  /** How long a connection is still read after its close, so that the answer arrives. Default 2000. */
  lingerTimeout?: number | boolean;
  /** Go on answering a client that has closed its sending side. Default false: that cancels. */
  halfClose?: boolean;
  /** Accept HTTP/1.1 requests without Host; their URL has the host of the server. Default false: 400 (RFC 9112, 3.2). */
  hostOptional?: boolean;
  /** From accept to the end of the TLS handshake; then closed. Default 10,000. */
  handshakeTimeout?: number | boolean;
  /** Most steps of TLS handshakes in one turn of a worker; the rest waits for the next. Default 16. */
  maxHandshakes?: number | boolean;
  /** HTTP/2: most streams of a connection at once, up to 16,384; beyond, they are refused. Default 128. */
  h2MaxStreams?: number | boolean;
  /** HTTP/2: most unread content of a stream, 1 KiB or more; it grows on a fast link up to `h2StreamWindowMax`. Default 64 KiB. */
  h2StreamWindow?: number | boolean;
  /** HTTP/2: how far `h2StreamWindow` grows. Default 1 MiB. */
  h2StreamWindowMax?: number | boolean;
  /** HTTP/2: most unread content of a connection, 1 KiB or more; it grows up to `h2ConnectionWindowMax`. Default 1 MiB. */
  h2ConnectionWindow?: number | boolean;
  /** HTTP/2: how far `h2ConnectionWindow` grows. Default 4 MiB. */
  h2ConnectionWindowMax?: number | boolean;
  /** HTTP/2: most streams that a client resets in 10 seconds; beyond, ENHANCE_YOUR_CALM. Default 200. */
  h2MaxResets?: number | boolean;
  /** HTTP/2: most frames that move nothing (PING, SETTINGS, ...) in 10 seconds; beyond, the same. Default 1000. */
  h2MaxControlFrames?: number | boolean;
  /** HTTP/2: a client that is silent for this long while streams are open gets a PING; after as long again without an answer, a reset. Default 30,000. */
  h2PingInterval?: number | boolean;
  /** Objects that each pool has from the start, and keeps. Default 64. */
  poolFloor?: number | boolean;
  /** Connections that the kernel queues for accept. Default 4096. */
  backlog?: number | boolean;
}

/** Options of {@link serve}. */
export interface ServeOptions extends Limits, TlsOptions {
  /**
   * TLS as one object instead of beside the others; a list of them for several names, of which the first serves
   * clients that name no host or an unknown one; or `'dev'`: a certificate for localhost, made for this run. What is
   * wrong with a certificate or key is a TypeError with the file and the cause.
   */
  tls?: TlsOptions | [TlsOptions, ...TlsCertificate[]] | 'dev' | false;
  /** Whether HTTP/2 is spoken, by ALPN and in the clear by prior knowledge. Default true. */
  http2?: boolean;
  /** 0 to 65535; 0: any free port, which `server.addr` tells. Default 8000. */
  port?: number;
  /** An IP address or `"localhost"`. Default: all addresses of the host. */
  hostname?: string;
  /** Listen on a Unix socket of this path instead; a stale socket file is replaced. */
  path?: string;
  /** The descriptor of a listening socket that was inherited, instead of a port. */
  fd?: number;
  /** Shuts the server down, without a deadline, when it aborts. */
  signal?: AbortSignal;
  /** Called once, when the server listens. Default: a line on standard output. */
  onListen?: (addr: ListenAddr) => void;
  /** Makes the response for an error of the handler. Default: the error is reported, and 500 sent. */
  onError?: (error: unknown) => Response | ResponseLike | Promise<Response | ResponseLike>;
  /**
   * Share the port with other processes and `worker_threads` that ask for it too; the kernel spreads
   * the connections over them.
   */
  reusePort?: boolean;
  /**
   * Where HTTP is spoken: `'inline'`, in the event loop of Node; `'thread'`, on threads of the
   * engine. Default `'inline'` in Node with one worker, else `'thread'`; Bun and Deno have that only.
   */
  io?: 'inline' | 'thread';
  /**
   * How the engine talks to the kernel: `'epoll'` (default), or `'uring'`, io_uring, where the kernel (6.1
   * or newer) allows it; otherwise epoll, with a line on the console. `server.backend` says which it is.
   */
  backend?: 'epoll' | 'uring';
  /** Threads of the engine, 1 to 256; the handler runs on one thread always. Default 1. */
  workers?: number;
  /**
   * GET and HEAD of these paths are answered by the engine: `{ '/health': new Response('ok') }`, with
   * the `Response` of this package, whose body is a string, bytes or none. A path is compared as it is
   * sent (`/caf%C3%A9`), a query does not matter.
   */
  routes?: Record<string, Response>;
  /** Handlers of WebSockets, and their options. Over HTTP/2 clients are told that they may ask for one where these are. Default: none. */
  websocket?: WebSocketHandlers<unknown>;
}

/** Counters since the start, and gauges of this moment. */
export interface ServerStats {
  /** Connections that were accepted. */
  connectionsAccepted: number;
  /** Connections that were refused because there were `maxConnections`. */
  connectionsRefused: number;
  /** Gauge. */
  connectionsOpen: number;
  /** Header sections that came whole. */
  requests: number;
  /** Responses that were completed. */
  responses: number;
  /** On the sockets. */
  bytesReceived: number;
  /** On the sockets. */
  bytesSent: number;
  /** Gauge: requests being answered. */
  recordsInFlight: number;
  /** The most requests that were being answered at once since the start. */
  recordsPeak: number;
  /** Gauge: records that no request uses, kept for the next ones. */
  recordsPooled: number;
  /** How many records were done with, and kept for the next requests. */
  recordsRecycled: number;
  /** How often memory was allocated for a record. */
  recordsAllocated: number;
  /** Gauge: bytes held by the engine, in the whole process. */
  memory: number;
  /** Allocations of the engine, in the whole process. */
  allocations: number;
  /** Connections and requests that a time-out has ended. */
  timeouts: number;
  /** Requests that did not end well while the handler had them. */
  cancellations: number;
  /** TLS handshakes that succeeded. */
  tlsHandshakes: number;
  /** Those of them that resumed an earlier session. */
  tlsResumed: number;
  /** TLS handshakes that failed. */
  tlsFailed: number;
  /** Connections that spoke HTTP/2. */
  h2Connections: number;
  /** Those of them that were ended with ENHANCE_YOUR_CALM. */
  h2Calmed: number;
  /** Requests that were answered 503, because `maxInFlight` or `maxRingMemory` was reached. */
  requestsRefused: number;
  /** How often the engine has called into JavaScript. */
  calls: number;
  /** WebSockets that are open. */
  webSocketsOpen: number;
  /** WebSockets since the start. */
  webSocketsAccepted: number;
  /** Requests for one that were answered 400, 403 or 426. */
  webSocketsRefused: number;
  /** Messages that have come whole. */
  webSocketMessagesReceived: number;
  /** Messages that were sent, counted for each socket. */
  webSocketMessagesSent: number;
  /** Bytes of messages that have come, inflated. */
  webSocketBytesReceived: number;
  /** Bytes of messages that were sent, before they were compressed. */
  webSocketBytesSent: number;
  /** Those of them that compression has saved. */
  webSocketBytesSaved: number;
  /** WebSockets by the code with which they closed: `'1000'` to `'1014'`, or `'other'`. */
  webSocketsClosed: Record<string, number>;
  /** Exchanges by how they ended. */
  ended: Record<Reason, number>;
}

/** A server that listens, from {@link serve}. */
export interface Server extends AsyncDisposable {
  /** Where it listens, also after it has ended. */
  readonly addr: ListenAddr;
  /** How the engine talks to the kernel. */
  readonly backend: 'epoll' | 'uring' | 'portable';
  /** Whether it speaks TLS. */
  readonly secure: boolean;
  /** Resolves when a shutdown has drained. */
  readonly finished: Promise<void>;
  /** How many requests are being answered. */
  readonly pendingRequests: number;
  /** Aborts when a shutdown begins, so that a response without an end of its own, such as a stream of events, can be ended. */
  readonly draining: AbortSignal;
  /**
   * Stop accepting, close idle connections, answer what is in flight; resolves as `finished` does.
   * A further call can only bring the deadline nearer.
   * @param options.deadline milliseconds after which the rest is cancelled. Default: never.
   */
  shutdown(options?: { deadline?: number }): Promise<void>;
  /** Keep the process alive while the server listens, which is the default. */
  ref(): void;
  /** Let the process end although the server listens. It stays for a shutdown. */
  unref(): void;
  /** Counters; after the end, the last ones. */
  stats(): ServerStats;
  /** Give new requests to another handler, and WebSockets to come other handlers and options. Those that are there stay with theirs. */
  reload<Data = undefined>(handler: { fetch: WebSocketRequestHandler<Data>; websocket: WebSocketHandlers<Data> }): void;
  /** Give new requests to another handler. Those in flight stay with theirs. */
  reload(handler: Handler | HandlerObject): void;
  /**
   * Give these certificates to new connections; open ones keep theirs. Without options the files are read again.
   * Options that are not given stay as they were. When something cannot be loaded, everything stays as it was.
   * @throws {TypeError} with the cause
   */
  reloadTls(options?: TlsOptions | [TlsOptions, ...TlsCertificate[]]): void;
  /** The client of a request; null for one that no server made, or whose response was sent. */
  requestIP(request: Request): RemoteAddr | null;
  /**
   * Answer this request with 503, and abort its signal, if no response has begun in so many seconds from
   * now. A further call sets the time anew; 0 takes it back.
   */
  timeout(request: Request, seconds: number): void;
  /** Shuts down without a deadline: `await using server = serve(...)`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Serve HTTP.
 *
 * ```js
 * import { serve, Response } from 'carom';
 * serve((request) => new Response('Hello, World!'));
 * serve({ port: 8080 }, (request) => new Response('Hello, World!'));
 * serve({ port: 8080, fetch: (request) => new Response('Hello, World!') });
 * ```
 *
 * @throws {CaromError} when it cannot listen: `CAROM_EADDRINUSE`, `CAROM_EADDRNOTAVAIL`,
 *   `CAROM_EACCES`, `CAROM_EADDRESS`, `CAROM_ENOENT`, `CAROM_EMFILE`
 * @throws {TypeError | RangeError} for an option that is not valid
 */
export function serve(handler: Handler): Server;
export function serve<Data = undefined>(
  options: WebSocketServeOptions<Data> & { fetch: WebSocketRequestHandler<Data> },
): Server & WebSocketServer<Data>;
export function serve<Data = undefined>(
  options: WebSocketServeOptions<Data>,
  handler: WebSocketRequestHandler<Data>,
): Server & WebSocketServer<Data>;
export function serve(options: ServeOptions, handler: Handler | HandlerObject): Server;
export function serve(options: ServeOptions & HandlerObject): Server;
/** As `Deno.serve` takes it. */
export function serve(options: ServeOptions & { handler: Handler }): Server;

/** What a WebSocket sends: text, or bytes. */
export type WebSocketData = string | ArrayBufferLike | ArrayBufferView;

/** How messages are compressed, each socket with a memory of what came before (context takeover; RFC 7692). */
export interface WebSocketDeflate {
  /** Bits of the window, 9 to 15. Default 12. */
  windowBits?: number;
  /** Memory of the compressor, as in zlib, 1 to 9. Default 5. Of levels over 1. */
  memLevel?: number;
  /** How much it tries, as in zlib, 1 to 9. Default 1, which is done by ISA-L where that is in the binary. */
  level?: number;
  /** Smaller messages are sent as they are. Bytes; default 64. */
  threshold?: number;
}

/** Options of WebSockets. Sizes are bytes, times are milliseconds; `false` turns a time off. */
export interface WebSocketOptions {
  /**
   * Longest message that is received, inflated; beyond, the socket is closed with 1009. At most as many bytes as a string may have
   * characters (`buffer.constants.MAX_STRING_LENGTH`, in Node 512 MiB less 24). Default 1 MiB.
   */
  maxMessage?: number;
  /** Most frames of a message, empty ones too; beyond, the socket is closed with 1008. Default 1,024. */
  maxFragments?: number;
  /** Most unsent messages of a socket, the first not counted. Beyond: see `onLimit`. Default 1 MiB. */
  writeLimit?: number;
  /** Unsent messages of a socket beyond which `send` returns -1. Default 64 KiB. */
  writeBuffer?: number;
  /**
   * What becomes of a message beyond `writeLimit`: `'refuse'`: it is not sent, and `send` returns 0; `'close'`: its socket is ended as
   * well. Default `'refuse'`; of {@link upgradeWebSocket}, whose `send` tells nothing, `'close'`.
   */
  onLimit?: 'refuse' | 'close';
  /** Time without a message in one direction; then a ping is sent. Default 25,000. */
  pingInterval?: number | false;
  /** Time without news of the client after a ping; then the socket is ended, with 1006. Default 20,000. */
  pongTimeout?: number | false;
  /** Time from when our Close has left to the client's, or without news of one that takes nothing; then it is ended. Default 5000. */
  closeTimeout?: number;
  /**
   * Compression, for clients that offer it: `'shared'`: each message by itself, so that a socket needs nearly no memory for it; an object:
   * with a memory of each socket's own. Default false.
   */
  deflate?: false | 'shared' | WebSocketDeflate;
  /**
   * Pages of which origins may connect: `'same'`, that of the request's Host; a list of origins; `'*'`: all. Others are answered 403. A
   * request without an Origin comes from no browser, and may. Default `'same'`.
   */
  origins?: 'same' | '*' | readonly string[];
  /** The subprotocols that are spoken. The first of the client's that is among them is agreed on. Default: none. */
  protocols?: readonly string[];
}

/** Options of `upgrade`. */
export interface UpgradeOptions<Data = undefined> {
  /** What `ws.data` is to be. */
  data?: Data;
  /** Fields of the 101, such as Set-Cookie. */
  headers?: HeadersSource;
  /** The subprotocol, one of those that the client offers. Default: see {@link WebSocketOptions.protocols}. */
  protocol?: string;
}

/** A WebSocket of {@link WebSocketHandlers}. None of its methods throws because the client has left. */
export interface ServerWebSocket<Data = undefined> {
  /** The program's own. */
  data: Data;
  /** 1: open, 2: closing, 3: closed. */
  readonly readyState: 1 | 2 | 3;
  /** The subprotocol that was agreed on; `''` without one. */
  readonly protocol: string;
  /** `'permessage-deflate'` when messages may be compressed, else `''`. */
  readonly extensions: string;
  /** The client's address. */
  readonly remoteAddress: string;
  /** Bytes of messages that wait for the client. */
  readonly bufferedAmount: number;
  /** As what binary messages come. Default `'uint8array'`. */
  binaryType: 'arraybuffer' | 'nodebuffer' | 'uint8array';
  /**
   * Send a message, a string as text. Bytes are copied.
   * @param compress false: it is sent as it is, whatever `deflate` says. Default true
   * @returns more than 0: sent, or soon will be; -1: queued, and more waits than the client takes: go on when `drain` is called; 0: not
   *   sent, for it is over `writeLimit`, or the socket is not open any more (`readyState` tells which). What was over the limit may be sent
   *   when `drain` is called, or `ready()` resolves; what is longer than the limit, when nothing else waits
   */
  send(data: WebSocketData, compress?: boolean): number;
  /** The same of text. */
  sendText(text: string, compress?: boolean): number;
  /** The same of bytes. */
  sendBinary(bytes: ArrayBufferLike | ArrayBufferView, compress?: boolean): number;
  /**
   * Resolves when the client has taken enough for the next message, and for one for which `send` has returned 0; or when the socket has
   * ended: `while (ws.send(data) === 0 && ws.readyState === 1) await ws.ready();`
   */
  ready(): Promise<void>;
  /**
   * Send what is queued, then a Close. No message comes any more; `close` is called when the client has answered.
   * @param code 1000 to 1014 but 1004 to 1006, or 3000 to 4999; 0: none. Default 1000
   * @param reason at most 123 bytes of UTF-8
   * @throws {RangeError} for another code or a longer reason
   */
  close(code?: number, reason?: string): void;
  /** End it at once: the client sees a reset. `close` is called with 1006. */
  terminate(): void;
  /** Send a ping with up to 125 bytes. The engine sends its own: see {@link WebSocketOptions.pingInterval}. */
  ping(data?: WebSocketData): number;
  /** Send a pong that nobody asked for. Pings are answered by the engine. */
  pong(data?: WebSocketData): number;
  /** Get what is published to a topic, a name of up to 255 bytes, for as long as it is open. */
  subscribe(topic: string): void;
  /** Get it no more. */
  unsubscribe(topic: string): void;
  /** Whether it gets what is published to a topic. */
  isSubscribed(topic: string): boolean;
  /** The topics to which it is subscribed, in the order in which it was: an array of its own at each look. */
  readonly subscriptions: string[];
  /**
   * Send a message to all subscribers of a topic but this socket, also when this one has ended, as in `close`. It is framed once. With
   * one worker it comes in the order of `send`.
   * @param compress false: it is sent as it is, whatever `deflate` says. Default true
   * @returns 0 when there are none
   */
  publish(topic: string, data: WebSocketData, compress?: boolean): number;
  /** The same of text. */
  publishText(topic: string, text: string, compress?: boolean): number;
  /** The same of bytes. */
  publishBinary(topic: string, bytes: ArrayBufferLike | ArrayBufferView, compress?: boolean): number;
  /** Run `act`, whose sends leave together. They do so anyhow in what one turn of the event loop sends. */
  cork<T>(act: (ws: this) => T): T;
  /** Take no more messages until `resume`: the client is slowed down. Its pings, and that it leaves, are not seen meanwhile either. */
  pause(): void;
  /** Take messages again. */
  resume(): void;
}

/** What is called for the WebSockets of a server, and their options. What a handler throws ends its socket with 1011, and nothing else. */
export interface WebSocketHandlers<Data = undefined> extends WebSocketOptions {
  /** As what binary messages come: what `ws.binaryType` is at first. Default `'uint8array'`. */
  binaryType?: ServerWebSocket<Data>['binaryType'];
  /** It is open: the first call. */
  open?(ws: ServerWebSocket<Data>): void | Promise<void>;
  /** A message has come. While a promise that this has returned is pending, no other comes, and reading is paused. */
  message?(ws: ServerWebSocket<Data>, data: string | Uint8Array | ArrayBuffer, isBinary: boolean): void | Promise<void>;
  /** After `send` has returned -1: half of what may be queued has left. After 0: what was over the limit would be taken. */
  drain?(ws: ServerWebSocket<Data>): void | Promise<void>;
  /**
   * The last call, once: the code and the reason of the client's Close; 1005 when it had no code; 1006 when there was none; or that with
   * which this side has ended it: 1002, 1007, 1009 for the client's fault, 1011 for a handler's, 1001 at a shutdown.
   */
  close?(ws: ServerWebSocket<Data>, code: number, reason: string, wasClean: boolean): void | Promise<void>;
  /** A handler has thrown; `close` follows. Default: it is reported on the console. */
  error?(ws: ServerWebSocket<Data>, error: unknown): void | Promise<void>;
  /** A ping has come, and was answered. */
  ping?(ws: ServerWebSocket<Data>, data: Uint8Array): void | Promise<void>;
  /** A pong has come. */
  pong?(ws: ServerWebSocket<Data>, data: Uint8Array): void | Promise<void>;
  /** In the place of all others: the engine has refused the request, for its origin, key or version. */
  refused?(ws: ServerWebSocket<Data>, error: CaromError): void | Promise<void>;
}

/** What WebSockets need of a server. */
export interface WebSocketServer<Data = undefined> {
  /**
   * Make a request a WebSocket of the handlers in `websocket`. When it returns true the request is answered: return nothing.
   * @returns false for a request that asks for none, or was answered
   * @throws {TypeError} without `websocket`, for fields that cannot be sent, or for a `protocol` that the client does not offer
   */
  upgrade(request: Request, options?: UpgradeOptions<Data>): boolean;
  /**
   * Send a message to all subscribers of a topic.
   * @param compress false: it is sent as it is, whatever `deflate` says. Default true
   * @returns 0 when there are none
   */
  publish(topic: string, data: WebSocketData, compress?: boolean): number;
  /** How many sockets get what is published to a topic. */
  subscriberCount(topic: string): number;
}

/** A handler that may make a request a WebSocket, and then returns nothing. */
export type WebSocketRequestHandler<Data = undefined> = (
  request: Request,
  server: ServeHandlerInfo & WebSocketServer<Data>,
) => Response | ResponseLike | undefined | Promise<Response | ResponseLike | undefined>;

/** Options of a server with handlers of WebSockets. */
export type WebSocketServeOptions<Data = undefined> = Omit<ServeOptions, 'websocket'> & { websocket: WebSocketHandlers<Data> };

/** Options of {@link upgradeWebSocket} and {@link upgradeWebSocketStream}. */
export interface UpgradeWebSocketOptions extends WebSocketOptions {
  /** The subprotocol, one of those that the client offers. */
  protocol?: string;
  /** Fields of the 101, such as Set-Cookie. They may be set on `response.headers`, too. */
  headers?: HeadersSource;
  /**
   * As Deno has it: **seconds** without news of the client, after half of which a ping is sent; 0: never. It takes the place of
   * `pingInterval` and `pongTimeout`.
   */
  idleTimeout?: number;
}

/** What the standard says of a WebSocket, for who has no type of it: those of Node 18 have not. */
export interface PlainWebSocket extends EventTarget {
  /** As what binary messages come. */
  binaryType: 'blob' | 'arraybuffer';
  /** Bytes of messages that wait for the client. */
  readonly bufferedAmount: number;
  /** `'permessage-deflate'`, or `''`. */
  readonly extensions: string;
  /** The subprotocol that was agreed on; `''` without one. */
  readonly protocol: string;
  /** 0: connecting, 1: open, 2: closing, 3: closed. */
  readonly readyState: number;
  /** Of the request, with `ws` or `wss`. */
  readonly url: string;
  /** It is open. */
  onopen: ((event: Event) => unknown) | null;
  /** A message has come. */
  onmessage: ((event: Event & { readonly data: string | ArrayBuffer | Blob }) => unknown) | null;
  /** It has failed; `onclose` follows. */
  onerror: ((event: Event) => unknown) | null;
  /** It has ended. */
  onclose: ((event: Event & { readonly code: number; readonly reason: string; readonly wasClean: boolean }) => unknown) | null;
  /** Send a message, a string as text. */
  send(data: WebSocketData | Blob): void;
  /** Send what is queued, then a Close. */
  close(code?: number, reason?: string): void;
  /** As of every EventTarget; the events are `open`, `message`, `error` and `close`. */
  addEventListener(
    type: 'close',
    listener: NonNullable<PlainWebSocket['onclose']>,
    options?: Parameters<EventTarget['addEventListener']>[2],
  ): void;
  addEventListener(
    type: 'message',
    listener: NonNullable<PlainWebSocket['onmessage']>,
    options?: Parameters<EventTarget['addEventListener']>[2],
  ): void;
  addEventListener(...given: Parameters<EventTarget['addEventListener']>): void;
}

/** The type of the global `WebSocket`, where the types of the runtime have it, and otherwise {@link PlainWebSocket}. */
export type StandardWebSocket = typeof globalThis extends { WebSocket: { prototype: infer Socket } } ? Socket : PlainWebSocket;

/**
 * Make a request a WebSocket, as `Deno.upgradeWebSocket` does. `socket` is the standard object (WebSockets, 3); `response` is what the
 * handler must return, and opens it: its `status` is 101, and its headers may be changed. Messages that come before `message` has a
 * listener wait for it; beyond 64 KiB of them the client is slowed down. A listener that throws ends its socket with 1011.
 *
 * ```js
 * import { serve, upgradeWebSocket } from 'carom';
 * serve((request) => {
 *   const { socket, response } = upgradeWebSocket(request);
 *   socket.onmessage = (event) => socket.send(event.data);
 *   return response;
 * });
 * ```
 *
 * @throws {TypeError} for a request that asks for no WebSocket, was answered, or is not of this server; for a `protocol` that the client
 *   does not offer
 */
export function upgradeWebSocket(request: Request, options?: UpgradeWebSocketOptions): { socket: StandardWebSocket; response: Response };

/** Why, and with what code, a WebSocketStream has ended. Given to `cancel` or `abort` of a stream, it says how to close. */
export class WebSocketError extends DOMException {
  /** @throws {DOMException} InvalidAccessError for a code that is neither 1000 nor from 3000 to 4999, SyntaxError for a long reason */
  constructor(message?: string, init?: { closeCode?: number | null; reason?: string });
  /** The code of the Close; null without one. */
  readonly closeCode: number | null;
  /** The reason of the Close; `''` without one. */
  readonly reason: string;
}

/** Bytes in memory of their own: `Uint8Array<ArrayBuffer>` from TypeScript 5.7 on, where that can be said. */
export type OwnBytes = ReturnType<typeof Uint8Array.from>;

/** A WebSocket as two web streams. */
export interface ServerWebSocketStream {
  /** Of the request, with `ws` or `wss`. */
  readonly url: string;
  /**
   * Resolves when it is open. A message is a chunk; when 64 KiB of them are unread, the client is slowed down. A write is done when the
   * client has taken enough for the next. Rejects with a {@link WebSocketError} when it is never opened.
   */
  readonly opened: Promise<{
    readable: ReadableStream<string | OwnBytes>;
    writable: WritableStream<WebSocketData>;
    protocol: string;
    extensions: string;
  }>;
  /** Resolves when it was closed by both sides, with the client's code (1005: it gave none); rejects with a {@link WebSocketError} otherwise. */
  readonly closed: Promise<{ closeCode: number; reason: string }>;
  /**
   * Close it. To close the writable does so, too.
   * @throws {DOMException} InvalidAccessError for a code that is neither 1000 nor from 3000 to 4999, SyntaxError for a long reason
   */
  close(info?: { closeCode?: number; reason?: string }): void;
}

/** Make a request a WebSocket that is read and written by web streams, as `WebSocketStream` is. Otherwise like {@link upgradeWebSocket}. */
export function upgradeWebSocketStream(
  request: Request,
  options?: UpgradeWebSocketOptions,
): { stream: ServerWebSocketStream; response: Response };

/**
 * A redirect to the same URI with https and `port` (default 443), for the plain port:
 * `serve({ port: 80 }, (request) => redirectToHttps(request))`.
 */
export function redirectToHttps(request: Request, port?: number): Response;
/** A value of the field Strict-Transport-Security, for responses over TLS: for a year the host is asked by https only (RFC 6797). */
export const STRICT_TRANSPORT_SECURITY: string;
