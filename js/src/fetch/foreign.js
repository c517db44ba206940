// Accepts Responses that are not of our class: the runtime's, those of libraries and of other realms.
'use strict';

const { endToEnd } = require('./hop-by-hop.js');

const REASON_PHRASE = /^[\t\x20-\x7e\x80-\xff]*$/;
const isPhrase = (text) => REASON_PHRASE.test(text);

// Whether it can be sent: a Response of ours, of the runtime, or of a library or another realm, which has the shape of one.
function isResponse(value) {
  if (value === null || typeof value !== 'object') return false;
  const { status, headers } = value;
  if (typeof status !== 'number' || headers === null || typeof headers !== 'object') return false;
  return (typeof headers.forEach === 'function' || typeof headers[Symbol.iterator] === 'function') && 'body' in value;
}

// All values of Set-Cookie, or null: these Headers give them one by one, or cannot.
function cookiesOf(headers) {
  if (typeof headers.getSetCookie === 'function') return headers.getSetCookie();
  if (typeof headers.raw === 'function') return headers.raw()['set-cookie'] || []; // node-fetch
  return null;
}

function fieldsOf(headers) {
  const fields = [];
  const cookies = cookiesOf(headers);
  const add = (value, name) => {
    const lower = `${name}`.toLowerCase();
    if (lower === '') throw new TypeError('a field of the response has no name');
    if (cookies === null || lower !== 'set-cookie') fields.push(lower, `${value}`);
  };
  if (typeof headers[Symbol.iterator] === 'function') for (const [name, value] of headers) add(value, name);
  else headers.forEach(add);
  if (cookies !== null) for (const cookie of cookies) fields.push('set-cookie', `${cookie}`);
  return fields;
}

// Theirs may be anything.
function phraseOf({ statusText }) {
  return typeof statusText === 'string' && isPhrase(statusText) ? statusText : '';
}

// Where the runtime notes the type of a string only when it sends the response itself (Bun), what was a string and what bytes cannot be
// told apart; so the content will have to say whether it is text.
const notesTypeLate = typeof globalThis.Response === 'function' && !new globalThis.Response('').headers.has('content-type');

const OF_RUNTIME = globalThis.Response?.prototype;

// Deno keeps what a Response was made of under a symbol of its own: { headerList, body: { streamOrStatic: { body, consumed } } }, once its
// headers were looked at. Whether that is so is tried with one; where it is not, the body is read as a stream.
const STATE = (() => {
  if (globalThis.Deno === undefined) return null;
  const sample = new globalThis.Response('x');
  const symbol = Object.getOwnPropertySymbols(sample).find(({ description }) => description === 'response');
  if (symbol === undefined || !(sample.headers instanceof globalThis.Headers)) return null;
  const content = sample[symbol]?.body?.streamOrStatic;
  if (typeof content !== 'object' || content === null || content.body !== 'x' || content.consumed !== false || sample.bodyUsed) return null;
  content.consumed = true;
  return sample.bodyUsed ? symbol : null;
})();

// The string or bytes that a Response of Deno was made of, which then counts as used; else null, as of a class that extends it and may
// have another body. Its headers were looked at.
function contentOfDeno(response) {
  if (Object.getPrototypeOf(response) !== OF_RUNTIME) return null;
  const content = response[STATE]?.body?.streamOrStatic;
  if (typeof content !== 'object' || content === null || content.consumed !== false) return null;
  const { body } = content;
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) return null;
  content.consumed = true;
  return body;
}

function foreignParts(response) {
  const fields = endToEnd(fieldsOf(response.headers));
  const { status } = response;
  const content = STATE === null ? null : contentOfDeno(response);
  const body = content === null ? response.body : content;
  if (content === null && (response.bodyUsed || (body && body.locked)))
    throw new TypeError('the body of this Response was read already, or is locked');
  return {
    status: status === 0 ? 500 : status,
    statusText: phraseOf(response),
    fields,
    body: body === undefined ? null : body,
    foreign: true,
    untyped: notesTypeLate && !fields.includes('content-type'),
  };
}

module.exports = { foreignParts, isResponse, isPhrase };
