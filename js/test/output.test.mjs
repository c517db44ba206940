// js/src/exchange, over a slot whose last message nobody has taken: what is written waits for the engine, and where content is put.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const require = createRequire(import.meta.url);
const { Input } = require('../src/exchange/input.js');
const { Output } = require('../src/exchange/output.js');
const { RING_SLOT_SIZE, SLOT_FLAGS, SLOT_NOTIFY, FLAG_DATA, FLAG_FETCH, FLAG_HEAD } = require('../src/memory/layout.js');

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

// One over a slot that the engine is busy with, or not.
function outputOf(busy, ring) {
  const words = new Int32Array(RING_SLOT_SIZE / 4);
  if (busy) words[SLOT_FLAGS] = FLAG_DATA;
  return new Output({ over: false, fits: () => true, put: () => {}, slot: { words, bytes: Buffer.alloc(RING_SLOT_SIZE), ring } });
}

test('a head says the length that it was given; one without says that of the content, when all of that is here', () => {
  for (const [given, said] of [
    [10, 10],
    [-1, 4],
  ]) {
    const output = outputOf(true);
    output.begin(FLAG_HEAD, 200, [], given);
    output.write(new Uint8Array(4));
    output.end(null);
    assert.equal(output.heads[0].length, said);
  }
});

test('a piece that waits for a loan takes its room on', () => {
  const starving = [];
  const output = outputOf(false, { lend: () => -1, starve: (one) => starving.push(one) });
  assert.equal(output.write(new Uint8Array(1 << 20)), false);
  assert.deepEqual([output.buffered, output.pieces.length, starving.length], [1 << 20, 1, 1]);
  assert.equal(output.write(new Uint8Array(1)), false);
});

test('what is not sent any more takes no read with it', () => {
  const output = outputOf(true);
  output.add(FLAG_FETCH);
  output.write(new Uint8Array(4));
  output.refused();
  assert.deepEqual([output.flags, output.pieces.length], [FLAG_FETCH, 0]);
});

test('room that is left over is used again where it is not too long', () => {
  for (const [left, again] of [
    [32768, true],
    [5000, false],
  ]) {
    const input = new Input();
    const spare = new Uint8Array(32768);
    input.spare = spare;
    input.received = 1000;
    const room = input.roomForPiece(1000 + left, 2 ** 20);
    assert.deepEqual([room === spare, room.length], [again, left]);
  }
});

test('that more waits is said before the message can be taken', () => {
  const output = outputOf(false, { lend: () => 0 });
  const { words } = output.exchange.slot;
  const said = [];
  output.exchange.put = () => {
    said.push(Atomics.exchange(words, SLOT_NOTIFY, 0)); // an engine on a thread takes it at once
    words[SLOT_FLAGS] = 0;
  };
  output.push(new Uint8Array(20_000)); // more than a slot has room for, in two pieces that are lent
  output.push(new Uint8Array(10));
  output.pump();
  assert.deepEqual([said, output.buffered, words[SLOT_NOTIFY]], [[1], 10, 0]);
  output.pump();
  assert.deepEqual([said, output.buffered], [[1, 0], 0]);
});
