// The package `carom/hono` for ECMAScript modules.
import hono from './hono.cjs';

export const { upgradeWebSocket } = hono;
export default hono;
