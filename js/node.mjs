// The package `carom/node` for ECMAScript modules.
import node from './node.cjs';

export const { createServer, Server, IncomingMessage, ServerResponse, METHODS, STATUS_CODES } = node;
export default node;
