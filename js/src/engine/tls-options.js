// Checks the options of TLS, which are named as in node:https, Bun and Deno, and translates them for bindings/node/tls.c.
'use strict';

const fs = require('node:fs');

const native = require('../ring/native.js');
const { meantBy, noOption } = require('./option-names.js');

const OF_A_CERTIFICATE = ['cert', 'key', 'certFile', 'keyFile', 'passphrase', 'ocspFile', 'serverName'];
const OF_ALL = [
  'ca',
  'caFile',
  'requestCert',
  'rejectUnauthorized',
  'alpn',
  'ALPNProtocols',
  'alpnProtocols',
  'minVersion',
  'maxVersion',
  'ciphers',
  'ecdhCurve',
  'ticketKeys',
  'sessionTimeout',
  'refuseUnknownNames',
];
// Options of other servers that Carom lacks, and what to do instead. Ignoring one could make a server less safe than its author
// thinks, so each is refused.
const CURES = {
  pfx: 'give cert and key as PEM: openssl pkcs12 -in FILE -nodes',
  crl: 'revocation lists are not looked at',
  SNICallback: 'give a list: tls: [{ serverName, cert, key }, ...]',
  ALPNCallback: 'give a list: alpn: [...]',
  secureContext: 'give cert and key',
  secureProtocol: 'give minVersion',
  secureOptions: 'give minVersion and ciphers',
  sigalgs: 'they are those of OpenSSL',
  dhparam: 'only elliptic curves are used: ecdhCurve',
  dhParamsFile: 'only elliptic curves are used: ecdhCurve',
  privateKeyEngine: 'give key',
  privateKeyIdentifier: 'give key',
  clientCertEngine: 'give ca',
  pskCallback: 'give cert and key',
};
// Options of other servers that change nothing here: the engine always behaves so, or has no use for them.
const NEEDLESS = ['honorCipherOrder', 'lowMemoryMode', 'sessionIdContext', 'keyFormat'];
const NAMES_OF_TLS = [...OF_A_CERTIFICATE, ...OF_ALL];
const PROTOCOLS = ['h2', 'http/1.1', 'http/1.0'];
const VERSIONS = { 'TLSv1.2': 12, 'TLSv1.3': 13 };
const KEY_SIZE = 80; // of tickets
const MOST_KEYS = 8;
const WEEK = 604800;
const NAMES_OF_DEVELOPMENT = 'localhost,127.0.0.1,::1';
const LATIN = new TextEncoder();

const CLIENT_OFF = 0;
const CLIENT_WANTED = 1;
const CLIENT_REQUIRED = 2;

function isGiven(value) {
  return value !== undefined && value !== null;
}

// ---------------------------------------------------------------- values

function bytesOf(value) {
  if (typeof value === 'string') return LATIN.encode(value);
  if (value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return null;
}

function holds(bytes, text) {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(text);
}

// How the lines end that begin a certificate, or a key.
const OF_CERTIFICATES = 'CERTIFICATE-----';
const OF_KEYS = 'PRIVATE KEY-----';

// One value of a certificate or key: { bytes }, or { file } for a file of Bun's. `kind`: what it must hold.
function sourceOf(value, where, kind) {
  if (
    value !== null &&
    typeof value === 'object' &&
    typeof value.arrayBuffer === 'function' &&
    typeof value.name === 'string' &&
    value.name !== ''
  )
    return { file: value.name };
  const bytes = bytesOf(value);
  if (bytes === null) throw new TypeError(`${where} must be PEM: a string, Buffer or Uint8Array`);
  if (holds(bytes, kind)) return { bytes };
  if (holds(bytes, '-----BEGIN ')) throw new TypeError(`${where} is PEM, but not of a ${kind}`);
  throw new TypeError(
    `${where} must be PEM (-----BEGIN ...)${typeof value === 'string' ? `; for the name of a file there is ${where}File` : ''}`,
  );
}

function textOf(value, where) {
  if (typeof value !== 'string' || value === '' || value.includes('\0')) throw new TypeError(`${where} must be a string that is not empty`);
  return value;
}

function booleanOf(value, where) {
  if (typeof value !== 'boolean') throw new TypeError(`${where} must be true or false`);
  return value;
}

function listOf(value) {
  return Array.isArray(value) ? value : [value];
}

// The part of a PEM that is the key. Deno's reader refuses a PEM that holds more.
function keyIn(text) {
  const start = text.lastIndexOf('-----BEGIN ', text.indexOf(OF_KEYS));
  return text.slice(start, text.indexOf(OF_KEYS, text.indexOf('-----END ', start)) + OF_KEYS.length);
}

// Decrypts a key, because the engine takes only keys that are not encrypted.
function decrypted(bytes, passphrase, where) {
  const text = Buffer.from(bytes).toString('latin1');
  if (!text.includes('ENCRYPTED')) return bytes;
  if (!isGiven(passphrase)) throw new TypeError(`${where} is encrypted: give its passphrase`);
  const { createPrivateKey } = require('node:crypto');
  try {
    return LATIN.encode(createPrivateKey({ key: keyIn(text), passphrase }).export({ type: 'pkcs8', format: 'pem' }));
  } catch (error) {
    throw new TypeError(`${where} cannot be decrypted with this passphrase`, { cause: error });
  }
}

// ---------------------------------------------------------------- certificates

function nameOf(value, where) {
  const name = textOf(value, where);
  if (name.length > 253 || /[^A-Za-z0-9._*-]/.test(name) || name.lastIndexOf('*') > 0 || (name[0] === '*' && name[1] !== '.'))
    throw new TypeError(`${where} must be a host name, or "*." and one: not ${name.slice(0, 100)}`);
  return name;
}

function checkFiles(options, at) {
  for (const [name, file] of [
    ['cert', 'certFile'],
    ['key', 'keyFile'],
  ])
    if (isGiven(options[name]) && isGiven(options[file])) throw new TypeError(`${at}${name} or ${at}${file}, not both`);
}

// A key: the PEM itself, or { pem, passphrase }, which node allows in lists.
function keyOf(value, at) {
  if (!isGiven(value?.pem)) return sourceOf(value, `${at}key`, OF_KEYS);
  return { ...sourceOf(value.pem, `${at}key`, OF_KEYS), passphrase: value.passphrase };
}

// A certificate and its key in the engine's form. `passphrase` is kept when the key is in a file, since a reload reads it again.
function certificateOf(cert, key, options, at) {
  const made = { cert: null, key: null, certFile: cert.file || null, keyFile: null, passphrase: null, ocspFile: null, serverName: null };
  const passphrase = isGiven(key?.passphrase) ? key.passphrase : options.passphrase;
  if (cert.bytes !== undefined) made.cert = cert.bytes;
  if (key === null) {
    if (made.cert !== null && !holds(made.cert, OF_KEYS)) throw new TypeError(`${at}key is missing: the private key of ${at}cert`);
    if (made.cert !== null) made.key = decrypted(made.cert, passphrase, `${at}cert`);
    else made.keyFile = cert.file;
  } else if (key.file !== undefined) made.keyFile = key.file;
  else made.key = decrypted(key.bytes, passphrase, `${at}key`);
  if (made.keyFile !== null && isGiven(passphrase)) made.passphrase = passphrase;
  if (isGiven(options.ocspFile)) made.ocspFile = textOf(options.ocspFile, `${at}ocspFile`);
  if (isGiven(options.serverName)) made.serverName = nameOf(options.serverName, `${at}serverName`);
  return made;
}

// The certificates of one object: cert and key may be lists of the same length.
function certificatesOf(options, at) {
  checkFiles(options, at);
  const certs = isGiven(options.certFile)
    ? [{ file: textOf(options.certFile, `${at}certFile`) }]
    : isGiven(options.cert)
      ? listOf(options.cert).map((value) => sourceOf(value, `${at}cert`, OF_CERTIFICATES))
      : [];
  const keys = isGiven(options.keyFile)
    ? [{ file: textOf(options.keyFile, `${at}keyFile`) }]
    : isGiven(options.key)
      ? listOf(options.key).map((value) => keyOf(value, at))
      : [];
  if (certs.length === 0 && keys.length > 0) throw new TypeError(`${at}cert is missing: the certificate of ${at}key`);
  if (keys.length > 0 && keys.length !== certs.length)
    throw new TypeError(
      `${at}cert and ${at}key must be lists of the same length: a key for each certificate (a certificate and its chain are one)`,
    );
  if (certs.length !== 1 && isGiven(options.ocspFile))
    throw new TypeError(`${at}ocspFile is for one certificate: of several give a list of { cert, key, ocspFile }`);
  return certs.map((cert, i) => certificateOf(cert, keys.length === 0 ? null : keys[i], options, at));
}

// ---------------------------------------------------------------- what holds for all

function trustOf(options, at, common) {
  if (isGiven(options.ca) && isGiven(options.caFile)) throw new TypeError(`${at}ca or ${at}caFile, not both`);
  if (isGiven(options.caFile)) [common.ca, common.caFile] = [null, textOf(options.caFile, `${at}caFile`)];
  if (isGiven(options.ca)) {
    const sources = listOf(options.ca).map((value) => sourceOf(value, `${at}ca`, OF_CERTIFICATES));
    if (sources.some(({ file }) => file !== undefined)) {
      if (sources.length > 1) throw new TypeError(`${at}ca may be one file, or PEM`);
      [common.ca, common.caFile] = [null, sources[0].file];
    } else [common.ca, common.caFile] = [new Uint8Array(Buffer.concat(sources.flatMap(({ bytes }) => [bytes, LATIN.encode('\n')]))), null];
  }
  if (isGiven(options.requestCert)) common.requestCert = booleanOf(options.requestCert, `${at}requestCert`);
  if (isGiven(options.rejectUnauthorized)) common.rejectUnauthorized = booleanOf(options.rejectUnauthorized, `${at}rejectUnauthorized`);
}

function alpnOf(value, where) {
  const protocols = listOf(value);
  for (const protocol of protocols)
    if (!PROTOCOLS.includes(protocol))
      throw new TypeError(`${where} may have 'h2', 'http/1.1' and 'http/1.0', not ${String(protocol).slice(0, 100)}`);
  if (protocols.length === 0) throw new TypeError(`${where} must name a protocol: 'h2', 'http/1.1', 'http/1.0'`);
  return protocols;
}

function versionsOf(options, at, common) {
  const { minVersion, maxVersion } = options;
  if (isGiven(minVersion) && !Object.hasOwn(VERSIONS, minVersion))
    throw new TypeError(`${at}minVersion must be 'TLSv1.2' or 'TLSv1.3', not ${String(minVersion).slice(0, 100)}`);
  if (isGiven(minVersion)) common.minVersion = VERSIONS[minVersion];
  if (isGiven(maxVersion) && maxVersion !== 'TLSv1.3') throw new TypeError(`${at}maxVersion can only be 'TLSv1.3': newer clients get it`);
}

// As in node, one list has the ciphers of all versions: names that begin with TLS_ are of TLS 1.3. A list of these alone
// switches TLS 1.2 off.
function ciphersOf(value, where, common) {
  const names = textOf(value, where)
    .split(':')
    .filter((name) => name !== '');
  const suites = names.filter((name) => name.startsWith('TLS_'));
  const others = names.filter((name) => !name.startsWith('TLS_'));
  common.suites = suites.length > 0 ? suites.join(':') : null;
  common.ciphers = others.length > 0 ? others.join(':') : null;
  if (others.length === 0) common.minVersion = VERSIONS['TLSv1.3'];
}

function ticketsOf(options, at, common) {
  if (isGiven(options.ticketKeys)) {
    const keys = bytesOf(options.ticketKeys);
    if (
      keys === null ||
      typeof options.ticketKeys === 'string' ||
      keys.length === 0 ||
      keys.length % KEY_SIZE !== 0 ||
      keys.length > KEY_SIZE * MOST_KEYS
    )
      throw new TypeError(`${at}ticketKeys must be a Uint8Array of 1 to ${MOST_KEYS} keys of ${KEY_SIZE} random bytes`);
    common.ticketKeys = keys;
  }
  if (isGiven(options.sessionTimeout)) {
    const { sessionTimeout } = options;
    if (!Number.isInteger(sessionTimeout) || sessionTimeout < 1 || sessionTimeout > WEEK)
      throw new RangeError(`${at}sessionTimeout must be a number of seconds from 1 to ${WEEK}`);
    common.ticketLifetime = sessionTimeout;
  }
}

function commonOf(options, at) {
  const common = {};
  trustOf(options, at, common);
  const alpn = ['alpn', 'ALPNProtocols', 'alpnProtocols'].find((name) => isGiven(options[name]));
  if (alpn !== undefined) common.alpn = alpnOf(options[alpn], `${at}${alpn}`);
  versionsOf(options, at, common);
  if (isGiven(options.ciphers)) ciphersOf(options.ciphers, `${at}ciphers`, common);
  if (isGiven(options.ecdhCurve) && options.ecdhCurve !== 'auto') common.groups = textOf(options.ecdhCurve, `${at}ecdhCurve`);
  ticketsOf(options, at, common);
  if (isGiven(options.refuseUnknownNames))
    common.refuseUnknownNames = Number(booleanOf(options.refuseUnknownNames, `${at}refuseUnknownNames`));
  return common;
}

// ---------------------------------------------------------------- where they stand

// `all`: the object holds options of TLS only, so an unknown name is refused.
function refuseOthers(options, at, all) {
  for (const name of Object.keys(CURES)) if (isGiven(options[name])) throw new TypeError(`${at}${name} is not there: ${CURES[name]}`);
  if (!all) return;
  for (const name of Object.keys(options))
    if (isGiven(options[name]) && !NAMES_OF_TLS.includes(name) && !NEEDLESS.includes(name))
      throw noOption(at, name, meantBy(name, NAMES_OF_TLS));
}

// { certificates, common } of one object or of a list. In a list the first object has the options that hold for all.
function parse(given, at, all) {
  if (given === 'dev') return { certificates: [selfSigned()], common: {} };
  if (given === null || typeof given !== 'object')
    throw new TypeError("tls must be { cert, key }, a list of such, or 'dev' for a certificate to try with");
  if (!Array.isArray(given)) {
    refuseOthers(given, at, all);
    return { certificates: certificatesOf(given, at), common: commonOf(given, at) };
  }
  if (given.length === 0) throw new TypeError('tls is an empty list: give { serverName, cert, key }');
  const parts = given.map((one, i) => {
    const where = `tls[${i}].`;
    if (one === null || typeof one !== 'object' || Array.isArray(one)) throw new TypeError(`tls[${i}] must be { serverName, cert, key }`);
    refuseOthers(one, where, true);
    const late = i > 0 && OF_ALL.find((name) => isGiven(one[name]));
    if (late) throw new TypeError(`${where}${late} holds for all names: it stands in tls[0]`);
    const certificates = certificatesOf(one, where);
    if (certificates.length === 0) throw new TypeError(`${where}cert is missing`);
    return certificates;
  });
  return { certificates: parts.flat(), common: commonOf(given[0], 'tls[0].') };
}

function selfSigned() {
  const made = native.selfSigned(NAMES_OF_DEVELOPMENT);
  if (typeof made === 'number') throw new Error(`cannot make a certificate: ${native.errorText(-made)}`);
  return { cert: LATIN.encode(made.cert), key: LATIN.encode(made.key), certFile: null, keyFile: null, ocspFile: null, serverName: null };
}

function checkTogether({ certificates, common }, options) {
  if (certificates.length === 0) throw new TypeError('cert is missing: TLS needs cert and key, as PEM');
  if (common.requestCert === true && !common.ca && !common.caFile)
    throw new TypeError('ca is missing: requestCert needs to know whom to trust');
  if (options.http2 === false && common.alpn !== undefined && common.alpn.includes('h2'))
    throw new TypeError("alpn has 'h2', but http2 is false");
}

// The TLS part of a server's options: { certificates, common }, or null for a server without TLS.
function tlsOf(options) {
  const { tls } = options;
  const beside = [...OF_A_CERTIFICATE, ...OF_ALL].filter((name) => isGiven(options[name]));
  if (isGiven(tls) && tls !== false) {
    if (beside.length > 0) throw new TypeError(`${beside[0]} stands beside tls: put it into tls`);
    const parsed = parse(tls, 'tls.', true);
    checkTogether(parsed, options);
    return parsed;
  }
  if (beside.length === 0) {
    refuseOthers(options, '', false);
    return null;
  }
  const parsed = parse(options, '', false);
  checkTogether(parsed, options);
  return parsed;
}

// `before` with the options that are given in their place: all certificates together, other options one by one.
function changed(before, given, options) {
  if (given === undefined) return before;
  const { certificates, common } = parse(given, '', true);
  const after = { certificates: certificates.length > 0 ? certificates : before.certificates, common: { ...before.common, ...common } };
  checkTogether(after, options);
  return after;
}

// The engine reads key files itself unless they are encrypted; then they are read and decrypted here.
function readKey({ keyFile, passphrase, ...rest }) {
  if (passphrase === null) return { ...rest, keyFile };
  let bytes;
  try {
    bytes = fs.readFileSync(keyFile);
  } catch {
    return { ...rest, keyFile }; // the engine says why
  }
  return { ...rest, key: decrypted(bytes, passphrase, keyFile), keyFile: null };
}

// The form that bindings/node/tls.c reads.
function forEngine({ certificates, common }) {
  const { requestCert = false, rejectUnauthorized = true, ...rest } = common;
  return {
    ...rest,
    certificates: certificates.map(readKey),
    client: !requestCert ? CLIENT_OFF : rejectUnauthorized ? CLIENT_REQUIRED : CLIENT_WANTED,
  };
}

// ---------------------------------------------------------------- what the engine says

const WHAT = { CAROM_ECERTIFICATE: 'the certificate cannot be used', CAROM_EKEY: 'the key cannot be used', CAROM_EINVAL: 'options of TLS' };
const HINTS = [
  ['key values mismatch', 'it is the key of another certificate'],
  ['no start line', 'it is no PEM of a certificate'],
  ['private key: unsupported', 'it is no PEM of a key'],
  ['bad password read', 'it is encrypted: give its passphrase'],
  ['bad base64 decode', 'the PEM is damaged'],
  ['no cipher match', 'see openssl-ciphers(1)'],
];

// The TypeError for an error number of the engine: the line that the engine logged, and a cure where one is known. Null when
// the number has nothing to do with TLS.
function tlsFault(number) {
  const code = native.errorName(-number);
  const said = native.said();
  if (WHAT[code] === undefined || said === undefined || !said.startsWith('TLS: ')) return null;
  const hint = HINTS.find(([words]) => said.includes(words));
  const error = new TypeError(`${WHAT[code]}: ${said.slice('TLS: '.length)}${hint === undefined ? '' : ` (${hint[1]})`}`);
  error.code = code;
  return error;
}

// Shows what the engine logged although loading succeeded, such as a certificate that has expired.
function warn() {
  const said = native.said();
  if (said !== undefined && said.startsWith('TLS: ')) console.warn(`carom: ${said}`);
}

module.exports = { tlsOf, changed, forEngine, tlsFault, warn, NAMES_OF_TLS, OF_A_CERTIFICATE, CURES };
