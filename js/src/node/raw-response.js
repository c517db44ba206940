// A response that a listener writes as raw bytes on the socket of its request. Its head is parsed, and given to the engine with the
// content behind it; then the connection ends.
'use strict';

const { coded } = require('./errors.js');
const { RawHead } = require('./raw-head.js');

class RawResponse {
  constructor(exchange) {
    this.exchange = exchange;
    this.head = new RawHead();
    this.begun = false;
    this.ended = false;
    this.left = -1; // bytes of content that are to come; -1: the end will tell
  }

  // Throws for what is no response.
  write(chunk) {
    while (!this.begun) {
      const head = this.head.take(chunk);
      if (head === null) return true;
      chunk = head.rest;
      this.begin(head);
    }
    if (this.ended) return true;
    if (this.left >= 0) {
      chunk = chunk.subarray(0, this.left);
      this.left -= chunk.length;
    }
    const room = chunk.length === 0 || this.exchange.write(chunk);
    if (this.left === 0) this.end();
    return room;
  }

  begin({ status, phrase, fields, length, chunked }) {
    if (chunked) throw coded(Error, 'ERR_METHOD_NOT_IMPLEMENTED', 'Chunks cannot be written as raw bytes: the engine makes them');
    if (status < 200) {
      if (status > 101) this.exchange.inform(status, fields);
      return;
    }
    this.begun = true;
    this.left = status === 204 || status === 304 || this.exchange.method === 'HEAD' ? 0 : length;
    const named = phrase === '' ? fields : ['', phrase, ...fields];
    this.exchange.begin(status, [...named, 'Connection', 'close'], this.left);
  }

  // What was written arrives; false when it is no whole response.
  end() {
    if (!this.begun || this.left > 0) return false;
    if (!this.ended) this.exchange.end();
    this.ended = true;
    return true;
  }
}

module.exports = { RawResponse };
