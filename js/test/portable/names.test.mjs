// What the portable engine has by name and by number: errors of the runtime, settings, addresses, the rate of content.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const require = createRequire(import.meta.url);
const { addressInto, readFields } = require('../../src/portable/bytes.js');
const { ContentRate } = require('../../src/portable/content-rate.js');
const { E, errorName, errorOf, errorText } = require('../../src/portable/names.js');
const { settingsOf } = require('../../src/portable/settings.js');

test('errors have names and texts', () => {
  assert.deepEqual([errorName(0), errorName(-E.EFIELD), errorName(E.EFIELD)], ['CAROM_OK', 'CAROM_EFIELD', 'CAROM_EFIELD']);
  assert.equal(errorText(-E.EADDRINUSE), 'the address is in use');
  assert.deepEqual([errorName(99), errorText(-99)], ['CAROM_UNKNOWN', 'unknown error']);
});

test('errors of the runtime have our numbers', () => {
  for (const [code, ours] of [
    ['EADDRINUSE', E.EADDRINUSE],
    ['EADDRNOTAVAIL', E.EADDRNOTAVAIL],
    ['EACCES', E.EACCES],
    ['EPERM', E.EACCES],
    ['EROFS', E.EACCES],
    ['ENOENT', E.ENOENT],
    ['ENOTDIR', E.ENOENT],
    ['EBADF', E.ENOENT],
    ['EMFILE', E.EMFILE],
    ['ENFILE', E.EMFILE],
    ['ENOTSOCK', E.EADDRESS],
    ['ENAMETOOLONG', E.EADDRESS],
    ['ENOTFOUND', E.EADDRESS],
    ['EAI_AGAIN', E.EADDRESS],
    ['EINVAL', E.EADDRESS],
    ['ERR_ELSE', E.ESYSTEM],
    [undefined, E.ESYSTEM],
  ])
    assert.equal(errorOf({ code }), ours, code);
});

test('settings have defaults, and are off or endless below zero', () => {
  const { keepAliveLine, http2, h2ConnectProtocol, halfClose, ...numbers } = settingsOf({});
  assert.deepEqual([keepAliveLine, http2, h2ConnectProtocol, halfClose], ['Keep-Alive: timeout=75', true, false, false]);
  assert.deepEqual(
    ['maxTarget', 'maxContent', 'headerTimeout', 'handlerTimeout', 'h2StreamWindow', 'maxConnectionRequests'].map((name) => numbers[name]),
    [8192, 2 ** 30, 10_000, false, 65_536, Infinity],
  );
  const times = ['headerTimeout', 'firstByteTimeout', 'keepAlive', 'contentRate', 'contentWindow', 'writeTimeout', 'lingerTimeout'];
  const counts = ['maxContent', 'maxConnections', 'maxInFlight', 'maxPipeline', 'drainContent', 'maxResponseHead', 'maxConnectionRequests'];
  const below = settingsOf(Object.fromEntries([...times, ...counts].map((name) => [name, -1])));
  for (const name of times) assert.equal(below[name], false, name);
  for (const name of counts) assert.equal(below[name], Infinity, name);
  assert.equal(below.keepAliveLine, '');
  assert.equal(settingsOf({ keepAlive: 1999, maxConnectionRequests: 5 }).keepAliveLine, 'Keep-Alive: timeout=1, max=5');
  const on = settingsOf({ halfClose: 1, hostOptional: 1, reusePort: 1, noHttp2: 1, h2ConnectProtocol: 1 });
  assert.deepEqual(
    ['halfClose', 'hostOptional', 'reusePort', 'http2', 'h2ConnectProtocol'].map((name) => on[name]),
    [true, true, true, false, true],
  );
});

test('fields lie behind one another, and none runs over the end', () => {
  const bytes = Buffer.from('..\x01\0\x02\0abc\x02\0\0\0de', 'latin1');
  assert.deepEqual(readFields(bytes, 2, bytes.length - 2, 2), ['a', 'bc', 'de', '']);
  assert.deepEqual(readFields(bytes, 2, 0, 2), []);
  for (const length of [1, 3, 6, 8, 10, 12]) assert.equal(readFields(bytes, 2, length, 2), null, `${length}`);
  assert.deepEqual(readFields(Buffer.from('\x01\0\0\0\x01\0\0\0ab'), 0, 10, 4), ['a', 'b']);
});

test('addresses are as the engine in C writes them', () => {
  const written = (family, text) => {
    const words = new Int32Array(6);
    addressInto(words, 1, { family, text, port: 65535 });
    assert.equal(words[1] >>> 0, (family | (65535 << 16)) >>> 0);
    return Buffer.from(words.buffer, 8).toString('hex');
  };
  for (const [family, text, hex] of [
    [1, '127.0.0.1', `7f000001${'0'.repeat(24)}`],
    [1, '255.16.2.3', `ff100203${'0'.repeat(24)}`],
    [2, '::', '0'.repeat(32)],
    [2, '::1', `${'0'.repeat(31)}1`],
    [2, '1::', `0001${'0'.repeat(28)}`],
    [2, '2001:db8::ff00:42:8329', '20010db8000000000000ff0000428329'],
    [2, '1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    [2, 'fe80::1%eth0', `fe80${'0'.repeat(27)}1`],
    [2, '::ffff:1.2.3.4', `${'0'.repeat(20)}ffff01020304`],
    [2, '64:ff9b::192.0.2.33', `0064ff9b${'0'.repeat(16)}c0000221`],
    [3, '', '0'.repeat(32)],
  ])
    assert.equal(written(family, text), hex, text);
});

test('the rate of content is of the time in which somebody waits', (t) => {
  const whole = Object.getOwnPropertyDescriptor(globalThis, 'performance');
  t.after(() => Object.defineProperty(globalThis, 'performance', whole));
  let clock = 1000;
  Object.defineProperty(globalThis, 'performance', { value: { now: () => clock }, configurable: true, writable: true });
  let late = 0;
  const rate = new ContentRate({ contentRate: 1000, contentWindow: 100_000 }, () => late++);
  t.after(() => rate.pause());
  rate.wait();
  clock += 30_000;
  rate.wait(); // somebody does already
  rate.pause();
  rate.pause();
  clock += 500_000;
  assert.equal(rate.left, 70_000);
  rate.came(60_000);
  rate.came(40_000);
  rate.wait();
  rate.ended();
  assert.deepEqual([late, rate.left, rate.since], [0, 100_000, clock]); // the next window has begun
  rate.came(99_999);
  rate.ended();
  assert.deepEqual([late, rate.since], [1, 0]);
  for (const off of [{ contentRate: false }, { contentWindow: false }]) {
    const none = new ContentRate({ contentRate: 1, contentWindow: 1, ...off }, () => assert.fail());
    none.wait();
    assert.deepEqual([none.since, none.timer], [0, null]);
  }
});
