// The package `carom/node` for ECMAScript modules.
import { createRequire } from 'node:module';

const node = createRequire(import.meta.url)('./node.js');
export const { createServer, Server, IncomingMessage, ServerResponse, METHODS, STATUS_CODES } = node;
export default node;
