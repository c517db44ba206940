// A bundle that leaves the package out, as README.md tells, runs: as a module and as CommonJS.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

const PACKAGE = new URL('..', import.meta.url).pathname;
const tool = (name) => path.join(PACKAGE, 'node_modules/.bin', name);
const BUNDLERS = [
  (form, file) => [
    tool('bun'),
    ['build', 'app.mjs', '--target=node', `--format=${form}`, `--outfile=${file}`, '--external', 'carom', '--external', 'carom/node'],
  ],
  (form, file) => [
    tool('esbuild'),
    ['app.mjs', '--bundle', '--platform=node', '--external:carom', `--format=${form}`, `--outfile=${file}`, '--log-level=error'],
  ],
];
const APP = `import { serve } from 'carom';
import { createServer } from 'carom/node';
const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {} }, () => new Response(typeof createServer));
fetch('http://127.0.0.1:' + server.addr.port).then((response) => response.text()).then((text) => {
  console.log(text);
  return server.shutdown();
});
`;

test('a bundle without the package in it', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'carom-bundle-'));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(path.join(folder, 'node_modules'));
  symlinkSync(PACKAGE, path.join(folder, 'node_modules/carom'));
  writeFileSync(path.join(folder, 'app.mjs'), APP);
  const run = (program, ...words) => spawnSync(program, words, { cwd: folder, encoding: 'utf8' });
  for (const [form, ending] of [
    ['esm', 'mjs'],
    ['cjs', 'cjs'],
  ]) {
    for (const bundler of BUNDLERS) {
      const [program, words] = bundler(form, `out.${ending}`);
      const built = run(program, ...words);
      assert.equal(built.status, 0, built.stderr);
      const { stdout, stderr } = run(process.execPath, `out.${ending}`);
      assert.equal(stdout, 'function\n', stderr);
      rmSync(path.join(folder, `out.${ending}`));
    }
  }
});
