// Memory that buffers of JavaScript's were in is there for the next ones: a process that serves does not give it to the system to fault
// it in again.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

import { nativeOnly } from './support.mjs';

const isGlibc = process.report?.getReport().header.glibcVersionRuntime !== undefined;
const skip = nativeOnly('memory', 'the C library is told by the addon') || (!isGlibc && 'another C library');

// Pages that were faulted in for each of many buffers of a MiB, which are collected sixteen at a time.
const PROGRAM = `
  const { serve, Response } = require('./index.js');
  const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {}, io: 'inline' }, () => new Response());
  const turn = () => new Promise(setImmediate);
  async function fill(rounds) {
    for (let i = 0; i < rounds; i++) {
      Buffer.allocUnsafeSlow(1 << 20).fill(1);
      if (i % 16 < 15) continue;
      await turn();
      gc();
    }
  }
  (async () => {
    await fill(64);
    const before = process.resourceUsage().minorPageFault;
    await fill(320);
    console.log(Math.round((process.resourceUsage().minorPageFault - before) / 320));
    await server.shutdown();
  })();`;

function faultsOf(environment) {
  const env = { ...process.env, ...environment };
  const child = spawnSync(process.execPath, ['--expose-gc', '-e', PROGRAM], { cwd: new URL('..', import.meta.url), env, encoding: 'utf8' });
  assert.equal(child.status, 0, child.stderr);
  return Number(child.stdout);
}

test('a buffer has the memory of one that was collected', { skip }, () => {
  const faults = faultsOf({});
  assert.ok(faults < 64, `${faults} of 256 pages were new`);
});

test('who has told the C library otherwise is heeded', { skip }, () => {
  for (const environment of [
    { MALLOC_MMAP_THRESHOLD_: '131072' },
    { MALLOC_TRIM_THRESHOLD_: '131072', MALLOC_MMAP_THRESHOLD_: '131072' },
    { GLIBC_TUNABLES: 'glibc.malloc.mmap_threshold=131072' },
  ]) {
    const faults = faultsOf(environment);
    assert.ok(faults > 128, `${faults} of 256 pages were new`);
  }
});
