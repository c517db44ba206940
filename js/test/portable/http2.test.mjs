// HTTP/2 on the portable engine: what a client may not do to it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';

import { createServer, quietly, resolvers, serving, upgradeWebSocket } from './support.mjs';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const SETTINGS = [0, 0, 0, 4, 0, 0, 0, 0, 0];
const NO_WINDOW = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0];
const GET = [0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x84, 0x86, 0x41, 1, 97]; // of / on stream 1

// A client that sends these frames, and hears of nothing.
function deaf(t, { addr: { port } }, ...frames) {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {});
  socket.write(Buffer.concat([Buffer.from(PREFACE), ...frames.map((frame) => Buffer.from(frame))]));
  socket.resume();
  t.after(() => socket.destroy());
  return socket;
}

function connect(t, { addr: { port } }) {
  const session = http2.connect(`http://127.0.0.1:${port}`).on('error', () => {});
  t.after(() => session.destroy());
  return session;
}

test('frames that come while a WebSocket opens are heard behind that, in their order', async (t) => {
  const server = serving(t, { websocket: {} }, async (request) => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    const { socket, response } = upgradeWebSocket(request);
    socket.onmessage = ({ data }) => socket.send(data);
    return response;
  });
  const session = connect(t, server);
  await once(session, 'remoteSettings');
  const stream = session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/', 'sec-websocket-version': '13' });
  let sent = 0;
  let isOpen = false;
  const got = [];
  stream.on('response', () => {
    isOpen = true;
  });
  stream.on('data', (data) => got.push(data));
  // A text of one letter and a ping in each turn, until it is open.
  await new Promise((resolve) => {
    const more = () => {
      stream.write(Buffer.from([0x81, 0x81, 0, 0, 0, 0, 97 + (sent % 26), 0x89, 0x80, 0, 0, 0, 0]));
      sent++;
      if (isOpen) resolve();
      else setImmediate(more);
    };
    more();
  });
  const texts = () =>
    [
      ...Buffer.concat(got)
        .toString('latin1')
        .matchAll(/\x81\x01(.)/gs),
    ]
      .map(([, letter]) => letter)
      .join('');
  while (texts().length < sent) await once(stream, 'data');
  assert.equal(texts(), Array.from({ length: sent }, (_, i) => String.fromCharCode(97 + (i % 26))).join(''));
});

test('a client that closes its side has left', async (t) => {
  let client;
  const aborted = new Promise((resolve) => {
    const server = serving(t, {}, (request) => {
      request.signal.addEventListener('abort', resolve);
      client.end();
      return new Promise(() => {});
    });
    client = deaf(t, server, SETTINGS, GET);
  });
  await aborted;
});

test('content that nobody reads does not hold a shutdown', async (t) => {
  const server = serving(t, { lingerTimeout: 50 }, () => new Response('early'));
  const stream = connect(t, server).request({ ':method': 'POST', ':path': '/' });
  stream.write('x');
  let text = '';
  for await (const data of stream) text += data;
  assert.deepEqual([text, stream.rstCode], ['early', 0]);
  await server.shutdown();
});

test('content that nobody reads is taken as far as the window goes, and no further', async (t) => {
  const begun = resolvers();
  const server = serving(t, { h2StreamWindow: 65_536 }, () => {
    begun.resolve();
    return new Promise(() => {});
  });
  const session = connect(t, server);
  const stream = session.request({ ':method': 'POST' });
  stream.on('error', () => {});
  let isTaken = false;
  stream.write(Buffer.alloc(1 << 22), () => {
    isTaken = true;
  });
  await begun.promise;
  // The client's own word for as many turns of the connection as all of it would need.
  for (let i = 0; i < 300 && !isTaken; i++) await new Promise((resolve) => session.ping(resolve));
  assert.equal(isTaken, false);
});

test('a client that is told to go and stays does not hold a shutdown', async (t) => {
  const server = serving(t, { lingerTimeout: 50 }, () => new Response());
  const client = deaf(t, server, SETTINGS);
  await once(client, 'data');
  await server.shutdown();
});

test('a client that takes nothing is cut off', async (t) => {
  const server = serving(t, { writeTimeout: 50, lingerTimeout: 50 }, () => new Response('hello'));
  const client = deaf(t, server, NO_WINDOW, GET);
  await once(client, 'data');
  while (server.stats().requests === 0) await new Promise(setImmediate);
  await server.shutdown();
  assert.equal(server.stats().ended['write-timeout'], 1);
});

test('a field may have the name of what objects have', async (t) => {
  const server = serving(t, {}, () => new Response('x', { headers: { constructor: 'a', 'x-other': 'b' } }));
  const [headers] = await once(connect(t, server).request(), 'response');
  assert.deepEqual([headers[':status'], headers.constructor, headers['x-other']], [200, 'a', 'b']);
});

test('a client of TLS speaks what was agreed on, and takes no session of another', async (t) => {
  const server = serving(t, { tls: 'dev' }, () => new Response('ok'));
  const { port } = server.addr;
  const other = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }).on('error', () => {});
  t.after(() => other.destroy());
  other.write(PREFACE);
  assert.match(String((await once(other, 'data'))[0]), /^HTTP\/1.1 [45]/);
});

// HEADERS of a POST to / on stream 1, with these fields, and DATA of three bytes.
function postOf(...fields) {
  const block = [0x83, 0x84, 0x86, 0x41, 1, 97, ...fields];
  return [0, 0, block.length, 1, 4, 0, 0, 0, 1, ...block, 0, 0, 3, 0, 0, 0, 0, 0, 1, 97, 98, 99];
}

// Has the handler read a piece, then a client reset the stream, and gives what comes of the next one. `early`: the response has left.
async function resetWhileRead(t, post, code, early) {
  const [asked, answered] = [resolvers(), resolvers()];
  const server = serving(t, {}, async (request) => {
    const reader = request.body.getReader();
    assert.equal(Buffer.from((await reader.read()).value).toString(), 'abc');
    const rest = reader.read().then(
      ({ done }) => `done: ${done}`,
      ({ name }) => name,
    );
    asked.resolve();
    answered.resolve(rest);
    if (!early) await rest;
    return new Response();
  });
  const client = deaf(t, server, SETTINGS, post);
  await asked.promise;
  while (early && server.stats().responses === 0) await new Promise(setImmediate);
  client.write(Buffer.from([0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, code]));
  return answered.promise;
}

const OF_TEN = [0x0f, 0x0d, 2, 0x31, 0x30]; // content-length: 10

for (const [what, fields, how, code, early] of [
  ['content', [], 'CANCEL', 8, false],
  ['content', [], 'no error', 0, false],
  ['content of a length that was told', OF_TEN, 'CANCEL', 8, false],
  ['content of a length that was told', OF_TEN, 'no error', 0, false],
  ['content behind whose answer there is more', [], 'CANCEL', 8, true],
  ['content behind whose answer there is more of a length', OF_TEN, 'no error', 0, true],
])
  test(`${what} is not whole when its stream is reset with ${how}`, async (t) => {
    assert.equal(await resetWhileRead(t, postOf(...fields), code, early), 'ClientGone');
  });

test('a response that the runtime does not take is an error of its handler, and of no one else', async (t) => {
  const told = quietly(t);
  const errors = [];
  const server = serving(
    t,
    { onError: (error) => errors.push(error.code) && new Response('sorry', { status: 500 }) },
    async (request, info) => {
      if (request.method === 'GET') return new Response('well');
      info.inform(103, { te: 'gzip' });
      return new Response(await request.text());
    },
  );
  const session = connect(t, server);
  const other = once(session.request({ ':path': '/' }), 'response');
  const stream = session.request({ ':method': 'POST', expect: '100-continue' }).on('error', () => {});
  const [headers] = await Promise.race([once(stream, 'response'), once(stream, 'close')]);
  assert.equal(headers?.[':status'], 500);
  assert.deepEqual(errors, ['CAROM_EFIELD']);
  assert.match(told.join(), /HTTP\/2 of the runtime does not take/);
  assert.equal((await other)[0][':status'], 200);
});

test('a field may have two lines, and a trailer', async (t) => {
  const server = createServer((request, response) => {
    response.writeHead(200, ['ETag', '"a"', 'ETag', '"b"', 'Set-Cookie', 'c', 'Set-Cookie', 'd', 'Trailer', 'X-Other']);
    response.addTrailers([
      ['X-Other', 'e'],
      ['X-Other', 'f'],
    ]);
    response.end('x');
  });
  t.after(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const stream = connect(t, { addr: server.address() }).request();
  const [headers] = await once(stream, 'response');
  assert.deepEqual([headers.etag, headers['set-cookie']], ['"a", "b"', ['c', 'd']]);
  const [trailers] = await once(stream.resume(), 'trailers');
  assert.equal(trailers['x-other'], 'e, f');
});

test('a value may be what a field is named', async (t) => {
  const server = serving(t, {}, () => new Response());
  const [headers] = await once(connect(t, server).request({ 'x-other': 'expect' }), 'response');
  assert.equal(headers[':status'], 200);
});

test('the authority counts, and not a Host beside it', async (t) => {
  const server = serving(t, {}, (request) => new Response(JSON.stringify([request.url, request.headers.get('host')])));
  const stream = connect(t, server).request({ ':authority': 'a.test', host: 'b.test' });
  assert.deepEqual(JSON.parse(Buffer.concat(await stream.toArray())), ['http://a.test/', 'a.test']);
});

test('where a request goes is looked at as over HTTP/1.1', async (t) => {
  const server = serving(t, {}, () => new Response(null, { status: 204 }));
  const session = connect(t, server);
  const long = `/${'a'.repeat(8192)}`;
  for (const [status, method, path, authority] of [
    [204, 'GET', '/a?b', 'a'],
    [204, 'GET', '/', 'a:'],
    [204, 'GET', '/', 'a:65535'],
    [204, 'OPTIONS', '*', 'a'],
    [204, 'OPTIONS', '/', 'a'],
    [405, 'CONNECT', undefined, 'a:1'],
    [400, 'GET', '/a#b', 'a'],
    [400, 'GET', '/\u00e9', 'a'],
    [400, 'GET', '/', 'a:65536'],
    [400, 'GET', '/', 'a/b'],
    [400, 'GET', '/', ':80'],
    [400, 'CONNECT', undefined, 'a'],
    [400, 'CONNECT', undefined, 'a:0'],
    [204, 'GET', long.slice(0, -1), 'a'],
    [414, 'GET', long, 'a'],
  ]) {
    const stream = session.request({ ':method': method, ':path': path, ':authority': authority }, { endStream: true });
    const answer = await once(stream.resume(), 'response').then(
      ([headers]) => headers[':status'],
      () => 400, // the runtime refuses some itself, by a reset
    );
    assert.equal(answer, status, `${method} ${path} ${authority}`);
  }
});
