// Errors with the codes that listeners of node:http know.
'use strict';

const { constants } = require('node:os');

function coded(Kind, code, message) {
  const error = new Kind(message);
  error.code = code;
  return error;
}

function connectionReset() {
  return coded(Error, 'ECONNRESET', 'aborted');
}

// What the engine said when it could not listen, as an error of the operating system.
function listenError(error, { host, port, path, fd }) {
  if (error instanceof TypeError || typeof error.code !== 'string' || !error.code.startsWith('CAROM_')) return error;
  const name = error.code === 'CAROM_EADDRESS' ? 'EINVAL' : error.code.slice('CAROM_'.length);
  const where = fd !== undefined ? `fd ${fd}` : path !== undefined ? path : `${host === undefined ? '::' : host}:${port}`;
  const text = name === 'EADDRINUSE' ? 'address already in use' : error.message;
  const mapped = coded(Error, name, `listen ${name}: ${text} ${where}`);
  mapped.syscall = 'listen';
  mapped.address = path !== undefined ? path : host === undefined ? '::' : host;
  if (path === undefined) mapped.port = port;
  if (constants.errno[name] !== undefined) mapped.errno = -constants.errno[name];
  mapped.cause = error;
  return mapped;
}

module.exports = { coded, connectionReset, listenError };
