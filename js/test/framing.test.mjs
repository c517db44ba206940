// js/src/serve/framing.js: which fields are true of which content.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import zlib from 'node:zlib';

const require = createRequire(import.meta.url);
const { codingOf, forContent } = require('../src/serve/framing.js');

test('the coding that was applied last counts', () => {
  for (const [value, coding] of [
    ['gzip', 'gzip'],
    ['gzip, br', 'br'],
    ['br , GZip ', 'gzip'],
    ['gzip, x-mine', null],
  ])
    assert.equal(codingOf(['content-encoding', value]), coding, value);
  assert.equal(codingOf(['content-encoding', 'br', 'content-encoding', 'gzip']), 'gzip');
  assert.equal(codingOf(['content-type', 'gzip']), null);
});

test('deflate is known by both of its first bytes', () => {
  const fields = ['content-encoding', 'deflate'];
  const coded = zlib.deflateSync('text');
  assert.deepEqual(forContent(fields, coded), fields);
  assert.deepEqual(forContent(fields, coded.subarray(0, 1)), fields);
  assert.deepEqual(forContent(fields, Buffer.from('x')), fields); // 0x78, and no more of it is known
  assert.deepEqual(forContent(fields, Buffer.from('xyz')), []);
});
