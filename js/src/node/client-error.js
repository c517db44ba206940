// What node says of a request that it refuses, for the event 'clientError', by what the engine says.
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
const CODING = /\r\ntransfer-encoding[ \t]*:/i;

function codeOf(status, text) {
  if (BY_STATUS[status] !== undefined) return BY_STATUS[status];
  const [method] = text.trimStart().split(' ', 1);
  if (!METHODS.includes(method)) return ['HPE_INVALID_METHOD', 'Parse Error: Invalid method encountered'];
  if (!LINE.test(text)) return ['HPE_INVALID_CONSTANT', 'Parse Error: Expected HTTP/'];
  if (CODING.test(text)) return ['HPE_INVALID_TRANSFER_ENCODING', "Parse Error: Transfer-Encoding can't be present with Content-Length"];
  if (LENGTH.test(text)) return ['HPE_UNEXPECTED_CONTENT_LENGTH', 'Parse Error: Invalid Content-Length'];
  return ['HPE_INVALID_HEADER_TOKEN', 'Parse Error: Invalid header token'];
}

// `bytes`: what came, as far as it did; null: not known.
function clientError(status, bytes = null) {
  const [code, message] = codeOf(status, bytes === null ? '' : bytes.latin1Slice());
  const error = coded(Error, code, message);
  if (bytes !== null && status !== 408) {
    error.bytesParsed = bytes.length;
    error.reason = message.replace('Parse Error: ', '');
    error.rawPacket = bytes;
  }
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

module.exports = { clientError, endError, refusal };
