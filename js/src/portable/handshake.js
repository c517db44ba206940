// The handshake of WebSocket: whether a request is one (RFC 6455, 4.2.1; of HTTP/2 RFC 8441, 5), and what answers it.
'use strict';

const { createHash } = require('node:crypto');
const { E } = require('./names.js');
const { TOKEN } = require('./plan.js');

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const KEY = /^[0-9A-Za-z+/]{22}==$/;
const OURS = ['upgrade', 'connection', 'sec-websocket-accept', 'sec-websocket-extensions'];
const NAMES_MOST = 64;

function valuesOf({ fields }, name) {
  const values = [];
  for (let i = 0; i < fields.length; i += 2) if (fields[i].toLowerCase() === name) values.push(fields[i + 1]);
  return values;
}

function only(head, name) {
  const values = valuesOf(head, name);
  return values.length === 1 ? values[0] : null;
}

// "host", "host:port": with the port of the scheme where none is named.
function authorityOf(text, port) {
  const match = /^(.*?)(?::(\d{0,5}))?$/.exec(text.toLowerCase());
  return `${match[1]}:${match[2] || port}`;
}

function isSameOrigin(origin, secure, host) {
  const match = /^(https?):\/\/(.+)$/i.exec(origin);
  if (match === null || host === null || host === '') return false;
  const https = match[1].toLowerCase() === 'https';
  if (secure && !https) return false;
  const port = https ? 443 : 80;
  return authorityOf(match[2], port) === authorityOf(host, port);
}

function originIsAllowed(head, secure, origins) {
  const values = valuesOf(head, 'origin');
  if (values.length === 0) return true;
  if (values.length > 1) return false;
  const [origin] = values;
  if (origins.length === 0) return isSameOrigin(origin, secure, only(head, 'host'));
  return origins.some((one) => one === '*' || one.toLowerCase() === origin.toLowerCase());
}

// 0, or the status that answers what is no handshake.
function faultOf({ head, core }, settings) {
  const isH2 = head.version === 20;
  if (!isH2 && head.method !== 'GET') return 400;
  if (only(head, 'sec-websocket-version') !== '13') return 426;
  if (!isH2 && !KEY.test(only(head, 'sec-websocket-key') || '')) return 400;
  return originIsAllowed(head, core.secure, settings.origins) ? 0 : 403;
}

// The elements of lists, or null: there is one that is none.
function elementsOf(values) {
  if (values.length === 0) return [];
  const elements = values
    .join(',')
    .split(',')
    .map((element) => element.trim())
    .filter((element) => element !== '');
  return elements.length === 0 ? null : elements;
}

// The subprotocol that both speak, '' for none; null: the offer is none.
function protocolOf(head, ours) {
  const offered = elementsOf(valuesOf(head, 'sec-websocket-protocol'));
  if (
    offered === null ||
    offered.length > NAMES_MOST ||
    offered.some((name) => !TOKEN.test(name)) ||
    new Set(offered).size < offered.length
  )
    return null;
  return offered.find((name) => ours.includes(name)) || '';
}

// What the offer of permessage-deflate says: { bits } or null: it cannot be taken; throws a status.
function offerOf(element) {
  const [name, ...parameters] = element.split(';').map((part) => part.trim());
  if (!TOKEN.test(name)) throw E.EFIELD;
  let bits = 0;
  let isTaken = name === 'permessage-deflate';
  const seen = new Set();
  for (const parameter of parameters) {
    const [key, value] = parameter.split('=').map((part) => part.trim());
    const bare = value === undefined ? undefined : value.replace(/^"(.*)"$/, '$1');
    if (!TOKEN.test(key) || (bare !== undefined && !TOKEN.test(bare))) throw E.EFIELD;
    const isWindow = key === 'server_max_window_bits' || key === 'client_max_window_bits';
    const isFlag = key === 'server_no_context_takeover' || key === 'client_no_context_takeover';
    const isBits = /^(8|9|1[0-5])$/.test(bare || '');
    if (seen.has(key) || (isFlag ? bare !== undefined : !isWindow || !(isBits || (bare === undefined && key[0] === 'c')))) isTaken = false;
    if (key === 'server_max_window_bits') bits = Number(bare);
    seen.add(key);
  }
  return isTaken ? { bits } : null;
}

// The answer to what is offered: no context is kept between messages. '' for none; null: it is no offer.
function extensionsOf(head, settings) {
  const elements = elementsOf(valuesOf(head, 'sec-websocket-extensions'));
  if (elements === null) return null;
  try {
    const offers = elements.map(offerOf);
    const taken = offers.find((offer) => offer !== null && (offer.bits === 0 || offer.bits === 15));
    if (taken === undefined || !settings.deflates) return '';
    const bits = taken.bits === 15 ? '; server_max_window_bits=15' : '';
    return `permessage-deflate; server_no_context_takeover; client_no_context_takeover${bits}`;
  } catch (error) {
    if (error !== E.EFIELD) throw error;
    return null;
  }
}

function acceptOf(key) {
  return createHash('sha1')
    .update(key + GUID)
    .digest('base64');
}

// { status, fields } of a refusal; { response, protocol, deflate }; or an error.
function handshake(record, settings, given) {
  const { head } = record;
  const isH2 = head.version === 20;
  const status = faultOf(record, settings);
  const protocol = status > 0 ? null : protocolOf(head, settings.protocols);
  const extensions = protocol === null ? null : extensionsOf(head, settings);
  if (extensions === null) return refusal(status || 400, isH2);
  const fields = [...given];
  let chosen = protocol;
  for (let i = 0; i < given.length; i += 2) {
    const name = given[i].toLowerCase();
    if (OURS.includes(name)) return E.EFIELD;
    if (name === 'sec-websocket-protocol') chosen = '';
  }
  if (!isH2) fields.push('Upgrade', 'websocket', 'Sec-WebSocket-Accept', acceptOf(only(head, 'sec-websocket-key')));
  if (chosen !== '') fields.push('Sec-WebSocket-Protocol', chosen);
  if (extensions !== '') fields.push('Sec-WebSocket-Extensions', extensions);
  return { response: { status: isH2 ? 200 : 101, phrase: '', fields }, protocol: chosen, deflate: extensions !== '' };
}

function refusal(status, isH2) {
  const fields = status === 426 ? ['Sec-WebSocket-Version', '13'] : ['Content-Length', '0'];
  if (status === 426 && !isH2) fields.unshift('Upgrade', 'websocket');
  return { status, fields };
}

module.exports = { handshake };
