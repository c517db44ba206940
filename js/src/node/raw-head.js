// Parses a response head that a listener itself writes to a socket, as text.
'use strict';

const { coded } = require('./errors.js');

const LONGEST_HEAD = 65536;

class RawHead {
  constructor() {
    this.text = ''; // as far as it was written, latin1
  }

  // { status, phrase, fields, length, rest } once it is whole, else null; throws when it is none. `length`: what Content-Length
  // says, or -1; `rest`: the bytes behind it.
  take(chunk) {
    this.text += Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).latin1Slice();
    const end = this.text.indexOf('\r\n\r\n');
    if (end < 0) {
      if (this.text.length > LONGEST_HEAD) throw noHead();
      return null;
    }
    const lines = this.text.slice(0, end).split('\r\n');
    const rest = Buffer.from(this.text.slice(end + 4), 'latin1');
    this.text = '';
    const [, status, phrase] = /^HTTP\/1\.[01] ([0-9]{3})(?: (.*))?$/.exec(lines[0]) || [];
    if (status === undefined) throw noHead();
    const head = { status: Number(status), phrase: phrase || '', fields: [], length: -1, chunked: false, rest };
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
  const lower = name.toLowerCase();
  if (lower === 'content-length') head.length = Number(value);
  else if (lower === 'transfer-encoding') head.chunked = true;
  else if (lower !== 'connection' && lower !== 'keep-alive') head.fields.push(name, value);
}

module.exports = { RawHead };
