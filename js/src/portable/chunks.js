// Reads chunked content (RFC 9112, 7.1) as strictly as src/wire/chunked.c does.
'use strict';

const { Refused } = require('./head-reader.js');

const MAX_LINE = 256; // bytes, CRLF among them
const MAX_SIZE = 2n ** 62n;
const SHORT = 13; // digits of a size that is less in any case
// At most MAX_LINE characters are looked at.
const LINE =
  /^([0-9A-Fa-f]+)(?:[ \t]*;[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*=[ \t]*(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)*$/;
const LF = 10;

class Chunks {
  constructor() {
    this.left = 0; // bytes of the chunk
    this.ends = false; // CRLF is due behind it
    this.isDone = false;
  }

  // [bytes taken, content or null]; takes 0 when more bytes are wanted. isDone: the last chunk was read, trailers follow.
  read(data) {
    if (this.left > 0) {
      const piece = data.subarray(0, this.left);
      this.left -= piece.length;
      this.ends = this.left === 0;
      return [piece.length, piece];
    }
    if (this.ends) {
      if (data[0] !== 13 || (data.length > 1 && data[1] !== LF)) throw new Refused(400);
      if (data.length < 2) return [0, null];
      this.ends = false;
      return [2, null];
    }
    return [this.readLine(data), null];
  }

  readLine(data) {
    const feed = data.indexOf(LF);
    if (feed === 0) throw new Refused(400); // LF without CR
    if ((feed < 0 ? data.length : feed + 1) > MAX_LINE) throw new Refused(400);
    const end = feed < 0 ? data.length : feed - 1;
    const line = data.latin1Slice(0, end);
    if (feed < 0) {
      if (line !== '' && !/^[0-9A-Fa-f]/.test(line)) throw new Refused(400);
      return 0;
    }
    const match = data[end] === 13 ? LINE.exec(line) : null;
    if (match === null) throw new Refused(400);
    if (match[1].length > SHORT && BigInt(`0x${match[1]}`) > MAX_SIZE) throw new Refused(400);
    this.left = Number.parseInt(match[1], 16);
    this.isDone = this.left === 0;
    return feed + 1;
  }
}

module.exports = { Chunks };
