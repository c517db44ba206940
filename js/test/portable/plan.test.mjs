// How the portable engine checks a response and frames it: the tables of test/unit/wire/test_semantics.c.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const require = createRequire(import.meta.url);
const { E } = require('../../src/portable/names.js');
const { phraseOf, planOf, trailersFault } = require('../../src/portable/plan.js');

const GET = { version: 11, isHead: false, isConnect: false };
const HEAD = { ...GET, isHead: true };
const CONNECT = { ...GET, isConnect: true };
const old = (request) => ({ ...request, version: 10 });
const plan = (kind, request, status, length, fields, most = 1000) => planOf(kind, request, { status, phrase: '', fields }, length, most);

test('a status has a phrase, or none', () => {
  for (const [status, phrase] of [
    [100, 'Continue'],
    [200, 'OK'],
    [404, 'Not Found'],
    [413, 'Content Too Large'],
    [418, ''],
    [422, 'Unprocessable Content'],
    [509, ''],
    [511, 'Network Authentication Required'],
    [299, ''],
    [999, ''],
  ])
    assert.equal(phraseOf(status), phrase);
});

test('content is framed', () => {
  for (const [request, status, length, set, body, lengthField, chunkedField, expected, said = length] of [
    [GET, 200, 5, null, 'length', true, false, 5],
    [GET, 200, 0, null, 'length', true, false, 0],
    [GET, 200, 5, '5', 'length', true, false, 5],
    [GET, 200, 0, '0', 'length', true, false, 0],
    [GET, 200, -1, '7', 'length', true, false, 7, 7],
    [GET, 200, -1, null, 'chunked', false, true, Infinity],
    [GET, 404, -1, null, 'chunked', false, true, Infinity],
    [old(GET), 200, -1, null, 'until-close', false, false, Infinity],
    [old(GET), 200, 3, null, 'length', true, false, 3],
    [HEAD, 200, 5, null, 'none', true, false, 5],
    [HEAD, 200, 0, '9', 'none', true, false, 0, 9],
    [HEAD, 200, -1, '9', 'none', true, false, Infinity, 9],
    [HEAD, 200, -1, null, 'none', false, true, Infinity],
    [old(HEAD), 200, -1, null, 'none', false, false, Infinity],
    [GET, 304, 0, null, 'none', false, false, 0],
    [GET, 304, 5, null, 'none', false, false, 5],
    [GET, 304, 0, '9', 'none', true, false, 0, 9],
    [GET, 304, -1, null, 'none', false, false, Infinity],
    [GET, 204, 0, null, 'none', false, false, 0],
    [GET, 204, 0, '0', 'none', false, false, 0],
    [GET, 204, -1, null, 'none', false, false, Infinity],
    [CONNECT, 404, 4, null, 'length', true, false, 4],
  ]) {
    const made = plan('final', request, status, length, set === null ? [] : ['Content-Length', set]);
    const row = `${JSON.stringify(request)} ${status} ${length} ${set}`;
    const { ownDate, close, upgradeField } = made;
    assert.deepEqual(
      [made.status, made.body, made.lengthField, made.chunkedField, made.expected],
      [status, body, lengthField, chunkedField, expected],
      row,
    );
    if (lengthField) assert.equal(made.length, said, row);
    assert.deepEqual([ownDate, close, upgradeField], [false, false, false], row);
  }
});

test('lengths agree', () => {
  const nine = ['content-length', '9'];
  assert.equal(plan('final', GET, 200, 5, nine), E.ELENGTH);
  assert.equal(plan('final', GET, 200, 0, nine), E.ELENGTH);
  assert.equal(plan('final', HEAD, 200, 5, nine), E.ELENGTH);
  assert.equal(plan('final', GET, 200, 5, ['content-length', '0']), E.ELENGTH);
  for (const bad of ['', '-1', '+1', '1x', ' 1', '1,1', '0x1', '1234567890123456789'])
    assert.equal(plan('final', GET, 200, -1, ['Content-Length', bad]), E.EFIELD, bad);
  assert.equal(plan('final', GET, 200, 9, [...nine, ...nine]), E.EFIELD);
  assert.equal(plan('final', GET, 200, 0, ['content-length', '0', 'content-length', '0']), E.EFIELD);
});

test('statuses are checked', () => {
  for (const [kind, request, status, isAllowed] of [
    ['final', GET, 0, false],
    ['final', GET, 199, false],
    ['final', GET, 200, true],
    ['final', GET, 999, true],
    ['final', GET, 1000, false],
    ['final', CONNECT, 200, false],
    ['final', CONNECT, 299, false],
    ['final', CONNECT, 300, true],
    ['inform', GET, 100, false],
    ['inform', GET, 101, false],
    ['inform', GET, 102, true],
    ['inform', GET, 103, true],
    ['inform', GET, 199, true],
    ['inform', GET, 200, false],
    ['upgrade', GET, 101, true],
    ['upgrade', GET, 200, false],
    ['upgrade', GET, 100, false],
    ['upgrade', CONNECT, 101, false],
    ['upgrade', CONNECT, 199, false],
    ['upgrade', CONNECT, 200, true],
    ['upgrade', CONNECT, 299, true],
    ['upgrade', CONNECT, 300, false],
  ]) {
    const made = plan(kind, request, status, 0, kind === 'upgrade' ? ['Upgrade', 'x'] : ['X', 'y']);
    assert.equal(typeof made === 'number' ? made : 0, isAllowed ? 0 : E.EINVAL, `${kind} ${status}`);
  }
});

test('fields that are of the engine, or may not be sent, are refused', () => {
  for (const [kind, name, value, isAllowed] of [
    ['final', 'Transfer-Encoding', 'chunked', false],
    ['final', 'transfer-encoding', '', false],
    ['final', 'Keep-Alive', 'timeout=1', false],
    ['final', 'Connection', 'close', true],
    ['final', 'connection', 'Keep-Alive', true],
    ['final', 'Connection', 'upgrade', false],
    ['final', 'Connection', 'close, x', false],
    ['final', 'Connection', '', false],
    ['final', 'Upgrade', 'websocket', true],
    ['inform', 'Upgrade', 'websocket', false],
    ['inform', 'Content-Length', '0', false],
    ['upgrade', 'Content-Length', '0', false],
    ['inform', 'Link', '</a.css>', true],
    ['final', '', 'x', false],
    ['final', 'X Y', 'x', false],
    ['final', 'X:', 'x', false],
    ['final', 'X\r\nY', 'x', false],
    ['final', 'X', 'a\rb', false],
    ['final', 'X', 'a\nb', false],
    ['final', 'X', 'a\r\nY: b', false],
    ['final', 'X', 'a\x7f', false],
    ['final', 'X', 'a\x1f', false],
    ['final', 'X', 'a\0b', false],
    ['final', 'X', 'a\u0100', false],
    ['final', 'X', 'a\tb \xc3\xa4', true],
    ['final', 'X', '', true],
  ]) {
    const status = { final: 200, inform: 103, upgrade: 101 }[kind];
    const made = plan(kind, GET, status, 0, kind === 'upgrade' ? ['Upgrade', 'x', name, value] : [name, value]);
    assert.equal(typeof made === 'number' ? made : 0, isAllowed ? 0 : E.EFIELD, JSON.stringify([kind, name, value]));
  }
  assert.equal(planOf('final', GET, { status: 200, phrase: 'a\nb', fields: [] }, 0, 1000), E.EFIELD);
});

test('what the handler sets is noted', () => {
  const noted = (...fields) => {
    const { ownDate, close, upgradeField } = plan('final', GET, 200, 0, fields);
    return [ownDate, close, upgradeField];
  };
  assert.deepEqual(noted('date', 'today'), [true, false, false]);
  assert.deepEqual(noted('Connection', 'Close'), [false, true, false]);
  assert.deepEqual(noted('Connection', 'keep-alive'), [false, false, false]);
  assert.deepEqual(noted('Upgrade', 'h2c'), [false, false, true]);
});

test('upgrades become tunnels', () => {
  const made = plan('upgrade', GET, 101, -1, ['Upgrade', 'websocket']);
  assert.deepEqual([made.body, made.lengthField, made.chunkedField, made.expected], ['tunnel', false, false, Infinity]);
  // 101 must name the protocol (RFC 9110, 15.2.2); CONNECT has none to name.
  assert.equal(plan('upgrade', GET, 101, -1, ['X', 'y']), E.EFIELD);
  assert.equal(plan('upgrade', CONNECT, 200, -1, ['X', 'y']).body, 'tunnel');
  const informs = plan('inform', GET, 103, 0, ['X', 'y']);
  assert.deepEqual([informs.body, informs.lengthField, informs.chunkedField], ['none', false, false]);
});

test('trailers are checked', () => {
  const refused =
    'Content-Length content-type Content-Encoding Content-Range Content-Language Content-Location Content-Disposition Trailer ' +
    'Transfer-Encoding Host Connection Keep-Alive Upgrade TE SET-COOKIE Authorization';
  for (const name of [...refused.split(' '), 'X y', '']) assert.equal(trailersFault(['Fine', '1', name, 'x'], 1000), E.EFIELD, name);
  for (const name of ['X-Checksum', 'Server-Timing', 'Contents', 'Content-MD5', 'Content-Digest'])
    assert.equal(trailersFault(['Fine', '1', name, 'x'], 1000), 0, name);
  assert.equal(trailersFault(['X', 'a\r\nb'], 1000), E.EFIELD);
});

test('a head and trailers have a size at most', () => {
  const fields = ['Name', 'value', 'X', 'y'];
  assert.equal(planOf('final', GET, { status: 200, phrase: 'Fine', fields }, 0, 14), E.ETOOBIG);
  assert.equal(planOf('final', GET, { status: 200, phrase: 'Fine', fields }, 0, 15).status, 200);
  assert.equal(trailersFault(fields, 10), E.ETOOBIG);
  assert.equal(trailersFault(fields, 11), 0);
});
