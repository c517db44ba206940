// The members of tls.TLSSocket for a socket over TLS. The engine is asked when a member is first looked at, which must be before
// the response is sent. Later looks give the same answer.
'use strict';

function tlsOf(socket) {
  if (socket.tlsSeen === undefined) {
    const { exchange } = socket;
    if (exchange === null || exchange.released) return null;
    socket.tlsSeen = exchange.tls();
  }
  return socket.tlsSeen;
}

function certificateOf(socket) {
  const der = tlsOf(socket)?.peerCertificate;
  if (!der) return undefined;
  const { X509Certificate } = require('node:crypto');
  return new X509Certificate(der);
}

// The members by their names, for the prototype of a socket.
const members = {
  // May be set, which those do who stand behind a proxy that speaks TLS.
  get encrypted() {
    return this.encryptedAs ?? (this.engineConnection || this.exchange).secure === true;
  },
  set encrypted(value) {
    this.encryptedAs = value;
  },
  // The engine ends the handshake of a client whose certificate it does not trust.
  get authorized() {
    return Boolean(tlsOf(this)?.peerCertificate);
  },
  get authorizationError() {
    return null;
  },
  get alpnProtocol() {
    return tlsOf(this)?.alpn || false;
  },
  get servername() {
    return tlsOf(this)?.serverName || false;
  },
  getProtocol() {
    return tlsOf(this)?.version || null;
  },
  getCipher() {
    const tls = tlsOf(this);
    return tls === null ? undefined : { name: tls.cipher, standardName: tls.cipher, version: tls.version };
  },
  getPeerCertificate() {
    return certificateOf(this)?.toLegacyObject() || {};
  },
  getPeerX509Certificate() {
    return certificateOf(this);
  },
  isSessionReused() {
    return Boolean(tlsOf(this)?.resumed);
  },
};

function secure(prototype) {
  Object.defineProperties(prototype, Object.getOwnPropertyDescriptors(members));
  prototype.tlsSeen = prototype.encryptedAs = undefined;
}

module.exports = { secure };
