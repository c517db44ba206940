// Raw bytes on the socket of a request: a response that the listener writes itself, head and all.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import test from 'node:test';
import { skip, start } from './support.mjs';

async function raw(port, text) {
  const client = net.connect(port, '127.0.0.1');
  client.write(text);
  return Buffer.concat(await client.toArray()).toString('latin1');
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
// What each writes is what the client gets.
const listeners = {
  'in one piece, then destroyed': [
    'HTTP/1.1 299 Own\r\nX-A: b\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc',
    (socket, text) => socket.write(text, () => socket.destroy()),
  ],
  'in bytes, and ended': [
    'HTTP/1.1 299 Own\r\nX-A: b\r\n\r\nabc',
    (socket, text) => {
      for (const char of text.slice(0, -1)) socket.write(Buffer.from(char));
      socket.end(text.slice(-1));
    },
  ],
  'in chunks of its own': [
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    (socket, text) => {
      socket.write(text.slice(0, 60));
      setImmediate(() => socket.end(text.slice(60)));
    },
  ],
  'behind an informational one': [
    'HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 299 Own\r\n\r\nabc',
    (socket, text) => {
      socket.write(text);
      socket.destroySoon();
    },
  ],
  'as it was, whatever it is': ['x\r\n\r\n', (socket, text) => socket.end(text)],
};

for (const [name, [text, listener]] of Object.entries(listeners))
  test(name, { skip }, async (t) => {
    let closed;
    const { port } = await start(t, (req, res) => {
      closed = once(res, 'close');
      listener(res.socket, text);
    });
    assert.equal(await raw(port, GET), text);
    await closed;
  });

test('a megabyte of raw bytes, with its drains', { skip }, async (t) => {
  let drains = 0;
  const { port } = await start(t, async (req, { socket }) => {
    for (let i = 0; i < 16; i++) {
      if (socket.write(Buffer.alloc(65536, 97 + i))) continue;
      await once(socket, 'drain');
      drains++;
    }
    socket.end();
  });
  const text = await raw(port, GET);
  assert.equal(text.length, 16 * 65536);
  for (let i = 0; i < 16; i++) assert.equal(text.charCodeAt(65536 * i + 100), 97 + i);
  assert.ok(drains > 0);
});

test('raw bytes behind a head, or without a request, are an error', { skip }, async (t) => {
  const { server, port } = await start(t, (req, res) => {
    res.write('a');
    assert.throws(() => res.socket.write('b'), { code: 'ERR_METHOD_NOT_IMPLEMENTED' });
    res.end('c');
  });
  const told = once(server, 'connection').then(([socket]) =>
    assert.throws(() => socket.write('b'), { code: 'ERR_METHOD_NOT_IMPLEMENTED' }),
  );
  assert.match(await raw(port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'), /ac$/);
  await told;
});
