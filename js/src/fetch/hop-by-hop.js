// Fields that concern one connection only. Whoever passes a message on must leave them out (RFC 9110, 7.6.1).
'use strict';

const ALWAYS = new Set(['keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade']);
const OPTIONS = new Set(['close', 'keep-alive']); // of Connection, which name no field

function isHopByHop(name) {
  return name === 'connection' || ALWAYS.has(name);
}

// The names that are not to be passed on with this flat list of fields, or null: there is none of them.
function hopByHop(fields) {
  let names = null;
  for (let i = 0; i < fields.length; i += 2) {
    if (!isHopByHop(fields[i])) continue;
    if (names === null) names = new Set(ALWAYS);
    if (fields[i] !== 'connection') continue;
    names.add('connection');
    for (const option of fields[i + 1].toLowerCase().split(',')) names.add(option.trim());
  }
  return names;
}

// The flat list without the fields that `names` has.
function without(fields, names) {
  const left = [];
  for (let i = 0; i < fields.length; i += 2) if (!names.has(fields[i])) left.push(fields[i], fields[i + 1]);
  return left;
}

// Without the fields of the connection, but for what a server may say itself: that the connection ends, or stays.
function endToEnd(fields) {
  const names = hopByHop(fields);
  if (names === null) return fields;
  const left = without(fields, names);
  for (let i = 0; i < fields.length; i += 2)
    if (fields[i] === 'connection' && OPTIONS.has(fields[i + 1].trim().toLowerCase())) left.push('connection', fields[i + 1]);
  return left;
}

module.exports = { endToEnd, hopByHop, without };
