// The same programs on a server of ours and on one of node's: they see the same.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { skip, createServer } from './support.mjs';
import { raw } from '../support.mjs';

// What `program(createServer, track)` gives must be the same for both; `track(server)` ends it behind the test.
function alike(name, program, more = {}) {
  test(name, { skip, ...more }, async (t) => {
    const track = (server) => {
      t.after(() => {
        server.close();
        server.closeAllConnections();
      });
      return server;
    };
    const theirs = await program(http.createServer, track);
    assert.deepEqual(await program(createServer, track), theirs);
  });
}

async function listening(server, ...place) {
  server.listen(...(place.length > 0 ? place : [0, '127.0.0.1']));
  await once(server, 'listening');
  return server.address().port;
}

function promised() {
  const made = {};
  made.promise = new Promise((resolve) => {
    made.resolve = resolve;
  });
  return made;
}

const codeOf = (act) => {
  try {
    act();
    return 'nothing is thrown';
  } catch ({ name, code }) {
    return [name, code];
  }
};
const settled = (promise) =>
  promise.then(
    () => 'fulfilled',
    ({ code }) => code,
  );
const GET = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

// ---------------------------------------------------------------- servers

alike('places that cannot be', async (create) =>
  [-1, 65536, 1.5, { port: -1 }, { port: 'eighty' }, { port: NaN }].map((place) => codeOf(() => create().listen(place))),
);

alike('an error of listening', async (create, track) => {
  const port = await listening(track(create()));
  const [error] = await once(create().listen(port, '127.0.0.1'), 'error');
  return [error.code, error.errno, error.syscall, error.message.replace(port, 'PORT')];
});

alike('close, listen and close in one turn', async (create, track) => {
  const server = track(create());
  const port = await listening(server, 0);
  const first = promised();
  const second = promised();
  server.close((error) => first.resolve(error?.code));
  server.listen(port);
  server.close((error) => second.resolve(error?.code));
  return [await first.promise, await second.promise, server.listening];
});

alike(
  'it is disposed of once',
  async (create, track) => {
    const server = track(create());
    await listening(server);
    return [await settled(server[Symbol.asyncDispose]()), server.listening, await settled(server[Symbol.asyncDispose]())];
  },
  {
    skip: skip || (Object.hasOwn(http.Server.prototype, Symbol.asyncDispose ?? 'none') ? false : 'this release of Node has no such method'),
  },
);

alike('a time-out is told, and who listens for it keeps the connection', async (create, track) => {
  const server = track(create());
  const told = promised();
  assert.equal(
    server.setTimeout(20, (socket) => told.resolve(socket)),
    server,
  );
  const held = promised();
  server.on('request', (req, res) => held.resolve({ req, res }));
  const answer = raw(await listening(server), GET);
  const { req, res } = await held.promise;
  const socket = await told.promise;
  res.end('late');
  return [server.timeout, socket === req.socket, (await answer).endsWith('late')];
});

alike('a time-out that nobody listens for ends the connection', async (create, track) => {
  const server = track(create((req) => req.socket.setTimeout(20))); // when the request has been read: else it ends by a reset
  return raw(await listening(server), GET);
});

// ---------------------------------------------------------------- requests

alike('names that came more than once, joined and not', async (create, track) => {
  const seen = [];
  for (const joinDuplicateHeaders of [undefined, false, true]) {
    const server = track(
      create({ joinDuplicateHeaders }, (req, res) => {
        seen.push({ ...req.headers });
        res.end();
      }),
    );
    await raw(await listening(server), GET.replace('Host', 'Age: 1\r\nAge: 2\r\nETag: a\r\nETag: b\r\nX: 1\r\nx: 2\r\nHost'));
  }
  return seen;
});

alike('how much of a request waits', async (create, track) => {
  const server = track(
    create({ highWaterMark: 5000 }, (req, res) => {
      res.end(`${req.readableHighWaterMark}`);
    }),
  );
  const port = await listening(server);
  return (await raw(port, GET)).split('\r\n\r\n')[1];
});

alike('a class of requests is that of upgrades, too', async (create, track) => {
  class Mine extends http.IncomingMessage {
    get mine() {
      return `mine ${this.url}`;
    }
  }
  const server = track(create({ IncomingMessage: Mine }));
  server.on('upgrade', (req, socket) => socket.end(`HTTP/1.1 400 No\r\nContent-Length: ${req.mine.length}\r\n\r\n${req.mine}`));
  return (await raw(await listening(server), GET.replace('close', 'Upgrade\r\nUpgrade: x'))).split('\r\n\r\n')[1];
});

// ---------------------------------------------------------------- responses

alike('who writes and ends is called back', async (create, track) => {
  const seen = [];
  const all = promised();
  const note =
    (what, last = false) =>
    (error) => {
      seen.push(`${what} ${error?.code}`);
      if (last) all.resolve();
    };
  const server = track(
    create((req, res) => {
      res.on('error', () => {}); // told or not: the end of the response may come before
      res.write('a', note('write'));
      res.write('62', 'hex', note('write with an encoding'));
      res.write('', note('write nothing'));
      res.end(note('end'));
      res.on('finish', () => {
        res.end(note('end behind the finish'));
        res.end('more', note('end with more', true));
      });
    }),
  );
  const text = await (await fetch(`http://127.0.0.1:${await listening(server)}/`)).text();
  await all.promise;
  return [text, seen.sort()];
});

alike('the ways to end', async (create, track) => {
  const ways = {
    '/callback': (res, done) => res.end(done),
    '/text': (res, done) => res.end('text', done),
    '/encoding': (res, done) => res.end('74657874', 'hex', done),
    '/null': (res, done) => res.end(null, null, done),
    '/nothing': (res, done) => res.end(undefined, done),
  };
  const server = track(create((req, res) => ways[req.url](res, () => seen.push(req.url))));
  const seen = [];
  const port = await listening(server);
  const bodies = [];
  for (const way of Object.keys(ways)) {
    const text = await raw(port, GET.replace('/', way));
    bodies.push(text.split('\r\n\r\n')[1]);
  }
  return [bodies, seen];
});

alike('informational responses call back', async (create, track) => {
  const called = promised();
  const server = track(
    create((req, res) => {
      const names = [];
      const note = (name) => () => names.push(name) === 2 && called.resolve(names);
      res.writeEarlyHints({ link: '</a.css>; rel=preload' }, note('early hints'));
      res.writeContinue(note('continue'));
      res.end('x');
    }),
  );
  await raw(await listening(server), GET);
  return called.promise;
});

alike('who is told to go on is told so, though nobody reads yet', async (create, track) => {
  const server = track(create());
  const held = promised();
  server.on('checkContinue', (req, res) => {
    res.writeContinue();
    held.resolve(res);
  });
  const port = await listening(server);
  const head = 'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n';
  const text = await raw(port, head, (got) => got.includes('\r\n\r\n'));
  (await held.promise).destroy();
  return text;
});

alike('fields in lists, and those that cannot be', async (create, track) => {
  const lists = [
    ['a', '1', 'b', '2'],
    ['a', ['1', '2']],
    ['a', '1', 'A', '2'],
    ['a', ['1', 'two\r\nb: 3']],
    ['a', 'x\u20ac'],
    ['na me', '1'],
    ['a'],
  ];
  const seen = [];
  const server = track(
    create((req, res) => {
      res.sendDate = false;
      seen.push(codeOf(() => res.writeHead(200, lists[Number(req.url.slice(1))])));
      if (res.headersSent) res.end();
      else res.writeHead(500).end();
    }),
  );
  const port = await listening(server);
  const heads = [];
  for (const i of lists.keys())
    heads.push((await raw(port, GET.replace('/', `/${i}`))).split('\r\n').filter((line) => /^[ab]:/i.test(line)));
  return [seen, heads];
});

alike('a value that is the name of a field is a value', async (create, track) => {
  const server = track(
    create((req, res) => {
      res.writeHead(200, { 'content-length': '1', x: 'trailer', y: 'connection', z: 'keep-alive' });
      res.end('x');
    }),
  );
  const text = await raw(await listening(server), GET);
  return text.split('\r\n').filter((line) => /^([xyz]:|HTTP)/.test(line));
});

alike('content where there is none, when that is to be an error, and of another length than was said', async (create, track) => {
  const seen = [];
  const options = { rejectNonStandardBodyWrites: true };
  const listener = (req, res) => {
    res.strictContentLength = req.url !== '/free';
    res.setHeader('content-length', req.method === 'HEAD' ? 4 : Number(req.url.slice(1)) || 4);
    seen.push(
      codeOf(() => res.write('ab')),
      codeOf(() => res.end('cd')),
    );
    res.destroy();
  };
  const port = await listening(track(create(options, listener)));
  for (const [method, path] of [
    ['GET', '/4'],
    ['HEAD', '/4'],
    ['GET', '/3'],
    ['GET', '/5'],
  ])
    await raw(port, GET.replace('GET /', `${method} ${path}`)).catch(() => {});
  return seen;
});

alike('chunks that are none', async (create, track) => {
  const seen = [];
  const server = track(
    create((req, res) => {
      for (const chunk of [undefined, null, 5, {}, []]) seen.push(codeOf(() => res.write(chunk)));
      try {
        res.write(undefined);
      } catch ({ message }) {
        seen.push(message);
      }
      res.end();
    }),
  );
  await raw(await listening(server), GET);
  return seen;
});

// ---------------------------------------------------------------- sockets

alike('a socket of a path has no addresses', async (create, track) => {
  const place = path.join(os.tmpdir(), `carom-alike-${process.pid}-${create === http.createServer}`);
  const server = track(
    create(({ socket }, res) => {
      const { remoteAddress, remotePort, remoteFamily, localAddress, localPort, localFamily } = socket;
      res.end(JSON.stringify([{ remoteAddress, remotePort, remoteFamily, localAddress, localPort, localFamily }, socket.address()]));
    }),
  );
  await listening(server, place);
  const client = net.connect(place);
  client.write(GET);
  const [, body] = Buffer.concat(await client.toArray())
    .toString()
    .split('\r\n\r\n');
  return [server.address() === place, JSON.parse(body)];
});

alike('what a socket is', async (create, track) => {
  const server = track(
    create(({ socket }, res) => {
      const { connecting, pending, destroyed, readable, writable, readyState, writableCorked, allowHalfOpen } = socket;
      const high = Number.isInteger(socket.writableHighWaterMark);
      res.end(JSON.stringify({ connecting, pending, destroyed, readable, writable, readyState, writableCorked, allowHalfOpen, high }));
    }),
  );
  return (await raw(await listening(server), GET)).split('\r\n\r\n')[1];
});

alike('a reset reaches the client', async (create, track) => {
  const server = track(
    create((req) => {
      req.on('error', () => {});
      assert.equal(req.socket.resetAndDestroy(), req.socket);
      assert.ok(req.socket.resetAndDestroy().destroyed);
    }),
  );
  return settled(raw(await listening(server), GET));
});

alike('bytes for a socket that is destroyed', async (create, track) => {
  const seen = promised();
  const server = track(
    create((req) => {
      req.on('error', () => {});
      req.socket.on('error', () => {});
      req.socket.destroy();
      req.socket.write('late', (error) => seen.resolve(error?.code));
    }),
  );
  await raw(await listening(server), GET).catch(() => {});
  return seen.promise;
});

// ---------------------------------------------------------------- upgrades

// The rest of the program is `act(socket, client)`; what the client gets.
async function upgraded(create, track, act, bytes = '') {
  const server = track(create());
  const port = await listening(server);
  const client = net.connect(port, '127.0.0.1');
  client.on('error', () => {});
  server.on('upgrade', (req, socket) => {
    socket.on('error', () => {});
    act(socket, client);
  });
  client.write(GET.replace('close', 'Upgrade\r\nUpgrade: x') + bytes);
  let text = '';
  for await (const piece of client) text += piece.toString('latin1');
  return text.split('\r\n\r\n').slice(1);
}
const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n';

alike('an upgrade that is read before it is answered', (create, track) =>
  upgraded(create, track, (socket, client) => {
    socket.on('data', (data) => socket.end(`got ${data}`));
    setImmediate(() => socket.write(SWITCHED));
    client.once('data', () => client.write('ping'));
  }),
);

alike('an upgrade that is refused, in pieces', (create, track) =>
  upgraded(create, track, (socket) => {
    socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nno');
    socket.write('no', () => socket.end('no'));
  }),
);

alike('an upgraded socket that is silent is told so', (create, track) =>
  upgraded(create, track, (socket) => {
    socket.write(SWITCHED);
    socket.setTimeout(20, () => socket.end('silent'));
  }),
);

alike('what was written before destroySoon() arrives', (create, track) =>
  upgraded(create, track, (socket) => {
    socket.write(SWITCHED);
    socket.write('last');
    socket.destroySoon();
  }),
);

alike('destroySoon() behind the end', (create, track) =>
  upgraded(create, track, (socket) => {
    socket.write(SWITCHED);
    socket.end('last', () => {
      socket.destroySoon();
      socket.destroySoon();
    });
  }),
);
