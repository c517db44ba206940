// Types of `carom/hono`.
import type { UpgradeWebSocket } from 'hono/ws';
import { StandardWebSocket, UpgradeWebSocketOptions } from './index.js';

/**
 * Hono's helper for WebSockets: `app.get('/ws', upgradeWebSocket((c) => ({ onMessage(event, ws) { ws.send(event.data); } })))`. The `raw`
 * of what the events are given is the standard object. The first protocol that the client offers is agreed on, unless `protocol` or
 * `protocols` says otherwise.
 */
export declare const upgradeWebSocket: UpgradeWebSocket<StandardWebSocket, UpgradeWebSocketOptions>;
