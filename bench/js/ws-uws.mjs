// uWebSockets.js, as one writes for it.
import { createRequire } from 'node:module';

const uws = createRequire(new URL('../../js/package.json', import.meta.url))('uwebsockets');
const [port, mode = 'plain'] = process.argv.slice(2);
const compression = {
  plain: uws.DISABLED,
  shared: uws.SHARED_COMPRESSOR | uws.SHARED_DECOMPRESSOR,
  own: uws.DEDICATED_COMPRESSOR_4KB | uws.DEDICATED_DECOMPRESSOR_4KB,
}[mode];
const compresses = mode !== 'plain';
const limits = { maxPayloadLength: 1024 * 1024, maxBackpressure: 1024 * 1024 };

const app = uws.App();
app
  .ws('/echo', { ...limits, compression, message: (ws, data, isBinary) => ws.send(data, isBinary, compresses) })
  .ws('/room', {
    ...limits,
    compression,
    open: (ws) => ws.subscribe('room'),
    message: (ws, data, isBinary) => app.publish('room', data, isBinary, compresses),
  })
  .get('/collect', (response) => {
    globalThis.gc();
    response.end('');
  })
  .listen('127.0.0.1', Number(port), () => {});
