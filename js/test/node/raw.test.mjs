// Raw bytes on the socket of a request: a response that the listener writes itself, head and all.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import test from 'node:test';
import { skip, start } from './support.mjs';
import { nativeOnly } from '../support.mjs';

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

// A client that sends rubbish, or nothing more, must end no process whose listener writes.
test('raw bytes behind a head, or without a request, are not sent, and a warning', { skip }, async (t) => {
  const warnings = [];
  const hear = ({ code }) => warnings.push(code);
  process.on('warning', hear);
  t.after(() => process.off('warning', hear));
  const seen = [];
  const { server, port } = await start(t, (req, res) => {
    res.write('a');
    assert.equal(
      res.socket.write('b', (error) => seen.push(error.code)),
      false,
    );
    res.end('c');
  });
  server.on('connection', (socket) => assert.equal(socket.write('b'), false));
  assert.match(await raw(port, GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')), /\r\n\r\nac$/);
  assert.deepEqual(seen, ['ERR_METHOD_NOT_IMPLEMENTED']);
  assert.deepEqual(warnings, ['ERR_METHOD_NOT_IMPLEMENTED', 'ERR_METHOD_NOT_IMPLEMENTED']);
});

// What is no request, behind a request whose response is whole or has only begun: the listener's answer comes behind it.
for (const [name, answer, answers] of [
  ['answered', (res) => res.end('first'), /first$/],
  ['begun', (res) => res.write('fir') && setImmediate(() => res.end('st')), /first\r\n0\r\n\r\n$/],
])
  for (const listens of [true, false])
    test(`a bad head behind what is ${name}, ${listens ? 'with' : 'without'} a listener that writes`, {
      skip: skip || (name === 'begun' && nativeOnly('rates', 'content that is given in one turn may leave as several chunks')),
    }, async (t) => {
      let told = 0;
      const { server, port } = await start(t, (req, res) => answer(res));
      if (listens)
        server.on('clientError', (error, socket) => {
          told++;
          socket.end('HTTP/1.1 400 Bad Request\r\nX-Own: 1\r\n\r\n');
        });
      const [first, second, ...more] = (await raw(port, `${GET}GET /a b HTTP/1.1\r\n\r\n`)).split(/(?=HTTP\/1\.1 )/);
      assert.match(first, answers);
      assert.match(second, listens ? /^HTTP\/1\.1 400 Bad Request\r\nX-Own: 1\r\n\r\n$/ : /^HTTP\/1\.1 400 /);
      assert.deepEqual([more.length, told], [0, listens ? 1 : 0]);
    });

test("a listener of 'clientError' that writes and destroys with the error hears of it once", { skip }, async (t) => {
  let told = 0;
  const { server, port } = await start(t, (req, res) => res.end('first'));
  server.on('clientError', (error, socket) => {
    told++;
    socket.write('HTTP/1.1 400 Bad Request\r\nX-Own: 1\r\n\r\n');
    socket.destroy(error);
  });
  const closed = once(server, 'connection').then(([socket]) => new Promise((resolve) => socket.once('close', resolve)));
  assert.match(await raw(port, `${GET}GET /a b HTTP/1.1\r\n\r\n`), /firstHTTP\/1\.1 400 Bad Request\r\nX-Own: 1\r\n\r\n$/);
  await closed;
  assert.equal(told, 1);
});
