// The package `carom/hono` for ECMAScript modules.
import { createRequire } from 'node:module';

const hono = createRequire(import.meta.url)('./hono.js');
export const { upgradeWebSocket } = hono;
export default hono;
