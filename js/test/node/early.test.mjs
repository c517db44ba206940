// Responses that are given before somebody has read what came with the head of the request.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import test from 'node:test';
import { noPlainH2 } from '../transports.mjs';
import { skip, start } from './support.mjs';

// What a listener does, and what it is told; told(text) once.
const LISTENERS = {
  "'data' and 'end'": [
    (req, res, told) => {
      let text = '';
      req.on('data', (piece) => (text += piece)).on('end', () => told(text));
      res.writeHead(202).end();
    },
    'body',
  ],
  "'readable'": [
    (req, res, told) => {
      req.on('readable', () => {
        const piece = req.read();
        if (piece !== null) told(String(piece));
      });
      res.end();
    },
    'body',
  ],
  'resume()': [
    (req, res, told) => {
      req.resume();
      req.on('end', () => told('end'));
      res.end();
    },
    'end',
  ],
  "'end' alone": [
    (req, res, told) => {
      req.on('end', () => told('end'));
      res.end();
    },
    'end',
  ],
  'for await, behind the response': [
    async (req, res, told) => {
      res.end();
      told(Buffer.concat(await req.toArray()).toString());
    },
    'body',
  ],
};

// A server whose listener is `use`, and what that is told of the request.
async function serving(t, use, options) {
  const told = new Promise((resolve, reject) => {
    serving.begun = start(
      t,
      (req, res) => {
        if (req.url === '/second') {
          res.end('second');
          return;
        }
        req.on('aborted', () => reject(new Error('aborted'))).on('error', reject);
        Promise.resolve(use(req, res, resolve)).catch(reject);
      },
      options,
    );
  });
  told.catch(() => {}); // looked at below
  return { ...(await serving.begun), told };
}

const post = (fields) => `POST / HTTP/1.1\r\nHost: a\r\n${fields}Content-Length: 4\r\n\r\nbody`;

for (const io of ['inline', 'thread'])
  for (const fields of ['', 'Expect: 100-continue\r\n'])
    for (const [name, [use, expected]] of Object.entries(LISTENERS))
      test(`${name} has the content of ${fields ? fields.trim() : 'a request'}, io: ${io}`, { skip }, async (t) => {
        const { server, port, told } = await serving(t, use, { carom: { io } });
        if (fields) server.on('checkContinue', (req, res) => server.emit('request', req, res));
        const client = net.connect(port, '127.0.0.1');
        client.write(post(fields));
        assert.equal(await told, expected);
        client.write('GET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
        assert.match(Buffer.concat(await client.toArray()).toString(), /second$/);
      });

test('a 100 is for who listens', { skip }, async (t) => {
  const { server, port, told } = await serving(t, LISTENERS["'data' and 'end'"][0]);
  server.on('checkContinue', (req, res) => server.emit('request', req, res));
  const client = net.connect(port, '127.0.0.1').setEncoding('latin1');
  const [head, content] = post('Expect: 100-continue\r\n').split(/(?<=\r\n\r\n)/);
  client.write(head);
  const [answer] = await once(client, 'data');
  assert.match(answer, /^HTTP\/1\.1 100 /);
  client.write(content);
  assert.equal(await told, 'body');
  client.destroy();
});

for (const [name, [use, expected]] of Object.entries(LISTENERS))
  test(`${name} has the content of HTTP/2`, { skip: skip || noPlainH2 }, async (t) => {
    const { base, told } = await serving(t, use);
    const session = http2.connect(base).on('error', () => {}); // the server closes its connections first
    const stream = session.request({ ':method': 'POST' });
    stream.end('body');
    await once(stream, 'response');
    assert.equal(await told, expected);
    const second = session.request({ ':path': '/second' });
    assert.equal(Buffer.concat(await second.toArray()).toString(), 'second');
    session.destroy();
  });
