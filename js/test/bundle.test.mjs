// A bundle serves: one that has the package and its binary in it, and one that leaves the package out, as README.md tells.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';

const PACKAGE = new URL('..', import.meta.url).pathname;
const { nameOfMachine } = createRequire(import.meta.url)('../src/binary/binary.js');
const tool = (name) => path.join(PACKAGE, 'node_modules/.bin', name);
const APP = `import { serve } from 'carom';
import { createServer } from 'carom/node';
const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {} }, () => new Response(typeof createServer));
fetch('http://127.0.0.1:' + server.addr.port).then((response) => response.text()).then((text) => {
  console.log(text);
  return server.shutdown();
});
`;

const folders = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});
function app() {
  const folder = mkdtempSync(path.join(tmpdir(), 'carom-bundle-'));
  folders.push(folder);
  mkdirSync(path.join(folder, 'node_modules'));
  writeFileSync(path.join(folder, 'app.mjs'), APP);
  return folder;
}

// What the bundle prints that this command makes of app.mjs; it is moved into a folder of its own, or stays beside node_modules.
function served(folder, [program, ...words], file, alone) {
  const built = spawnSync(tool(program), words, { cwd: folder, encoding: 'utf8' });
  assert.equal(built.status, 0, built.stderr);
  if (alone) rmSync(path.join(folder, 'node_modules'), { recursive: true });
  const env = { ...process.env, ...(alone ? { CAROM_NODE: '' } : {}) };
  const { stdout, stderr } = spawnSync(process.execPath, [file], { cwd: folder, env, encoding: 'utf8' });
  assert.equal(stdout, 'function\n', stderr);
}

test('the package is in the bundle, and its binary beside it', () => {
  for (const [file, command] of [
    [
      'out/app.js',
      ['esbuild', 'app.mjs', '--bundle', '--platform=node', '--loader:.node=copy', '--outfile=out/app.js', '--log-level=error'],
    ],
    ['out/app.mjs', ['bun', 'build', 'app.mjs', '--target=node', '--outdir=out', '--entry-naming=[name].mjs']],
  ]) {
    const folder = app();
    const carom = path.join(folder, 'node_modules/carom');
    for (const part of ['package.json', 'index.js', 'index.cjs', 'index.mjs', 'node.js', 'node.cjs', 'node.mjs', 'src'])
      cpSync(path.join(PACKAGE, part), path.join(carom, part), { recursive: true });
    const binary = path.join(folder, `node_modules/carom-${nameOfMachine()}`);
    mkdirSync(binary);
    writeFileSync(path.join(binary, 'package.json'), '{ "main": "carom.node" }');
    copyFileSync(process.env.CAROM_NODE || path.join(PACKAGE, '../build/carom.node'), path.join(binary, 'carom.node'));
    served(folder, command, file, true);
  }
});

test('the bundle leaves the package out', () => {
  const folder = app();
  symlinkSync(PACKAGE, path.join(folder, 'node_modules/carom'));
  const out = ['--external', 'carom', '--external', 'carom/node'];
  for (const [file, command] of [
    ['out.mjs', ['bun', 'build', 'app.mjs', '--target=node', '--format=esm', '--outfile=out.mjs', ...out]],
    ['out.cjs', ['bun', 'build', 'app.mjs', '--target=node', '--format=cjs', '--outfile=out.cjs', ...out]],
    [
      'esb.mjs',
      ['esbuild', 'app.mjs', '--bundle', '--platform=node', '--external:carom', '--format=esm', '--outfile=esb.mjs', '--log-level=error'],
    ],
    [
      'esb.cjs',
      ['esbuild', 'app.mjs', '--bundle', '--platform=node', '--external:carom', '--format=cjs', '--outfile=esb.cjs', '--log-level=error'],
    ],
  ])
    served(folder, command, file, false);
});
