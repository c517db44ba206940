// js/src/exchange/output.js: what is written waits for the engine, over a slot whose last message nobody has taken.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const require = createRequire(import.meta.url);
const { Output } = require('../src/exchange/output.js');
const { RING_SLOT_SIZE, SLOT_FLAGS, FLAG_DATA } = require('../src/memory/layout.js');

test('who waits for room is told when the client leaves', async () => {
  const words = new Int32Array(RING_SLOT_SIZE / 4);
  words[SLOT_FLAGS] = FLAG_DATA;
  const output = new Output({ over: false, slot: { words } });
  assert.equal(output.write(new Uint8Array(1 << 20)), false);
  const waiting = output.ready();
  output.close('client-closed');
  await assert.rejects(waiting, { code: 'CAROM_ECANCELED' });
});

test('who has waited for room once waits again', async () => {
  const words = new Int32Array(RING_SLOT_SIZE / 4);
  const exchange = {
    over: false,
    slot: { words, bytes: Buffer.alloc(RING_SLOT_SIZE), ring: { lend: () => 0 } },
    put: (flags) => {
      words[SLOT_FLAGS] = flags;
    },
  };
  const output = new Output(exchange);
  const taken = () => {
    words[SLOT_FLAGS] = 0; // by the engine
    output.pump();
  };
  exchange.put(FLAG_DATA);
  for (let i = 0; i < 2; i++) {
    assert.equal(output.write(new Uint8Array(1 << 20)), false);
    let ready = false;
    const waiting = output.ready().then(() => {
      ready = true;
    });
    await new Promise(setImmediate);
    assert.equal(ready, false);
    taken();
    await waiting;
  }
});
