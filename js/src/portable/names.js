// The errors and reasons of include/carom.h, by number.
'use strict';

const ERRORS = [
  ['OK', 'no error'],
  ['EAGAIN', 'not now: wait for the edge and call again'],
  ['ECANCELED', 'the exchange is over: the client has gone or the record was cancelled'],
  ['EINVAL', 'an argument or option is not valid'],
  ['ENOMEM', 'out of memory'],
  ['ESTATE', 'not allowed in this state of the record or service'],
  ['ETOOBIG', 'over the limit that was set'],
  ['EFIELD', 'a field name or value that may not be sent'],
  ['ELENGTH', 'content does not match the Content-Length that was given'],
  ['EADDRINUSE', 'the address is in use'],
  ['EADDRNOTAVAIL', 'the address is not available on this host'],
  ['EACCES', 'permission denied'],
  ['ENOENT', 'no such file, directory or descriptor'],
  ['EMFILE', 'out of file descriptors'],
  ['EADDRESS', 'not an address that can be listened on'],
  ['EUNSUPPORTED', 'not supported on this system or in this build'],
  ['ESYSTEM', 'the system refused, for a reason without a name here'],
  ['EFILE', 'not a regular file, or it cannot be read as far as was said'],
  ['ECERTIFICATE', 'a certificate cannot be used: the log says which file and why'],
  ['EKEY', 'a private key cannot be used: the log says which file and why'],
  ['EPROTOCOL', 'the peer broke the protocol of the connection'],
];

const REASONS = [
  'none',
  'complete',
  'client-closed',
  'client-reset',
  'bad-request',
  'over-limit',
  'header-timeout',
  'body-timeout',
  'write-timeout',
  'handler-timeout',
  'abandoned',
  'canceled',
  'shutdown',
  'no-memory',
  'file-failed',
];

const UNKNOWN = ['UNKNOWN', 'unknown error'];
const entryOf = (number) => ERRORS[Math.abs(number)] || UNKNOWN;

// Numbers by their names without CAROM_.
const E = Object.fromEntries(ERRORS.map(([name], number) => [name, number]));

// The number for an error of the runtime's.
function errorOf(error) {
  const { code } = error;
  if (code === 'EPERM' || code === 'EROFS') return E.EACCES;
  if (code === 'ENOTDIR' || code === 'EBADF') return E.ENOENT;
  if (code === 'ENFILE') return E.EMFILE;
  if (['ENOTSOCK', 'ENAMETOOLONG', 'ENOTFOUND', 'EAI_AGAIN', 'EINVAL'].includes(code)) return E.EADDRESS;
  return E[code] || E.ESYSTEM;
}

module.exports = {
  E,
  REASONS,
  errorOf,
  errorName: (number) => `CAROM_${entryOf(number)[0]}`,
  errorText: (number) => entryOf(number)[1],
};
