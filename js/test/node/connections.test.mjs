// The connections of a server, as its listeners see them: events, the one socket of each, what was refused, and their end.
import assert from 'node:assert/strict';
import { channel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import test from 'node:test';
import { createServer, Server, skip, start } from './support.mjs';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const textOf = async (client) => Buffer.concat(await client.toArray()).toString('latin1');

// A client that reads what comes; `text()` has what came so far, `until(part)` waits for it.
async function connect(port) {
  const client = net.connect(port, '127.0.0.1').setEncoding('latin1');
  let text = '';
  client.on('data', (data) => {
    text += data;
  });
  client.text = () => text;
  client.until = async (part) => {
    while (!text.includes(part)) await once(client, 'data');
  };
  await once(client, 'connect');
  return client;
}

test('a connection has one socket, from connection to close', { skip }, async (t) => {
  const sockets = [];
  const { server, port } = await start(t, (req, res) => {
    assert.equal(req.socket, sockets[0]);
    assert.equal(res.socket, sockets[0]);
    res.end('hello');
  });
  server.on('connection', (socket) => sockets.push(socket));
  const client = await connect(port);
  client.write(GET);
  await client.until('hello');
  client.write(GET.replace('/', '/2'));
  while (client.text().split('hello').length < 3) await once(client, 'data');
  assert.equal(sockets.length, 1);
  const [socket] = sockets;
  assert.equal(await new Promise((resolve) => server.getConnections((error, count) => resolve(count))), 1);
  assert.equal(socket.remotePort, client.localPort);
  assert.deepEqual([socket.destroyed, socket.readyState, socket.encrypted], [false, 'open', false]);
  const closed = once(socket, 'close');
  client.end();
  assert.deepEqual(await closed, [false]);
  assert.deepEqual([socket.bytesRead, socket.bytesWritten], [client.bytesWritten, client.text().length]);
  assert.deepEqual([socket.destroyed, socket.readyState], [true, 'closed']);
  assert.equal(server.connections, 0);
  socket.encrypted = true;
  assert.equal(socket.encrypted, true);
});

test('what is no request is told as clientError, and the engine answers what nobody does', { skip }, async (t) => {
  const { server, port } = await start(t, () => assert.fail('no request'));
  const refused = [];
  const ask = async (bytes) => {
    const client = net.connect(port, '127.0.0.1');
    client.write(bytes);
    return textOf(client);
  };
  assert.match(await ask('GARBAGE\r\n\r\n'), /^HTTP\/1\.1 400 Bad Request\r\n/);
  server.on('clientError', (error, socket) => {
    refused.push([error.code, String(error.rawPacket), socket.writable]);
    socket.end('HTTP/1.1 499 Mine\r\n\r\n');
  });
  for (const bytes of [
    'GARBAGE\r\n\r\n',
    'GET / HTTP/7.1\r\nHost: a\r\n\r\n',
    'GET / HTTP/1.1\r\nHo st: a\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1a\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20000)}\r\n\r\n`,
  ])
    assert.equal(await ask(bytes), 'HTTP/1.1 499 Mine\r\n\r\n');
  assert.deepEqual(
    refused.map(([code, , writable]) => [code, writable]),
    [
      ['HPE_INVALID_METHOD', true],
      ['HPE_INVALID_VERSION', true],
      ['HPE_INVALID_HEADER_TOKEN', true],
      ['HPE_INVALID_CONTENT_LENGTH', true],
      ['HPE_UNEXPECTED_CONTENT_LENGTH', true],
      ['HPE_INVALID_TRANSFER_ENCODING', true],
      ['HPE_HEADER_OVERFLOW', true],
    ],
  );
  assert.equal(refused[0][1], 'GARBAGE\r\n\r\n');
  server.removeAllListeners('clientError');
  server.on('clientError', (error, socket) => socket.destroy());
  assert.equal(await ask('GARBAGE\r\n\r\n'), '');
});

test('FIN in a head is a clientError that can be answered; without a byte of one it is none', { skip }, async (t) => {
  const told = [];
  const { server, port } = await start(t, (req, res) => res.end('first'));
  const ask = (bytes) => {
    const client = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    client.end(bytes);
    return textOf(client);
  };
  assert.match(await ask('GET / HT'), /^HTTP\/1\.1 400 Bad Request\r\n/);
  server.on('clientError', ({ code, bytesParsed, reason, rawPacket }, socket) => {
    told.push([code, bytesParsed, reason, rawPacket, socket.writable]);
    socket.end('HTTP/1.1 499 Mine\r\n\r\n');
  });
  for (const bytes of ['G', 'GET / HTTP/1.1\r\nHost: a\r\n', 'GET / HTTP/1.1\r\nHost: a\r\nX: b'])
    assert.equal(await ask(bytes), 'HTTP/1.1 499 Mine\r\n\r\n');
  const eof = ['HPE_INVALID_EOF_STATE', 0, 'Invalid EOF state', undefined, true];
  assert.deepEqual(told, [eof, eof, eof]);
  const client = await connect(port);
  client.write(`${GET}GET /`);
  await client.until('first');
  client.end();
  await client.until('firstHTTP/1.1 499 Mine\r\n\r\n');
  assert.equal(await ask(''), '');
  assert.equal(told.length, 4);
  server.removeAllListeners('clientError').on('clientError', (error, socket) => socket.destroy());
  assert.equal(await ask('GET / HT'), '');
});

test('a reset, and a chunk that is none, are clientErrors', { skip }, async (t) => {
  const { server, port } = await start(t, (req) => req.on('error', () => {}).resume());
  const opened = once(server, 'connection');
  const client = await connect(port);
  const [socket] = await opened;
  const told = once(server, 'clientError');
  client.resetAndDestroy();
  const [error, which] = await told;
  assert.deepEqual([error.code, which === socket], ['ECONNRESET', true]);
  const other = net.connect(port, '127.0.0.1');
  other.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  await once(server, 'request');
  other.write('no chunk\r\n');
  const [chunk] = await once(server, 'clientError');
  assert.equal(chunk.code, 'HPE_INVALID_CHUNK_SIZE');
});

test('what was written before destroy arrives', { skip }, async (t) => {
  const { port } = await start(t, (req, res) => {
    res.writeHead(200, { 'Content-Length': 100 });
    res.write('written');
    if (req.url === '/socket') req.socket.destroy();
    else if (req.url === '/later') setImmediate(() => res.destroy());
    else res.destroy();
  });
  for (const path of ['/', '/socket', '/later']) {
    const client = net.connect(port, '127.0.0.1');
    client.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    assert.match(await textOf(client), /\r\n\r\nwritten$/);
  }
});

test('what is answered behind destroy in the same turn does not arrive', { skip }, async (t) => {
  for (const [way, answer] of [
    ['socket', (res) => res.end('late')],
    ['request', (res) => res.end('late')],
    ['response', (res) => res.end('late')],
    ['socket', (res) => res.write('late')],
  ]) {
    const { port } = await start(t, (req, res) => {
      ({ socket: req.socket, request: req, response: res })[way].destroy();
      answer(res.on('error', () => {}));
    });
    const client = net.connect(port, '127.0.0.1');
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.equal(String(Buffer.concat(await client.toArray())), '', way);
  }
});

test('a connection may be destroyed that has no request', { skip }, async (t) => {
  const { server, port } = await start(t, () => {});
  const opened = once(server, 'connection');
  const client = await connect(port);
  const [socket] = await opened;
  const ended = once(client, 'end');
  socket.destroy();
  await Promise.all([ended, once(socket, 'close')]);
});

test('idle connections are closed, with and without close()', { skip }, async (t) => {
  let answer;
  const { server, port } = await start(t, (req, res) => {
    answer = res;
    server.emit('asked');
  });
  const idle = await connect(port);
  const busy = await connect(port);
  busy.write(GET);
  await once(server, 'asked');
  const ended = once(idle, 'end');
  server.closeIdleConnections();
  await ended;
  answer.end('late');
  await busy.until('late');
  const other = await connect(port);
  const others = Promise.all([once(busy, 'end'), once(other, 'end')]);
  server.closeIdleConnections();
  await others;
});

test('all connections are closed, and the server goes on', { skip }, async (t) => {
  const gone = [];
  const { server, port } = await start(t, (req, res) => {
    if (req.url === '/on') res.end('on');
    else {
      req.on('close', () => gone.push('request'));
      res.on('close', () => gone.push('response')).write('begun');
    }
  });
  const busy = await connect(port);
  busy.write(GET);
  await busy.until('begun');
  const idle = await connect(port);
  const ended = Promise.all([once(busy, 'close'), once(idle, 'close')]);
  busy.on('error', () => {});
  server.closeAllConnections();
  await ended;
  assert.deepEqual(gone.sort(), ['request', 'response']);
  assert.match(await (await fetch(`http://127.0.0.1:${port}/on`)).text(), /on/);
});

test('close and listen in one turn', { skip }, async (t) => {
  let closes = 0;
  const { server, port } = await start(t, (req, res) => res.end('again'));
  server.on('close', () => closes++);
  server.close();
  assert.equal(server.listening, false);
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'again');
  assert.equal(closes, 0);
});

test('it may be called without new, and is a server of node', { skip }, async (t) => {
  const plain = Server((req, res) => res.end());
  assert.ok(plain instanceof Server && plain instanceof http.Server && plain instanceof net.Server);
  assert.ok(createServer() instanceof Server && createServer(null) instanceof Server);
  assert.ok(!(createServer() instanceof https.Server));
  class Own extends Server {}
  assert.ok(new Own() instanceof Own && !(plain instanceof Own));
});

test('a request that expects what nobody knows is for checkExpectation, or refused', { skip }, async (t) => {
  const { server, port } = await start(t, (req, res) => res.end('no'));
  const ask = async () => {
    const client = net.connect(port, '127.0.0.1');
    client.write('GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nConnection: close\r\n\r\n');
    return textOf(client);
  };
  assert.match(await ask(), /^HTTP\/1\.1 417 /);
  server.on('checkExpectation', (req, res) => res.writeHead(299).end(req.headers.expect));
  assert.match(await ask(), /^HTTP\/1\.1 299 [^]*tea$/);
});

test('diagnostics channels tell of requests and responses', { skip }, async (t) => {
  const told = [];
  const listen = (name) => {
    const hear = (message) => told.push([name, Object.keys(message).sort().join()]);
    channel(name).subscribe(hear);
    t.after(() => channel(name).unsubscribe(hear));
  };
  for (const name of ['http.server.request.start', 'http.server.response.created', 'http.server.response.finish']) listen(name);
  const { server, base } = await start(t, (req, res) => res.end('x'));
  const finished = new Promise((resolve) => server.once('request', (req, res) => res.once('close', resolve)));
  await (await fetch(base)).text();
  await finished;
  assert.deepEqual(told, [
    ['http.server.response.created', 'request,response'],
    ['http.server.request.start', 'request,response,server,socket'],
    ['http.server.response.finish', 'request,response,server,socket'],
  ]);
});
