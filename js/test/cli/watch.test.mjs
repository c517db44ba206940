// Watching the files of an app where the system cannot.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import fs, { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { test } from 'node:test';

const { Watch } = createRequire(import.meta.url)('../../src/cli/watch.js');

// What is said on standard error while the test runs.
function sayings(t) {
  const said = [];
  t.mock.method(process.stderr, 'write', (text) => said.push(text) > 0);
  return said;
}

test('a folder that cannot be watched is said, and the rest goes on', (t) => {
  const folder = mkdtempSync(`${tmpdir()}/carom-`);
  t.after(() => rmSync(folder, { recursive: true }));
  const watcher = new EventEmitter();
  t.mock.method(fs, 'watch', () => watcher);
  const said = sayings(t);
  const watch = new Watch(`${folder}/app.mjs`);
  fs.watch.mock.mockImplementation(() => {
    throw new Error('ENOSPC: no space for another');
  });
  watch.add('/other');
  watch.add('/other'); // and once more, when something there is imported again
  assert.deepEqual(said, Array(2).fill('carom: changes in /other are not seen: ENOSPC: no space for another\n'));
  watcher.emit('error', new Error('EPERM: it has gone'));
  assert.equal(said[2], `carom: changes in ${folder} are not seen: EPERM: it has gone\n`);
  fs.watch.mock.mockImplementation(() => new EventEmitter());
  watch.add(folder);
  assert.equal(fs.watch.mock.callCount(), 4);
});
