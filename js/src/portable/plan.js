// Checks a response and decides how it is framed, by the rules of src/wire/semantics.c.
'use strict';

const { STATUS_CODES } = require('node:http');
const { E } = require('./names.js');

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const LENGTH = /^\d{1,18}$/;
const PHRASES = { 413: 'Content Too Large', 418: '', 422: 'Unprocessable Content', 509: '' }; // where node has others than RFC 9110
const BEFORE_CONTENT = new Set([
  'transfer-encoding',
  'host',
  'connection',
  'keep-alive',
  'upgrade',
  'trailer',
  'te',
  'set-cookie',
  'authorization',
  'content-length',
  'content-type',
  'content-encoding',
  'content-range',
  'content-language',
  'content-location',
  'content-disposition',
]);

function phraseOf(status) {
  return PHRASES[status] ?? STATUS_CODES[status] ?? '';
}

function statusAllowed(kind, { isConnect }, status) {
  if (kind === 'inform') return status > 101 && status <= 199;
  if (kind === 'upgrade') return isConnect ? status >= 200 && status <= 299 : status === 101;
  return status >= (isConnect ? 300 : 200) && status <= 999;
}

// What a field says about framing, into `plan`; 0 or an error.
function note(plan, name, value, kind) {
  switch (name.toLowerCase()) {
    case 'date':
      plan.ownDate = true;
      return 0;
    case 'upgrade':
      plan.upgradeField = true;
      return kind === 'inform' ? E.EFIELD : 0;
    case 'connection':
      if (value.toLowerCase() === 'close') plan.close = true;
      else if (value.toLowerCase() !== 'keep-alive') return E.EFIELD;
      return 0;
    case 'content-length':
      if (plan.said >= 0 || !LENGTH.test(value)) return E.EFIELD;
      plan.said = Number(value);
      return 0;
    case 'keep-alive':
    case 'transfer-encoding':
      return E.EFIELD;
    default:
      return 0;
  }
}

// The framing of a final response (RFC 9112, 6.3; RFC 9110, 8.6). `length`: -1: not known.
function planContent(plan, { isHead, version }, length) {
  const free = isHead || plan.status === 304;
  const { said } = plan;
  if (said >= 0 && length >= 0 && said !== length && !(free && length === 0)) return E.ELENGTH;
  plan.expected = length < 0 ? Infinity : length;
  if (said >= 0 && length < 0) {
    length = said;
    plan.expected = free ? Infinity : length;
  }
  if (said >= 0 && free) length = said;
  plan.length = length;
  plan.body = 'none';
  if (plan.status === 204) return 0;
  plan.lengthField = length >= 0 && (plan.status !== 304 || said >= 0);
  plan.chunkedField = length < 0 && version !== 10 && plan.status !== 304;
  if (!free) plan.body = length >= 0 ? 'length' : version === 10 ? 'until-close' : 'chunked';
  return 0;
}

function bytesOf(fields) {
  let bytes = 0;
  for (const text of fields) bytes += text.length;
  return bytes;
}

// A plan, or the number of an error. `kind`: 'final', 'inform', 'upgrade'; `fields`: flat.
function planOf(kind, request, { status, phrase, fields }, length, maxHead) {
  if (!statusAllowed(kind, request, status)) return E.EINVAL;
  if (!VALUE.test(phrase)) return E.EFIELD;
  const plan = {
    status,
    said: -1,
    length: -1,
    expected: Infinity,
    body: kind === 'upgrade' ? 'tunnel' : 'none',
    whole: false,
    ownDate: false,
    close: false,
    upgradeField: false,
    lengthField: false,
    chunkedField: false,
  };
  for (let i = 0; i < fields.length; i += 2) {
    if (!TOKEN.test(fields[i]) || !VALUE.test(fields[i + 1])) return E.EFIELD;
    const error = note(plan, fields[i], fields[i + 1], kind);
    if (error > 0) return error;
  }
  const error = kind === 'final' ? planContent(plan, request, length) : otherFault(plan, kind, request);
  if (error > 0) return error;
  return bytesOf(fields) + phrase.length > maxHead ? E.ETOOBIG : plan;
}

function otherFault(plan, kind, { isConnect }) {
  if (plan.said >= 0) return E.EFIELD;
  return kind === 'upgrade' && !plan.upgradeField && !isConnect ? E.EFIELD : 0;
}

function trailersFault(trailers, maxHead) {
  for (let i = 0; i < trailers.length; i += 2) {
    const name = trailers[i].toLowerCase();
    if (!TOKEN.test(name) || !VALUE.test(trailers[i + 1]) || BEFORE_CONTENT.has(name)) return E.EFIELD;
  }
  return bytesOf(trailers) > maxHead ? E.ETOOBIG : 0;
}

module.exports = { phraseOf, TOKEN, VALUE, planOf, trailersFault };
