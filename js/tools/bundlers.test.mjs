// Rollup and webpack leave the package out as docs/js/install.md says, and what they make serves. (esbuild and Bun: js/test/bundle.test.mjs.)
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';

import { rollup } from 'rollup';
import webpack from 'webpack';

const PACKAGE = new URL('..', import.meta.url).pathname;
const folder = mkdtempSync(path.join(tmpdir(), 'carom-bundlers-'));
after(() => rmSync(folder, { recursive: true }));
mkdirSync(path.join(folder, 'node_modules'));
symlinkSync(PACKAGE, path.join(folder, 'node_modules/carom'));
writeFileSync(
  path.join(folder, 'app.mjs'),
  `import { serve, Response } from 'carom';
import { createServer } from 'carom/node';
const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {} }, () => new Response(typeof createServer));
fetch('http://127.0.0.1:' + server.addr.port).then((response) => response.text()).then((text) => {
  console.log(text);
  return server.shutdown();
});
`,
);

function serves(file) {
  const { stdout, stderr } = spawnSync(process.execPath, [file], { cwd: folder, encoding: 'utf8' });
  assert.equal(stdout, 'function\n', stderr);
}

test('Rollup', async () => {
  const bundle = await rollup({ input: path.join(folder, 'app.mjs'), external: [/^carom/] });
  for (const [format, file] of [
    ['es', 'rollup.mjs'],
    ['cjs', 'rollup.cjs'],
  ]) {
    await bundle.write({ format, file: path.join(folder, file) });
    serves(file);
  }
});

test('webpack', async () => {
  const stats = await new Promise((resolve, reject) => {
    webpack(
      {
        mode: 'production',
        target: 'node',
        context: folder,
        entry: './app.mjs',
        output: { path: folder, filename: 'webpack.cjs' },
        externals: { carom: 'commonjs carom', 'carom/node': 'commonjs carom/node' },
      },
      (error, made) => (error ? reject(error) : resolve(made)),
    );
  });
  assert.ok(!stats.hasErrors(), stats.toString());
  serves('webpack.cjs');
});
