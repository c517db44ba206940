// For the tests of attacks: a server whose handlers may fail, and a client that sends the lines it is told to, and reads the
// answer.
import assert from 'node:assert/strict';
import net from 'node:net';

import { serve } from '../index.mjs';

// Serve for as long as `body` runs; errors of handlers are counted, not shown.
export async function serving(options, handler, body) {
  const errors = [];
  const server = serve(
    {
      port: 0,
      hostname: '127.0.0.1',
      onListen() {},
      onError(error) {
        errors.push(error);
        throw error;
      },
      ...options,
    },
    handler,
  );
  const { error } = console;
  console.error = () => {};
  try {
    return await body(server.addr.port, errors);
  } finally {
    await server.shutdown({ deadline: 0 });
    console.error = error;
  }
}

// One request, and all that comes back until the server closes.
export function ask(port, target = '/', fields = '', method = 'GET', content = '') {
  return new Promise((resolve, reject) => {
    const pieces = [];
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.write(`${method} ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n${content}`, 'latin1');
    });
    socket.on('data', (data) => pieces.push(data));
    socket.on('close', () => resolve(Buffer.concat(pieces).toString('latin1')));
    socket.on('error', (error) => (error.code === 'ECONNRESET' ? resolve(Buffer.concat(pieces).toString('latin1')) : reject(error)));
  });
}

// The content of an answer, whose framing must be exact: a stream that ends at once has a length.
export function unframed(answer) {
  let rest = answer.slice(answer.indexOf('\r\n\r\n') + 4);
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(answer);
  if (length !== null) {
    assert.equal(rest.length, Number(length[1]));
    return rest;
  }
  let content = '';
  for (;;) {
    const end = rest.indexOf('\r\n');
    const line = rest.slice(0, end);
    const size = parseInt(line, 16);
    assert.equal(size.toString(16), line);
    const after = end + 2 + size;
    assert.equal(rest.slice(after, after + 2), '\r\n');
    if (size === 0) {
      assert.equal(rest.length, after + 2);
      return content;
    }
    content += rest.slice(end + 2, after);
    rest = rest.slice(after + 2);
  }
}
