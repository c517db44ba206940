// Fields that concern one connection only (RFC 9110, 7.6.1): which of a message are not passed on.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const { endToEnd, hopByHop, without } = createRequire(import.meta.url)('../../src/fetch/hop-by-hop.js');

test('fields of the connection, and those that it names, are not passed on', () => {
  for (const [given, left] of [
    [['a', '1', 'date', 'x'], null],
    [[], null],
    ...['keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'].map((name) => [
      ['a', '1', name, 'x', 'b', '2'],
      'same',
    ]),
    [
      ['connection', 'A , keep-alive,c', 'a', '1', 'b', '2', 'c', '3'],
      ['b', '2'],
    ],
    [
      ['a', '1', 'connection', 'x', 'connection', 'a', 'b', '2', 'x', '3'],
      ['b', '2'],
    ],
    [
      ['te', 'a', 'a', '1', 'connection', ''],
      ['a', '1'],
    ],
  ]) {
    const names = hopByHop(given);
    if (left === null) assert.equal(names, null);
    else assert.deepEqual(without(given, names), left === 'same' ? ['a', '1', 'b', '2'] : left, JSON.stringify(given));
  }
});

test('a server may say that the connection ends, or stays', () => {
  const plain = ['a', '1'];
  assert.equal(endToEnd(plain), plain);
  assert.deepEqual(endToEnd(['connection', ' Close ', 'a', '1', 'close', '2']), ['a', '1', 'connection', ' Close ']);
  assert.deepEqual(endToEnd(['connection', 'keep-alive', 'keep-alive', 'timeout=1']), ['connection', 'keep-alive']);
  assert.deepEqual(endToEnd(['connection', 'close, a', 'a', '1']), []);
  assert.deepEqual(endToEnd(['upgrade', 'x', 'connection', 'upgrade']), []);
});
