// Response (Fetch, 5.5).
'use strict';

const { internals } = require('./headers.js');
const { extract, clone, forRuntime, mixin, streamOf } = require('./body.js');
const { standIn, madeOnce } = require('./stand-in.js');
const { foreignParts, isPhrase } = require('./foreign.js');
const { endToEnd } = require('./hop-by-hop.js');

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const NativeResponse = globalThis.Response;

function hasNullBody(status) {
  return status < 200 || status === 204 || status === 205 || status === 304;
}

class Response {
  #status = 200;
  #statusText = '';
  #type = 'default';
  #body = null;
  #fields = null; // a flat list, until somebody asks for Headers
  #headers = null;
  #accept = null; // of one with status 101: what accepts the other protocol

  constructor(body = null, init = undefined) {
    if (init !== undefined && init !== null) this.#initialize(init);
    else if (init === undefined || init === null) this.#fields = [];
    if (body !== null && body !== undefined) this.#take(extract(body));
  }

  #initialize(init) {
    if (typeof init !== 'object' && typeof init !== 'function') throw new TypeError('Response: init must be an object');
    const { headers, status, statusText } = init;
    // A framework that adds fields makes another Response of the one that it was given.
    if (#accept in init && init.#accept !== null) {
      this.#accept = init.#accept;
      this.#status = 101;
    } else if (status !== undefined) {
      const number = Math.trunc(Number(status)) & 0xffff;
      if (!(number >= 200 && number <= 599)) throw new RangeError(`Response: the status ${status} is not from 200 to 599`);
      this.#status = number;
    }
    if (statusText !== undefined) {
      const text = `${statusText}`;
      if (!isPhrase(text)) throw new TypeError('Response: this statusText cannot be sent');
      this.#statusText = text;
    }
    this.#fields = headers === undefined ? [] : internals.listOf(headers);
  }

  #take(body) {
    if (hasNullBody(this.#status)) throw new TypeError(`Response: a response with status ${this.#status} has no body`);
    this.#body = body;
    if (body.type === null) return;
    const fields = this.#fields;
    for (let i = 0; i < fields.length; i += 2) if (fields[i] === 'content-type') return;
    if (fields.length === 0)
      this.#fields = ['content-type', body.type]; // an empty list would grow by sixteen places
    else fields.push('content-type', body.type);
  }

  static error() {
    const response = new Response();
    response.#type = 'error';
    response.#status = 0;
    internals.setGuard(response.headers, 'immutable');
    return response;
  }

  static json(data, init = undefined) {
    if (arguments.length === 0) throw new TypeError('Response.json: 1 argument is needed');
    const text = JSON.stringify(data);
    if (text === undefined) throw new TypeError('Response.json: the value cannot be written as JSON');
    const response = new Response(null, init);
    const body = extract(text);
    body.type = 'application/json';
    response.#take(body);
    return response;
  }

  static redirect(url, status = 302) {
    const target = String(new URL(String(url)));
    const number = Math.trunc(Number(status)) & 0xffff;
    if (!REDIRECTS.has(number)) throw new RangeError(`Response.redirect: ${status} is not the status of a redirection`);
    const response = new Response(null, { headers: { location: target } });
    response.#status = number;
    internals.setGuard(response.headers, 'immutable');
    return response;
  }

  get type() {
    return this.#type;
  }
  get url() {
    void this.#type;
    return '';
  }
  get redirected() {
    void this.#type;
    return false;
  }
  get status() {
    return this.#status;
  }
  get ok() {
    return this.#status >= 200 && this.#status <= 299;
  }
  get statusText() {
    return this.#statusText;
  }

  get headers() {
    if (this.#headers === null) this.#headers = internals.withGuard(this.#fields, 'response');
    return this.#headers;
  }

  clone() {
    if (this.#body !== null && this.#body.isUnusable) throw new TypeError('Response.clone: the body was read already, or is locked');
    const other = new Response();
    other.#headers = internals.copy(this.headers);
    other.#fields = internals.list(other.#headers);
    other.#status = this.#status;
    other.#statusText = this.#statusText;
    other.#type = this.#type;
    other.#accept = this.#accept;
    if (this.#body !== null) other.#body = clone(this.#body);
    return other;
  }

  [Symbol.for('nodejs.util.inspect.custom')](depth, options, inspect) {
    const { status, statusText, headers, ok, type } = this;
    return `Response ${inspect({ status, statusText, headers, ok, type, bodyUsed: this.bodyUsed }, options)}`;
  }

  // What the server sends. The body counts as used from here on.
  static #parts(response) {
    const body = response.#body;
    if (body !== null) {
      if (body.isUnusable) throw new TypeError('the body of this Response was read already, or is locked');
      body.used = true;
    }
    return {
      status: response.#type === 'error' ? 500 : response.#status,
      statusText: response.#statusText,
      fields: response.#fields,
      accept: response.#accept,
      scope: body === null ? null : body.scope,
      body: body === null ? null : body.stream !== null || body.source === null ? streamOf(body) : body.source,
    };
  }

  // A Response of the runtime with what this one has; it has the body from then on.
  static #native(response) {
    if (response.#type === 'error') return NativeResponse.error();
    const body = response.#body;
    if (body !== null && body.isUnusable) throw new TypeError('the body of this Response was read already, or is locked');
    const native = new NativeResponse(body === null ? null : forRuntime(body), {
      status: response.#status,
      statusText: response.#statusText,
      headers: [...response.headers],
    });
    if (body !== null) body.follow(native);
    return native;
  }

  static {
    Response.internals = {
      isOurs: (value) => value !== null && typeof value === 'object' && #body in value,
      make: (response) => Response.#native(response),
      parts: (response) => Response.#parts(response),
      body: (response) => response.#body,
      switching(accept, headers) {
        const response = new Response(null, { headers });
        response.#status = 101;
        response.#accept = accept;
        return response;
      },
    };
  }
}

const { internals: own } = Response;
delete Response.internals;
mixin(
  Response.prototype,
  (response) => own.body(response),
  (response) => response.headers.get('content-type'),
);
for (const name of ['type', 'url', 'redirected', 'status', 'ok', 'statusText', 'headers', 'clone'])
  Object.defineProperty(Response.prototype, name, { enumerable: true });
for (const name of ['error', 'json', 'redirect']) Object.defineProperty(Response, name, { enumerable: true });
Object.defineProperty(Response.prototype, Symbol.toStringTag, { value: 'Response', configurable: true });

// ---------------------------------------------------------------- sent

// A field without a name is the reason phrase, which HTTP/1.1 has.
function withPhrase(statusText, fields) {
  return statusText === '' ? fields : ['', statusText, ...fields];
}

// { status, fields, body, scope, accept } of a Response, of our class or another. No field is there that is about another connection.
// `scope` is where a body that is a stream was given. `accept`: as for switchingResponse, or nothing.
function responseParts(response) {
  if (!own.isOurs(response)) {
    const parts = foreignParts(response);
    parts.fields = withPhrase(parts.statusText, parts.fields);
    return parts;
  }
  const parts = own.parts(response);
  const { body } = parts;
  parts.fields = withPhrase(parts.statusText, endToEnd(parts.fields));
  // The content of another exchange (`new Response(request.body)` has its stream, a clone its source).
  if (body !== null && typeof body.contentNow === 'function') parts.body = streamOf(own.body(response));
  return parts;
}

// A Response with status 101, which the constructor refuses. When a server would send it, accept(fields) is called instead, with its
// fields as a flat list.
function switchingResponse(accept, headers) {
  return own.switching(accept, headers);
}

// The Response of the runtime that stands for one of ours.
const nativeResponse = madeOnce(own.make);
standIn(Response, NativeResponse, NativeResponse && new NativeResponse(''), nativeResponse);

module.exports = { Response, responseParts, switchingResponse, nativeResponse, isOurResponse: own.isOurs };
