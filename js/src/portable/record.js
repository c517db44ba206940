// One request and its response, whatever carries them: what the ring's messages may do with it, and what has come of its content.
// What carries it, its exchange (http1.js, http2.js), has: head(record, plan, response), end(record, trailers), raw(record),
// changed(record), unsent(record), want(record), released(record), core.
'use strict';

const { clearTimeout } = require('node:timers');

const { E } = require('./names.js');
const { phraseOf, planOf, trailersFault } = require('./plan.js');

const WRITE_BUFFER = 65536;
const NONE = Object.freeze([]);

class Record {
  constructor(head, exchange) {
    this.head = head;
    this.exchange = exchange;
    this.core = exchange.core;
    this.owner = null; // its slot, or a WebSocket: told contentCame(), roomCame(), ended(reason)
    this.held = false; // by its handler
    this.refused = 0; // the status with which it is answered, in place of what the handler might say
    this.closes = false; // the connection ends behind the response
    // Of the request.
    this.content = 'coming'; // 'whole', 'lost'
    this.pieces = [];
    this.unread = 0; // bytes of them
    this.trailers = NONE;
    this.wanted = false;
    this.continueDue = false;
    // Of the response.
    this.response = 'open'; // 'begun', 'whole', 'sent', 'cancelled'
    this.reason = 'none';
    this.bodyKind = 'none';
    this.expected = Infinity;
    this.written = 0; // bytes of content, as the handler gave it,
    this.framed = 0; // and as it went to the connection
    this.body = []; // content that is not framed yet
    this.bodyBytes = 0;
    this.tail = null; // trailers, or null
    this.timer = null;
    // For HTTP/1.1: heads that were not given to the connection; where the response ends there; whether all of it is given.
    this.out = [];
    this.streamEnd = undefined;
    this.isFramed = false;
    this.tunnelOf = undefined; // the WebSocket that it becomes
    this.core.server.began(this);
  }

  // The client has gone, or is answered by the engine.
  get isGone() {
    return this.response === 'cancelled' || this.refused > 0;
  }

  get over() {
    return this.response === 'sent' || this.isGone;
  }

  get limits() {
    return this.core.server.settings;
  }

  // ---------------------------------------------------------------- content of the request

  contentCame(bytes) {
    if (bytes.length > 0) this.pieces.push(bytes);
    this.unread += bytes.length;
    this.tellContent();
  }

  contentWhole(trailers) {
    if (this.content !== 'coming') return;
    this.content = 'whole';
    if (trailers !== undefined) this.trailers = trailers;
    this.tellContent();
  }

  contentLost() {
    if (this.content !== 'coming') return;
    this.content = 'lost';
    this.pieces = [];
    this.unread = 0;
    this.tellContent();
  }

  tellContent() {
    if (!this.wanted) return;
    this.wanted = false;
    this.owner?.contentCame();
  }

  want() {
    this.wanted = true;
    this.exchange.want(this);
  }

  // At most so many bytes of what has come.
  read(most) {
    const parts = [];
    while (most > 0 && this.pieces.length > 0) {
      const [first] = this.pieces;
      const part = first.subarray(0, most);
      if (part.length === first.length) this.pieces.shift();
      else this.pieces[0] = first.subarray(most);
      parts.push(part);
      most -= part.length;
      this.unread -= part.length;
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }

  // ---------------------------------------------------------------- the response; 0, or an error

  takeHead(kind, response, length, whole) {
    const plan = planOf(kind, this.head, response, length, this.limits.maxResponseHead);
    if (typeof plan === 'number') return plan;
    plan.whole = whole;
    const error = this.exchange.head(this, plan, response);
    if (error > 0) return error;
    if (kind === 'inform') return 0;
    clearTimeout(this.timer);
    this.bodyKind = plan.body;
    this.expected = plan.expected;
    return 0;
  }

  respond(response, body) {
    if (this.over) return E.ECANCELED;
    if (this.response !== 'open') return E.ESTATE;
    const error = this.takeHead('final', response, body.length, true);
    if (error > 0) return error;
    this.response = 'whole';
    this.take(body);
    this.exchange.changed(this);
    return 0;
  }

  begin(response, length) {
    if (this.over) return E.ECANCELED;
    if (this.response !== 'open') return E.ESTATE;
    const error = this.takeHead('final', response, length, false);
    if (error > 0) return error;
    this.response = 'begun';
    this.exchange.changed(this);
    return 0;
  }

  raw() {
    if (this.over) return E.ECANCELED;
    if (this.response !== 'open') return E.ESTATE;
    if (this.exchange.raw === undefined) return E.EUNSUPPORTED;
    this.exchange.raw(this);
    this.bodyKind = 'until-close';
    clearTimeout(this.timer);
    this.response = 'begun';
    return 0;
  }

  inform(response) {
    if (this.over) return E.ECANCELED;
    if (this.response !== 'open') return E.ESTATE;
    if (this.head.version === 10) return 0;
    const error = this.takeHead('inform', response, 0, false);
    if (error === 0) this.exchange.changed(this);
    return error;
  }

  upgrade(response) {
    if (this.over) return E.ECANCELED;
    if (this.response !== 'open' || this.content !== 'whole' || !(this.head.isConnect || this.head.wantsUpgrade)) return E.ESTATE;
    const error = this.takeHead('upgrade', response, -1, false);
    if (error > 0) return error;
    this.content = 'coming';
    this.response = 'begun';
    this.exchange.changed(this);
    return 0;
  }

  get isFull() {
    return !this.over && this.unsent >= WRITE_BUFFER;
  }

  get unsent() {
    return this.bodyBytes + this.exchange.unsent(this);
  }

  write(bytes) {
    if (this.over) return E.ECANCELED;
    if (this.response !== 'begun') return E.ESTATE;
    if (bytes.length > this.expected - this.written) return E.ELENGTH;
    if (this.isFull) return E.EAGAIN;
    this.take(bytes);
    this.exchange.changed(this);
    return 0;
  }

  end(trailers) {
    if (this.over) return E.ECANCELED;
    if (this.response !== 'begun') return E.ESTATE;
    if (this.expected !== Infinity && this.written < this.expected) return E.ELENGTH;
    const error = trailersFault(trailers, this.limits.maxResponseHead);
    if (error > 0) return error;
    this.tail = trailers;
    this.response = 'whole';
    this.exchange.changed(this);
    return 0;
  }

  take(bytes) {
    this.written += bytes.length;
    if (this.bodyKind === 'none' || bytes.length === 0) return;
    this.body.push(bytes);
    this.bodyBytes += bytes.length;
  }

  // ---------------------------------------------------------------- ends

  // The response is with the kernel, whole.
  sent() {
    if (this.response !== 'whole') return;
    this.response = 'sent';
    this.core.server.counts.responses++;
    this.finish('complete');
  }

  cancel(reason) {
    if (this.over) return;
    const open = this.exchange.unsent(this);
    this.framed = Math.max(0, this.framed - open);
    this.response = 'cancelled';
    this.core.server.counts.cancellations++;
    this.contentLost();
    this.finish(reason);
    this.exchange.changed(this);
  }

  // The engine answers with this status.
  refuse(status, reason) {
    if (this.over) return;
    if (this.response !== 'open') {
      this.cancel(reason);
      return;
    }
    this.refused = status;
    this.contentLost();
    this.finish(reason);
    this.exchange.changed(this);
  }

  // Its connection has gone, with what was not sent of a response that is whole.
  cancelWhole(reason) {
    if (this.response === 'whole') this.response = 'begun';
    this.cancel(reason);
  }

  // The engine's own response to what it has refused.
  answerRefusal() {
    const status = this.refused;
    const body = Buffer.from(`${status} ${phraseOf(status)}\n`);
    const fields = ['Content-Type', 'text/plain'];
    if (status === 503) fields.push('Retry-After', '1');
    if (status === 405) fields.push('Allow', '');
    this.takeHead('final', { status, phrase: '', fields }, body.length, true);
    this.response = 'whole';
    this.take(body);
  }

  finish(reason) {
    if (this.reason !== 'none') return;
    this.reason = reason;
    clearTimeout(this.timer);
    this.body = this.response === 'cancelled' ? [] : this.body;
    this.core.server.ended(this);
    this.owner?.ended(reason);
  }

  // The handler is done with it.
  release() {
    this.held = false;
    this.owner = null;
    if (!this.over && this.response !== 'whole') {
      if (this.head.refusal > 0) this.refuse(this.head.refusal, this.head.refusalReason);
      else if (this.response === 'open') this.refuse(500, 'abandoned');
      else this.cancel('abandoned');
    }
    this.exchange.released(this);
  }
}

module.exports = { Record, WRITE_BUFFER };
