// Options of WebSockets: what the engine gets of those that may be, and what is said of others.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const { checkNames, socketSettings } = createRequire(import.meta.url)('../src/websocket/options.js');
const MOST = 0x7fffffff;
const native = (options, handlers = {}) => socketSettings(options, handlers).native;

test('what is not given has its default', () => {
  const { deflate, pings, pongs, ...rest } = native({});
  assert.deepEqual([deflate, pings, pongs], [0, 0, 0]);
  assert.deepEqual(rest, {
    maxMessage: 1048576,
    maxFragments: 1024,
    writeLimit: 2097152,
    writeBuffer: 65536,
    closeAtLimit: 0,
    pingInterval: 0,
    pongTimeout: 0,
    closeTimeout: 0,
    protocols: undefined,
    origins: undefined,
  });
  const { writeLimit, onLimit, binaryType } = socketSettings({}, {});
  assert.deepEqual([writeLimit, onLimit, binaryType], [1048576, 'refuse', 'uint8array']);
});

test('what is given goes to the engine', () => {
  assert.deepEqual(native({ deflate: 'shared' }).deflate, 1);
  const window = native({ deflate: {} });
  assert.deepEqual(
    [window.deflate, window.deflateWindow, window.deflateMemory, window.deflateLevel, window.deflateThreshold],
    [2, 12, 5, 1, 64],
  );
  const chosen = native({ deflate: { windowBits: 15, memLevel: 9, level: 9, threshold: 1 } });
  assert.deepEqual([chosen.deflateWindow, chosen.deflateMemory, chosen.deflateLevel, chosen.deflateThreshold], [15, 9, 9, 1]);
  for (const name of ['pingInterval', 'pongTimeout', 'closeTimeout'])
    assert.deepEqual(
      [7, false, Infinity].map((value) => native({ [name]: value })[name]),
      [7, -1, -1],
    );
  assert.equal(native({ writeLimit: MOST }).writeLimit, MOST);
  assert.equal(native({ onLimit: 'close' }).closeAtLimit, 1);
  assert.equal(native({ protocols: ['a', 'b'] }).protocols, 'a, b');
  const origins = [
    ['same', undefined],
    ['*', '*'],
    ['https://a.test', 'https://a.test'],
    [['https://a.test', 'http://b.test:81'], 'https://a.test, http://b.test:81'],
  ];
  for (const [given, list] of origins) assert.equal(native({ origins: given }).origins, list);
  const { pings, pongs } = native({}, { ping() {} });
  assert.deepEqual([pings, pongs], [1, 0]);
});

test('what cannot be is refused by its name', () => {
  for (const [options, message] of [
    [{ maxMessage: 0 }, /^RangeError: websocket\.maxMessage must be an integer from 1 to/],
    [{ maxMessage: 1.5 }, /^RangeError: websocket\.maxMessage/],
    [{ writeBuffer: MOST + 1 }, /^RangeError: websocket\.writeBuffer must be an integer from 1 to 2147483647, not 2147483648/],
    [{ pingInterval: 0 }, /^RangeError: websocket\.pingInterval/],
    [{ onLimit: 'x' }, /^TypeError: websocket\.onLimit must be 'refuse' or 'close', not x/],
    [{ binaryType: 'blob' }, /^TypeError: websocket\.binaryType must be 'uint8array'/],
    [{ deflate: true }, /^TypeError: websocket\.deflate must be false/],
    [{ deflate: null }, /^TypeError: websocket\.deflate must be false/],
    [{ deflate: { windowBits: 8 } }, /^RangeError: websocket\.deflate\.windowBits must be an integer from 9 to 15, not 8/],
    [{ deflate: { memLevel: 10 } }, /^RangeError: websocket\.deflate\.memLevel must be an integer from 1 to 9/],
    [{ deflate: { level: 0 } }, /^RangeError: websocket\.deflate\.level must be/],
    [{ deflate: { threshold: 0 } }, /^RangeError: websocket\.deflate\.threshold must be/],
    [
      { deflate: { windowBit: 9 } },
      /^TypeError: there is no option websocket\.deflate\.windowBit: websocket\.deflate\.windowBits is meant\?/,
    ],
    [{ protocols: 'a' }, /^TypeError: websocket\.protocols must be an array of tokens/],
    [{ protocols: ['a b'] }, /^TypeError: websocket\.protocols: a b is none of tokens/],
    [{ protocols: [5] }, /^TypeError: websocket\.protocols: 5 is none/],
    [{ protocols: Array(1001).fill('abcd') }, /^RangeError: websocket\.protocols is longer than 4000 characters/],
    [{ origins: 'a.test' }, /^TypeError: websocket\.origins: a\.test is none of origins/],
    [{ origins: ['https://a.test/path'] }, /^TypeError: websocket\.origins/],
  ])
    assert.throws(() => socketSettings(options, {}), message);
  for (const [options, message] of [
    [{ message: 'x' }, /^TypeError: websocket\.message must be a function/],
    [{ maxPayload: 1 }, /^TypeError: there is no option websocket\.maxPayload: websocket\.maxMessage is meant\?/],
    [{ publishToSelf: true }, /^TypeError: there is no option websocket\.publishToSelf: server\.publish/],
    [{ maxMesage: 1 }, /^TypeError: there is no option websocket\.maxMesage: websocket\.maxMessage is meant\?/],
  ])
    assert.throws(() => checkNames(options), message);
  checkNames({ publishToSelf: false, message: undefined, open() {}, maxPayload: undefined, ofTheApp: 5, maxMessage: 1 });
});
