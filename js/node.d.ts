// Types of `carom/node`: those of node:http, for listeners that were written for it.
import { EventEmitter } from 'node:events';
import { RequestListener, ServerOptions } from 'node:http';
import { AddressInfo, ListenOptions } from 'node:net';
import { Limits, ServeOptions, TlsOptions } from './index.js';

/** Options of node:http that mean something here, of node:https (then it speaks TLS), and in `carom` those of the engine. */
export interface Options extends ServerOptions, TlsOptions {
  carom?: Limits & Pick<ServeOptions, 'io' | 'workers' | 'backend' | 'reusePort'>;
}

/** A server like that of node:http. Errors of listening come as 'error' events with node's codes. */
export class Server extends EventEmitter {
  readonly listening: boolean;
  /** Milliseconds an idle connection is kept. */
  keepAliveTimeout: number;
  /** Milliseconds from a request's first byte to the end of its header section. */
  headersTimeout: number;
  /** Milliseconds; kept, but the engine has its own: `contentRate` and `handlerTimeout`. */
  requestTimeout: number;
  /** Milliseconds without news of a request; then 'timeout' is emitted. 0: none. */
  timeout: number;
  /** Most requests of a connection; set before listening. 0 or null: no limit. */
  maxRequestsPerSocket: number | null;
  /** Most header fields of a request; set before listening. */
  maxHeadersCount: number | null;
  /** Most connections; set before listening. */
  maxConnections: number | null;
  listen(port?: number, host?: string, backlog?: number, listening?: () => void): this;
  listen(port?: number, host?: string, listening?: () => void): this;
  listen(port?: number, listening?: () => void): this;
  listen(path: string, listening?: () => void): this;
  listen(options: ListenOptions, listening?: () => void): this;
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
