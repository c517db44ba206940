// A cache of URLs, found by the bytes of target and host, since comparing those is faster than parsing a URL. There is one table
// for http: and one for https:.
'use strict';

const ENTRIES = 1024; // a power of two
const LONGEST = 256;
const HASHED = 16;

class Entry {
  constructor(bytes, split) {
    this.bytes = bytes;
    this.split = split; // where the target ends and the host begins
    this.url = ''; // its maker fills it in
  }
}

function equal(bytes, at, length, other, from) {
  for (let i = 0; i < length; i++) if (bytes[at + i] !== other[from + i]) return false;
  return true;
}

// A hash of the end of the target, where targets differ most.
function hash(bytes, at, length) {
  let value = length;
  for (let i = length > HASHED ? length - HASHED : 0; i < length; i++) value = Math.imul(value ^ bytes[at + i], 16777619);
  return value;
}

class Urls {
  constructor() {
    this.entries = new Array(ENTRIES).fill(null);
  }

  // The entry for a target and a host, both in `bytes`; it may be new.
  find(bytes, target, targetLength, host, hostLength) {
    const length = targetLength + hostLength;
    if (length > LONGEST) return new Entry(null, 0);
    const { entries } = this;
    const value = hash(bytes, target, targetLength);
    const place = (value ^ (value >>> 15)) & (ENTRIES - 1);
    const entry = entries[place];
    if (
      entry !== null &&
      entry.split === targetLength &&
      entry.bytes.length === length &&
      equal(bytes, target, targetLength, entry.bytes, 0) &&
      equal(bytes, host, hostLength, entry.bytes, targetLength)
    )
      return entry;
    const copy = new Uint8Array(length);
    copy.set(bytes.subarray(target, target + targetLength));
    copy.set(bytes.subarray(host, host + hostLength), targetLength);
    entries[place] = new Entry(copy, targetLength);
    return entries[place];
  }
}

const plain = new Urls();
const secure = new Urls();

module.exports = { urlsOf: (overTls) => (overTls ? secure : plain), none: () => new Entry(null, 0) };
