// Where a server is to listen, from the arguments of listen().
'use strict';

const { coded } = require('./errors.js');

function portOf(value) {
  const port = value === undefined || value === null || value === '' ? 0 : Number(value);
  if (Number.isInteger(port) && port >= 0 && port <= 65535) return port;
  throw coded(RangeError, 'ERR_SOCKET_BAD_PORT', `options.port should be >= 0 and < 65536. Received ${String(value)}.`);
}

// listen([port[, host[, backlog]]][, callback]), listen(path[, backlog][, callback]),
// listen({ port, host, path, fd, backlog, signal, exclusive }[, callback])
function placeOf(args) {
  const callback = typeof args[args.length - 1] === 'function' ? args[args.length - 1] : null;
  const given = args.filter((arg) => typeof arg !== 'function');
  const [first] = given;
  if (first !== null && typeof first === 'object') {
    const { port, host, path, fd, backlog, signal, exclusive } = first;
    if (first.ipv6Only || first._handle || first.handle)
      throw coded(TypeError, 'ERR_INVALID_ARG_VALUE', 'Carom listens on no handle of node, nor has it ipv6Only.');
    if (typeof path === 'string') return { place: { path, backlog, signal }, callback };
    if (port === undefined && typeof fd === 'number' && fd >= 0) return { place: { fd, signal }, callback };
    return { place: { port: portOf(port), host: host || undefined, backlog, signal, exclusive }, callback };
  }
  if (typeof first === 'string' && !/^[0-9]+$/.test(first.trim()))
    return { place: { path: first, backlog: Number(given[1]) || 0 }, callback };
  const host = typeof given[1] === 'string' && given[1] !== '' ? given[1] : undefined;
  const backlog = Number(typeof given[1] === 'number' ? given[1] : given[2]) || 0;
  return { place: { port: portOf(first), host, backlog }, callback };
}

module.exports = { placeOf };
