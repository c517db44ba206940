// A server of the portable engine: its end, and what it does not take.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { test } from 'node:test';

import { createServer, resolvers, serving } from './support.mjs';

const require = createRequire(import.meta.url);
const { Side } = require('../../src/portable/side.js');
const { RING_PAGE_SIZE } = require('../../src/memory/layout.js');

test('a deadline may be longer than a timer of the runtime', async (t) => {
  const warnings = [];
  const hear = ({ name }) => warnings.push(name);
  process.on('warning', hear);
  t.after(() => process.off('warning', hear));
  const [called, answer] = [resolvers(), resolvers()];
  const server = serving(t, {}, () => {
    called.resolve();
    return answer.promise;
  });
  const response = fetch(server.origin());
  await called.promise;
  server.shutdown({ deadline: 3e9 });
  await new Promise((resolve) => setTimeout(resolve, 10)); // as long as a timer takes that counts less than it was told
  answer.resolve(new Response('whole'));
  assert.equal(await (await response).text(), 'whole');
  assert.deepEqual(warnings, []);
});

test('what no page can hold is refused', () => {
  const side = new Side({ turnSoon() {} }, 0, new SharedArrayBuffer(1 << 24), 1024);
  const heard = [];
  const head = { method: 'GET', target: '/', fields: ['a', 'b'.repeat(RING_PAGE_SIZE)] };
  side.handle({ head, refuse: (...how) => heard.push(how), release: () => heard.push('released') });
  assert.deepEqual(heard, [[431, 'over-limit'], 'released']);
});

test('a handle of the runtime is refused in words', async (t) => {
  const held = net.createServer();
  t.after(() => held.close());
  await once(held.listen(0, '127.0.0.1'), 'listening');
  const [error] = await once(createServer().listen(held), 'error');
  assert.equal(error.code, 'EUNSUPPORTED');
  assert.match(error.message, /cannot listen on a handle/);
});

test('a file of a server that was killed is replaced, and that of one that lives is not, whatever its name', async (t) => {
  const folder = mkdtempSync(`${tmpdir()}/carom-`);
  t.after(() => rmSync(folder, { recursive: true }));
  const program = `require('node:net').createServer().listen('${folder}/a', () => console.log('there'))`;
  const killed = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(killed.stdout, 'data');
  killed.kill('SIGKILL');
  await once(killed, 'close');
  const server = serving(t, { port: undefined, hostname: undefined, path: `${folder}/a` }, () => new Response());
  assert.throws(() => serving(t, { port: undefined, hostname: undefined, path: `${folder}/./a` }, () => new Response()), {
    code: 'CAROM_EADDRINUSE',
  });
  const client = net.connect(`${folder}/a`);
  await once(client, 'connect');
  client.destroy();
  await server.shutdown();
});
