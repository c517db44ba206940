// TLS and HTTP/2 of serve(): options, names, client certificates, reloading, and what only HTTP/2 has.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, describe, after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';

import { serve, redirectToHttps, Response } from '../index.mjs';
import { PATIENT, nativeOnly } from './support.mjs';
import { WAYS, certificate, clientCertificate, isNode, own } from './transports.mjs';

const { cert, key } = own;
const other = certificate('other.test,*.wild.test');
const folder = mkdtempSync(path.join(tmpdir(), 'carom-tls-'));
after(() => rmSync(folder, { recursive: true }));

async function serving(options, handler, body) {
  const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {}, ...PATIENT, ...options }, handler);
  try {
    return await body(server.addr.port, server);
  } finally {
    await server.shutdown({ deadline: 0 });
  }
}

const hello = () => new Response('hello');

test('sessionTimeout is the lifetime of tickets', { skip: !isNode }, () =>
  serving({ ...own, sessionTimeout: 77 }, hello, async (port) => {
    const socket = tls.connect({ port, host: '127.0.0.1', ca: cert, maxVersion: 'TLSv1.2' });
    await once(socket, 'secureConnect');
    const session = socket.getSession(); // in DER, with the hint of the ticket's lifetime as [9]
    socket.destroy();
    assert.ok(session.includes(Buffer.of(0xa9, 3, 2, 1, 77)));
  }),
);

// The certificate that a client is shown who asks for a name.
async function shown(port, servername) {
  const socket = tls.connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { subjectaltname } = socket.getPeerCertificate();
  socket.destroy();
  return subjectaltname;
}

// GET over a connection of its own: { status, headers, text }.
function get(port, options = {}) {
  return new Promise((resolve, reject) => {
    https
      .get({ port, host: '127.0.0.1', ca: cert, agent: false, ...options }, async (response) => {
        let text = '';
        for await (const piece of response) text += piece;
        resolve({ status: response.statusCode, headers: response.headers, text });
      })
      .on('error', reject);
  });
}

const session = (port, options = {}) => http2.connect(`https://127.0.0.1:${port}`, { ca: cert, ...options });

// A request over HTTP/2: { fields, text, hints, trailers }.
async function ask(client, fields, content) {
  const stream = client.request(fields);
  const seen = { text: '', hints: [], trailers: undefined };
  stream
    .on('headers', (hint) => seen.hints.push(hint))
    .on('trailers', (trailers) => {
      seen.trailers = trailers;
    })
    .setEncoding('utf8')
    .on('data', (piece) => {
      seen.text += piece; // not by the iterator: on Node 24 it throws when the answer came whole, also that of node:http2
    });
  if (content !== undefined) stream.end(content);
  [[seen.fields]] = await Promise.all([once(stream, 'response'), once(stream, 'end')]);
  return seen;
}

const HOSTS = { other: 'DNS:other.test, DNS:*.wild.test', own: 'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1' };

for (const io of WAYS)
  describe(`TLS, io: ${io}`, () => {
    test('certificates by name: exact, wildcard, the first for all else', () =>
      serving({ io, tls: [own, other] }, hello, async (port) => {
        assert.equal(await shown(port, 'other.test'), HOSTS.other);
        assert.equal(await shown(port, 'a.wild.test'), HOSTS.other);
        assert.equal(await shown(port, 'a.b.wild.test'), HOSTS.own);
        assert.equal(await shown(port, 'localhost'), HOSTS.own);
      }));

    test('names that are given count, and not those in the certificate', () =>
      serving(
        {
          io,
          tls: [
            { ...own, serverName: 'first.test' },
            { ...other, serverName: '*.given.test' },
          ],
        },
        (request, info) => Response.json(info.tls.serverName),
        async (port) => {
          assert.equal((await get(port, { servername: '', rejectUnauthorized: false })).text, '""'); // it names none
          assert.equal(await shown(port, 'a.given.test'), HOSTS.other);
          assert.equal(await shown(port, 'other.test'), HOSTS.own);
          assert.equal((await get(port, { servername: 'a.given.test', rejectUnauthorized: false })).text, '"a.given.test"');
        },
      ));

    test('in the words of node, Bun and Deno; as strings, bytes, lists and files', async () => {
      const secret = createPrivateKey(key).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open' });
      const [certFile, keyFile, secretFile, bothFile] = [cert, key, secret, cert + secret].map((text, i) => {
        const file = path.join(folder, `given-${i}.pem`);
        writeFileSync(file, text);
        return file;
      });
      const forms = [
        { cert, key },
        { cert: Buffer.from(cert), key: new TextEncoder().encode(key) },
        { cert: [cert], key: [{ pem: key }] },
        { tls: { cert, key } },
        { tls: [{ cert, key }] },
        { cert: cert + key },
        { certFile, keyFile },
        { tls: { certFile, keyFile } },
        { cert, key: secret, passphrase: 'open' },
        { cert: [cert, other.cert], key: [key, other.key] },
        { cert, key: [{ pem: secret, passphrase: 'open' }] },
        { certFile, keyFile: secretFile, passphrase: 'open' },
        { certFile: bothFile, passphrase: 'open' },
      ];
      if (process.versions.bun) forms.push({ tls: { cert: Bun.file(certFile), key: Bun.file(keyFile) } });
      for (const form of forms)
        await serving({ io, ...form }, hello, async (port, server) => {
          assert.equal((await get(port)).text, 'hello', Object.keys(form).join());
          assert.equal(server.secure, true);
        });
      await serving({ io }, hello, (port, server) => assert.equal(server.secure, false));
    });

    test(
      'a host that no certificate is for can be refused',
      { skip: nativeOnly('TLS', 'the connection ends without the alert `unrecognized_name`') },
      () =>
        serving({ io, tls: [{ ...own, refuseUnknownNames: true }, other] }, hello, async (port) => {
          assert.equal(await shown(port, 'a.wild.test'), HOSTS.other);
          await assert.rejects(shown(port, 'unknown.test'), /unrecognized.name/i);
        }),
    );

    test('a response of OCSP is stapled, and read again', {
      skip: (!isNode && 'by the client of Node') || nativeOnly('TLS', 'no response of OCSP is stapled (`ocspFile`)'),
    }, async () => {
      const [pem, index, request, response] = ['stapled.pem', 'index', 'request', 'response'].map((name) => path.join(folder, name));
      const openssl = (...words) => execFileSync('openssl', words, { stdio: ['ignore', 'pipe', 'ignore'], encoding: 'utf8' });
      writeFileSync(pem, cert + key);
      const serial = openssl('x509', '-in', pem, '-noout', '-serial').trim().split('=')[1];
      writeFileSync(index, `V\t401231235959Z\t\t${serial}\tunknown\t/CN=own\n`);
      const sign = () => {
        openssl('ocsp', '-issuer', pem, '-cert', pem, '-reqout', request);
        openssl('ocsp', '-index', index, '-CA', pem, '-rsigner', pem, '-rkey', pem, '-reqin', request, '-respout', response, '-ndays', '2');
        return readFileSync(response);
      };
      const stapled = async (port) => {
        const socket = tls.connect({ port, host: '127.0.0.1', ca: cert, requestOCSP: true });
        const [[bytes]] = await Promise.all([once(socket, 'OCSPResponse'), once(socket, 'secureConnect')]);
        socket.destroy();
        return bytes;
      };
      const first = sign();
      await serving({ io, ...own, ocspFile: response }, hello, async (port, server) => {
        assert.deepEqual(await stapled(port), first);
        const second = sign();
        assert.notDeepEqual(second, first);
        server.reloadTls();
        assert.deepEqual(await stapled(port), second);
        assert.throws(() => server.reloadTls({ ...other, ocspFile: response }), {
          code: 'CAROM_ECERTIFICATE',
          message: /for another certificate/,
        });
      });
    });

    test('a certificate to try with', () =>
      serving({ io, tls: 'dev' }, hello, async (port) => assert.equal(await shown(port, 'localhost'), HOSTS.own)));

    test('http2: false, alpn', async () => {
      const agreed = async (port, ALPNProtocols) => {
        const socket = tls.connect({ port, host: '127.0.0.1', ca: cert, ALPNProtocols });
        await once(socket, 'secureConnect');
        socket.destroy();
        return socket.alpnProtocol;
      };
      const both = ['h2', 'http/1.1'];
      await serving({ io, ...own }, hello, async (port) => assert.equal(await agreed(port, both), 'h2'));
      await serving({ io, ...own, http2: false }, hello, async (port) => {
        assert.equal(await agreed(port, both), 'http/1.1');
        await assert.rejects(agreed(port, ['h2']));
      });
      await serving({ io, ...own, alpn: ['http/1.1', 'h2'] }, hello, async (port) => assert.equal(await agreed(port, both), 'http/1.1'));
      await serving({ io, http2: false }, hello, async (port) => {
        const client = http2.connect(`http://127.0.0.1:${port}`);
        await assert.rejects(once(client, 'remoteSettings'));
        client.destroy();
      });
    });

    test('versions and ciphers', async () => {
      const wants = (port, options) => get(port, { ...options, rejectUnauthorized: false });
      await serving({ io, ...own, minVersion: 'TLSv1.3' }, hello, async (port) => assert.rejects(wants(port, { maxVersion: 'TLSv1.2' })));
      await serving(
        { io, ...own, ciphers: 'TLS_AES_256_GCM_SHA384' },
        (request, info) => new Response(info.tls.cipher),
        async (port) => {
          assert.equal((await wants(port)).text, 'TLS_AES_256_GCM_SHA384');
          await assert.rejects(wants(port, { maxVersion: 'TLSv1.2' }));
        },
      );
      await serving(
        { io, ...own, ciphers: 'TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES256-GCM-SHA384', ecdhCurve: 'P-256' },
        (request, info) => new Response(info.tls.cipher),
        async (port) => assert.equal((await wants(port, { maxVersion: 'TLSv1.2' })).text, 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384'),
      );
    });

    test("clients' certificates", async () => {
      const [ann, bob] = [clientCertificate('ann'), clientCertificate('bob')];
      const who = (request, { tls: { peerCertificate } }) =>
        new Response(peerCertificate === null ? 'nobody' : new X509Certificate(peerCertificate).subject);
      await serving({ io, ...own, ca: ann.cert, requestCert: true }, who, async (port) => {
        assert.equal((await get(port, ann)).text, 'CN=ann');
        await assert.rejects(get(port));
        await assert.rejects(get(port, bob));
      });
      await serving({ io, ...own, ca: [ann.cert.trimEnd(), bob.cert], requestCert: true, rejectUnauthorized: false }, who, async (port) => {
        assert.equal((await get(port, bob)).text, 'CN=bob');
        assert.equal((await get(port)).text, 'nobody');
        const client = session(port, ann);
        assert.equal((await ask(client, {})).text, 'CN=ann');
        client.destroy();
      });
    });

    test('what is known of a connection is told before the response is sent', async () => {
      let kept, seen;
      await serving(
        { io, ...own },
        (request, info) => {
          const { pathname } = new URL(request.url);
          if (pathname === '/seen') seen = [info, info.tls, info.alpn];
          if (pathname === '/kept') kept = info;
          return new Response();
        },
        async (port) => {
          await get(port, { path: '/seen' });
          assert.equal(seen[0].tls, seen[1]);
          assert.deepEqual([seen[2], seen[1].version, seen[1].resumed], ['http/1.1', 'TLSv1.3', false]);
          await get(port, { path: '/kept' });
          for (const name of ['tls', 'alpn']) assert.throws(() => kept[name], { name: 'TypeError', code: 'CAROM_ESTATE' });
        },
      );
    });

    test('sessions are resumed, also in another process that has the same ticket keys', {
      skip: nativeOnly('TLS', '`ticketKeys` are not used: sessions are resumed in one process only'),
    }, async () => {
      const ticketKeys = new Uint8Array(80).map((_, i) => i * 7);
      let last;
      const resumed = async (port) => {
        const socket = tls.connect({ port, host: '127.0.0.1', ca: cert, session: last });
        socket.on('session', (ticket) => {
          last = ticket;
        });
        socket.on('secureConnect', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'));
        let text = '';
        for await (const piece of socket) text += piece;
        return /\r\n\r\n(\w+)$/.exec(text)[1];
      };
      const tell = (request, info) => new Response(String(info.tls.resumed));
      await serving({ io, ...own, ticketKeys }, tell, async (port) => {
        assert.equal(await resumed(port), 'false');
        assert.equal(await resumed(port), 'true');
      });
      await serving({ io, ...own, ticketKeys }, tell, async (port) => assert.equal(await resumed(port), 'true'));
      await serving({ io, ...own }, tell, async (port) => assert.equal(await resumed(port), 'false'));
    });

    test('what happens is counted', () =>
      serving({ io, ...own }, hello, async (port, server) => {
        let last;
        for (let i = 0; i < 2; i++) {
          const socket = tls.connect({ port, host: '127.0.0.1', ca: cert, session: last });
          socket.on('session', (ticket) => {
            last = ticket;
          });
          socket.on('secureConnect', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'));
          await socket.toArray();
        }
        await assert.rejects(get(port, { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }));
        const client = session(port);
        // The engine publishes its counts when a turn ends: the second answer is of a later turn than all that is looked at.
        for (let i = 0; i < 2; i++) await ask(client, {});
        client.destroy();
        const { tlsHandshakes, tlsResumed, tlsFailed, h2Connections, h2Calmed } = server.stats();
        assert.deepEqual(
          { tlsHandshakes, tlsResumed, tlsFailed, h2Connections, h2Calmed },
          { tlsHandshakes: 3, tlsResumed: 1, tlsFailed: 1, h2Connections: 1, h2Calmed: 0 },
        );
      }));

    // Two OpenSSLs in one process: the engine's, and the one that is part of Node.
    test("the runtime's own TLS goes on beside it, under load", () =>
      serving(
        { io, ...own },
        async (request) => new Response(await request.text()),
        async (port) => {
          const theirs = https.createServer(own, (request, response) => request.pipe(response)).listen(0, '127.0.0.1');
          const agent = new https.Agent({ keepAlive: true, maxSockets: 8 });
          const client = session(port);
          theirs.keepAliveTimeout = 0; // it ends no connection that its client is about to use
          await once(theirs, 'listening');
          const echo = (to, text, options) =>
            new Promise((resolve, reject) => {
              https
                .request({ port: to, host: '127.0.0.1', method: 'POST', ca: cert, ...options }, async (response) => {
                  resolve(String(Buffer.concat(await response.toArray())) === text);
                })
                .on('error', reject)
                .end(text);
            });
          try {
            const many = [];
            for (let i = 0; i < 600; i++) {
              const text = `${i} `.repeat(1 + ((i * 7) % 3000));
              for (const to of [port, theirs.address().port]) many.push(echo(to, text, { agent }));
              if (i % 4 === 0) many.push(echo(port, text, { agent: false }));
              many.push(ask(client, { ':method': 'POST' }, text).then((seen) => seen.text === text));
              if (many.length > 200) assert.ok((await Promise.all(many.splice(0))).every(Boolean));
            }
            assert.ok((await Promise.all(many)).every(Boolean));
          } finally {
            client.destroy();
            agent.destroy();
            theirs.close();
            theirs.closeAllConnections();
          }
        },
      ));

    test('a reload: new connections get the new certificate, and none is dropped', () => {
      let answer;
      return serving(
        { io, ...own },
        (request) =>
          request.url.endsWith('/slow')
            ? new Promise((resolve) => {
                answer = () => resolve(new Response('slow'));
              })
            : hello(),
        async (port, server) => {
          const client = session(port);
          const slow = [ask(client, { ':path': '/slow' })];
          while (answer === undefined) await sleep(1);
          server.reloadTls(other);
          assert.equal(await shown(port, 'localhost'), HOSTS.other);
          assert.equal((await ask(client, {})).text, 'hello');
          answer();
          assert.equal((await slow[0]).text, 'slow');
          assert.equal(server.stats().connectionsOpen >= 1, true);
          client.destroy();
          const refused = {
            name: 'TypeError',
            code: 'CAROM_EKEY',
            message: /key values mismatch \(it is the key of another certificate\)/,
          };
          assert.throws(() => server.reloadTls({ cert, key: other.key }), refused);
          const none = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
          assert.throws(
            () => server.reloadTls({ cert: none, key }),
            ({ message }) => !/mismatch/.test(message),
          ); // not why before
          assert.throws(() => server.reloadTls({ ca: 'x' }), /ca must be PEM/);
          assert.equal(await shown(port, 'localhost'), HOSTS.other);
          server.reloadTls([own, other]);
          assert.equal(await shown(port, 'localhost'), HOSTS.own);
          assert.equal(await shown(port, 'other.test'), HOSTS.other);
          server.reloadTls({ minVersion: 'TLSv1.3' }); // the rest stays
          assert.equal(await shown(port, 'other.test'), HOSTS.other);
          await assert.rejects(get(port, { maxVersion: 'TLSv1.2' }));
        },
      );
    });

    test('a reload reads files again, of which a key may be encrypted', {
      skip: nativeOnly('TLS', 'what is wrong with a file is said in the words of the runtime'),
    }, async (t) => {
      const warn = t.mock.method(console, 'warn', () => {});
      const file = path.join(folder, 'renewed.pem');
      writeFileSync(file, cert + key);
      await serving({ io, certFile: file }, hello, async (port, server) => {
        assert.equal(await shown(port, 'localhost'), HOSTS.own);
        writeFileSync(file, other.cert + other.key);
        assert.equal(await shown(port, 'localhost'), HOSTS.own);
        server.reloadTls();
        assert.equal(await shown(port, 'localhost'), HOSTS.other);
        writeFileSync(file, 'damaged');
        assert.throws(() => server.reloadTls(), {
          code: 'CAROM_ECERTIFICATE',
          message: /renewed\.pem: cannot read the certificate: no start line \(it is no PEM of a certificate\)$/,
        });
        assert.equal(await shown(port, 'localhost'), HOSTS.other);
      });
      const secretOf = (pem) => createPrivateKey(pem).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open' });
      writeFileSync(file, cert + secretOf(key));
      await serving({ io, certFile: file, passphrase: 'open' }, hello, async (port, server) => {
        assert.equal(await shown(port, 'localhost'), HOSTS.own);
        writeFileSync(file, other.cert + secretOf(other.key));
        server.reloadTls();
        assert.equal(await shown(port, 'localhost'), HOSTS.other);
      });
      await serving({ io }, hello, (port, server) =>
        assert.throws(() => server.reloadTls(own), { name: 'TypeError', code: 'CAROM_ESTATE' }),
      );
      assert.deepEqual(
        warn.mock.calls.map((call) => call.arguments),
        [],
      );
    });

    test('reloads under load: no request fails', () =>
      serving({ io, ...own }, hello, async (port, server) => {
        let over = false;
        let count = 0;
        const load = async () => {
          while (!over) {
            assert.equal((await get(port, { rejectUnauthorized: false })).text, 'hello');
            count++;
          }
        };
        const clients = Promise.all([load(), load(), load()]);
        const reload = async () => {
          for (let i = 0; i < 40; i++) {
            server.reloadTls(i % 2 ? own : [other, own]);
            const before = count;
            while (count === before) await sleep(1);
          }
        };
        try {
          await Promise.race([reload(), clients]); // a client that fails ends the test
        } finally {
          over = true;
        }
        await clients;
      }));

    test('HTTP/2: hints, trailers both ways, routes, a push that nobody asked for is none', () =>
      serving(
        { io, ...own, routes: { '/health': new Response('fine') } },
        async (request, info) => {
          info.inform(103, { link: '</a.css>; rel=preload' });
          info.trailers({ 'x-sum': '42' });
          return new Response(`${request.method} ${await request.text()}`, {
            headers: [
              ['set-cookie', 'a=1'],
              ['set-cookie', 'b=2'],
            ],
          });
        },
        async (port, server) => {
          const client = session(port);
          const { fields, text, hints, trailers } = await ask(client, { ':method': 'POST', ':path': '/x' }, 'content');
          assert.deepEqual([fields[':status'], fields['set-cookie'], text], [200, ['a=1', 'b=2'], 'POST content']);
          assert.deepEqual(
            hints.map((hint) => [hint[':status'], hint.link]),
            [[103, '</a.css>; rel=preload']],
          );
          assert.equal(trailers['x-sum'], '42');
          const { calls } = server.stats();
          assert.equal((await ask(client, { ':path': '/health' })).text, 'fine');
          assert.equal(server.stats().calls, calls);
          client.destroy();
        },
      ));

    test(
      'plain HTTP on the port of TLS is told so',
      { skip: nativeOnly('TLS', 'plain HTTP on the port of TLS is closed without a word') },
      () =>
        serving({ io, ...own }, hello, async (port) => {
          const response = await fetch(`http://127.0.0.1:${port}`);
          assert.equal(response.status, 400);
        }),
    );

    test('a unix socket', async () => {
      const socketPath = path.join(folder, `${io}.sock`);
      const server = serve({ io, path: socketPath, ...own, onListen() {} }, (request) => new Response(request.url));
      const client = http2.connect('https://localhost', {
        createConnection: () => tls.connect({ path: socketPath, ca: cert, servername: 'localhost', ALPNProtocols: ['h2'] }),
      });
      assert.equal((await ask(client, { ':path': '/x', ':authority': 'a.test' })).text, 'https://a.test/x');
      client.destroy();
      await server.shutdown();
    });
  });

test('http: and https: of one host and path are two URLs', () =>
  serving(
    {},
    (request) => new Response(request.url),
    (plain) =>
      serving(
        own,
        (request) => new Response(request.url),
        async (port) => {
          const headers = { host: 'same.test' };
          for (let i = 0; i < 2; i++) {
            assert.equal((await get(port, { headers, servername: 'localhost', path: '/p' })).text, 'https://same.test/p');
            const socket = (await import('node:http')).get({ port: plain, host: '127.0.0.1', headers, path: '/p', agent: false });
            const [response] = await once(socket, 'response');
            assert.equal(String((await response.toArray())[0]), 'http://same.test/p');
          }
        },
      ),
  ));

test('the plain port sends its clients to that of TLS', async () => {
  const http = await import('node:http');
  const located = async (port, path, host) => {
    const [response] = await once(http.get({ port, host: '127.0.0.1', headers: { host }, path, agent: false }), 'response');
    response.resume();
    assert.equal(response.statusCode, 308);
    return response.headers.location;
  };
  await serving(
    {},
    (request) => redirectToHttps(request),
    async (port) => {
      assert.equal(await located(port, '/a%2Fb?c=d&e', `a.test:${port}`), 'https://a.test/a%2Fb?c=d&e');
      assert.equal(await located(port, '/', '[::1]'), 'https://[::1]/');
      assert.equal(await located(port, 'http://b.test?x', 'a.test'), 'https://b.test/?x');
    },
  );
  await serving(
    {},
    (request) => redirectToHttps(request, 8443),
    async (port) => assert.equal(await located(port, '/x', 'a.test'), 'https://a.test:8443/x'),
  );
});
