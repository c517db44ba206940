// The package `carom/hono` for ECMAScript modules.
import hono from './hono.js';

export const { upgradeWebSocket } = hono;
export default hono;
