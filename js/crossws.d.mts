// Types of `carom/crossws`.
import { Adapter, AdapterInstance, AdapterOptions } from 'crossws';
import { ServeHandlerInfo, UpgradeWebSocketOptions } from './index.js';

/** Options of crossws, and in `carom` those of the sockets. */
export interface CaromAdapterOptions extends AdapterOptions {
  /** Options of the sockets. */
  carom?: Omit<UpgradeWebSocketOptions, 'headers' | 'protocol'>;
}

/** What {@link caromAdapter} makes. */
export interface CaromAdapter extends AdapterInstance {
  /**
   * The answer to a request that asks for a WebSocket: return it from the handler.
   * @throws {TypeError} for a request that asks for none
   */
  handleUpgrade(request: Request, info?: ServeHandlerInfo): Promise<Response>;
}

/** An adapter for hooks of crossws: `serve((request, info) => adapter.handleUpgrade(request, info))`. `peer.ping` sends nothing. */
export declare const caromAdapter: Adapter<CaromAdapter, CaromAdapterOptions>;
export default caromAdapter;
