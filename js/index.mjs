// The package `carom` for ECMAScript modules. It calls require, because not every runtime takes an imported .js file for
// CommonJS when that lies outside node_modules.
import { createRequire } from 'node:module';

const carom = createRequire(import.meta.url)('./index.js');
export const {
  serve,
  upgradeWebSocket,
  upgradeWebSocketStream,
  WebSocketError,
  redirectToHttps,
  STRICT_TRANSPORT_SECURITY,
  Headers,
  Request,
  Response,
} = carom;
export default carom;
