// Which C library the program that runs this was linked with: a binary for another one cannot be loaded into it.
'use strict';

const fs = require('node:fs');

const PT_INTERP = 3; // the program header (of ELF) that names the dynamic linker

function readAt(file, offset, length) {
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, fs.readSync(file, bytes, 0, length, offset));
}

// The path of the dynamic linker that a 64-bit, little-endian ELF program names; or '', when it names none.
function dynamicLinker(program) {
  const file = fs.openSync(program, 'r');
  try {
    const head = readAt(file, 0, 64);
    const at = Number(head.readBigUInt64LE(32));
    const size = head.readUInt16LE(54);
    const headers = readAt(file, at, size * head.readUInt16LE(56));
    for (let i = 0; i + size <= headers.length; i += size)
      if (headers.readUInt32LE(i) === PT_INTERP)
        return readAt(file, Number(headers.readBigUInt64LE(i + 8)), Number(headers.readBigUInt64LE(i + 32)) - 1).toString('latin1');
    return '';
  } finally {
    fs.closeSync(file);
  }
}

// 'musl' or 'gnu'. A program that was started by its linker's name has this as its path.
function libcOf(program) {
  try {
    return (dynamicLinker(program) || program).includes('ld-musl-') ? 'musl' : 'gnu';
  } catch {
    return 'gnu'; // it cannot be read: the common one
  }
}

module.exports = { libcOf };
