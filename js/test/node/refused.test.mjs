// A response that cannot be sent concerns its own request only: the process lives on, also when nobody listens for errors.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { Readable } from 'node:stream';
import test from 'node:test';
import { skip, start } from './support.mjs';

const stop = (server) =>
  new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });

// The status of each path, or 'reset'; and the codes of the warnings. What is uncaught fails the test.
async function outcomes(t, listener, paths, method = 'GET') {
  const warnings = [];
  const hear = ({ code }) => warnings.push(code);
  process.on('warning', hear);
  t.after(() => process.off('warning', hear));
  const { server, port } = await start(t, listener);
  const seen = [];
  for (const path of paths) {
    const answer = await new Promise((resolve) => {
      const request = http.request({ port, host: '127.0.0.1', path, method, agent: false }, (response) => {
        response.on('error', () => resolve('reset')).on('end', () => resolve(response.statusCode));
        response.resume();
      });
      request.on('error', () => resolve('reset')).end();
    });
    seen.push(answer);
  }
  await stop(server);
  await new Promise((resolve) => setImmediate(resolve));
  return { seen, warnings };
}

test('a status that is no final one', { skip }, async (t) => {
  const listener = (req, res) => {
    res.writeHead(Number(req.url.slice(1)));
    Readable.from(['a', 'b']).pipe(res);
  };
  assert.deepEqual(await outcomes(t, listener, ['/102', '/200', '/102', '/299']), {
    seen: [500, 200, 500, 299],
    warnings: ['CAROM_EINVAL', 'CAROM_EINVAL'],
  });
  const [[{ message }]] = await Promise.all([once(process, 'warning'), outcomes(t, listener, ['/199'])]);
  assert.match(message, /199 is no status that may be sent here, in the response to GET \/199, of the server made at /);
});

test('more or less content than was said, piped', { skip }, async (t) => {
  const listener = (req, res) => {
    res.setHeader('Content-Length', req.url.slice(1));
    res.flushHeaders();
    setImmediate(() => Readable.from(['abc', 'def']).pipe(res));
  };
  assert.deepEqual(await outcomes(t, listener, ['/4', '/8', '/6']), {
    seen: ['reset', 'reset', 200],
    warnings: ['CAROM_ELENGTH', 'CAROM_ELENGTH'],
  });
});

test('fields beyond what the engine takes', { skip }, async (t) => {
  const listener = (req, res) => {
    for (let i = 0; i < Number(req.url.slice(1)); i++) res.setHeader(`x-${i}`, 'v'.repeat(60000));
    Readable.from(['a', 'b']).pipe(res);
  };
  const { seen, warnings } = await outcomes(t, listener, ['/4', '/0', '/4']);
  assert.deepEqual(seen, [500, 200, 500]);
  assert.equal(warnings.length, 2);
});

test('a field that node lets through, and the engine does not', { skip }, async (t) => {
  const listener = (req, res) => {
    res.writeHead(200);
    if (req.url === '/bad') res.fields.push('Transfer-Encoding', 'gzip');
    Readable.from(['a', 'b']).pipe(res);
  };
  const { seen, warnings } = await outcomes(t, listener, ['/bad', '/good']);
  assert.deepEqual([seen, warnings], [[500, 200], ['CAROM_EFIELD']]);
});

test('trailers beyond what the engine takes, behind a head that has left', { skip }, async (t) => {
  const listener = (req, res) => {
    res.writeHead(200, { Trailer: 'x' });
    res.write('a', () => {
      res.addTrailers({ x: 'v'.repeat(Number(req.url.slice(1))) });
      setImmediate(() => res.end());
    });
  };
  const { seen, warnings } = await outcomes(t, listener, ['/200000', '/10']);
  assert.deepEqual(seen, ['reset', 200]);
  assert.deepEqual(warnings, ['CAROM_ETOOBIG', 'CAROM_ESTATE']); // the 500 comes too late, too
});

test('CONNECT, when nobody listens for it', { skip }, async (t) => {
  const { port } = await start(t, () => assert.fail('not a request'));
  const client = net.connect(port, '127.0.0.1');
  client.write('CONNECT far.test:80 HTTP/1.1\r\nHost: far.test:80\r\n\r\n');
  let text = '';
  client.setEncoding('latin1').on('data', (data) => {
    text += data;
  });
  await once(client, 'close');
  assert.match(text, /^HTTP\/1\.1 405 /);
});

test('the fields of another connection in a head that was copied', { skip }, async (t) => {
  const copied = { 'Keep-Alive': 'timeout=99', Connection: 'keep-alive, X-Hop', 'Proxy-Connection': 'keep-alive', 'X-End': '1' };
  const { port } = await start(t, (req, res) => {
    const close = req.url === '/close' ? { Connection: 'X-Hop, Close' } : {};
    res.writeHead(200, { ...copied, 'Transfer-Encoding': 'chunked', ...close });
    Readable.from(['a', 'b']).pipe(res);
  });
  for (const [path, connection] of [
    ['/', undefined],
    ['/close', 'close'],
  ]) {
    const agent = new http.Agent({ keepAlive: true });
    const [response] = await once(http.get({ port, host: '127.0.0.1', path, agent }), 'response');
    const { headers } = response;
    assert.equal(Buffer.concat(await response.toArray()).toString(), 'ab');
    assert.deepEqual([headers['x-end'], headers['proxy-connection']], ['1', undefined]);
    assert.equal(headers.connection === 'close' ? 'close' : undefined, connection);
    assert.notEqual(headers['keep-alive'], 'timeout=99');
    agent.destroy();
  }
});
