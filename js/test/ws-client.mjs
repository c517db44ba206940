// Clients of WebSocket for tests: that of the package `ws`, and frames by hand.
import { once } from 'node:events';
import { createRequire } from 'node:module';
import net from 'node:net';

export const Ws = createRequire(import.meta.url)('ws');

// A connection on which the server has answered 101, and which reads no more until it is resumed.
export async function handshaken(url) {
  const { port } = new URL(url);
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(
    'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  await once(socket, 'data');
  socket.pause();
  return socket;
}

// A frame of a client: FIN, masked, `text` in latin1.
export function maskedFrame(opcode, text) {
  const payload = Buffer.from(text, 'latin1');
  const mask = Buffer.from([1, 2, 3, 4]);
  const head =
    payload.length < 126
      ? Buffer.from([0x80 | opcode, 0x80 | payload.length])
      : Buffer.from([0x80 | opcode, 0xfe, payload.length >> 8, payload.length & 255]);
  return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ mask[i & 3])]);
}

// The short frames that a stream brings: { opcode, text }.
export async function* framesOf(stream) {
  let have = Buffer.alloc(0);
  for await (const piece of stream) {
    have = Buffer.concat([have, piece]);
    while (have.length >= 2 && have.length >= 2 + have[1]) {
      yield { opcode: have[0] & 15, text: have.toString('latin1', 2, 2 + have[1]) };
      have = have.subarray(2 + have[1]);
    }
  }
}
