// Media types (MIME Sniffing, 4; Fetch, "extract a MIME type").
'use strict';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const ESSENCE = /^[!#$%&'*+\-.^_`|~0-9a-z]+\/[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

// Splits a text at each `mark` that is not within quotes.
function split(text, mark) {
  const parts = [];
  let start = 0;
  let inQuotes = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (inQuotes && character === '\\') i++;
    else if (character === '"') inQuotes = !inQuotes;
    else if (character === mark && !inQuotes) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}

function unquoted(text) {
  let value = '';
  for (let i = 1; i < text.length && text[i] !== '"'; i++) {
    if (text[i] === '\\' && i + 1 < text.length) i++;
    value += text[i];
  }
  return value;
}

// { essence, parameters }, or null when the text is no media type.
function parse(text) {
  const [first, ...rest] = split(text, ';');
  const essence = first.trim().toLowerCase();
  if (!ESSENCE.test(essence)) return null;
  const parameters = new Map();
  for (const part of rest) {
    const at = part.indexOf('=');
    if (at < 0) continue;
    const name = part.slice(0, at).trimStart().toLowerCase();
    const given = part.slice(at + 1).trimEnd();
    const value = given.startsWith('"') ? unquoted(given) : given;
    if (given !== '' && TOKEN.test(name) && VALUE.test(value) && !parameters.has(name)) parameters.set(name, value);
  }
  return { essence, parameters };
}

function serialize({ essence, parameters }) {
  let text = essence;
  for (const [name, value] of parameters) text += `;${name}=${TOKEN.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`}`;
  return text;
}

// The media type that a content-type field says, which may have been sent more than once; '' when it says none.
function mediaType(field) {
  let found = null;
  let charset;
  for (const part of split(field || '', ',')) {
    const type = parse(part);
    if (type === null || type.essence === '*/*') continue;
    if (found === null || type.essence !== found.essence) charset = type.parameters.get('charset');
    else if (type.parameters.has('charset')) charset = type.parameters.get('charset');
    else if (charset !== undefined) type.parameters.set('charset', charset);
    found = type;
  }
  return found === null ? '' : serialize(found);
}

module.exports = { mediaType };
