// Servers of carom/node on the engine.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { getEventListeners, once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { skip, start, closeAfter, createServer } from './support.mjs';

const stop = (server) =>
  new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });

test('listen, address, close', { skip }, async (t) => {
  const server = closeAfter(
    t,
    createServer((req, res) => res.end(req.url)),
  );
  assert.equal(server.listening, false);
  assert.equal(server.address(), null);
  await new Promise((resolve) => {
    assert.equal(server.listen({ port: 0, host: '127.0.0.1' }, resolve), server);
  });
  assert.equal(server.listening, true);
  const { address, family, port } = server.address();
  assert.deepEqual([address, family], ['127.0.0.1', 'IPv4']);
  assert.throws(() => server.listen(0), { code: 'ERR_SERVER_ALREADY_LISTEN' });
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/a?b`)).text(), '/a?b');
  await stop(server);
  assert.equal(server.address(), null);
  assert.equal((await new Promise((resolve) => server.close(resolve))).code, 'ERR_SERVER_NOT_RUNNING');
});

test('an address in use', { skip }, async (t) => {
  const { port } = await start(t, () => {});
  const second = closeAfter(t, createServer()).listen(port, '127.0.0.1');
  const [error] = await once(second, 'error');
  assert.deepEqual([error.code, error.syscall, error.port, error.address], ['EADDRINUSE', 'listen', port, '127.0.0.1']);
});

test('a Unix socket', { skip }, async (t) => {
  const socketPath = path.join(os.tmpdir(), `carom-node-${process.pid}.sock`);
  const server = closeAfter(
    t,
    createServer((req, res) => res.end('unix')),
  ).listen(socketPath);
  await once(server, 'listening');
  assert.equal(server.address(), socketPath);
  const [response] = await once(http.get({ socketPath, agent: false }), 'response');
  assert.equal(response.statusCode, 200);
  response.resume();
  await once(response, 'end');
});

test('a client that leaves', { skip }, async (t) => {
  let left;
  const gone = new Promise((resolve) => {
    left = resolve;
  });
  const { server, port } = await start(t, (req, res) => res.on('close', () => left([req.aborted, res.writableFinished])));
  const request = http.get({ port, host: '127.0.0.1', agent: false }).on('error', () => {});
  await once(server, 'request');
  request.destroy();
  assert.deepEqual(await gone, [true, false]);
});

test('a tunnel over HTTP/2: what is sent before its answer is not lost', { skip }, async (t) => {
  for (const io of ['inline', 'thread']) {
    const { server, port } = await start(t, () => {}, { carom: { io } });
    server.on('connect', (req, socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(socket);
    });
    const client = http2.connect(`http://127.0.0.1:${port}`);
    await once(client, 'remoteSettings');
    const tunnel = client.request({ ':method': 'CONNECT', ':authority': 'far.test:80' });
    tunnel.write('early '); // in one packet with the head
    await once(tunnel, 'response');
    tunnel.end('late');
    assert.equal(String(Buffer.concat(await tunnel.toArray())), 'early late');
    client.destroy();
    await stop(server);
  }
});

test('a signal that has aborted closes what would listen', { skip }, async () => {
  const server = createServer().listen({ port: 0, host: '127.0.0.1', signal: AbortSignal.abort() });
  server.on('listening', () => assert.fail('it listens'));
  await once(server, 'close');
  assert.equal(server.listening, false);
});

test('a signal closes, and is let go when it need not', { skip }, async (t) => {
  const controller = new AbortController();
  const server = closeAfter(
    t,
    createServer(() => {}),
  ).listen({ port: 0, host: '127.0.0.1', signal: controller.signal });
  await once(server, 'listening');
  assert.equal(getEventListeners(controller.signal, 'abort').length, 1);
  await stop(server);
  assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
  server.listen({ port: 0, host: '127.0.0.1', signal: controller.signal });
  await once(server, 'listening');
  controller.abort();
  await once(server, 'close');
});

test('HEAD says the length that was stated, also of what is written and left out; of 304 likewise', { skip }, async (t) => {
  const { base } = await start(t, (req, res) => {
    if (req.url !== '/open') res.setHeader('Content-Length', 4);
    if (req.url === '/304') res.writeHead(304).flushHeaders();
    if (req.url === '/piecewise') res.write('ab');
    if (req.url === '/at-once' || req.url === '/open') res.end(req.method === 'HEAD' ? undefined : 'abcd');
    else setImmediate(() => setImmediate(() => res.end(req.url === '/304' ? undefined : 'cd')));
  });
  for (const [path, method, length] of [
    ['/at-once', 'HEAD', '4'],
    ['/piecewise', 'HEAD', '4'],
    ['/piecewise', 'GET', '4'],
    ['/304', 'GET', '4'],
    ['/open', 'HEAD', null],
  ]) {
    const response = await fetch(base + path, { method });
    assert.equal(response.headers.get('content-length'), length, `${method} ${path}`);
    await response.text();
  }
});

test('content that flows unread ends when it has come, also after the response', { skip }, async (t) => {
  const events = [];
  let closed;
  const close = new Promise((resolve) => {
    closed = resolve;
  });
  const { port } = await start(t, (req, res) => {
    for (const name of ['end', 'aborted', 'error']) req.on(name, () => events.push(name));
    req.on('close', closed);
    req.resume();
    res.end('early');
  });
  const socket = net.connect(port, '127.0.0.1');
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n');
  await once(socket, 'data');
  assert.deepEqual(events, []);
  socket.write('late');
  await close;
  assert.deepEqual(events, ['end']);
  socket.destroy();
});

test('a connection that is not to be kept', { skip }, async (t) => {
  const { base } = await start(t, (req, res) => {
    res.shouldKeepAlive = false;
    res.end();
  });
  assert.equal((await fetch(base)).headers.get('connection'), 'close');
});

test('trailers both ways, early hints', { skip }, async (t) => {
  const { port } = await start(t, async (req, res) => {
    res.writeEarlyHints({ link: '</a>; rel=preload' });
    let length = 0;
    for await (const piece of req) length += piece.length;
    res.writeHead(200, { Trailer: 'X-Length' });
    res.write(String(length));
    res.addTrailers({ 'X-Length': `${length} ${req.trailers['x-sum']}` });
    res.end();
  });
  const request = http.request({ port, host: '127.0.0.1', method: 'POST', agent: false, headers: { Trailer: 'X-Sum' } });
  let hinted = 0;
  request.on('information', ({ statusCode }) => {
    hinted = statusCode;
  });
  request.write('abc');
  request.addTrailers({ 'X-Sum': '7' });
  request.end('def');
  const [response] = await once(request, 'response');
  response.setEncoding('utf8');
  let text = '';
  for await (const piece of response) text += piece;
  assert.deepEqual([text, response.trailers['x-length'], hinted], ['6', '6 7', 103]);
});

test('upgrade', { skip }, async (t) => {
  const { server, port } = await start(t, () => {});
  server.on('upgrade', (req, socket, head) => {
    assert.equal(head.length, 0); // what was sent at once comes on the socket
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
    socket.on('data', (data) => socket.write(String(data).toUpperCase()));
    socket.on('end', () => socket.end());
  });
  const client = net.connect(port, '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nat once, ');
  let text = '';
  let sent = false;
  client.setEncoding('latin1').on('data', (data) => {
    text += data;
    if (!sent && text.endsWith('AT ONCE, ')) {
      sent = true;
      client.write('hello');
    }
    if (text.endsWith('HELLO')) client.end();
  });
  await once(client, 'close');
  assert.match(text, /^HTTP\/1\.1 101 /);
  assert.match(text, /\r\n\r\nAT ONCE, HELLO$/);
});

test('a listener that throws is an uncaught exception', { skip }, () => {
  const program = `
    const { createServer } = require(${JSON.stringify(new URL('../../node.js', import.meta.url).pathname)});
    process.on('uncaughtException', (error) => { console.log(error.message); process.exit(7); });
    const server = createServer(() => { throw new Error('thrown'); }).listen(0, '127.0.0.1', () => {
      require('node:http').get({ port: server.address().port, host: '127.0.0.1' }).on('error', () => {});
    });`;
  const { status, stdout } = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' });
  assert.deepEqual([status, stdout.trim()], [7, 'thrown']);
});

test('many requests, and unref', { skip }, async (t) => {
  let served = 0;
  const { server, base } = await start(t, (req, res) => {
    served++;
    res.setHeader('X-N', served);
    res.end('x');
  });
  server.unref().ref();
  await Promise.all(Array.from({ length: 200 }, async () => assert.equal(await (await fetch(base)).text(), 'x')));
  assert.equal(served, 200);
});
