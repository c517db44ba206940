// Sockets as others look at them: their kinds, streams that a program brings itself, and connections that change their protocol.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import test from 'node:test';
import { createServer, Server, skip, start } from './support.mjs';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const UPGRADE = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: test\r\n';
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n';

async function raw(port, text) {
  const client = net.connect(port, '127.0.0.1');
  client.end(text);
  return Buffer.concat(await client.toArray()).toString('latin1');
}

test('a socket is a net.Socket for those who ask, and has what it has', { skip }, async (t) => {
  const { port } = await start(t, (req, res) => {
    assert.ok(req.socket instanceof net.Socket);
    assert.deepEqual([req.socket.pipe, req.socket.read, req.socket.destroyed], [undefined, undefined, false]);
    assert.throws(() => req.socket.setEncoding('utf8'), { code: 'ERR_HTTP_SOCKET_ENCODING' });
    const ran = () => {};
    req.socket.setTimeout(60_000, ran).setTimeout(0, ran);
    assert.equal(req.socket.listenerCount('timeout'), 0);
    let told = 0;
    req.socket.on('own', () => told++);
    req.socket.emit('own');
    res.end(`told ${told}`);
  });
  assert.match(await raw(port, GET), /told 1$/);
});

test('who ends a socket is called back, whether he ends it with bytes or not', { skip }, async (t) => {
  for (const last of [[], [undefined, undefined], ['x'], ['x', 'latin1']]) {
    let told;
    const called = new Promise((resolve) => {
      told = resolve;
    });
    const { port } = await start(t, (req) => req.socket.end(...last, told));
    await raw(port, GET);
    await called;
  }
});

test('bytes that the engine has yet to send are written', { skip }, async (t) => {
  for (const [whole, least] of [
    [true, 12],
    [false, 17],
  ]) {
    const { promise, port } = await new Promise((resolve) => {
      const told = new Promise((tell) => {
        start(t, (req, res) => {
          res.on('finish', () => tell(req.socket.bytesWritten));
          if (!whole) res.write('more ');
          res.end('hello world\n');
        }).then(({ port }) => resolve({ promise: told, port }));
      });
    });
    await raw(port, GET);
    assert.ok((await promise) >= least, `${await promise}`);
  }
});

test('bytes of all responses of a connection are written', { skip }, async (t) => {
  const written = [];
  const { port } = await start(t, (req, res) => {
    res.on('finish', () => written.push(req.socket.bytesWritten));
    res.end('x'.repeat(10_000));
  });
  await raw(port, GET + GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
  assert.equal(written.length, 2);
  assert.ok(written[1] >= 20_000, `${written}`);
});

test('a refusal that nobody deals with is an error of its socket, and of no other', { skip }, async (t) => {
  const { server, port } = await start(t, () => assert.fail('no request'));
  const [, [error]] = await Promise.all([
    raw(port, 'GET@ / HTTP/1.1\r\nHost: a\r\n\r\n'),
    once(server, 'connection').then(([socket]) => new Promise((resolve) => socket.on('error', (...args) => resolve(args)))),
  ]);
  assert.equal(error.code, 'HPE_INVALID_METHOD');
  assert.equal(error.bytesParsed, 3);
  assert.equal(error.rawPacket.toString(), 'GET@ / HTTP/1.1\r\nHost: a\r\n\r\n');
});

test('a stream that a program brings is served by its listeners', { skip }, async (t) => {
  const server = createServer((req, res) => {
    res.setHeader('X-Mine', String(req.socket instanceof net.Socket));
    res.end(`hello ${req.url}`);
  });
  const front = net.createServer((socket) => server.emit('connection', socket)).listen(0, '127.0.0.1');
  t.after(() => front.close());
  await once(front, 'listening');
  const answer = await raw(front.address().port, GET.replace('/', '/mine').replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(answer, /hello \/mine$/);
  const refused = once(server, 'clientError');
  const client = net.connect(front.address().port, '127.0.0.1');
  client.write('nonsense\r\n\r\n');
  const [error, socket] = await refused;
  assert.equal(error.code, 'HPE_INVALID_METHOD');
  socket.destroy();
  await client.toArray();
});

test('an object that inherits the old way is a server', { skip }, async () => {
  function Mine() {
    Server.call(this, (req, res) => res.end('mine'));
  }
  Object.setPrototypeOf(Mine.prototype, Server.prototype);
  const server = new Mine();
  assert.ok(server instanceof Mine && server instanceof http.Server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  assert.match(await raw(server.address().port, GET), /mine$/);
  server.close();
  await once(server, 'close');
});

test('the end of a client is heard on an upgraded connection, though nobody reads', { skip }, async (t) => {
  const { server, port } = await start(t, () => assert.fail('no request'));
  server.on('upgrade', (req, socket) => {
    socket.write(SWITCH);
    socket.on('end', () => socket.end('bye'));
  });
  const client = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  client.write(`${UPGRADE}\r\n`);
  let text = '';
  client.on('data', (data) => {
    text += data;
    if (text.endsWith('\r\n\r\n')) client.end();
  });
  await once(client, 'end');
  assert.match(text, /^HTTP\/1\.1 101 [^]*\r\n\r\nbye$/);
});

test('a request with content is not upgraded, and a head that is refused ends no process', { skip }, async (t) => {
  const { server, port } = await start(t, (req, res) => res.end('as ever'));
  server.on('upgrade', (req, socket) => socket.write(SWITCH.replace('test', 'te\0st')));
  const client = net.connect(port, '127.0.0.1');
  client.write(`${UPGRADE}Transfer-Encoding: chunked\r\n\r\n4\r\nhead\r\n0\r\n\r\n`);
  const [answer] = await once(client, 'data');
  assert.match(answer.toString(), /as ever$/);
  client.destroy();
  const warned = once(process, 'warning');
  const other = net.connect(port, '127.0.0.1').on('error', () => {});
  other.write(`${UPGRADE}\r\n`);
  const [warning] = await warned;
  assert.match(warning.message, /upgrade/i);
  if (!other.closed) await new Promise((resolve) => other.once('close', resolve));
});

test('what an upgrade is answered with that is no head ends its connection, and no process', { skip }, async (t) => {
  const { server, port } = await start(t, () => assert.fail('no request'));
  const told = [];
  server.on('upgrade', (req, socket) => {
    if (req.url === '/heard') socket.on('error', (error) => told.push(error.code));
    socket.end('nope\r\n\r\n');
  });
  const warn = ({ code }) => told.push(code);
  process.on('warning', warn);
  t.after(() => process.off('warning', warn));
  for (const path of ['/', '/heard']) {
    const client = net.connect(port, '127.0.0.1');
    client.write(`${UPGRADE.replace('/', path)}\r\n`);
    await client.toArray();
  }
  assert.deepEqual(told, ['ERR_INVALID_HTTP_RESPONSE', 'ERR_INVALID_HTTP_RESPONSE']);
});

// What a client does not take holds up nothing of what it sends.
for (const io of ['inline', 'thread'])
  test(`an upgraded connection is read while its client takes nothing, io: ${io}`, { skip }, async (t) => {
    const { server, port } = await start(t, () => assert.fail('no request'), { carom: { io } });
    const client = net.connect(port, '127.0.0.1');
    server.on('upgrade', async (req, socket) => {
      socket.on('error', () => {});
      socket.write(SWITCH);
      socket.write(Buffer.alloc(2 ** 24));
      for (let i = 0; i < 20; i++) {
        client.write(`ping ${i}`);
        const [data] = await once(socket, 'data');
        assert.equal(data.toString(), `ping ${i}`);
        socket.write(Buffer.alloc(2 ** 18));
      }
      client.destroy();
    });
    client.write(`${UPGRADE}\r\n`);
    await new Promise((resolve) => client.once('close', resolve));
  });

const TAILS = {
  'a few bytes': ['last words'],
  'more than the engine takes at once': [Buffer.alloc(100_000, 'a'), 'b', Buffer.alloc(50_000, 'c'), 'last words'],
};
for (const [name, pieces] of Object.entries(TAILS))
  for (const unread of ['', 'what nobody reads'])
    test(`${name}, written before destroy(), arrive${unread && ', behind what nobody reads'}`, { skip }, async (t) => {
      const { server, port } = await start(t, () => assert.fail('no request'));
      server.on('upgrade', (req, socket) => {
        for (const piece of [SWITCH, ...pieces]) socket.write(piece);
        socket.destroy();
      });
      const client = net.connect(port, '127.0.0.1');
      client.write(`${UPGRADE}\r\n${unread}`);
      const text = Buffer.concat(await client.toArray()).toString();
      assert.equal(text.slice(text.indexOf('\r\n\r\n') + 4), pieces.join(''));
    });

test('a refusal of an upgrade that is written before destroy() arrives, and ends the connection', { skip }, async (t) => {
  const { server, port } = await start(t, () => assert.fail('no request'));
  server.on('upgrade', (req, socket) => {
    socket.write('HTTP/1.1 401 Unauthorized\r\n\r\n');
    socket.destroy();
  });
  const client = net.connect(port, '127.0.0.1');
  client.write(`${UPGRADE}\r\n`);
  assert.match(Buffer.concat(await client.toArray()).toString(), /^HTTP\/1\.1 401 Unauthorized\r\n/);
});

test('a client that takes nothing keeps no connection that is destroyed', { skip }, async (t) => {
  const { server, port } = await start(t, () => assert.fail('no request'));
  const client = net.connect(port, '127.0.0.1').on('error', () => {});
  server.on('upgrade', (req, socket) => {
    socket.write(SWITCH);
    socket.write(Buffer.alloc(2 ** 24));
    setImmediate(() => socket.destroy());
  });
  const closed = once(server, 'connection').then(([socket]) => new Promise((resolve) => socket.once('close', resolve)));
  client.write(`${UPGRADE}\r\n`);
  await closed;
  client.destroy();
});

test('HTTP/1.0 changes no protocol', { skip }, async (t) => {
  const { server, port } = await start(t, (req, res) => res.end(req.headers.upgrade));
  server.on('upgrade', () => assert.fail('an upgrade'));
  assert.match(await raw(port, `${UPGRADE.replace('/1.1', '/1.0')}\r\n`), /^HTTP\/1\.1 200 [^]*\r\n\r\ntest$/);
});

// Which timer the kernel has for our end of a connection: 2 is that of keep-alive (proc_net_tcp in the kernel's documentation).
function timerOf(port, clientPort) {
  const hex = (number) => number.toString(16).toUpperCase().padStart(4, '0');
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n')) {
    const [, local = '', remote = '', , , timer = ''] = line.trim().split(/ +/);
    if (local.endsWith(`:${hex(port)}`) && remote.endsWith(`:${hex(clientPort)}`)) return Number(timer.split(':')[0]);
  }
  return undefined;
}

// Whether the kernel asks the peer. What was sent is acknowledged soon, until when another timer (1) is told of. Two requests later
// the engine has done what was asked of it.
async function probes({ base, port }, client) {
  for (let i = 0; i < 2; i++) await (await fetch(base)).text();
  while (timerOf(port, client.localPort) === 1) await new Promise(setImmediate);
  return timerOf(port, client.localPort) === 2;
}

test('setKeepAlive lets the kernel ask a silent peer: of a request, of an upgrade, by an option', { skip }, async (t) => {
  for (const io of ['inline', 'thread']) {
    const plain = await start(t, (req, res) => res.end(), { carom: { io } });
    for (const event of ['request', 'upgrade']) {
      const changed = once(plain.server, event);
      const client = net.connect(plain.port, '127.0.0.1');
      client.write(event === 'request' ? GET : `${UPGRADE}\r\n`);
      const [{ socket: ofRequest }, ofUpgrade] = await changed;
      const socket = event === 'request' ? ofRequest : ofUpgrade;
      if (event === 'upgrade') socket.write(SWITCH);
      await once(client, 'data');
      assert.equal(await probes(plain, client), false);
      assert.equal(socket.setKeepAlive(true, 60_000), socket);
      assert.equal(await probes(plain, client), true);
      socket.setKeepAlive(false);
      assert.equal(await probes(plain, client), false);
      client.destroy();
    }
    const asked = await start(t, (req, res) => res.end(), { carom: { io }, keepAlive: true, keepAliveInitialDelay: 5000 });
    const client = net.connect(asked.port, '127.0.0.1');
    client.write(GET);
    await once(client, 'data');
    assert.equal(await probes(asked, client), true);
    client.destroy();
  }
});
