// Listeners of 'upgrade' that stay with HTTP: what they write is the response, byte for byte and when they write it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import test from 'node:test';
import { skip, start } from './support.mjs';

const UPGRADE = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n';
const OPEN = 'HTTP/1.1 502 Bad Gateway\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nfoo';

async function upgraded(t, listener) {
  const { server, port } = await start(t, () => assert.fail('no request'));
  server.on('upgrade', listener);
  const client = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  client.write(UPGRADE);
  return client;
}

async function until(client, end) {
  let text = '';
  for (client.on('data', (data) => (text += data.toString('latin1'))); !text.endsWith(end); ) await once(client, 'data');
  return text;
}

test('content in chunks that the listener frames comes as it was framed', { skip }, async (t) => {
  const client = await upgraded(t, (req, socket) => {
    socket.write('HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n');
    socket.write('\r\n3\r\nfoo\r\n');
    socket.end('0\r\n\r\n');
  });
  const text = Buffer.concat(await client.toArray()).toString('latin1');
  assert.equal(text, 'HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfoo\r\n0\r\n\r\n');
});

test("a response of node's own is written to the socket", { skip }, async (t) => {
  const client = await upgraded(t, (req, socket) => {
    const res = new http.ServerResponse(req);
    res.assignSocket(socket);
    res.on('finish', () => socket.end());
    res.writeHead(403);
    res.write('no');
    res.end('pe');
  });
  const text = Buffer.concat(await client.toArray()).toString('latin1');
  assert.match(text, /^HTTP\/1\.1 403 Forbidden\r\n[^]*\r\n\r\n2\r\nno\r\n2\r\npe\r\n0\r\n\r\n$/);
});

test('what is written arrives before the socket ends, whose listener hears that the client has', { skip }, async (t) => {
  let closed;
  const told = [];
  const client = await upgraded(t, (req, socket) => {
    for (const name of ['end', 'error', 'close']) socket.on(name, () => told.push(name));
    closed = once(socket, 'close');
    socket.write(OPEN);
  });
  assert.equal(await until(client, 'foo'), OPEN);
  client.end();
  await closed;
  assert.deepEqual(told, ['end', 'close']);
});

test('a socket that ends without a word, as those do who know no such protocol, resets nobody', { skip }, async (t) => {
  let closed;
  const told = [];
  const client = await upgraded(t, (req, socket) => {
    for (const name of ['error', 'close']) socket.on(name, () => told.push(name));
    closed = once(socket, 'close');
    assert.equal(socket.bytesWritten, 0); // by which they know that nobody else has answered
    socket.end();
  });
  assert.equal(Buffer.concat(await client.toArray()).length, 0);
  await closed;
  assert.deepEqual(told, ['close']);
});

test('a client that resets meanwhile is an error', { skip }, async (t) => {
  let closed;
  const client = await upgraded(t, (req, socket) => {
    closed = new Promise((resolve) => {
      socket.on('error', ({ code }) => socket.on('close', () => resolve(code)));
    });
    socket.write(OPEN);
  });
  await until(client, 'foo');
  client.resetAndDestroy();
  assert.equal(await closed, 'ECONNRESET');
});

test('a whole response and destroySoon()', { skip }, async (t) => {
  const client = await upgraded(t, (req, socket) => {
    socket.write(OPEN);
    socket.destroySoon();
  });
  assert.equal(Buffer.concat(await client.toArray()).toString('latin1'), OPEN);
});

test('resetAndDestroy() resets, whatever protocol is spoken', { skip }, async (t) => {
  for (const head of [SWITCH, OPEN]) {
    let closed;
    let reset;
    const client = await upgraded(t, (req, socket) => {
      closed = once(socket, 'close');
      socket.write(head);
      reset = () => socket.resetAndDestroy();
    });
    const over = new Promise((resolve) => {
      client.once('error', ({ code }) => resolve(code)).once('end', () => resolve('end'));
    });
    await until(client, head === OPEN ? 'foo' : '\r\n\r\n');
    assert.equal(reset().destroyed, true);
    assert.equal(await over, 'ECONNRESET');
    await closed;
  }
});

test('how many bytes have passed, and what state the socket is in', { skip }, async (t) => {
  const states = [];
  let socket;
  const client = await upgraded(t, (req, given) => {
    socket = given;
    socket.on('end', () => states.push(socket.readyState));
    socket.write(SWITCH);
    socket.write('hello');
  });
  const text = await until(client, 'hello');
  assert.deepEqual([socket.readyState, socket.connecting, socket.pending], ['open', false, false]);
  assert.equal(socket.bytesRead, UPGRADE.length);
  assert.ok(socket.bytesWritten >= 5); // an engine on a thread tells later what it has sent
  client.end();
  await once(socket, 'end');
  socket.end();
  states.push(socket.readyState);
  await once(socket, 'close');
  assert.deepEqual(states, ['writeOnly', 'closed']);
  while (socket.bytesWritten < text.length) await new Promise(setImmediate);
  assert.equal(socket.bytesWritten, text.length);
});
