// Raw bytes on the socket of a request: a response that the listener writes itself.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import test from 'node:test';
import { skip, start } from './support.mjs';

const stop = (server) =>
  new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });

async function raw(port, text) {
  const client = net.connect(port, '127.0.0.1');
  client.write(text);
  return Buffer.concat(await client.toArray()).toString('latin1');
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const listeners = {
  'in one piece, then destroyed': (socket) => {
    socket.write('HTTP/1.1 299 Own\r\nX-A: b\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc', () => socket.destroy());
  },
  'in bytes, and ended': (socket) => {
    for (const char of 'HTTP/1.1 299 Own\r\nX-A: b\r\n\r\nab') socket.write(Buffer.from(char));
    socket.end('c');
  },
  'of stated length, and nothing more': (socket) => {
    socket.write('HTTP/1.0 299 Own\r\nx-a: b\r\nContent-Length: 3\r\n\r\na');
    setImmediate(() => socket.write('bc and what is too much'));
  },
  'behind an informational one': (socket) => {
    socket.write('HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 299 Own\r\nX-A: b\r\n\r\nabc');
    socket.destroySoon();
  },
};

for (const [name, listener] of Object.entries(listeners))
  test(name, { skip }, async (t) => {
    let closed;
    const { server, port } = await start(t, (req, res) => {
      closed = once(res, 'close');
      listener(res.socket);
    });
    const text = await raw(port, GET);
    const last = text.slice(text.lastIndexOf('HTTP/1.1'));
    assert.match(last, /^HTTP\/1\.1 299 Own\r\nx-a: b\r\n/i);
    assert.match(last, /\r\n(3\r\n)?abc(\r\n0\r\n\r\n)?$/);
    assert.equal(text.startsWith('HTTP/1.1 103 '), name.startsWith('behind'));
    await closed;
    await stop(server);
  });

test('what is no response, or comes behind a head, is an error', { skip }, async (t) => {
  let told;
  const { server, port } = await start(t, (req, res) => {
    if (req.url === '/behind') {
      res.write('a');
      assert.throws(() => res.socket.write('b'), { code: 'ERR_METHOD_NOT_IMPLEMENTED' });
      res.end('c');
    } else
      told = new Promise((resolve) =>
        res.socket.write(req.url === '/none' ? 'x\r\n\r\n' : 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', resolve),
      );
  });
  for (const [path, code] of [
    ['/none', 'ERR_INVALID_HTTP_RESPONSE'],
    ['/chunks', 'ERR_METHOD_NOT_IMPLEMENTED'],
  ]) {
    await assert.rejects(raw(port, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`), { code: 'ECONNRESET' });
    assert.equal((await told).code, code);
  }
  assert.match(await raw(port, 'GET /behind HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'), /ac$/);
  await stop(server);
});
