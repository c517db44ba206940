// One request on a socket and its response: what happens when they end.
'use strict';

const { channel } = require('node:diagnostics_channel');
const { clientError, refusal } = require('./client-error.js');
const { connectionReset } = require('./errors.js');

const responseFinish = channel('http.server.response.finish');

class Transaction {
  // `request` and `response` are set behind it, and stay null for what is no request.
  constructor(exchange, socket) {
    this.exchange = exchange;
    this.socket = socket;
    this.request = null;
    this.response = null;
    this.over = false;
    this.failed = false; // the engine has refused its response
    this.isRaw = false; // bytes are written in place of a response
    this.timer = null; // of its content
    exchange.onend = (reason) => this.ended(reason);
    exchange.onerror = (error) => this.refuse(error);
  }

  ended(reason) {
    if (reason === 'complete') this.complete();
    else this.gone(null, reason);
  }

  // It has ended without a whole response.
  gone(error, reason) {
    if (!this.settle()) return;
    const { request, socket } = this;
    socket.lost(error, reason);
    if (request !== null && !request.destroyed && !(request.complete && request.readableEnded)) request.destroy(error || connectionReset());
    process.nextTick(closeResponse, this);
  }

  // The response is in the hands of the engine, so the exchange counts as ended well.
  complete() {
    if (!this.settle()) return;
    if (this.response !== null) process.nextTick(finishResponse, this);
  }

  settle() {
    if (this.over) return false;
    this.over = true;
    if (this.timer !== null) clearTimeout(this.timer);
    this.socket.leave(this);
    return true;
  }

  // Its content must have come in time.
  limit(milliseconds) {
    this.timer = setTimeout(contentLate, milliseconds, this);
    this.timer.unref();
  }

  // The engine has refused the response. Node has no event for that which nobody need listen to, so it is a warning; the client
  // gets a 500, or a reset when it has the head already.
  refuse(error) {
    const { exchange } = this;
    if (this.failed || this.isRaw || error.code === 'CAROM_ELENGTH') exchange.cancel();
    else {
      this.failed = true;
      exchange.respond(500, [], null);
    }
    process.emitWarning(`a response was refused: ${error.message}`, { code: error.code });
  }
}

function contentLate(transaction) {
  const { over, request, exchange, socket } = transaction;
  if (over || request.complete) return;
  if (socket.server.emit('clientError', clientError(408), socket)) return;
  if (exchange.version >= 20 && !exchange.begun) answerLate(transaction);
  else if (exchange.begun) socket.destroy();
  else socket.end(refusal(408));
}

// On a stream of HTTP/2, which takes no raw bytes.
function answerLate(transaction) {
  const { exchange, request } = transaction;
  exchange.onend = () => transaction.gone(null, 'canceled');
  exchange.respond(408, [], null);
  request._dumped = true;
  exchange.dropContent();
}

function closeResponse(transaction) {
  const { response } = transaction;
  if (response !== null) response.closeNow(response);
  letGo(transaction);
}

// The exchange and the socket outlive the request, and would keep it.
function letGo(transaction) {
  transaction.request = transaction.response = null;
}

function finishResponse(transaction) {
  const { request, response, socket } = transaction;
  if (response.finished) {
    response.emit('finish');
    if (responseFinish.hasSubscribers) responseFinish.publish({ request, response, socket, server: socket.server });
  }
  request.responseSent(request, response._last);
  response.closeNow(response);
  letGo(transaction);
}

module.exports = { Transaction };
