// Parses a response head that a listener itself writes to a socket, as text.
'use strict';

const { coded } = require('./errors.js');

const LONGEST_HEAD = 65536;
const OF_ENGINE = new Set(['content-length', 'transfer-encoding', 'connection', 'keep-alive']);

class RawHead {
  constructor() {
    this.text = ''; // as far as it was written, latin1
  }

  // { status, fields, rest, all } once it is whole, else null; throws when it is none. `rest`: the bytes behind it; `all`: it and them.
  take(chunk) {
    this.text += Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).latin1Slice();
    const end = this.text.indexOf('\r\n\r\n');
    if (end < 0) {
      if (this.text.length > LONGEST_HEAD) throw noHead();
      return null;
    }
    const lines = this.text.slice(0, end).split('\r\n');
    const all = Buffer.from(this.text, 'latin1');
    this.text = '';
    const [, status] = /^HTTP\/1\.[01] ([0-9]{3})(?: .*)?$/.exec(lines[0]) || [];
    if (status === undefined) throw noHead();
    const head = { status: Number(status), fields: [], rest: all.subarray(end + 4), all };
    for (const line of lines.slice(1)) addLine(head, line);
    return head;
  }
}

function noHead() {
  return coded(Error, 'ERR_INVALID_HTTP_RESPONSE', 'no response head was written');
}

// Fields about the connection and the framing are left out: the engine writes them.
function addLine(head, line) {
  const colon = line.indexOf(':');
  if (colon <= 0) return;
  const name = line.slice(0, colon);
  const value = line.slice(colon + 1).trim();
  if (!OF_ENGINE.has(name.toLowerCase())) head.fields.push(name, value);
}

module.exports = { RawHead };
