// Types of `carom/node`: those of node:http, for listeners that were written for it.
import { RequestListener, Server as HttpServer, ServerOptions } from 'node:http';
import { Limits, ServeOptions, TlsOptions } from './index.js';

/**
 * Options of node:http, of node:https (then it speaks TLS), and in `carom` those of the engine.
 *
 * Of the options of node:http these have an effect: `keepAliveTimeout`, `keepAliveTimeoutBuffer`, `headersTimeout`, `requestTimeout`, `maxHeaderSize`,
 * `joinDuplicateHeaders`, `highWaterMark`, `rejectNonStandardBodyWrites`, `IncomingMessage` and `ServerResponse` (the methods of their
 * prototypes; no constructor is called) and `requireHostHeader`, `keepAlive`, `keepAliveInitialDelay`. `insecureHTTPParser: true` and
 * `shouldUpgradeCallback` are refused. These have no effect: `connectionsCheckingInterval` (each time limit is checked when it is due),
 * `noDelay` (it is on), `optimizeEmptyRequests`, `uniqueHeaders`.
 */
export interface Options extends ServerOptions, TlsOptions {
  /** Options of the engine. */
  carom?: Limits & Pick<ServeOptions, 'io' | 'workers' | 'backend' | 'reusePort'>;
}

/**
 * A server like that of node:http. Errors of listening come as 'error' events with node's codes. It also listens on `fd`, a
 * listening socket that was inherited. In a worker of node:cluster the port is shared with the other workers (SO_REUSEPORT: each
 * worker has a queue of connections of its own), unless `exclusive` is true; port 0 is another port in each worker. A handle of
 * TCP that listens, such as a net.Server that another process has sent, is taken over: it is closed and its socket is ours.
 */
export class Server extends HttpServer {
  constructor(listener?: RequestListener);
  constructor(options: Options | null, listener?: RequestListener);
  /**
   * Milliseconds that an idle connection is kept, of which clients are told: 5 s. 0: no limit. This and the properties below may be set
   * while the server listens. With `io: 'thread'` those that the engine needs may not: setting them then throws.
   */
  keepAliveTimeout: number;
  /** Milliseconds after `keepAliveTimeout` till the connection is closed: 1 s. */
  keepAliveTimeoutBuffer: number;
  /** Milliseconds from a request's first byte to the end of its header section, 60 s; `requestTimeout` if that is shorter. */
  headersTimeout: number;
  /** Milliseconds from the end of a request's header section to the end of its content: 5 minutes. 0: no limit. */
  requestTimeout: number;
  /** Milliseconds without news of a connection's request; then 'timeout' is emitted. 0: none. */
  timeout: number;
  /** Most requests of a connection; the last one is answered with Connection: close. 0 or null: no limit. */
  maxRequestsPerSocket: number | null;
  /**
   * The most fields of a request that its listener sees; further ones are left out. The engine answers 431 to a request with more than
   * 1,000 fields, or more than this was when the server began to listen, if that is more.
   */
  maxHeadersCount: number | null;
  /** Most connections; more wait in the kernel. 0 or null: 16,384. */
  maxConnections: number;
  /** New connections get these certificates, as `reloadTls` of `carom`. */
  setSecureContext(options: TlsOptions): void;
}

/** A server for a listener of node:http: Express, Fastify (as `serverFactory`), socket.io, ws and others. */
export function createServer(listener?: RequestListener): Server;
export function createServer(options: Options | null, listener?: RequestListener): Server;
export { IncomingMessage, ServerResponse, METHODS, STATUS_CODES } from 'node:http';
