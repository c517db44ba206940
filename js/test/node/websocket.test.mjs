// WebSocket libraries that were written for node:http, on a server of ours; the client is that of `ws`.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import net from 'node:net';
import test from 'node:test';
import { closeAfter, createServer, skip, start } from './support.mjs';

const require = createRequire(import.meta.url);
const { WebSocket, WebSocketServer } = require('ws');

async function startSockets(t, options = {}) {
  const { server, port } = await start(t, (req, res) => res.end('plain'));
  const sockets = new WebSocketServer({ server, ...options });
  t.after(() => {
    for (const socket of sockets.clients) socket.terminate();
  });
  return { sockets, url: `ws://127.0.0.1:${port}/` };
}

async function connect(url, protocols) {
  const client = new WebSocket(url, protocols);
  client.on('error', () => {});
  await once(client, 'open');
  return client;
}

test('ws: texts, bytes, large messages, pings, a subprotocol, and the close of each side', { skip }, async (t) => {
  const { sockets, url } = await startSockets(t, { perMessageDeflate: true });
  sockets.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.on('close', (code) => sockets.emit('left', code));
  });
  const client = await connect(url, ['one', 'two']);
  assert.equal(client.protocol, 'one');
  for (const message of ['text', Buffer.from([0, 255]), 'ä'.repeat(500_000), Buffer.alloc(2 ** 20, 7)]) {
    client.send(message);
    const [data, isBinary] = await once(client, 'message');
    assert.deepEqual([isBinary, data.equals(Buffer.from(message))], [typeof message !== 'string', true]);
  }
  client.ping('are you there');
  assert.equal((await once(client, 'pong'))[0].toString(), 'are you there');
  const ends = Promise.all([once(sockets, 'left'), once(client, 'close')]);
  client.close(4001, 'bye');
  assert.deepEqual(await ends, [[4001], [4001, Buffer.from('bye')]]);
  const other = await connect(url);
  for (const socket of sockets.clients) socket.close(4002);
  assert.equal((await once(other, 'close'))[0], 4002);
});

test('ws: the pongs of who takes nothing are heard', { skip }, async (t) => {
  const { sockets, url } = await startSockets(t);
  const client = new WebSocket(url).on('error', () => {});
  const [socket] = await once(sockets, 'connection');
  if (client.readyState !== WebSocket.OPEN) await once(client, 'open');
  client.pause();
  socket.send(Buffer.alloc(2 ** 24));
  for (let i = 0; i < 3; i++) {
    client.pong(`${i}`);
    assert.equal((await once(socket, 'pong'))[0].toString(), `${i}`);
  }
  client.terminate();
  await once(socket, 'close');
});

test('ws: what was sent before terminate() arrives', { skip }, async (t) => {
  const { sockets, url } = await startSockets(t);
  sockets.on('connection', (socket) => {
    socket.send('last words');
    socket.terminate();
  });
  const client = new WebSocket(url);
  assert.equal((await once(client, 'message'))[0].toString(), 'last words');
  assert.equal((await once(client, 'close'))[0], 1006);
});

test('ws: who is not let in hears why', { skip }, async (t) => {
  const { url } = await startSockets(t, { verifyClient: (info, answer) => answer(false, 418, 'Teapot', { 'X-Why': 'tea' }) });
  const client = new WebSocket(url);
  const [, response] = await once(client, 'unexpected-response');
  assert.deepEqual([response.statusCode, response.headers['x-why']], [418, 'tea']);
  response.resume();
  await once(response, 'close');
});

test('ws: a server without its own, which is asked in upgrade', { skip }, async (t) => {
  const sockets = new WebSocketServer({ noServer: true });
  const server = closeAfter(t, createServer());
  server.on('upgrade', (req, socket, head) => {
    if (req.url === '/no') {
      socket.write('HTTP/1.1 401 Unauthorized\r\n\r\n');
      socket.destroy();
    } else sockets.handleUpgrade(req, socket, head, (ws) => ws.send(`hello ${req.url}`));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `ws://127.0.0.1:${server.address().port}`;
  const client = new WebSocket(`${url}/here`);
  assert.equal((await once(client, 'message'))[0].toString(), 'hello /here');
  client.terminate();
  const [error] = await once(new WebSocket(`${url}/no`), 'error');
  assert.match(error.message, /401/);
});

test('ws: closeAllConnections() leaves sockets to close by themselves, and close() waits for them', { skip }, async (t) => {
  for (const io of ['inline', 'thread']) {
    const { server, port } = await start(t, (req, res) => res.end('plain'), { carom: { io } });
    const sockets = new WebSocketServer({ server });
    sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
    const client = await connect(`ws://127.0.0.1:${port}/`);
    const idle = net.connect(port, '127.0.0.1');
    idle.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(idle, 'data');
    const ended = once(idle, 'close');
    let closed = false;
    const closes = once(server, 'close').then(() => {
      closed = true;
    });
    server.close();
    server.closeAllConnections();
    await ended;
    client.send('still here');
    assert.equal((await once(client, 'message'))[0].toString(), 'still here');
    assert.equal(closed, false);
    for (const socket of sockets.clients) socket.close(1001, 'going');
    assert.deepEqual(await once(client, 'close'), [1001, Buffer.from('going')]);
    await closes;
  }
});

// Engine.IO: 0 opens, 2probe, 3probe and 5 leave polling, 4 is a message. In it, of Socket.IO, 0 connects, 2 is an event, 3 its answer.
for (const polls of [false, true])
  test(`socket.io: over WebSocket ${polls ? 'after polling' : 'from the beginning'}`, { skip }, async (t) => {
    const { Server } = require('socket.io');
    const server = closeAfter(t, createServer()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const io = new Server(server);
    t.after(() => io.close());
    io.on('connection', (socket) => socket.on('add', (a, b, answer) => answer(a + b)));
    const at = `127.0.0.1:${server.address().port}/socket.io/?EIO=4&transport=`;
    let sid = '';
    if (polls) {
      const opened = await (await fetch(`http://${at}polling`)).text();
      sid = `&sid=${JSON.parse(opened.slice(1)).sid}`;
      const connected = await fetch(`http://${at}polling${sid}`, { method: 'POST', body: '40' });
      assert.equal(await connected.text(), 'ok');
    }
    const client = new WebSocket(`ws://${at}websocket${sid}`);
    const answers = polls ? { '3probe': '5' } : { '0{': '40' };
    if (polls) client.on('open', () => client.send('2probe'));
    const told = new Promise((resolve) => {
      client.on('message', (data) => {
        const text = data.toString();
        const answer = Object.keys(answers).find((start) => text.startsWith(start));
        if (answer) client.send(answers[answer]);
        if (text === '3probe' || text.startsWith('40')) client.send('421["add",2,3]');
        if (text.startsWith('43')) resolve(text);
      });
    });
    assert.equal(await told, '431[5]');
    client.terminate();
  });
