// Decides whether the Content-Encoding and Content-Length of a response are true of its content, and sends them only then. A proxy
// copies them from a response whose content fetch has decoded, and nobody who copies them can know that; so the content is looked
// at.
'use strict';

const zlib = require('node:zlib');

const LOOKED_AT = 1024;
const DIGITS = /^\d{1,15}$/;

// Whether the first bytes are those that a coding begins with; there may be fewer than that.
function begins(bytes, ...magic) {
  return bytes.length > 0 && magic.every((byte, i) => i >= bytes.length || bytes[i] === byte);
}

function isText(bytes) {
  try {
    return !/[\0-\x08\x0e-\x1f\x7f]/.test(new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true }));
  } catch {
    return false;
  }
}

// Brotli has no such bytes: it is tried. Where nothing comes out, it is too short to tell, or wrong (Deno has no error for that).
function isBrotli(bytes) {
  const start = bytes.subarray(0, LOOKED_AT);
  try {
    const decoded = zlib.brotliDecompressSync(start, { finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH });
    return decoded.length > 0 || !isText(start);
  } catch {
    return false;
  }
}

const CODINGS = {
  gzip: (bytes) => begins(bytes, 0x1f, 0x8b, 8), // RFC 1952, 2.3.1
  'x-gzip': (bytes) => CODINGS.gzip(bytes),
  zstd: (bytes) => begins(bytes, 0x28, 0xb5, 0x2f, 0xfd), // RFC 8878, 3.1.1
  deflate: (bytes) => (bytes[0] & 15) === 8 && (bytes.length < 2 || ((bytes[0] << 8) | bytes[1]) % 31 === 0), // RFC 1950, 2.2
  br: isBrotli,
};

function valuesOf(fields, name) {
  let found = null;
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) found = found === null ? fields[i + 1] : `${found}, ${fields[i + 1]}`;
  return found;
}

// The coding that was applied last, if we know how it begins; else null.
function codingOf(fields) {
  const value = valuesOf(fields, 'content-encoding');
  if (value === null) return null;
  const last = value
    .slice(value.lastIndexOf(',') + 1)
    .trim()
    .toLowerCase();
  return Object.hasOwn(CODINGS, last) ? last : null;
}

function without(fields, first, second) {
  const left = [];
  for (let i = 0; i < fields.length; i += 2) if (fields[i] !== first && fields[i] !== second) left.push(fields[i], fields[i + 1]);
  return left;
}

// The fields for content that begins with these bytes (a string is none of any coding).
function forContent(fields, start) {
  const coding = codingOf(fields);
  if (coding !== null && (typeof start === 'string' || !CODINGS[coding](start)))
    return without(fields, 'content-encoding', 'content-length');
  const length = valuesOf(fields, 'content-length');
  return length === null || DIGITS.test(length) ? fields : without(fields, 'content-length');
}

function saysOfContent(fields) {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === 'content-length' || fields[i] === 'content-encoding') return true;
  return false;
}

// The fields for this content, which is whole: null, a string or bytes.
function forWhole(fields, body) {
  if (!saysOfContent(fields)) return fields;
  const content = body === null ? '' : body;
  const left = forContent(fields, content);
  const length = valuesOf(left, 'content-length');
  const bytes = typeof content === 'string' ? Buffer.byteLength(content) : content.length;
  return length === null || Number(length) === bytes ? left : without(left, 'content-length');
}

// The fields for content of which the runtime has told no type yet: text has one.
function withType(fields, bytes) {
  return isText(bytes) ? [...fields, 'content-type', 'text/plain;charset=utf-8'] : fields;
}

module.exports = { codingOf, forContent, forWhole, withType };
