// Field lines and short strings to bytes of the ring, and back.
'use strict';

// Encoded field blocks by their text: handlers set the same fields again and again.
const blocks = new Map();
const BLOCKS = 1000;
const LONGEST_KEY = 1024;
// Up to here a loop is faster than a call.
const LOOP = 48;

function encode(fields) {
  let length = 0;
  const parts = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = Buffer.from(fields[i], 'latin1');
    const value = Buffer.from(fields[i + 1], 'latin1');
    if (value.length > 65535) throw new TypeError(`the value of ${fields[i]} is too long`);
    parts.push(name, value);
    length += 4 + name.length + value.length;
  }
  const block = new Uint8Array(length);
  let at = 0;
  for (let i = 0; i < parts.length; i += 2) {
    const name = parts[i], value = parts[i + 1];
    block[at] = name.length & 255;
    block[at + 1] = name.length >> 8;
    block[at + 2] = value.length & 255;
    block[at + 3] = value.length >> 8;
    block.set(name, at + 4);
    block.set(value, at + 4 + name.length);
    at += 4 + name.length + value.length;
  }
  return block;
}

function encodeFields(fields) {
  let key;
  switch (fields.length) {
    case 0: key = ''; break;
    case 2: key = fields[0] + '\n' + fields[1]; break;
    case 4: key = fields[0] + '\n' + fields[1] + '\n' + fields[2] + '\n' + fields[3]; break;
    default: key = fields.join('\n');
  }
  let block = blocks.get(key);
  if (block === undefined) {
    block = encode(fields);
    if (key.length <= LONGEST_KEY) {
      if (blocks.size >= BLOCKS) blocks.clear();
      blocks.set(key, block);
    }
  }
  return block;
}

function decodeFields(bytes, at, length) {
  const fields = [];
  const end = at + length;
  while (at + 4 <= end) {
    const name = bytes[at] | bytes[at + 1] << 8, value = bytes[at + 2] | bytes[at + 3] << 8;
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

module.exports = { encodeFields, decodeFields, writeShort };
