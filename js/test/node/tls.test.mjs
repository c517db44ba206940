// createServer of carom/node over TLS, by the names of node:https.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import https from 'node:https';
import { test } from 'node:test';
import tls from 'node:tls';

import { closeAfter, createServer, skip, start } from './support.mjs';
import { certificate, clientCertificate, own } from '../transports.mjs';

const other = certificate('other.test');

async function get(port, options = {}) {
  const request = https.get({ port, host: '127.0.0.1', ca: own.cert, agent: false, ...options });
  const [response] = await once(request, 'response');
  return { text: String(Buffer.concat(await response.toArray())), shown: response.socket.getPeerCertificate() };
}

test('a request is answered at once though its client closes at once', { skip }, async (t) => {
  const { port } = await start(t, (req, res) => res.end('hello'), own);
  const client = tls.connect({ port, host: '127.0.0.1', ca: own.cert, servername: 'localhost' });
  client.end('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.match(String(Buffer.concat(await client.toArray())), /^HTTP\/1.1 200 OK\r\n[^]*hello$/);
});

test('serves, and the socket tells of its TLS', { skip }, async (t) => {
  const { port } = await start(
    t,
    (req, res) =>
      res.end(
        JSON.stringify([
          req.socket.encrypted,
          req.socket.getProtocol(),
          req.socket.servername,
          req.socket.alpnProtocol,
          req.socket.authorized,
        ]),
      ),
    own,
  );
  assert.deepEqual(JSON.parse((await get(port, { servername: 'localhost', ALPNProtocols: ['http/1.1'] })).text), [
    true,
    'TLSv1.3',
    'localhost',
    'http/1.1',
    false,
  ]);
});

test('every option of TLS is taken, and what is none, or misspelt, is refused by name', { skip }, async (t) => {
  const { port } = await start(t, (req, res) => res.end(String(req.socket.alpnProtocol)), {
    ...own,
    alpn: ['http/1.1'],
    serverName: 'localhost',
  });
  const socket = tls.connect({ port, host: '127.0.0.1', ca: own.cert, ALPNProtocols: ['h2', 'http/1.1'] });
  await once(socket, 'secureConnect');
  assert.equal(socket.alpnProtocol, 'http/1.1');
  socket.destroy();
  for (const [options, message] of [
    [{ certt: 'x', Key: 'y' }, /^there is no option certt: cert is meant\?$/],
    [{ ...own, passPhrase: 'x' }, /^there is no option passPhrase: passphrase is meant/],
    [{ ...own, alpn: ['spdy'] }, /^alpn may have/],
    [{ ...own, dhparam: 'auto' }, /^dhparam is not there/],
    [{ ...own, secureOptions: 1 }, /^secureOptions is not there/],
  ])
    assert.throws(() => createServer(options), { name: 'TypeError', message });
  createServer({
    ...own,
    keepAlive: true,
    noDelay: true,
    requestTimeout: 5,
    allowHTTP1: true,
    honorCipherOrder: true,
    connectionsCheckingInterval: 7,
  });
});

test("a client's certificate is asked for, and known", { skip }, async (t) => {
  const ann = clientCertificate('ann');
  const { port } = await start(t, (req, res) => res.end(`${req.socket.getPeerCertificate().subject.CN} ${req.socket.authorized}`), {
    ...own,
    ca: ann.cert,
    requestCert: true,
  });
  assert.equal((await get(port, ann)).text, 'ann true');
  await assert.rejects(get(port));
});

test('setSecureContext, before and while it listens', { skip }, async (t) => {
  const { server, port } = await start(t, (req, res) => res.end('hello'), own);
  const shown = async () => (await get(port, { rejectUnauthorized: false })).shown.subjectaltname;
  assert.match(await shown(), /localhost/);
  server.setSecureContext(other);
  assert.equal(await shown(), 'DNS:other.test');
  assert.throws(() => server.setSecureContext({ cert: own.cert, key: other.key }), { code: 'CAROM_EKEY' });
  assert.equal(await shown(), 'DNS:other.test');
  server.close();
  await once(server, 'close');
  const later = closeAfter(
    t,
    createServer(own, (req, res) => res.end('later')),
  );
  later.setSecureContext(other);
  later.listen(0, '127.0.0.1');
  await once(later, 'listening');
  assert.equal((await get(later.address().port, { rejectUnauthorized: false })).shown.subjectaltname, 'DNS:other.test');
});

test('what setSecureContext gave a server that listened is there when it listens again', { skip }, async (t) => {
  for (const options of [own, { tls: [own] }, { carom: own }]) {
    const { server } = await start(t, (req, res) => res.end('hello'), options);
    server.setSecureContext({ ...other, ca: undefined });
    server.close();
    await once(server, 'close');
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    assert.equal((await get(server.address().port, { rejectUnauthorized: false })).shown.subjectaltname, 'DNS:other.test');
  }
});

test('an upgrade: bytes both ways over TLS, and what the socket tells', { skip }, async (t) => {
  const { server, port } = await start(t, () => {}, own);
  server.on('upgrade', (req, socket, head) => {
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n${socket.getProtocol()} ${head}`);
    socket.pipe(socket);
  });
  const socket = tls.connect({ port, host: '127.0.0.1', ca: own.cert });
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  let got = '';
  socket.setEncoding('utf8').on('data', (text) => {
    got += text;
  });
  const until = async (what) => {
    while (!got.includes(what)) await once(socket, 'data');
  };
  await until('TLSv1.3 ');
  assert.match(got, /^HTTP\/1\.1 101 /);
  socket.write('ping');
  await until('ping');
  socket.end('bye');
  await once(socket, 'end');
  assert.match(got, /pingbye$/);
});
