// Encodes field lines and short strings into bytes of the ring, and decodes them. Lengths are half-words in a slot, where what is
// longer does not fit anyhow, and words in a loan.
'use strict';

// Encoded field lines by name and value: handlers set the same ones again and again.
const lines = new Map();
const NAMES = 500;
const VALUES = 100; // of a name; more are not the same ones again
const LONGEST = 256;
// Up to here a loop is faster than a call.
const LOOP = 64;

const NO_LINE = new Uint8Array(0);

// The engine frames the content. Frameworks say `chunked` all the same, which is left out.
function isLeftOut(name, value) {
  return name === 'transfer-encoding' && value.toLowerCase() === 'chunked';
}

function encodeLine(name, value) {
  if (isLeftOut(name, value)) return NO_LINE;
  const nameBytes = Buffer.from(name, 'latin1');
  const valueBytes = Buffer.from(value, 'latin1');
  const line = new Uint8Array(4 + nameBytes.length + valueBytes.length);
  new Uint16Array(line.buffer, 0, 2).set([nameBytes.length, valueBytes.length]);
  line.set(nameBytes, 4);
  line.set(valueBytes, 4 + nameBytes.length);
  return line;
}

// The line that was last encoded at the same position: handlers set the same fields in the same order, so it is most often right.
class Last {
  constructor() {
    this.name = this.value = this.line = null;
  }
}

const LASTS = 8; // a power of two
const lasts = Array.from({ length: LASTS }, () => new Last());

function nthLine(n, name, value) {
  const last = lasts[n & (LASTS - 1)];
  if (last.name === name && last.value === value) return last.line;
  last.line = lineOf(name, value);
  last.name = name;
  last.value = value;
  return last.line;
}

function lineOf(name, value) {
  let values = lines.get(name);
  if (values === undefined) {
    if (lines.size >= NAMES) lines.clear();
    values = new Map();
    lines.set(name, values);
  }
  let line = values.get(value);
  if (line === undefined) {
    line = encodeLine(name, value);
    if (value.length <= LONGEST) {
      if (values.size >= VALUES) values.clear();
      values.set(value, line);
    }
  }
  return line;
}

// Write field lines where there is `room`; how many bytes, or -1 when they do not fit.
function writeFields(bytes, at, room, fields) {
  const start = at;
  const end = at + room;
  for (let i = 0; i < fields.length; i += 2) {
    const line = nthLine(i >> 1, fields[i], fields[i + 1]);
    const { length } = line;
    if (at + length > end) return -1;
    if (length <= LOOP) for (let j = 0; j < length; j++) bytes[at + j] = line[j];
    else bytes.set(line, at);
    at += length;
  }
  return at - start;
}

// Field lines for a loan: memory of their own.
function encodeFields(fields) {
  const bytes = Buffer.allocUnsafeSlow(fieldsBytes(fields) + 4 * fields.length);
  let at = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const [name, value] = [fields[i], fields[i + 1]];
    if (isLeftOut(name, value)) continue;
    bytes.writeUInt32LE(name.length, at);
    bytes.writeUInt32LE(value.length, at + 4);
    at += 8;
    at += bytes.latin1Write(name, at);
    at += bytes.latin1Write(value, at);
  }
  return bytes.subarray(0, at);
}

// The bytes of names and values, which maxResponseHead limits.
function fieldsBytes(fields) {
  let length = 0;
  for (let i = 0; i < fields.length; i++) length += fields[i].length;
  return length;
}

function decodeFields(bytes, at, length) {
  const fields = [];
  const end = at + length;
  while (at + 4 <= end) {
    const name = bytes[at] | (bytes[at + 1] << 8),
      value = bytes[at + 2] | (bytes[at + 3] << 8);
    at += 4;
    fields.push(bytes.latin1Slice(at, at + name), bytes.latin1Slice(at + name, at + name + value));
    at += name + value;
  }
  return fields;
}

// Write a string as UTF-8 where there is `room`; how many bytes, or -1 when it does not fit.
function writeShort(bytes, at, room, string) {
  const length = string.length;
  if (length > room) return -1;
  if (length <= LOOP) {
    let i = 0;
    for (; i < length; i++) {
      const code = string.charCodeAt(i);
      if (code > 127) break;
      bytes[at + i] = code;
    }
    if (i === length) return length;
  }
  if (length * 3 > room && Buffer.byteLength(string) > room) return -1;
  return bytes.utf8Write(string, at, room);
}

// Whether the bytes at `place` are that name, which is lower-case.
function sameName(bytes, place, name) {
  for (let i = 0; i < name.length; i++) {
    let byte = bytes[place + i];
    if (byte >= 65 && byte <= 90) byte |= 32;
    if (byte !== name.charCodeAt(i)) return false;
  }
  return true;
}

// The text of an address of IPv6, or of the IPv4 within (RFC 5952).
function ipv6Text(bytes, at) {
  const groups = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[at + i] << 8) | bytes[at + i + 1]).toString(16));
  if (groups.slice(0, 5).every((group) => group === '0') && groups[5] === 'ffff') return bytes.subarray(at + 12, at + 16).join('.'); // IPv4 on an IPv6 socket
  const text = groups.join(':');
  const zeros = text.match(/\b(?:0:)+0\b|\b0\b/g);
  if (zeros === null) return text;
  const longest = zeros.reduce((a, b) => (b.length > a.length ? b : a));
  return longest.length < 3 ? text : text.replace(longest, '::').replace(/:{3,}/, '::');
}

module.exports = { sameName, ipv6Text, encodeFields, fieldsBytes, writeFields, decodeFields, writeShort };
