// Options whose way through the addon only the engine can show: each is seen as a client sees it.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import net from 'node:net';
import { test } from 'node:test';

import { serve, Response } from '../index.mjs';

// What a server with these options answers to bytes, after which the client sends FIN when `ends`.
async function answerOf(options, handler, text, ends, enough) {
  const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {}, ...options }, handler);
  try {
    return await new Promise((resolve, reject) => {
      let got = '';
      const socket = net.connect({ port: server.addr.port, host: '127.0.0.1', allowHalfOpen: true }, () => {
        if (ends) socket.end(text);
        else socket.write(text);
      });
      socket.on('data', (data) => {
        got += data;
        if (enough.test(got)) socket.destroy();
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(got));
      socket.on('end', () => socket.end());
    });
  } finally {
    await server.shutdown({ deadline: 0 });
  }
}

const fine = () => new Response('fine');
const later = async () => {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  return fine();
};
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const WHOLE = /fine$/;

test('a window may have the least and the most, and neither less nor more', async () => {
  const served = (options) => serve({ port: 0, hostname: '127.0.0.1', onListen() {}, ...options }, fine).shutdown({ deadline: 0 });
  await served({ h2StreamWindow: 1024, h2ConnectionWindow: 1024, h2ConnectionWindowMax: 1024 });
  await served({ h2StreamWindow: 65536, h2StreamWindowMax: 65536 });
  for (const options of [{ h2StreamWindow: 1023 }, { h2StreamWindow: 65536, h2StreamWindowMax: 65535 }, { h2ConnectionWindow: 1023 }])
    assert.throws(() => served(options), RangeError, JSON.stringify(options));
});

test('an address is written as the engine reads it', () => {
  const { addressOf, IPV6_ONLY, SOCKET_MODE } = createRequire(import.meta.url)('../src/engine/options.js');
  for (const [options, address] of [
    [{}, '*:8000'],
    [{ port: 0, hostname: '*' }, '*:0'],
    [{ port: 65535, hostname: '::' }, '*:65535'],
    [{ port: 1, hostname: '[::]' }, '*:1'],
    [{ port: 1, hostname: '0.0.0.0' }, '0.0.0.0:1'],
    [{ port: 1, hostname: 'localhost' }, '127.0.0.1:1'],
    [{ port: 1, hostname: '::1' }, '[::1]:1'],
    [{ port: 1, hostname: '[::1]' }, '[::1]:1'],
    [{ port: 1, [IPV6_ONLY]: true }, '[::]:1'],
    [{ port: 1, hostname: '::', [IPV6_ONLY]: true }, '[::]:1'],
    [{ port: 1, hostname: '::1', [IPV6_ONLY]: true }, '[::1]:1'],
    [{ path: '/tmp/a' }, 'unix:/tmp/a'],
    [{ path: '/tmp/a', [SOCKET_MODE]: 0o660 }, 'unix:/tmp/a?mode=0660'],
  ])
    assert.equal(addressOf(options), address);
});

for (const io of ['inline', 'thread']) {
  test(`${io}: false is off, and not the default`, async () => {
    assert.match(await answerOf({ io }, fine, GET, false, WHOLE), /\r\nKeep-Alive: timeout=75\r\n/i);
    assert.doesNotMatch(await answerOf({ io, keepAlive: false }, fine, GET, false, WHOLE), /Keep-Alive/i);
  });

  test(`${io}: maxContent may be more than 32 bits say`, async () => {
    const post = (length) => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`;
    assert.match(await answerOf({ io, maxContent: 5e9 }, fine, post(5e9), false, WHOLE), /^HTTP\/1\.1 200 /);
    assert.match(await answerOf({ io, maxContent: 5e9 }, fine, post(5e9 + 1), false, /\r\n\r\n/), /^HTTP\/1\.1 413 /);
    assert.match(await answerOf({ io, maxContent: false }, fine, post(5e9), false, WHOLE), /^HTTP\/1\.1 200 /);
  });

  test(`${io}: halfClose lets a client be answered that has said all`, async () => {
    assert.match(await answerOf({ io, halfClose: true }, later, GET, true, WHOLE), WHOLE);
  });

  test(`${io}: a length of more than 32 bits is told`, async () => {
    const endless = () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            controller.enqueue(new Uint8Array(1));
          },
        }),
        { headers: { 'content-length': '4294967301' } },
      );
    assert.match(await answerOf({ io }, endless, GET, false, /\r\n\r\n/), /\r\nContent-Length: 4294967301\r\n/i);
  });
}
