// When the portable engine is chosen: on a machine that has no binary, and where it is asked for; never in the place of a binary that
// is wrong.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

const { CAROM_NODE, CAROM_ENGINE, ...environment } = process.env;
const PROGRAM = `
  const { serve } = require('./index.js');
  const server = serve({ port: 0, hostname: '127.0.0.1', onListen: null }, () => new Response('hello'));
  fetch(server.origin()).then((response) => response.text()).then((text) => {
    console.log(server.backend, text);
    return server.shutdown();
  });`;

// Runs the program on a machine of that kind: { code, out, said }.
async function on(platform, env) {
  const faked = `Object.defineProperty(process, 'platform', { value: '${platform}' }); Object.defineProperty(process, 'arch', { value: 'arm64' });`;
  const child = spawn(process.execPath, ['-e', (platform === 'linux' ? '' : faked) + PROGRAM], {
    cwd: new URL('..', import.meta.url),
    env: { ...environment, ...env },
  });
  let [out, said] = ['', ''];
  child.stdout.on('data', (data) => {
    out += data;
  });
  child.stderr.on('data', (data) => {
    said += data;
  });
  const [code] = await once(child, 'close');
  return { code, out, said };
}

for (const platform of ['darwin', 'win32'])
  test(`${platform}: it is used, with one line`, async () => {
    const { code, out, said } = await on(platform);
    assert.deepEqual([code, out], [0, 'portable hello\n']);
    assert.equal(said, `carom: no native engine for ${platform}-arm64, using the portable one: for development\n`);
  });

test('CAROM_ENGINE=portable asks for it, without a word', async () => {
  assert.deepEqual(await on('linux', { CAROM_ENGINE: 'portable' }), { code: 0, out: 'portable hello\n', said: '' });
});

test('where a binary is wrong it is not used', async () => {
  const { code, out, said } = await on('darwin', { CAROM_NODE: '/nowhere/carom.node' });
  assert.deepEqual([code, out], [1, '']);
  assert.match(said, /which CAROM_NODE names/);
});

test('there is no other engine', async () => {
  const { code, said } = await on('linux', { CAROM_ENGINE: 'quick' });
  assert.equal(code, 1);
  assert.match(said, /CAROM_ENGINE can only be 'portable', not 'quick'/);
});
