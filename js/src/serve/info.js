// The second argument of a handler: tells of the connection and the end of the exchange, sends informational responses and
// trailers, makes the request a WebSocket, and has what a handler needs of the server besides.
'use strict';

const { Headers } = require('../fetch/headers.js');

// Each value is computed when it is first asked for.
class Info {
  #exchange;
  #server;
  #address = null;
  #local = null;
  #protocol = null;
  #tls = undefined;
  #completed = null;

  constructor(exchange, server) {
    this.#exchange = exchange;
    this.#server = server;
  }

  get remoteAddr() {
    if (this.#address === null) this.#address = this.#exchange.remoteAddress();
    return this.#address;
  }

  get localAddr() {
    if (this.#local === null) this.#local = this.#exchange.localAddress();
    return this.#local;
  }

  get alpn() {
    if (this.#protocol === null) this.#protocol = this.#exchange.protocol;
    return this.#protocol;
  }

  get tls() {
    if (this.#tls === undefined) this.#tls = this.#exchange.tls();
    return this.#tls;
  }

  get completed() {
    if (this.#completed === null) {
      this.#completed = new Promise((resolve, reject) => {
        whenOver(this, (reason, bytesSent) => {
          if (reason === 'complete') resolve({ bytesSent });
          else
            reject(Object.assign(new Error(`the response was not sent whole: ${reason}`), { code: 'CAROM_ECANCELED', reason, bytesSent }));
        });
      });
      this.#completed.catch(() => {}); // nobody need look at it
    }
    return this.#completed;
  }

  inform(status, headers) {
    if (!Number.isInteger(status) || status < 102 || status > 199)
      throw new RangeError(`an informational status is from 102 to 199, not ${status}`);
    const { begun, ended } = this.#exchange;
    if (begun && !ended) throw Object.assign(new TypeError('the response has begun'), { code: 'CAROM_ESTATE' });
    this.#exchange.inform(status, [...new Headers(headers)].flat());
  }

  trailers(headers) {
    this.#exchange.responseTrailers = [...new Headers(headers)].flat();
  }

  upgrade(request, options) {
    return this.#server.upgrade(request, options);
  }

  publish(topic, data, compress) {
    return this.#server.publish(topic, data, compress);
  }

  subscriberCount(topic) {
    return this.#server.subscriberCount(topic);
  }

  requestIP(request) {
    return this.#server.requestIP(request);
  }

  timeout(request, seconds) {
    this.#server.timeout(request, seconds);
  }

  static {
    Info.exchangeOf = (info) => info.#exchange;
  }
}

const { exchangeOf } = Info;
delete Info.exchangeOf;

// Calls `act` with how the exchange has ended, 'complete' or a reason, and how many bytes of content were sent.
function whenOver(info, act) {
  const exchange = exchangeOf(info);
  exchange.watch((reason) => act(reason, exchange.bytesSent));
}

module.exports = { Info, whenOver };
