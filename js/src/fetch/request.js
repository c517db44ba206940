// Request (Fetch, 5.4). A program makes one from a URL; the server makes one over an exchange, which decodes a part of the
// request when the handler looks at it.
'use strict';

const { AsyncResource } = require('node:async_hooks');

const { Headers, internals } = require('./headers.js');
const { extract, ofExchange, clone, handOver, forRuntime, mixin, isIterable } = require('./body.js');
const { hopByHop, without } = require('./hop-by-hop.js');
const { standIn, madeOnce } = require('./stand-in.js');

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const SIMPLE = new Set(['GET', 'HEAD', 'POST']);
const FORBIDDEN = new Set(['CONNECT', 'TRACE', 'TRACK']);
const NORMALIZED = new Set(['DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT']);
const CHOICES = {
  mode: ['navigate', 'same-origin', 'no-cors', 'cors'],
  credentials: ['omit', 'same-origin', 'include'],
  cache: ['default', 'no-store', 'reload', 'no-cache', 'force-cache', 'only-if-cached'],
  redirect: ['follow', 'error', 'manual'],
  referrerPolicy: [
    '',
    'no-referrer',
    'no-referrer-when-downgrade',
    'same-origin',
    'origin',
    'strict-origin',
    'origin-when-cross-origin',
    'strict-origin-when-cross-origin',
    'unsafe-url',
  ],
  priority: ['high', 'low', 'auto'],
  duplex: ['half'],
};
const DEFAULTS = {
  mode: 'cors',
  credentials: 'same-origin',
  cache: 'default',
  redirect: 'follow',
  referrer: 'about:client',
  referrerPolicy: '',
  integrity: '',
  keepalive: false,
};
const NEW = Symbol('made over an exchange');

function isBodyless(method) {
  return method === 'GET' || method === 'HEAD';
}

// The fields of a request for another connection, as pairs; without their content, none that tell of it.
function pairsOf(headers, withContent) {
  const fields = internals.list(headers);
  const left = hopByHop(fields) || new Set();
  left.add('expect'); // answered already (RFC 9110, 10.1.1)
  if (!withContent) left.add('content-length');
  const list = without(fields, left);
  return list.flatMap((_, i) => (i % 2 === 0 ? [[list[i], list[i + 1]]] : []));
}

function methodOf(value) {
  const method = String(value);
  if (!TOKEN.test(method)) throw new TypeError(`Request: ${JSON.stringify(method)} is not a method`);
  const upper = method.toUpperCase();
  if (FORBIDDEN.has(upper)) throw new TypeError(`Request: the method ${method} is forbidden`);
  return NORMALIZED.has(upper) ? upper : method;
}

function urlOf(input) {
  let url;
  try {
    url = new URL(input);
  } catch {
    throw new TypeError(`Request: ${JSON.stringify(input)} is not an absolute URL`);
  }
  if (url.username !== '' || url.password !== '') throw new TypeError('Request: the URL must have no credentials');
  return url.href;
}

// The members of `init` that are plain settings, over those of another request.
function settingsOf(init, before) {
  const settings = { ...before };
  for (const [name, choices] of Object.entries(CHOICES)) {
    if (init[name] === undefined) continue;
    const value = String(init[name]);
    if (!choices.includes(value)) throw new TypeError(`Request: ${name} cannot be ${JSON.stringify(value)}`);
    if (name !== 'duplex' && name !== 'priority') settings[name] = value;
  }
  if (settings.mode === 'navigate' && init.mode !== undefined) throw new TypeError('Request: the mode cannot be navigate');
  if (settings.cache === 'only-if-cached' && settings.mode !== 'same-origin')
    throw new TypeError('Request: only-if-cached needs the mode same-origin');
  if (init.window !== undefined && init.window !== null) throw new TypeError('Request: window can only be null');
  if (init.integrity !== undefined) settings.integrity = String(init.integrity);
  if (init.keepalive !== undefined) settings.keepalive = Boolean(init.keepalive);
  if (init.referrer !== undefined) settings.referrer = referrerOf(String(init.referrer));
  return settings;
}

function referrerOf(text) {
  if (text === '') return '';
  try {
    const url = new URL(text);
    return url.protocol === 'about:' && url.pathname === 'client' ? 'about:client' : url.href;
  } catch {
    throw new TypeError(`Request: the referrer ${JSON.stringify(text)} is not a URL`);
  }
}

function isSignal(value) {
  return value !== null && typeof value === 'object' && typeof value.aborted === 'boolean' && typeof value.addEventListener === 'function';
}

const ABSOLUTE = /^https?:\/\//i;
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]+)(?::\d*)?$/;

// The URL of a request, made with the Host field as it was sent if that is valid.
function urlOfExchange(exchange, origin) {
  const { target } = exchange;
  const host = exchange.field('host');
  const path = target.charCodeAt(0) === 47 ? target : target === '*' ? '' : null;
  if (path === null) {
    try {
      return ABSOLUTE.test(target) ? new URL(target).href : `${origin()}/`; // CONNECT's is an authority
    } catch {
      return `${origin()}/`;
    }
  }
  const base = host !== null && HOST.test(host) ? `${exchange.secure ? 'https' : 'http'}://${host}` : origin();
  try {
    return new URL(base + path).href;
  } catch {
    return new URL(origin() + path).href;
  }
}

class Request {
  #exchange = null;
  #origin = null;
  #url = null;
  #method = null;
  #headers = null;
  #body = null;
  #signal = null;
  #controller = null;
  #aborted = null; // why, when nobody had looked at the signal yet
  #settings = DEFAULTS;

  constructor(input, init = undefined) {
    if (input === NEW) {
      this.#exchange = init.exchange;
      this.#origin = init.origin;
      return;
    }
    if (arguments.length === 0) throw new TypeError('Request: 1 argument is needed');
    if (init === undefined || init === null) init = {};
    else if (typeof init !== 'object' && typeof init !== 'function') throw new TypeError('Request: init must be an object');
    const other = input !== null && typeof input === 'object' && (#url in input || isNative(input)) ? input : null;
    if (other !== null) this.#copy(other, init);
    else {
      this.#url = urlOf(String(input));
      this.#method = 'GET';
    }
    this.#settings = settingsOf(init, other === null ? DEFAULTS : pickSettings(other));
    if (init.method !== undefined) this.#method = methodOf(init.method);
    this.#takeHeaders(other, init);
    this.#takeSignal(other, init);
    this.#takeBody(other, init);
  }

  #copy(other) {
    this.#url = other.url;
    this.#method = other.method;
  }

  #takeHeaders(other, init) {
    const headers = init.headers !== undefined ? init.headers : other === null ? undefined : other.headers;
    this.#headers = new Headers();
    if (this.#settings.mode === 'no-cors' && !SIMPLE.has(this.#method))
      throw new TypeError(`Request: the method ${this.#method} is not for the mode no-cors`);
    internals.setGuard(this.#headers, this.#settings.mode === 'no-cors' ? 'request-no-cors' : 'request');
    for (const [name, value] of new Headers(headers)) this.#headers.append(name, value);
    // It is the length of what another body takes the place of.
    if (other !== null && init.headers === undefined && init.body !== undefined && init.body !== null)
      this.#headers.delete('content-length');
  }

  #takeSignal(other, init) {
    const signal = init.signal !== undefined ? init.signal : other === null ? null : other.signal;
    if (signal !== null && !isSignal(signal)) throw new TypeError('Request: signal must be an AbortSignal');
    this.#follow(signal);
  }

  // A listener would keep the request, and what it has, for as long as the other signal lives: a server's may live as long as that.
  #follow(signal) {
    if (signal instanceof AbortSignal && AbortSignal.any !== undefined) {
      this.#signal = AbortSignal.any([signal]);
      return;
    }
    this.#controller = new AbortController();
    if (signal === null) return;
    if (signal.aborted) this.#controller.abort(signal.reason);
    else signal.addEventListener('abort', () => this.#controller.abort(signal.reason), { once: true });
  }

  #takeBody(other, init) {
    const given = init.body !== undefined && init.body !== null;
    const theirs = other === null ? null : #url in other ? other.#ownBody() : other.body;
    if ((given || theirs !== null) && isBodyless(this.#method) && !this.#isAsReceived(given ? init : other))
      throw new TypeError(`Request: a request with the method ${this.#method} has no body`);
    if (given) {
      const body = extract(init.body, this.#settings.keepalive);
      if ((body.source === null || isIterable(body.source)) && typeof init.duplex === 'undefined' && !(init.body instanceof FormData))
        throw new TypeError("Request: a stream as body needs duplex: 'half'");
      this.#body = body;
      if (body.type !== null && !this.#headers.has('content-type')) this.#headers.append('content-type', body.type);
    } else if (theirs !== null) {
      if (other.bodyUsed || other.body.locked) throw new TypeError('Request: the body of the other request was read already');
      this.#body = #url in other ? handOver(theirs) : extract(other.body.pipeThrough(new TransformStream()));
    }
  }

  // Whether the content is that of a request which a server has received. With GET, too, that may have content (RFC 9110, 9.3.1).
  #isAsReceived(from) {
    return #url in from && from.method === this.#method;
  }

  // This request as `init` for a Request of the runtime, under the members that `init` has, with the body as `give` gives it. Fields
  // of the connection by which the request came stay behind; so do a body that the runtime's classes refuse, and what tells of it.
  #asInit(init, give) {
    const parts = { method: this.method, signal: this.signal };
    for (const [name, value] of Object.entries(this.#settings)) if (value !== DEFAULTS[name]) parts[name] = value;
    for (const name in init) if (init[name] !== undefined) parts[name] = init[name];
    const body = init.body === undefined || init.body === null ? this.#ownBody() : null;
    if (body !== null && body.isUnusable) throw new TypeError('Request: the body of the other request was read already');
    const bodyless = isBodyless(String(parts.method).toUpperCase());
    if (body !== null && bodyless && !isBodyless(this.method))
      throw new TypeError(`Request: a request with the method ${parts.method} has no body`);
    const taken = body !== null && !bodyless;
    if (taken) Object.assign(parts, { body: give(body), duplex: 'half' });
    if (init.headers === undefined) parts.headers = pairsOf(this.headers, taken);
    return parts;
  }

  // A Request of the runtime with what this one has; it has the body from then on.
  #native() {
    const init = this.#asInit({}, forRuntime);
    const native = new NativeRequest(this.url, init);
    if (init.body !== undefined) this.#body.follow(native);
    return native;
  }

  #ownBody() {
    const exchange = this.#exchange;
    if (this.#body === null && exchange !== null && (exchange.released || exchange.contentLength !== 0)) this.#body = ofExchange(exchange);
    return this.#body;
  }

  get url() {
    if (this.#url === null) {
      const cached = this.#exchange.cachedUrl();
      if (cached.url === '') cached.url = urlOfExchange(this.#exchange, this.#origin);
      this.#url = cached.url;
    }
    return this.#url;
  }

  get method() {
    if (this.#method === null) this.#method = this.#exchange.method;
    return this.#method;
  }

  get headers() {
    if (this.#headers === null) this.#headers = internals.ofExchange(this.#exchange);
    return this.#headers;
  }

  get signal() {
    if (this.#signal !== null) return this.#signal;
    if (this.#controller === null) {
      this.#controller = new AbortController();
      // The end of the exchange is watched only once somebody has looked at the signal; listeners run in the context of that.
      const { over, reason } = this.#exchange;
      if (this.#aborted !== null) this.#controller.abort(this.#aborted);
      else if (over) this.#endWith(reason);
      else this.#exchange.watch(AsyncResource.bind((end) => this.#endWith(end)));
    }
    this.#signal = this.#controller.signal;
    return this.#signal;
  }

  #endWith(reason) {
    if (reason !== 'complete') abortRequest(this, reason);
  }

  get mode() {
    return this.#settings.mode;
  }
  get credentials() {
    return this.#settings.credentials;
  }
  get cache() {
    return this.#settings.cache;
  }
  get redirect() {
    return this.#settings.redirect;
  }
  get referrer() {
    return this.#settings.referrer;
  }
  get referrerPolicy() {
    return this.#settings.referrerPolicy;
  }
  get integrity() {
    return this.#settings.integrity;
  }
  get keepalive() {
    return this.#settings.keepalive;
  }
  get destination() {
    void this.#settings;
    return '';
  }
  get duplex() {
    void this.#settings;
    return 'half';
  }
  get isReloadNavigation() {
    void this.#settings;
    return false;
  }
  get isHistoryNavigation() {
    void this.#settings;
    return false;
  }

  clone() {
    const body = this.#ownBody();
    if (body !== null && body.isUnusable) throw new TypeError('Request.clone: the body was read already, or is locked');
    const other = new Request(NEW, { exchange: null, origin: null });
    other.#url = this.url;
    other.#method = this.method;
    other.#headers = internals.copy(this.headers);
    other.#settings = this.#settings;
    other.#follow(this.signal);
    if (body !== null) other.#body = clone(body);
    return other;
  }

  [Symbol.for('nodejs.util.inspect.custom')](depth, options, inspect) {
    const shown = {};
    for (const name of ['method', 'url', 'headers', 'bodyUsed'])
      try {
        shown[name] = this[name];
      } catch {} // its response was sent: who prints it need not mind
    return `Request ${inspect(shown, options)}`;
  }

  static {
    Request.internals = {
      isOurs: (value) => value !== null && typeof value === 'object' && #url in value,
      asInit: (request, init) => request.#asInit(init, (body) => forRuntime(handOver(body))),
      make: (request) => request.#native(),
      body: (request) => request.#ownBody(),
      exchange: (request) => (#exchange in request ? request.#exchange : null),
      abort(request, reason) {
        if (request.#controller !== null) request.#controller.abort(reason);
        else request.#aborted = reason;
      },
    };
  }
}

const { internals: own } = Request;
delete Request.internals;
mixin(
  Request.prototype,
  (request) => own.body(request),
  (request) => request.headers.get('content-type'),
);
for (const name of [
  'url',
  'method',
  'headers',
  'signal',
  'mode',
  'credentials',
  'cache',
  'redirect',
  'referrer',
  'referrerPolicy',
  'integrity',
  'keepalive',
  'destination',
  'duplex',
  'isReloadNavigation',
  'isHistoryNavigation',
  'clone',
])
  Object.defineProperty(Request.prototype, name, { enumerable: true });
Object.defineProperty(Request.prototype, Symbol.toStringTag, { value: 'Request', configurable: true });

const NativeRequest = globalThis.Request;
// The Request of the runtime that stands for one of ours.
const nativeRequest = madeOnce(own.make);
standIn(Request, NativeRequest, NativeRequest && new NativeRequest('http://localhost/'), nativeRequest);

function isNative(value) {
  return NativeRequest !== undefined && value instanceof NativeRequest;
}

function pickSettings(other) {
  const settings = {};
  for (const name of Object.keys(DEFAULTS)) settings[name] = other[name] === undefined ? DEFAULTS[name] : other[name];
  return settings;
}

function requestFromExchange(exchange, origin) {
  return new Request(NEW, { exchange, origin });
}

// The exchange behind a request that a server made, else null.
requestFromExchange.exchangeOf = (request) => own.exchange(request);

function abortRequest(request, reason) {
  own.abort(request, Object.assign(new Error(`the client has gone (${reason})`), { name: 'AbortError', code: 'CAROM_ECANCELED' }));
}

// What a Request of the runtime is made of in the place of one of ours; `isOurs` tells them apart.
function partsOfRequest(request, init) {
  return own.asInit(request, init);
}

partsOfRequest.isOurs = (value) => own.isOurs(value);

module.exports = { Request, requestFromExchange, abortRequest, partsOfRequest, nativeRequest };
