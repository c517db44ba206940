// Responses as node's documentation has them, and what its clients get.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import test from 'node:test';
import { noPlainH2 } from '../transports.mjs';
import { skip, start } from './support.mjs';

const SUM = '7895bf4b8828b55ceaf47747b4bca667';

async function withTrailers(t) {
  return start(t, (req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/plain', Trailer: 'Content-MD5' });
    res.write('some data');
    res.addTrailers({ 'Content-MD5': SUM });
    res.end();
  });
}

test('a digest is a trailer', { skip }, async (t) => {
  const { base } = await withTrailers(t);
  const [response] = await once(http.get(base, { agent: false }), 'response');
  assert.equal(Buffer.concat(await response.toArray()).toString(), 'some data');
  assert.equal(response.trailers['content-md5'], SUM);
});

test('a digest is a trailer of HTTP/2', { skip: skip || noPlainH2 }, async (t) => {
  const { base } = await withTrailers(t);
  const session = http2.connect(base).on('error', () => {}); // the server closes its connections first
  const stream = session.request();
  const told = once(stream, 'trailers');
  assert.equal(Buffer.concat(await stream.toArray()).toString(), 'some data');
  const [trailers] = await told;
  assert.equal(trailers['content-md5'], SUM);
  session.destroy();
});

// Content that is given where none is sent is no fault, and neither is another length than it has.
for (const [name, listener, method, status, length] of [
  ['HEAD', (req, res) => res.setHeader('Content-Length', 100).end('short'), 'HEAD', 200, '100'],
  ['HEAD, of which no length is said', (req, res) => res.end('short'), 'HEAD', 200, '5'],
  ['304', (req, res) => res.writeHead(304, { 'Content-Length': 100 }).end('short'), 'GET', 304, '100'],
  ['204', (req, res) => res.writeHead(204, { 'Content-Length': 100 }).end('short'), 'GET', 204, undefined],
]) {
  test(`content is left out: ${name}`, { skip }, async (t) => {
    const { base } = await start(t, listener);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 2; i++) {
      const [response] = await once(http.request(base, { agent, method }).end(), 'response');
      assert.deepEqual(await response.toArray(), []);
      assert.deepEqual([response.statusCode, response.headers['content-length']], [status, length]);
    }
    agent.destroy();
  });

  test(`content is left out over HTTP/2: ${name}`, { skip: skip || noPlainH2 }, async (t) => {
    const { base } = await start(t, listener);
    const session = http2.connect(base).on('error', () => {}); // the server closes its connections first
    const stream = session.request({ ':method': method });
    const [headers] = await once(stream, 'response');
    assert.deepEqual(await stream.toArray(), []);
    assert.deepEqual([headers[':status'], headers['content-length']], [status, length]);
    session.destroy();
  });
}

test('a request of HTTP/2 whose content is late gets a 408', { skip: skip || noPlainH2 }, async (t) => {
  let begun;
  const aborted = new Promise((resolve) => {
    begun = start(
      t,
      (req) =>
        req
          .on('aborted', resolve)
          .on('error', () => {})
          .resume(),
      { requestTimeout: 50 },
    );
  });
  const { base } = await begun;
  const session = http2.connect(base).on('error', () => {}); // the server closes its connections first
  const stream = session.request({ ':method': 'POST' }).on('error', () => {});
  stream.write('some');
  const [headers] = await once(stream, 'response');
  assert.equal(headers[':status'], 408);
  await aborted;
  session.destroy();
});
