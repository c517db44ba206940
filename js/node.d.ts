// Types of `carom/node`: those of node:http, for listeners that were written for it.
import { RequestListener, Server as HttpServer, ServerOptions } from 'node:http';
import { Limits, ServeOptions, TlsOptions } from './index.js';

/**
 * Options of node:http, of node:https (then it speaks TLS), and in `carom` those of the engine.
 *
 * Of node:http `keepAliveTimeout`, `keepAliveTimeoutBuffer`, `headersTimeout`, `requestTimeout`, `maxHeaderSize`,
 * `joinDuplicateHeaders`, `highWaterMark`, `rejectNonStandardBodyWrites`, `IncomingMessage` and `ServerResponse` (the methods of their
 * prototypes; no constructor is called) and `requireHostHeader` mean something here. `insecureHTTPParser: true` and
 * `shouldUpgradeCallback` are refused. These have no effect: `connectionsCheckingInterval` (each time is looked at when it is due),
 * `noDelay` (it is on), `keepAlive`, `keepAliveInitialDelay`, `optimizeEmptyRequests`, `uniqueHeaders`.
 */
export interface Options extends ServerOptions, TlsOptions {
  carom?: Limits & Pick<ServeOptions, 'io' | 'workers' | 'backend' | 'reusePort'>;
}

/**
 * A server like that of node:http. Errors of listening come as 'error' events with node's codes. It also listens on `fd`, a
 * listening socket that was inherited. In a worker of node:cluster the port is shared with the other workers (SO_REUSEPORT: each
 * worker has a queue of connections of its own), unless `exclusive` is true; port 0 is another port in each worker. Handles of
 * node are refused.
 */
export class Server extends HttpServer {
  constructor(listener?: RequestListener);
  constructor(options: Options | null, listener?: RequestListener);
  /**
   * Milliseconds an idle connection is kept, which clients are told: 5 s. 0: no limit. This and what follows may be set while the
   * server listens; unless its engine has threads of its own (`io: 'thread'`), where setting what the engine looks at throws.
   */
  keepAliveTimeout: number;
  /** Milliseconds after `keepAliveTimeout` till the connection is closed: 1 s. */
  keepAliveTimeoutBuffer: number;
  /** Milliseconds from a request's first byte to the end of its header section, 60 s; `requestTimeout` if that is shorter. */
  headersTimeout: number;
  /** Milliseconds till the content of a request is there, from the end of its header section: 5 minutes. 0: no limit. */
  requestTimeout: number;
  /** Milliseconds without news of a connection's request; then 'timeout' is emitted. 0: none. */
  timeout: number;
  /** Most requests of a connection; the last one is answered with Connection: close. 0 or null: no limit. */
  maxRequestsPerSocket: number | null;
  /**
   * Fields of a request that its listener sees; further ones are left out. The engine answers 431 for more than 1,000, or than this
   * was when the server began to listen, if that is more.
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
