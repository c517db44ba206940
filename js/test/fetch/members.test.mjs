// The members of our classes are as Web IDL has them: methods and attributes are enumerable, names of the language are not.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Headers, Request, Response } from '../../index.mjs';

const BODY = 'arrayBuffer blob bytes formData json text textStream clone';
const METHODS = [
  [Headers, 'append delete get getSetCookie has set forEach keys values entries'],
  [Request, BODY],
  [Response, BODY],
];
const ATTRIBUTES = [
  [
    Request,
    'method url headers destination referrer referrerPolicy mode credentials cache redirect integrity keepalive signal body bodyUsed',
  ],
  [Response, 'type url redirected status ok statusText headers body bodyUsed'],
];

test('methods', () => {
  for (const [{ prototype, name: kind }, names] of METHODS)
    for (const name of names.split(' ')) {
      const { value, ...rest } = Object.getOwnPropertyDescriptor(prototype, name);
      assert.equal(typeof value, 'function', `${kind}.${name}`);
      assert.deepEqual(rest, { writable: true, enumerable: true, configurable: true }, `${kind}.${name}`);
      assert.equal(value.name, name);
    }
  for (const name of ['json', 'error', 'redirect']) assert.ok(Object.getOwnPropertyDescriptor(Response, name).enumerable, name);
});

test('attributes', () => {
  for (const [{ prototype, name: kind }, names] of ATTRIBUTES)
    for (const name of names.split(' ')) {
      const { get, set, ...rest } = Object.getOwnPropertyDescriptor(prototype, name) ?? {};
      assert.deepEqual([typeof get, set], ['function', undefined], `${kind}.${name}`);
      assert.deepEqual(rest, { enumerable: true, configurable: true }, `${kind}.${name}`);
    }
});

test('names of the language', () => {
  for (const { prototype, name } of [Headers, Request, Response])
    assert.deepEqual(Object.getOwnPropertyDescriptor(prototype, Symbol.toStringTag), {
      value: name,
      writable: false,
      enumerable: false,
      configurable: true,
    });
  assert.deepEqual(Object.getOwnPropertyDescriptor(Headers.prototype, Symbol.iterator), {
    value: Headers.prototype.entries,
    writable: true,
    enumerable: false,
    configurable: true,
  });
});
