// Types of `carom/node`: those of node:http, for listeners that were written for it.
import { EventEmitter } from 'node:events';
import { RequestListener, ServerOptions } from 'node:http';
import { AddressInfo, ListenOptions } from 'node:net';
import { Limits, ServeOptions, TlsOptions } from './index.js';

/**
 * Options of node:http, of node:https (then it speaks TLS), and in `carom` those of the engine.
 *
 * Of node:http `keepAliveTimeout`, `keepAliveTimeoutBuffer`, `headersTimeout`, `maxHeaderSize`, `joinDuplicateHeaders`,
 * `IncomingMessage` and `ServerResponse` (the methods of their prototypes; no constructor is called) mean something here.
 * `insecureHTTPParser: true`, `requireHostHeader: false` and `shouldUpgradeCallback` are refused. These have no effect:
 * `requestTimeout` (the engine has `contentRate` and `handlerTimeout`), `connectionsCheckingInterval` (it looks at each time when
 * it is due), `noDelay`, `keepAlive`, `keepAliveInitialDelay`, `highWaterMark`, `optimizeEmptyRequests`, `uniqueHeaders`,
 * `rejectNonStandardBodyWrites`.
 */
export interface Options extends ServerOptions, TlsOptions {
  carom?: Limits & Pick<ServeOptions, 'io' | 'workers' | 'backend' | 'reusePort'>;
}

/** A server like that of node:http. Errors of listening come as 'error' events with node's codes. */
export class Server extends EventEmitter {
  readonly listening: boolean;
  /**
   * Milliseconds an idle connection is kept, which clients are told: 75 s. 0: no limit. This and what follows may be set while the
   * server listens, unless its engine has threads of its own (`io: 'thread'`): then setting it throws.
   */
  keepAliveTimeout: number;
  /** Milliseconds after `keepAliveTimeout` till the connection is closed: 1 s. */
  keepAliveTimeoutBuffer: number;
  /** Milliseconds from a request's first byte to the end of its header section: 10 s. */
  headersTimeout: number;
  /** Milliseconds; kept, but the engine has its own: `contentRate` and `handlerTimeout`. */
  requestTimeout: number;
  /** Milliseconds without news of a request; then 'timeout' is emitted. 0: none. */
  timeout: number;
  /** Most requests of a connection. 0 or null: no limit. */
  maxRequestsPerSocket: number | null;
  /** Most header fields of a request; more are 431. Set before listening: afterwards it throws. 0 or null: 100. */
  maxHeadersCount: number | null;
  /** Most connections; more wait in the kernel. 0 or null: 16,384. */
  maxConnections: number | null;
  listen(port?: number, host?: string, backlog?: number, listening?: () => void): this;
  listen(port?: number, host?: string, listening?: () => void): this;
  listen(port?: number, listening?: () => void): this;
  listen(path: string, listening?: () => void): this;
  /**
   * Also on `fd`, a listening socket that was inherited. In a worker of node:cluster the port is shared with the other workers
   * (SO_REUSEPORT: each worker has a queue of connections of its own), unless `exclusive` is true; port 0 is another port in each
   * worker. `ipv6Only` and handles of node are refused.
   */
  listen(options: ListenOptions & { fd?: number }, listening?: () => void): this;
  address(): AddressInfo | string | null;
  /** Stop accepting, answer what is in flight, then call back. */
  close(callback?: (error?: Error) => void): this;
  closeAllConnections(): void;
  closeIdleConnections(): void;
  getConnections(callback: (error: Error | null, count: number) => void): this;
  /** New connections get these certificates, as `reloadTls` of `carom`. */
  setSecureContext(options: TlsOptions): void;
  /** Sets `timeout`, and a listener of 'timeout'. */
  setTimeout(milliseconds?: number, callback?: () => void): this;
  setTimeout(callback: () => void): this;
  ref(): this;
  unref(): this;
}

/** A server for a listener of node:http: Express, Fastify (as `serverFactory`), and others. */
export function createServer(listener?: RequestListener): Server;
export function createServer(options: Options, listener?: RequestListener): Server;
export { IncomingMessage, ServerResponse, METHODS, STATUS_CODES } from 'node:http';
