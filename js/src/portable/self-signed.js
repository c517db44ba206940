// A certificate to try with, in DER (RFC 5280) by hand: the runtime makes keys and signatures, but no certificates.
'use strict';

const crypto = require('node:crypto');

const DAYS = 30;
const DAY = 86_400_000;
const OIDS = {
  ecdsaWithSha256: '2a8648ce3d040302',
  commonName: '550403',
  subjectAltName: '551d11',
  basicConstraints: '551d13',
  extKeyUsage: '551d25',
  serverAuth: '2b06010505070301',
};

function der(tag, ...parts) {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head = length < 128 ? [tag, length] : length < 256 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from(head), content]);
}

const sequence = (...parts) => der(0x30, ...parts);
const oid = (name) => der(6, Buffer.from(OIDS[name], 'hex'));
const octets = (bytes) => der(4, bytes);

function time(milliseconds) {
  const digits = new Date(milliseconds).toISOString().replace(/[-:T]/g, '').slice(2, 14);
  return der(0x17, Buffer.from(`${digits}Z`));
}

function nameOf(name) {
  if (!/^[0-9.]+$/.test(name) && !name.includes(':')) return der(0x82, Buffer.from(name));
  const bytes = name.includes(':') ? Buffer.concat([Buffer.alloc(15), Buffer.from([1])]) : Buffer.from(name.split('.').map(Number));
  return der(0x87, bytes); // of IPv6 there is ::1 alone
}

function pem(kind, bytes) {
  return `-----BEGIN ${kind}-----\n${bytes.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()}\n-----END ${kind}-----\n`;
}

// `names`: separated by commas. { cert, key } in PEM.
function selfSigned(names) {
  const list = names.split(',').map((name) => name.trim());
  const { publicKey, privateKey } = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = sequence(oid('ecdsaWithSha256'));
  const who = sequence(der(0x31, sequence(oid('commonName'), der(0x0c, Buffer.from(list[0])))));
  const serial = crypto.randomBytes(16);
  serial[0] = (serial[0] & 0x7f) | 0x40;
  const extensions = sequence(
    sequence(oid('subjectAltName'), octets(sequence(...list.map(nameOf)))),
    sequence(oid('basicConstraints'), der(1, Buffer.from([255])), octets(sequence())),
    sequence(oid('extKeyUsage'), octets(sequence(oid('serverAuth')))),
  );
  const certificate = sequence(
    der(0xa0, der(2, Buffer.from([2]))),
    der(2, serial),
    algorithm,
    who,
    sequence(time(Date.now() - DAY), time(Date.now() + DAYS * DAY)),
    who,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  );
  const signature = crypto.sign('sha256', certificate, privateKey);
  const signed = sequence(certificate, algorithm, der(3, Buffer.from([0]), signature));
  return { cert: pem('CERTIFICATE', signed), key: privateKey.export({ type: 'pkcs8', format: 'pem' }) };
}

module.exports = { selfSigned };
