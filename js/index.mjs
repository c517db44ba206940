// The package `carom` for ECMAScript modules.
import carom from './index.cjs';

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
  ReadableStream,
} = carom;
export default carom;
