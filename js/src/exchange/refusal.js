// Finds out why the engine refuses a response, so that the error can name the field or the limit.
'use strict';

const { fieldsBytes } = require('../ring/codec.js');

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const SHOWN = 40; // characters of a value

function shown(text) {
  return JSON.stringify(text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text);
}

// What is wrong with a field, or null. The rules are those of carom_response_plan (src/wire/semantics.c).
function faultOf(name, value, lengths) {
  if (name === '') return VALUE.test(value) ? null : `the status text ${shown(value)} has a character that cannot be sent`;
  if (!TOKEN.test(name)) return `${shown(name)} is no name of a field`;
  if (!VALUE.test(value)) return `the value of ${name}, ${shown(value)}, has a character that cannot be sent`;
  switch (name.toLowerCase()) {
    case 'content-length':
      if (!/^\d{1,18}$/.test(value)) return `Content-Length is ${shown(value)}, which is no length`;
      return lengths > 1 ? 'Content-Length is given twice' : null;
    case 'connection':
      return /^(close|keep-alive)$/i.test(value) ? null : `Connection is ${shown(value)}, and may be close or keep-alive`;
    case 'transfer-encoding':
    case 'keep-alive':
      return `${name} is the engine's to say`;
    case 'upgrade':
      return `${name} is in an informational response, or is missing in an upgrade`;
    default:
      return null;
  }
}

function wrongField(fields) {
  const lengths = fields.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'content-length').length;
  for (let i = 0; i < fields.length; i += 2) {
    const fault = faultOf(fields[i], fields[i + 1], lengths);
    if (fault !== null) return fault;
  }
  return null;
}

function longest(fields) {
  let at = 0;
  for (let i = 0; i < fields.length; i += 2) if (fields[i + 1].length > fields[at + 1].length) at = i;
  return at;
}

function tooLong(fields, most) {
  const at = longest(fields);
  return `response fields may take ${most} bytes in all (maxResponseHead), and these take ${fieldsBytes(fields)}: ${fields[at]} alone has ${fields[at + 1].length}`;
}

// `text` is the engine's for the error `code`; `status` and `fields`, flat or null, are those of the response; `most` is maxResponseHead.
function whyRefused(code, text, { status, fields }, most) {
  fields ||= [];
  if (code === 'CAROM_EINVAL' && status > 0) return `${status} is no status that may be sent here`;
  if (code === 'CAROM_ETOOBIG' && fields.length > 0) return tooLong(fields, most);
  if (code === 'CAROM_EFIELD') return wrongField(fields) || text;
  if (code === 'CAROM_ELENGTH') {
    const at = fields.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'content-length');
    if (at >= 0) return `${text}: Content-Length is ${shown(fields[at + 1])}`;
  }
  return text;
}

module.exports = { whyRefused };
