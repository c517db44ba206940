// Attacks by way of node:http: what splits a response by any method that writes, names that are prototypes,
// buffers that change on their way. The API of serve(): ../attacks.test.mjs.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, describe } from 'node:test';

import { createServer } from '../../node.mjs';
import { raw } from '../support.mjs';

async function serving(listeners, body) {
  const server = createServer();
  for (const [event, listener] of Object.entries(listeners)) server.on(event, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await body((text) => raw(server.address().port, text));
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => {
      server.close(resolve);
    });
  }
}

const get = (target, fields = '') => `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n`;

const VALUES = ['a\r\nInjected: b', 'a\nInjected: b', 'a\rInjected: b', 'a\r\n\r\nHTTP/1.1 200 OK', 'a\0b', 'a\u010d\u010aInjected: b'];
const NAMES = ['', 'x y', 'x:y', 'x\r\nInjected', '\u010aInjected'];
const DOORS = {
  setHeader: (response, name, value) => response.setHeader(name, value),
  'setHeader, several': (response, name, value) => response.setHeader(name, ['fine', value]),
  appendHeader: (response, name, value) => response.appendHeader(name, value),
  writeHead: (response, name, value) => response.writeHead(200, { [name]: value }),
  'writeHead, flat': (response, name, value) => response.writeHead(200, [name, value]),
  'writeHead, over others': (response, name, value) => response.setHeader('y', 'z') && response.writeHead(200, { [name]: value }),
  addTrailers: (response, name, value) => response.addTrailers({ [name]: value }),
  'writeEarlyHints, link': (response, name, value) => response.writeEarlyHints({ link: `<${name}${value}>; rel=preload` }),
  writeEarlyHints: (response, name, value) => response.writeEarlyHints({ link: '</a>; rel=preload', [name]: value }),
};

describe('response splitting', () => {
  for (const [door, use] of Object.entries(DOORS))
    test(`by ${door}`, () =>
      serving(
        {
          request(request, response) {
            if (door === 'appendHeader' && response.appendHeader === undefined) {
              response.end('refused');
              return;
            }
            const [name, value] = JSON.parse(decodeURIComponent(request.url.slice(1)));
            try {
              use(response, name, value);
              response.end('taken');
            } catch (error) {
              assert.ok(error instanceof TypeError);
              if (!response.headersSent) response.end('refused');
              else response.destroy();
            }
          },
        },
        async (send) => {
          for (const pair of [...VALUES.map((value) => ['x', value]), ...NAMES.map((name) => [name, 'y'])]) {
            const answer = await send(get(`/${encodeURIComponent(JSON.stringify(pair))}`)).catch(() => '');
            assert.doesNotMatch(answer, /^Injected/im);
            assert.ok(
              answer === '' ||
                answer.split('HTTP/1.1 ').length === (door.startsWith('writeEarlyHints') && answer.includes(' 103 ') ? 3 : 2),
              answer,
            );
          }
        },
      ));

  test('by statusMessage', () =>
    serving(
      {
        request(request, response) {
          response.statusMessage = decodeURIComponent(request.url.slice(1));
          try {
            response.end('taken');
          } catch {
            response.statusMessage = 'fine';
            response.end('refused');
          }
        },
      },
      async (send) => {
        for (const value of VALUES) assert.doesNotMatch(await send(get(`/${encodeURIComponent(value)}`)), /^Injected/im);
      },
    ));

  // Here listeners write the head as text.
  test('by the socket of an upgrade', () =>
    serving(
      {
        upgrade(request, socket) {
          const value = JSON.parse(decodeURIComponent(request.url.slice(1)));
          socket.on('error', () => {});
          socket.end(`HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\nX: ${value}\r\n\r\n`, 'latin1');
        },
      },
      async (send) => {
        const upgrade = 'Connection: Upgrade\r\nUpgrade: x\r\n';
        for (const value of ['a\nInjected: b', 'a\rInjected: b', 'a\0b']) {
          const answer = await send(get(`/${encodeURIComponent(JSON.stringify(value))}`).replace('Connection: close\r\n', upgrade)).catch(
            () => '',
          );
          assert.doesNotMatch(answer, /Injected|101/i);
        }
      },
    ));
});

test('names that are prototypes are data', async () => {
  let seen = null;
  await serving(
    {
      request(request, response) {
        request.resume();
        request.on('end', () => {
          seen = request;
          response.setHeader('__proto__', 'a').setHeader('constructor', 'b');
          response.end(String({}.polluted));
        });
      },
    },
    async (send) => {
      const nasty = '__proto__: polluted\r\n__proto__: again\r\nconstructor: x\r\nprototype: x\r\ntoString: x\r\nhasOwnProperty: x\r\n';
      const answer = await send(
        `POST /?__proto__[polluted]=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${nasty}X-Last: yes\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${nasty}\r\n`,
      );
      assert.match(answer, /^HTTP\/1\.1 200 [^]*\r\n__proto__: a\r\nconstructor: b\r\n[^]*undefined$/);
    },
  );
  for (const headers of [seen.headers, seen.trailers]) {
    const prototype = Object.getPrototypeOf(headers);
    assert.ok(prototype === null || prototype === Object.prototype);
  }
  assert.equal(seen.headers['x-last'], 'yes');
  assert.ok(seen.rawHeaders.includes('__proto__'));
  assert.ok(seen.rawTrailers.includes('__proto__'));
  assert.equal({}.polluted, undefined);
});

test('buffers that change after they were written', () => {
  const size = 300_000;
  const after = [
    (bytes) => bytes.fill(98),
    (bytes) => {
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    },
  ];
  return serving(
    {
      request(request, response) {
        const [, door, index] = request.url.split('/');
        const bytes = new Uint8Array(size).fill(97);
        if (door === 'end') response.end(bytes);
        else {
          response.setHeader('Content-Length', 2 * size);
          response.write(bytes);
          response.end(new Uint8Array(size).fill(97));
        }
        after[index](bytes);
      },
    },
    async (send) => {
      for (const index of after.keys()) {
        assert.ok((await send(get(`/end/${index}`))).endsWith(`\r\n\r\n${'a'.repeat(size)}`));
        assert.ok((await send(get(`/write/${index}`))).endsWith(`\r\n\r\n${'a'.repeat(2 * size)}`));
      }
    },
  );
});
