// Options of TLS in the form that bindings/node/tls.c reads, as the runtime wants them.
'use strict';

const fs = require('node:fs');
const tls = require('node:tls');
const { X509Certificate } = require('node:crypto');
const { E } = require('./names.js');

const WANTED = 1;
const REQUIRED = 2;

let said; // why TLS cannot be used, until somebody asks

function takeSaid() {
  const line = said;
  said = undefined;
  return line;
}

function tlsError(error) {
  const text = error.reason || error.message;
  said = `TLS: ${error.where || 'certificate'}: ${text}`;
  return error.where === 'private key' || /key/i.test(text) ? E.EKEY : E.ECERTIFICATE;
}

function bytesOf(bytes, file, where) {
  if (bytes !== undefined && bytes !== null) return Buffer.from(bytes);
  try {
    return fs.readFileSync(file);
  } catch (error) {
    throw Object.assign(new Error(`${file}: ${error.code}`), { where });
  }
}

function trustOf({ ca, caFile }) {
  if (ca) return Buffer.from(ca);
  return caFile ? bytesOf(null, caFile, 'certificate') : undefined;
}

// The names that a certificate serves, lower case.
function namesOf(certificate, serverName) {
  if (serverName) return serverName.toLowerCase().split(',');
  const names = new X509Certificate(certificate).subjectAltName || '';
  return names
    .split(', ')
    .filter((name) => name.startsWith('DNS:'))
    .map((name) => name.slice(4).toLowerCase());
}

function contextOf(one, common) {
  const cert = bytesOf(one.cert, one.certFile, 'certificate');
  const key = one.key || one.keyFile ? bytesOf(one.key, one.keyFile, 'private key') : cert;
  const { minVersion, ciphers, suites, groups } = common;
  const options = { cert, key, minVersion: minVersion === 13 ? 'TLSv1.3' : 'TLSv1.2' };
  if (ciphers || suites) options.ciphers = [suites, ciphers].filter(Boolean).join(':');
  if (groups) options.ecdhCurve = groups;
  const ca = trustOf(common);
  if (ca !== undefined) options.ca = ca;
  return { options, context: tls.createSecureContext(options), names: namesOf(cert, one.serverName) };
}

function serves(names, name) {
  const dot = name.indexOf('.');
  return names.includes(name) || (dot > 0 && names.includes(`*${name.slice(dot)}`));
}

function tlsOptions({ certificates, client, alpn, refuseUnknownNames, ticketKeys, ticketLifetime, ...common }, settings) {
  const contexts = certificates.map((one) => contextOf(one, common));
  const options = {
    ...contexts[0].options,
    allowHalfOpen: true,
    ALPNProtocols: alpn || (settings.http2 ? ['h2', 'http/1.1'] : ['http/1.1']),
    requestCert: client === WANTED || client === REQUIRED,
    rejectUnauthorized: client === WANTED || client === REQUIRED,
  };
  if (client === WANTED) options.rejectUnauthorized = false;
  if (settings.handshakeTimeout !== false) options.handshakeTimeout = settings.handshakeTimeout;
  if (ticketLifetime) options.sessionTimeout = ticketLifetime;
  // The context for a client that names its server; undefined: it is refused.
  const pick = (name) => {
    const found = contexts.find(({ names }) => serves(names, name.toLowerCase()));
    return found === undefined && refuseUnknownNames ? undefined : (found || contexts[0]).context;
  };
  return { options, pick };
}

module.exports = { tlsOptions, tlsError, takeSaid };
