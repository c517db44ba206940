// Reads the arguments of listen(): where a server is to listen.
'use strict';

const { coded } = require('./errors.js');

function portOf(value) {
  const port = value === undefined || value === null || value === '' ? 0 : Number(value);
  if (Number.isInteger(port) && port >= 0 && port <= 65535) return port;
  throw coded(RangeError, 'ERR_SOCKET_BAD_PORT', `options.port should be >= 0 and < 65536. Received ${String(value)}.`);
}

// The mode of a Unix socket, or undefined: as the process makes files.
function modeOf({ readableAll, writableAll }) {
  if (!readableAll && !writableAll) return undefined;
  return (0o777 & ~process.umask()) | (readableAll ? 0o444 : 0) | (writableAll ? 0o222 : 0);
}

// What node listens with: a net.Server, a net.Socket or what is inside one. null: that is none.
function handleOf(given) {
  const handle = given._handle || given.handle || given;
  if (typeof handle.getsockname === 'function' && handle.fd >= 0) return handle;
  if (handle === given) return null;
  throw coded(TypeError, 'ERR_INVALID_ARG_VALUE', 'Carom listens on handles of TCP only: give the descriptor of another, as { fd }.');
}

// listen(handle[, callback]), listen([port[, host[, backlog]]][, callback]), listen(path[, backlog][, callback]),
// listen({ port, host, path, fd, backlog, signal, exclusive, ipv6Only, readableAll, writableAll }[, callback])
function placeOf(args) {
  const callback = typeof args[args.length - 1] === 'function' ? args[args.length - 1] : null;
  const given = args.filter((arg) => typeof arg !== 'function');
  const [first] = given;
  if (first !== null && typeof first === 'object') {
    const { port, host, path, fd, backlog, signal, exclusive, ipv6Only } = first;
    const handle = handleOf(first);
    if (handle !== null) return { place: { handle }, callback };
    if (typeof path === 'string') return { place: { path, backlog, signal, mode: modeOf(first) }, callback };
    if (port === undefined && typeof fd === 'number' && fd >= 0) return { place: { fd, signal }, callback };
    return { place: { port: portOf(port), host: host || undefined, backlog, signal, exclusive, ipv6Only: Boolean(ipv6Only) }, callback };
  }
  if (typeof first === 'string' && !/^[0-9]+$/.test(first.trim()))
    return { place: { path: first, backlog: Number(given[1]) || 0 }, callback };
  const host = typeof given[1] === 'string' && given[1] !== '' ? given[1] : undefined;
  const backlog = Number(typeof given[1] === 'number' ? given[1] : given[2]) || 0;
  return { place: { port: portOf(first), host, backlog }, callback };
}

module.exports = { placeOf };
