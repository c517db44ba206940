// Options of TLS that are not valid: each is refused with an error that names it and says what to do.
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, describe, after } from 'node:test';

import { serve, Response } from '../index.mjs';
import { certificate, own } from './transports.mjs';

const { cert, key } = own;
const other = certificate('other.test,*.wild.test');
const folder = mkdtempSync(path.join(tmpdir(), 'carom-tls-options-'));
after(() => rmSync(folder, { recursive: true }));
const hello = () => new Response('hello');

describe('options of TLS that cannot be', () => {
  const refused = (options, message, more = {}) =>
    assert.throws(() => serve({ port: 0, hostname: '127.0.0.1', onListen() {}, ...options }, hello), {
      name: 'TypeError',
      message,
      ...more,
    });

  test('are refused by name, with the cure', () => {
    refused({ key }, /^cert is missing/);
    refused({ cert }, /^key is missing: the private key of cert/);
    refused({ cert: '/etc/cert.pem', key }, /^cert must be PEM .* certFile/);
    refused({ cert: 7, key }, /^cert must be PEM/);
    refused({ cert: key, key: cert }, /^cert is PEM, but not of a CERTIFICATE/);
    refused({ cert, key: cert }, /^key is PEM, but not of a PRIVATE KEY/);
    refused({ ...own, alpnProtocols: ['spdy'] }, /^alpnProtocols may have 'h2'/);
    refused({ certfile: 'a', keyfile: 'b' }, /^there is no option certfile: certFile is meant\?$/);
    refused({ cert, key: [key, key] }, /lists of the same length/);
    refused({ cert: [cert, cert], key }, /lists of the same length/);
    refused({ cert, certFile: 'x', key }, /^cert or certFile, not both/);
    refused({ cert, tls: own }, /^cert stands beside tls: put it into tls/);
    refused({ tls: {} }, /^cert is missing/);
    refused({ tls: [] }, /^tls is an empty list/);
    refused({ tls: 'yes' }, /^tls must be \{ cert, key \}/);
    refused({ tls: true }, /^tls must be \{ cert, key \}/);
    refused({ tls: { ...own, certt: 'x' } }, /^there is no option tls\.certt: tls\.cert is meant\?$/);
    refused({ tls: { ...own, whatever: 'x' } }, /^there is no option tls\.whatever$/);
    refused({ tls: [own, { ...other, requestCert: true }] }, /^tls\[1\]\.requestCert holds for all names: it stands in tls\[0\]/);
    refused({ tls: [own, { serverName: 'a' }] }, /^tls\[1\]\.cert is missing/);
    refused({ tls: { ...own, serverName: 'a*b' } }, /^tls\.serverName must be a host name/);
    refused({ ...own, requestCert: true }, /^ca is missing/);
    refused({ ...own, requestCert: 1 }, /^requestCert must be true or false/);
    refused({ ...own, alpn: ['spdy'] }, /^alpn may have 'h2'/);
    refused({ ...own, alpn: [] }, /^alpn must name a protocol/);
    refused({ ...own, alpn: ['h2'], http2: false }, /^alpn has 'h2', but http2 is false/);
    refused({ http2: 'no' }, /^http2 must be true or false/);
    refused({ ...own, minVersion: 'TLSv1' }, /^minVersion must be 'TLSv1\.2' or 'TLSv1\.3', not TLSv1/);
    refused({ ...own, maxVersion: 'TLSv1.2' }, /^maxVersion can only be/);
    refused({ ...own, ticketKeys: new Uint8Array(79) }, /^ticketKeys must be/);
    refused({ ...own, refuseUnknownNames: 'yes' }, /^refuseUnknownNames must be true or false/);
    refused({ cert: [cert, other.cert], key: [key, other.key], ocspFile: 'x' }, /^ocspFile is for one certificate/);
    refused({ ...own, pfx: Buffer.alloc(1) }, /^pfx is not there: give cert and key as PEM/);
    refused({ SNICallback() {} }, /^SNICallback is not there: give a list/);
    refused({ requestCert: true }, /^cert is missing/);
    assert.throws(() => serve({ ...own, sessionTimeout: 1e9 }, hello), RangeError);
  });

  test('are refused by the engine, in one line that says why', () => {
    refused({ cert, key: other.key }, /^the key cannot be used: \(in memory\): [^\n]*key values mismatch/, { code: 'CAROM_EKEY' });
    refused({ cert: cert.replace('MII', '???'), key }, /^the certificate cannot be used: [^\n]*\(the PEM is damaged\)$/, {
      code: 'CAROM_ECERTIFICATE',
    });
    refused({ certFile: '/nowhere.pem', keyFile: '/nowhere.pem' }, /nowhere\.pem: [^\n]*No such file or directory/, {
      code: 'CAROM_ECERTIFICATE',
    });
    refused({ ...own, ciphers: 'NONE-SUCH' }, /^options of TLS: [^\n]*no cipher match/, { code: 'CAROM_EINVAL' });
    const secret = createPrivateKey(key).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open' });
    refused({ cert, key: secret }, /^key is encrypted: give its passphrase/);
    refused({ cert, key: secret, passphrase: 'wrong' }, /^key cannot be decrypted with this passphrase/);
    const files = Object.entries({ cert, key, secret }).map(([name, text]) => {
      const file = path.join(folder, `${name}-refused.pem`);
      writeFileSync(file, text);
      return file;
    });
    refused({ certFile: files[0], keyFile: files[2] }, /secret-refused\.pem: [^\n]*\(it is encrypted: give its passphrase\)$/, {
      code: 'CAROM_EKEY',
    });
    refused(
      { certFile: files[0], keyFile: files[2], passphrase: 'wrong' },
      /secret-refused\.pem cannot be decrypted with this passphrase$/,
    );
    refused({ certFile: files[0], keyFile: '/nowhere.pem', passphrase: 'open' }, /nowhere\.pem: [^\n]*No such file/, {
      code: 'CAROM_EKEY',
    });
    refused({ certFile: files[1], keyFile: files[0] }, /key-refused\.pem: [^\n]*\(it is no PEM of a certificate\)$/, {
      code: 'CAROM_ECERTIFICATE',
    });
    refused({ certFile: files[0] }, /cert-refused\.pem: [^\n]*\(it is no PEM of a key\)$/, { code: 'CAROM_EKEY' });
  });
});

describe('options of TLS as the engine gets them', () => {
  const { tlsOf, forEngine, changed } = createRequire(import.meta.url)('../src/engine/tls-options.js');
  const common = (options) => {
    const { certificates, ...rest } = forEngine(tlsOf({ ...own, ...options }));
    assert.equal(certificates.length, 1);
    return rest;
  };
  const text = (given) => Buffer.from(given).toString('latin1');

  test('what is not given is not there', () => {
    assert.deepEqual(common({}), { client: 0 });
    assert.deepEqual(common({ ecdhCurve: 'auto', ciphers: null, minVersion: undefined, maxVersion: 'TLSv1.3' }), { client: 0 });
    assert.deepEqual([tlsOf({}), tlsOf({ tls: false }), tlsOf({ tls: null, cert: undefined })], [null, null, null]);
  });

  test('ciphers of both versions, curves, versions, protocols', () => {
    const SUITES = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384';
    const OTHERS = 'ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256';
    const [low, high] = ['TLSv1.2', 'TLSv1.3'].map((minVersion) => common({ minVersion }).minVersion);
    assert.ok(low < high);
    assert.deepEqual(common({ ciphers: `${SUITES}:${OTHERS}` }), { suites: SUITES, ciphers: OTHERS, client: 0 });
    assert.deepEqual(common({ ciphers: OTHERS }), { suites: null, ciphers: OTHERS, client: 0 });
    assert.deepEqual(common({ ciphers: `:${SUITES}:` }), { suites: SUITES, ciphers: null, minVersion: high, client: 0 });
    assert.deepEqual(common({ ecdhCurve: 'P-256:X25519' }), { groups: 'P-256:X25519', client: 0 });
    assert.deepEqual(common({ ALPNProtocols: ['h2'] }).alpn, ['h2']);
    assert.deepEqual(common({ alpn: 'http/1.1', ALPNProtocols: ['h2'] }).alpn, ['http/1.1']);
    assert.deepEqual(common({ refuseUnknownNames: true }).refuseUnknownNames, 1);
    assert.deepEqual(common({ sessionTimeout: 7 }).ticketLifetime, 7);
    assert.equal(common({ ticketKeys: new Uint8Array(160) }).ticketKeys.length, 160);
  });

  test('whom to trust: PEM, several, a file by its name or as Bun has it', () => {
    const clients = { requestCert: true };
    assert.deepEqual(common({ ...clients, caFile: '/ca.pem' }), { ca: null, caFile: '/ca.pem', client: 2 });
    const file = { name: '/ca.pem', arrayBuffer() {} };
    assert.deepEqual(common({ ...clients, ca: file }), { ca: null, caFile: '/ca.pem', client: 2 });
    assert.deepEqual(common({ ...clients, ca: [file], rejectUnauthorized: false }), { ca: null, caFile: '/ca.pem', client: 1 });
    assert.throws(() => common({ ...clients, ca: [file, cert] }), /^TypeError: ca may be one file, or PEM/);
    assert.throws(() => common({ ...clients, ca: { ...file, name: '' } }), /^TypeError: ca must be PEM/);
    assert.throws(() => common({ ca: cert, caFile: 'x' }), /^TypeError: ca or caFile, not both/);
    assert.equal(text(common({ ...clients, ca: [cert, Buffer.from(other.cert)] }).ca), `${cert}\n${other.cert}\n`);
    assert.equal(text(common({ ...clients, ca: cert }).ca), `${cert}\n`);
  });

  test('certificates and keys: apart, in one, in files, in lists', () => {
    const of = (options) =>
      forEngine(tlsOf(options)).certificates.map(({ cert: c, key: k, ...rest }) => [
        c && text(c),
        k && text(k),
        ...Object.values(rest).filter((value) => value !== null),
      ]);
    const both = `${cert}${key}`;
    assert.deepEqual(of({ cert: both }), [[both, both]]);
    assert.deepEqual(of({ cert: new DataView(new TextEncoder().encode(cert).buffer), key }), [[cert, key]]);
    assert.deepEqual(of({ certFile: '/c.pem' }), [[null, null, '/c.pem', '/c.pem']]);
    assert.deepEqual(
      of({ certFile: '/c.pem', keyFile: '/k.pem' }).map(([, , ...files]) => files.sort()),
      [['/c.pem', '/k.pem']],
    );
    assert.deepEqual(of({ cert: [cert, other.cert], key: [{ pem: key }, other.key] }), [
      [cert, key],
      [other.cert, other.key],
    ]);
    assert.deepEqual(
      of({ tls: [own, { ...other, serverName: '*.wild.test' }] }).map(([, , ...names]) => names),
      [[], ['*.wild.test']],
    );
  });

  test('what the engine says of a certificate that it takes is a warning', (t) => {
    const require = createRequire(import.meta.url);
    const { warn } = require('../src/engine/tls-options.js');
    const native = require('../src/ring/native.js');
    const said = t.mock.method(native, 'said', () => undefined);
    const warned = t.mock.method(console, 'warn', () => {});
    for (const text of [undefined, 'another matter', 'TLS: (in memory): it has expired']) {
      said.mock.mockImplementation(() => text);
      warn();
    }
    assert.deepEqual(
      warned.mock.calls.map((call) => call.arguments),
      [['carom: TLS: (in memory): it has expired']],
    );
  });

  test('a change keeps what it does not name', () => {
    const before = tlsOf({ ...own, ecdhCurve: 'P-256' });
    assert.equal(changed(before, undefined, {}), before);
    assert.deepEqual(changed(before, { sessionTimeout: 9 }, {}).common, { groups: 'P-256', ticketLifetime: 9 });
    const { certificates } = changed(before, other, {});
    assert.deepEqual(
      certificates.map((one) => text(one.cert)),
      [other.cert],
    );
    assert.throws(() => changed(before, { requestCert: true }, {}), /ca is missing/);
  });
});
