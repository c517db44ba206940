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
