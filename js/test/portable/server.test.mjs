// A server of the portable engine: its end, and what it does not take.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { serving } from './support.mjs';

const { Side } = createRequire(import.meta.url)('../../src/portable/side.js');
const { RING_PAGE_SIZE } = createRequire(import.meta.url)('../../src/memory/layout.js');

test('a deadline may be longer than a timer of the runtime', async (t) => {
  const warnings = [];
  const hear = ({ name }) => warnings.push(name);
  process.on('warning', hear);
  t.after(() => process.off('warning', hear));
  const [called, answer] = [resolvers(), resolvers()];
  const server = serving(t, {}, () => {
    called.resolve();
    return answer.promise;
  });
  const response = fetch(server.origin());
  await called.promise;
  server.shutdown({ deadline: 3e9 });
  await new Promise((resolve) => setTimeout(resolve, 10)); // as long as a timer takes that counts less than it was told
  answer.resolve(new Response('whole'));
  assert.equal(await (await response).text(), 'whole');
  assert.deepEqual(warnings, []);
});

function resolvers() {
  const made = {};
  made.promise = new Promise((resolve) => {
    made.resolve = resolve;
  });
  return made;
}

test('what no page can hold is refused', () => {
  const side = new Side({ turnSoon() {} }, 0, new SharedArrayBuffer(1 << 24), 1024);
  const heard = [];
  const head = { method: 'GET', target: '/', fields: ['a', 'b'.repeat(RING_PAGE_SIZE)] };
  side.handle({ head, refuse: (...how) => heard.push(how), release: () => heard.push('released') });
  assert.deepEqual(heard, [[431, 'over-limit'], 'released']);
});
