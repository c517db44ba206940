// Fields and addresses as they lie in the memory of a ring.
'use strict';

// Fields with lengths of `size` bytes (2 in a slot, 4 in a loan), flat; null: they are none.
function readFields(bytes, at, length, size) {
  const fields = [];
  const end = at + length;
  while (at < end) {
    if (at + 2 * size > end) return null;
    const [name, value] = [bytes.readUIntLE(at, size), bytes.readUIntLE(at + size, size)];
    at += 2 * size;
    if (at + name + value > end) return null;
    fields.push(bytes.latin1Slice(at, at + name), bytes.latin1Slice(at + name, at + name + value));
    at += name + value;
  }
  return fields;
}

// The bytes of an address; `text` is one that the runtime gave.
function addressBytes({ family, text }) {
  const bytes = Buffer.alloc(16);
  if (family === 1) {
    bytes.set(text.split('.').map(Number));
    return bytes;
  }
  const [plain] = text.split('%'); // without its zone
  const dotted = plain.includes('.')
    ? plain
        .slice(plain.lastIndexOf(':') + 1)
        .split('.')
        .map(Number)
    : null;
  const groups = dotted === null ? plain : `${plain.slice(0, plain.lastIndexOf(':') + 1)}${hex(dotted, 0)}:${hex(dotted, 2)}`;
  const [before, after] = groups.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const all = after === undefined ? before : [...before, ...Array(8 - before.length - after.length).fill('0'), ...after];
  all.forEach((group, i) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * i);
  });
  return bytes;
}

function hex(numbers, at) {
  return ((numbers[at] << 8) | numbers[at + 1]).toString(16);
}

// A word of family and port, and four of the address.
function addressInto(words, word, endpoint) {
  words[word] = endpoint.family | (endpoint.port << 16);
  if (endpoint.family < 3) Buffer.from(words.buffer, words.byteOffset + (word + 1) * 4, 16).set(addressBytes(endpoint));
}

module.exports = { readFields, addressInto };
