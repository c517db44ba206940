// Where a server listens: descriptors that were inherited, ports that the workers of a cluster share.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import dns from 'node:dns';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import net from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { closeAfter, skip, createServer, start } from './support.mjs';
import { nativeOnly } from '../support.mjs';

const require = createRequire(import.meta.url);
const NODE = JSON.stringify(new URL('../../node.js', import.meta.url).pathname);
const CAROM = JSON.stringify(new URL('../../index.js', import.meta.url).pathname);

// From a file, since the workers of a cluster load the program anew.
async function output(program, descriptor = null) {
  const folder = await mkdtemp(path.join(tmpdir(), 'carom-listen-'));
  const file = path.join(folder, 'program.cjs');
  await writeFile(file, program);
  const child = spawn(process.execPath, [file], {
    stdio: ['ignore', 'pipe', 'inherit', descriptor === null ? 'ignore' : descriptor._handle.fd],
  });
  descriptor?.close(); // the child has it
  const chunks = child.stdout.toArray();
  const [code] = await once(child, 'exit');
  await rm(folder, { recursive: true });
  return [code, Buffer.concat(await chunks).toString()];
}

test('a descriptor', { skip }, async () => {
  const holder = net.createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const program = `
    const server = require(${NODE}).createServer((req, res) => res.end('by descriptor'));
    server.listen({ fd: 3 }, async () => {
      const { port } = server.address();
      console.log(port, await (await fetch('http://127.0.0.1:' + port)).text());
      process.exit();
    });`;
  const { port } = holder.address();
  assert.deepEqual(await output(program, holder), [0, `${port} by descriptor\n`]);
});

test('no descriptor, and what cannot be listened on', { skip }, async () => {
  const server = createServer().listen({ fd: 30000 });
  const [error] = await once(server, 'error');
  assert.equal(error.syscall, 'listen');
  assert.throws(() => createServer().listen({ _handle: {} }), { code: 'ERR_INVALID_ARG_VALUE', message: /handles of TCP only.*\{ fd \}/ });
});

test('a name that is found when the server has closed is listened on by nobody', { skip }, async (t) => {
  const dns = require('node:dns');
  const { lookup: whole } = dns;
  t.after(() => Object.assign(dns, { lookup: whole }));
  const found = {};
  dns.lookup = (name, callback) => {
    found[name] = (address) => callback(null, address, 4);
  };
  const server = closeAfter(t, createServer());
  server.listen(0, 'first.test');
  server.close();
  server.listen(0, 'second.test');
  found['first.test']('127.0.0.1');
  assert.equal(server.listening, false);
  found['second.test']('127.0.0.2');
  await once(server, 'listening');
  assert.equal(server.address().address, '127.0.0.2');
});

test('a handle of TCP is taken over', {
  skip: skip || nativeOnly('options', 'a handle of the runtime is not taken over: `listen({ _handle })`'),
}, async (t) => {
  for (const given of [(holder) => holder, (holder) => holder._handle, (holder) => ({ handle: holder._handle })]) {
    const holder = net
      .createServer((socket) => socket.destroy())
      .listen(0, '127.0.0.1')
      .unref();
    await once(holder, 'listening');
    const { port } = holder.address();
    const server = closeAfter(
      t,
      createServer((req, res) => res.end('by handle')),
    ).listen(given(holder));
    await once(server, 'listening');
    assert.equal(server.address().port, port);
    const answers = await Promise.all(Array.from({ length: 8 }, async () => (await fetch(`http://127.0.0.1:${port}`)).text()));
    assert.deepEqual(new Set(answers), new Set(['by handle']));
  }
});

const HAS_IPV6 = Object.values(networkInterfaces())
  .flat()
  .some(({ address }) => address === '::1');

test('ipv6Only leaves the port of IPv4 free', { skip: skip || !HAS_IPV6 }, async (t) => {
  const six = closeAfter(
    t,
    createServer((req, res) => res.end('six')),
  ).listen({ port: 0, ipv6Only: true });
  await once(six, 'listening');
  const { port } = six.address();
  const four = closeAfter(
    t,
    createServer((req, res) => res.end('four')),
  ).listen(port, '127.0.0.1');
  await once(four, 'listening');
  assert.equal(await (await fetch(`http://[::1]:${port}`)).text(), 'six');
  assert.equal(await (await fetch(`http://127.0.0.1:${port}`)).text(), 'four');
});

test('without a host it listens everywhere, over IPv4 and IPv6', { skip: skip || !HAS_IPV6 }, async (t) => {
  const server = closeAfter(
    t,
    createServer((req, res) => res.end('here')),
  ).listen(0);
  await once(server, 'listening');
  const { port } = server.address();
  for (const host of ['127.0.0.1', '[::1]']) assert.equal(await (await fetch(`http://${host}:${port}/`)).text(), 'here');
});

test('a Unix socket has the mode that is asked for, and one server', { skip }, async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'carom-listen-'));
  t.after(() => rm(folder, { recursive: true }));
  const usual = 0o777 & ~process.umask();
  for (const [name, options, mode] of [
    ['a', {}, usual],
    ['b', { readableAll: true }, usual | 0o444],
    ['c', { writableAll: true }, usual | 0o222],
    ['d', { readableAll: true, writableAll: true }, usual | 0o666],
  ]) {
    const place = path.join(folder, name);
    const server = closeAfter(t, createServer()).listen({ path: place, ...options });
    await once(server, 'listening');
    assert.equal((await stat(place)).mode & 0o777, mode);
    assert.equal(server.address(), place);
    const [error] = await once(createServer().listen(place), 'error'); // as it is in two workers of a cluster
    assert.equal(error.code, 'EADDRINUSE');
  }
});

test('a worker of a cluster may have its port for itself', {
  skip: skip || nativeOnly('options', 'workers of node:cluster cannot share a port (`reusePort`)'),
}, async () => {
  const program = `
    const cluster = require('node:cluster');
    if (cluster.isPrimary) {
      const worker = cluster.fork();
      worker.on('message', (told) => console.log(told));
      return;
    }
    const { createServer } = require(${NODE});
    const taken = (exclusive) => new Promise((resolve) => {
      const first = createServer().listen({ port: 0, host: '127.0.0.1', exclusive }, () => {
        const second = createServer().listen({ port: first.address().port, host: '127.0.0.1', exclusive, backlog: 7 });
        second.on('listening', () => resolve('shared')).on('error', (error) => resolve(error.code));
      });
    });
    taken(true).then(async (one) => process.send([one, await taken(false)].join(), () => process.exit()));`;
  assert.deepEqual(await output(program), [0, 'EADDRINUSE,shared\n']);
});

// Two workers, which say where they listen; then they are told to disconnect, and end by themselves.
const cluster = (serve) => `
  const cluster = require('node:cluster');
  if (cluster.isPrimary) {
    const held = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1' }, () => {
      const { port } = held.address();
      held.close(() => {
        const heard = [];
        for (let i = 0; i < 2; i++) cluster.fork({ PORT: port });
        cluster.on('listening', (worker, address) => {
          heard.push(address.port === port && address.address);
          if (heard.length === 2) {
            console.log(heard.join());
            cluster.disconnect();
          }
        });
        cluster.on('exit', (worker, code) => console.log('exit', code));
      });
    });
  } else {
    const port = Number(process.env.PORT);
    ${serve}
  }`;

for (const [name, serve] of [
  ['createServer', `require(${NODE}).createServer((req, res) => res.end()).listen(port, '127.0.0.1').on('error', () => process.exit(9));`],
  ['serve', `require(${CAROM}).serve({ port, hostname: '127.0.0.1', onListen() {} }, () => new Response());`],
])
  test(`the workers of a cluster share a port: ${name}`, {
    skip: skip || nativeOnly('options', 'workers of node:cluster cannot share a port (`reusePort`)'),
  }, async () => {
    assert.deepEqual(await output(cluster(serve)), [0, '127.0.0.1,127.0.0.1\nexit 0\nexit 0\n']);
  });

test('a worker of a cluster that listens on a path says so as a server of node’s', {
  skip: skip || nativeOnly('options', 'workers of node:cluster cannot share a port (`reusePort`)'),
}, async () => {
  const program = (http) => `
    const cluster = require('node:cluster');
    if (cluster.isPrimary)
      cluster.fork({ PLACE: require('node:path').join(__dirname, 'place') }).on('listening', function ({ addressType, address, port }) {
        console.log(addressType, require('node:path').basename(address), port);
        this.disconnect();
      });
    else require(${http}).createServer().listen(process.env.PLACE);`;
  const theirs = await output(program("'node:http'"));
  assert.deepEqual(theirs, [0, '-1 place -1\n']);
  assert.deepEqual(await output(program(NODE)), theirs);
});

test('the port of a server that is closed is had again at once, but for what others have', { skip }, async (t) => {
  const { server, base } = await start(t, (req, res) => {
    if (req.url === '/') res.end('here');
    else server.emit('held', res);
  });
  for (let i = 0; i < 10; i++) {
    const { port } = server.address();
    server.close().listen(port, '127.0.0.1');
    await once(server, 'listening');
    assert.equal(await (await fetch(base, { headers: { connection: 'close' } })).text(), 'here');
  }
  const other = await start(t, () => {});
  const answer = fetch(`${base}/held`);
  const [held] = await once(server, 'held'); // while that is in flight the engine of before stays
  server.close().listen(other.port, '127.0.0.1');
  const [error] = await once(server, 'error');
  assert.equal(error.code, 'EADDRINUSE');
  held.end('late');
  assert.equal(await (await answer).text(), 'late');
});

test('a port may be a string of digits', { skip }, async (t) => {
  const server = closeAfter(t, createServer()).listen(' 0 ', '127.0.0.1');
  await once(server, 'listening');
  assert.equal(typeof server.address().port, 'number');
});

test('the arguments of listen', () => {
  const { placeOf } = require('../../src/node/listen.js');
  const backlogOf = (...args) => placeOf(args).place.backlog;
  assert.deepEqual([backlogOf(1), backlogOf(1, 7), backlogOf(1, 'host', 7), backlogOf(1, undefined, 7)], [0, 7, 7, 7]);
});

// The name is none that a name service would be asked for.
test('a server that is closed while its host is looked up does not listen', { skip }, async (t) => {
  const server = closeAfter(t, createServer()).listen(0, '127.1');
  const heard = [];
  for (const event of ['listening', 'error', 'close']) server.on(event, () => heard.push(event));
  server.close();
  await lookup('127.1');
  for (let i = 0; i < 3; i++) await new Promise(setImmediate);
  assert.deepEqual([heard, server.listening], [['close'], false]);
});

test('a host that is not found is an error of the server', { skip }, async (t) => {
  const { lookup: before } = dns;
  t.after(() => {
    dns.lookup = before;
  });
  dns.lookup = (host, callback) => process.nextTick(callback, Object.assign(new Error(`no ${host}`), { code: 'ENOTFOUND' }));
  const server = createServer().listen(0, 'nowhere.test');
  const [error] = await once(server, 'error');
  assert.deepEqual([error.code, error.message, server.listening], ['ENOTFOUND', 'no nowhere.test', false]);
  server.listen(0, '127.0.0.1'); // it may try again
  await once(server, 'listening');
  await new Promise((resolve) => server.close(resolve));
});

test('a server that was unreferenced before it listens keeps no process', { skip }, async () => {
  const program = `
    const server = require(${NODE}).createServer().unref().listen(0, '127.0.0.1');
    server.on('listening', () => console.log('listens'));`;
  assert.deepEqual(await output(program), [0, 'listens\n']);
});

test('an unreferenced server tells its end', { skip }, async () => {
  const program = `
    const server = require(${NODE}).createServer().listen(0, '127.0.0.1', () => {
      server.unref();
      server.close(() => console.log('closed'));
    });`;
  assert.deepEqual(await output(program), [0, 'closed\n']);
});
