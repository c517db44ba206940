// A WebSocket of the portable engine, on a wire of this test's.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const { WebSocket } = createRequire(import.meta.url)('../../src/portable/websocket.js');

test('the pieces of a frame are joined once', (t) => {
  const heard = [];
  const owner = { opened() {}, message: (data, isBinary) => heard.push([data.length, isBinary]), closed() {}, left() {} };
  const settings = { pingInterval: false, maxMessage: 1 << 20, maxFragments: 1 };
  const server = { counts: {}, closedCounts: {} };
  const socket = new WebSocket(server, settings, '', false, owner);
  socket.begin({ queued: 0, receive() {}, send() {}, touch() {}, end() {}, abort() {} });
  const { concat } = Buffer;
  t.after(() => {
    Buffer.concat = concat;
  });
  let joined = 0;
  Buffer.concat = (parts, ...rest) => {
    for (const { length } of parts) joined += length;
    return concat.call(Buffer, parts, ...rest);
  };
  const frame = Buffer.alloc(8 + 60_000);
  frame.set([0x82, 0xfe, 60_000 >> 8, 60_000 & 255]);
  for (let at = 0; at < frame.length; at += 8) socket.received(frame.subarray(at, at + 8));
  assert.deepEqual(heard, [[60_000, true]]);
  assert.ok(joined <= 2 * frame.length, `${joined} bytes were copied`);
});
