// Our ReadableStream in the place of Node's: what else in the process uses streams must notice nothing.
import assert from 'node:assert/strict';
import http from 'node:http';
import { describe, test } from 'node:test';
import { MessageChannel, Worker } from 'node:worker_threads';

const Native = globalThis.ReadableStream;
const before = Object.getOwnPropertyDescriptor(globalThis, 'ReadableStream');
const isNode = globalThis.Bun === undefined && globalThis.Deno === undefined;
if (isNode) await import('../../globals.mjs'); // Bun runs the other files in this process, too
const carom = await import('../../index.mjs');

const skip = !isNode && "it is the runtime's";
const letters = () =>
  new ReadableStream({
    start(controller) {
      for (const letter of 'abc') controller.enqueue(letter);
      controller.close();
    },
  });

async function all(stream) {
  let text = '';
  for await (const piece of stream) text += piece;
  return text;
}

test('the global is ours on Node, and the runtime has its own elsewhere', () => {
  assert.equal(globalThis.ReadableStream, carom.ReadableStream);
  assert.equal(globalThis.ReadableStream === Native, !isNode);
  assert.equal(Object.getOwnPropertyDescriptor(globalThis, 'ReadableStream').enumerable, before.enumerable);
});

test("the runtime's own streams are of that class", () => {
  const made = [
    new TransformStream().readable,
    new Blob(['x']).stream(),
    new Native(),
    new Native().tee()[0],
    new ReadableStream().tee()[1],
  ];
  for (const stream of made) {
    assert.ok(stream instanceof ReadableStream);
    assert.equal(stream.constructor, ReadableStream);
  }
});

describe('transferred', () => {
  test('by structuredClone, wherever it is in the message', { skip }, async () => {
    const [inList, inMap, itself] = [letters(), letters(), letters()];
    const buffer = new ArrayBuffer(8);
    const message = { list: [inList, 1], map: new Map([['key', inMap]]), set: new Set(['member']), buffer, blob: new Blob(['blob']) };
    message.self = message;
    const clone = structuredClone(message, { transfer: [inList, inMap, buffer] });
    assert.ok(inList.locked && inMap.locked && clone.list[0] instanceof ReadableStream);
    assert.deepEqual([clone.list[1], clone.self === clone, clone.set.has('member'), buffer.byteLength], [1, true, true, 0]);
    assert.equal(await clone.blob.text(), 'blob');
    assert.deepEqual([await all(clone.list[0]), await all(clone.map.get('key'))], ['abc', 'abc']);
    assert.equal(await all(structuredClone(itself, { transfer: [itself] })), 'abc');
  });

  test('by postMessage', { skip }, async () => {
    const { port1, port2 } = new MessageChannel();
    const stream = letters();
    const came = new Promise((resolve) => {
      port2.once('message', resolve);
    });
    port1.postMessage({ stream }, [stream]);
    assert.equal(await all((await came).stream), 'abc');
    port1.close();
  });

  test('to a thread', { skip }, async () => {
    const stream = letters();
    const script = `
      const { parentPort, workerData } = require('node:worker_threads');
      (async () => {
        let text = '';
        for await (const piece of workerData.stream) text += piece;
        parentPort.postMessage(text);
      })();`;
    const worker = new Worker(script, { eval: true, workerData: { stream }, transferList: [stream] });
    const text = await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    assert.equal(text, 'abc');
    await worker.terminate();
  });

  test('not without being named', { skip }, () => {
    for (const value of [letters(), { within: letters() }, [letters()]]) assert.throws(() => structuredClone(value));
    assert.throws(() => structuredClone(new Native()));
    assert.deepEqual(structuredClone({ a: [1] }), { a: [1] });
  });
});

test('fetch sends it', async () => {
  const server = http.createServer(async (request, response) => {
    let content = '';
    for await (const piece of request) content += piece;
    response.end(`came: ${content}`);
  });
  await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const body = letters().pipeThrough(new TextEncoderStream());
  const plain = new ReadableStream({
    pull(controller) {
      controller.enqueue(new TextEncoder().encode('plain'));
      controller.close();
    },
  });
  for (const [stream, said] of [
    [body, 'came: abc'],
    [plain, 'came: plain'],
  ]) {
    const response = await fetch(`http://127.0.0.1:${server.address().port}/`, { method: 'POST', body: stream, duplex: 'half' });
    assert.equal(await response.text(), said);
  }
  server.close();
  server.closeAllConnections();
});
