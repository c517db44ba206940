// A bundle that leaves the package out, as README.md tells, runs: as a module and as CommonJS.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

const PACKAGE = new URL('..', import.meta.url).pathname;
const BUN = path.join(PACKAGE, 'node_modules/.bin/bun');
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
    const external = ['--external', 'carom', '--external', 'carom/node'];
    const built = run(BUN, 'build', 'app.mjs', '--target=node', `--format=${form}`, `--outfile=out.${ending}`, ...external);
    assert.equal(built.status, 0, built.stderr);
    const { stdout, stderr } = run(process.execPath, `out.${ending}`);
    assert.equal(stdout, 'function\n', stderr);
  }
});
