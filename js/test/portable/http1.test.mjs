// HTTP/1.1 on the portable engine: what a client may not do to it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import net from 'node:net';
import { test } from 'node:test';

import { createServer, raw, serving } from './support.mjs';

const { Chunks } = createRequire(import.meta.url)('../../src/portable/chunks.js');

const post = (length) => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`;

test('a chunk that begins with LF is refused', async (t) => {
  const server = serving(t, {}, async (request) => new Response(await request.text()));
  const answer = await raw(server.addr.port, 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\n');
  assert.match(answer, /^HTTP\/1.1 400 /);
});

test('content that turns out to be empty is content', async (t) => {
  const server = serving(t, {}, ({ body }) => new Response(`${body === null}`));
  const head = 'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n';
  assert.match(await raw(server.addr.port, `${head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`), /false$/);
  assert.match(await raw(server.addr.port, `${head}Content-Length: 0\r\n\r\n`), /true$/);
});

// What is read of these bytes when they come `step` at a time: the size of the chunk, or the status.
function sizeOf(bytes, step) {
  const chunks = new Chunks();
  try {
    for (let end = step; end < bytes.length + step; end += step) if (chunks.read(bytes.subarray(0, end))[0] > 0) return chunks.left;
    return 'more';
  } catch ({ status }) {
    return status;
  }
}

test('the line of a chunk has 256 bytes at most, its end included, however they come', () => {
  for (const length of [254, 255, 256, 257, 258]) {
    const line = Buffer.from(`1f;${'x'.repeat(length - 5)}\r\n`);
    for (const step of [1, 7, 255, 256, 257, length]) assert.equal(sizeOf(line, step), length <= 256 ? 31 : 400, `${length} by ${step}`);
    assert.equal(sizeOf(line.subarray(0, -1), length), length <= 257 ? 'more' : 400);
  }
});

test('the size of a chunk may begin with zeros, and is 2 to the power of 62 at most', () => {
  for (const [digits, size] of [
    ['0000000000000000000ff', 255],
    ['4000000000000000', 2 ** 62],
    ['4000000000000001', 400],
    ['8000000000000000', 400],
    ['fffffffffffffffff', 400],
  ])
    assert.equal(sizeOf(Buffer.from(`${digits}\r\n`), 30), size);
});

test('of what is no request a page is shown, and not what others have sent', async (t) => {
  const server = createServer(() => {});
  t.after(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const client = net.connect(server.address().port, '127.0.0.1').on('error', () => {});
  const begin = `GET / HTTP/1.1\r\nHost: a\r\nX: ${'b'.repeat(14_000)}`;
  const rest = `\r\n\0bad\r\n${'z'.repeat(100_000)}`;
  client.write(begin);
  server.once('connection', () => client.write(rest));
  const [{ rawPacket }, socket] = await once(server, 'clientError');
  socket.destroy();
  assert.ok(rawPacket.length <= 65_536);
  assert.ok((begin + rest).startsWith(rawPacket.toString('latin1')));
});

test('content must come at its rate though the handler reads it piece by piece', async (t) => {
  const server = serving(t, { contentWindow: 200 }, async (request) => {
    for await (const _ of request.body);
    return new Response();
  });
  const client = net.connect(server.addr.port, '127.0.0.1').on('error', () => {});
  client.write(`${post(100_000)}x`);
  const drip = setInterval(() => client.write('y'), 20);
  const [answer] = await once(client, 'data');
  clearInterval(drip);
  client.destroy();
  assert.match(answer.toString(), /^HTTP\/1.1 408 /);
});

test('and that of a later request too', async (t) => {
  let client;
  const server = serving(t, { contentWindow: 100 }, async (request) => {
    const text = request.text();
    client.write('y'); // the last of the first request's, when somebody waits for it
    return new Response(await text);
  });
  client = net.connect(server.addr.port, '127.0.0.1');
  client.write(`${post(1001)}${'x'.repeat(1000)}`);
  assert.match(String((await once(client, 'data'))[0]), /^HTTP\/1.1 200 /);
  client.write(`${post(1001)}x`);
  assert.match(String((await once(client, 'data'))[0]), /^HTTP\/1.1 408 /);
  client.destroy();
});

for (const [name, begin] of [
  ['a first request', ''],
  ['a later request', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'],
])
  test(`empty lines give no more time for ${name}`, async (t) => {
    const server = serving(t, { firstByteTimeout: 100, keepAlive: 100, keepAliveGrace: 1 }, () => new Response());
    const client = net.connect(server.addr.port, '127.0.0.1').on('error', () => {});
    await once(client, 'connect');
    client.write(begin || '\r\n');
    if (begin !== '') await once(client, 'data');
    const drip = setInterval(() => client.write('\r\n'), 20); // one at a time: four at once are refused
    client.resume();
    await once(client, 'close');
    clearInterval(drip);
  });

for (const rest of ['', 'GET / HT'])
  test(`requests that wait for their turn are answered behind the FIN of their client${rest && ', but for one that is none'}`, async (t) => {
    const COUNT = 100;
    const server = serving(t, { halfClose: true }, async () => {
      await new Promise(setImmediate);
      return new Response('well');
    });
    const client = net.connect({ port: server.addr.port, host: '127.0.0.1', allowHalfOpen: true });
    client.end('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(COUNT) + rest);
    let got = '';
    for await (const data of client) got += data;
    assert.equal(got.match(/HTTP\/1.1 200 /g).length, COUNT);
    assert.equal(got.match(/Connection: close/g).length, 1);
  });
