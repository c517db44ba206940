// The errors that node would emit with 'clientError', made of the reasons for which the engine refuses a request.
'use strict';

const { METHODS, STATUS_CODES } = require('node:http');
const { coded } = require('./errors.js');

const BY_STATUS = {
  408: ['ERR_HTTP_REQUEST_TIMEOUT', 'Request timeout'],
  414: ['HPE_HEADER_OVERFLOW', 'Parse Error: Header overflow'],
  431: ['HPE_HEADER_OVERFLOW', 'Parse Error: Header overflow'],
  505: ['HPE_INVALID_VERSION', 'Parse Error: Invalid HTTP version'],
};

// A request line that is one.
const LINE = /^\S+ \S+ HTTP\/1\.[01]\r\n/;
const LENGTH = /\r\ncontent-length[ \t]*:/i;
const NO_LENGTH = /\r\ncontent-length[ \t]*:(?![ \t]*[0-9]+[ \t]*\r\n)/i;
const CODING = /\r\ntransfer-encoding[ \t]*:/i;

const BARE_CR = /\r[^\n]/;

function codeOf(status, text) {
  if (BY_STATUS[status] !== undefined) return BY_STATUS[status];
  if (!METHODS.includes(methodOf(text))) return ['HPE_INVALID_METHOD', 'Parse Error: Invalid method encountered'];
  if (!LINE.test(text)) return ['HPE_INVALID_CONSTANT', 'Parse Error: Expected HTTP/'];
  if (BARE_CR.test(text)) return ['HPE_LF_EXPECTED', 'Parse Error: Missing expected LF after header value'];
  if (CODING.test(text)) return ['HPE_INVALID_TRANSFER_ENCODING', "Parse Error: Transfer-Encoding can't be present with Content-Length"];
  if (NO_LENGTH.test(text)) return ['HPE_INVALID_CONTENT_LENGTH', 'Parse Error: Invalid character in Content-Length'];
  if (LENGTH.test(text)) return ['HPE_UNEXPECTED_CONTENT_LENGTH', 'Parse Error: Invalid Content-Length'];
  return ['HPE_INVALID_HEADER_TOKEN', 'Parse Error: Invalid header token'];
}

function methodOf(text) {
  return text.trimStart().split(' ', 1)[0];
}

// How much of a method that is none could have been one; at least the first byte was looked at.
function likeMethod(text) {
  const given = methodOf(text);
  let most = 1;
  for (const method of METHODS) {
    let length = 0;
    while (length < given.length && given[length] === method[length]) length++;
    most = Math.max(most, length);
  }
  return most;
}

// `bytes`: what came, as far as it did; null: not known.
function clientError(status, bytes = null) {
  const text = bytes === null ? '' : bytes.latin1Slice();
  const [code, message] = codeOf(status, text);
  const error = coded(Error, code, message);
  if (bytes !== null && status !== 408) {
    error.bytesParsed = code === 'HPE_INVALID_METHOD' ? likeMethod(text) : bytes.length;
    error.reason = message.replace('Parse Error: ', '');
    error.rawPacket = bytes;
  }
  return error;
}

// The same for an exchange that is no request.
function refusedError(exchange) {
  if (exchange.refusalReason !== 'client-closed') return clientError(exchange.refusal, Buffer.from(exchange.target, 'latin1'));
  const error = coded(Error, 'HPE_INVALID_EOF_STATE', 'Parse Error');
  error.bytesParsed = 0;
  error.reason = 'Invalid EOF state';
  return error;
}

// The same for an exchange that has ended, by its reason; null: node would not say so.
function endError(reason) {
  if (reason === 'bad-request') return coded(Error, 'HPE_INVALID_CHUNK_SIZE', 'Parse Error: Invalid character in chunk size');
  if (reason === 'body-timeout') return clientError(408);
  return null;
}

// The response that node gives.
function refusal(status) {
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`;
}

module.exports = { clientError, endError, refusal, refusedError };
