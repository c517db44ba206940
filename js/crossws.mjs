// The package `carom/crossws`: an adapter for hooks that were written for crossws. Its adapter for hosts whose requests have a method
// `upgradeWebSocket` does what is crossws's own; what that leaves out (fields of the 101, the client's address) is added here.
import adapterOfRequests from 'crossws/adapters/bunny';
import { Response, upgradeWebSocket } from './index.mjs';

export function caromAdapter({ carom = {}, hooks = {}, resolve, ...options } = {}) {
  const fields = new WeakMap(); // of requests: those that a hook wants in the 101
  const addresses = new WeakMap();
  const noting = (upgrade) => async (request) => {
    const result = await upgrade?.(request);
    if (result && result.headers && !(result instanceof Response)) fields.set(request, result.headers);
    return result;
  };
  const adapter = adapterOfRequests({
    ...options,
    hooks: {
      ...hooks,
      upgrade: noting(hooks.upgrade),
      open(peer) {
        Object.defineProperty(peer, 'remoteAddress', { value: addresses.get(peer.request) });
        return hooks.open?.(peer);
      },
    },
    resolve:
      resolve &&
      (async (request) => {
        const found = await resolve(request);
        return found && { ...found, upgrade: noting(found.upgrade) };
      }),
  });
  return {
    ...adapter,
    handleUpgrade(request, info) {
      addresses.set(request, info?.remoteAddr.hostname);
      request.upgradeWebSocket = (more) => {
        const headers = new Headers(fields.get(request));
        headers.delete('sec-websocket-protocol'); // it is agreed on by `protocol`
        const { socket, response } = upgradeWebSocket(request, { ...more, ...carom, headers });
        socket.binaryType = 'arraybuffer'; // crossws reads no Blob
        return { socket, response };
      };
      return adapter.handleUpgrade(request);
    },
  };
}

export default caromAdapter;
