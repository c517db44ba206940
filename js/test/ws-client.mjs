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

const [DATA, HEADERS, SETTINGS, WINDOW_UPDATE] = [0, 1, 4, 8];
const SETTLED = 1; // the flag of a SETTINGS that says so

function h2Frame(type, flags, stream, payload = Buffer.alloc(0)) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

function word(number) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
}

// A WebSocket over HTTP/2, by hand, with the window of 65,535 bytes that it has at first: open(count) makes it larger, received() is done
// when so many bytes have come in all.
export async function handshakenH2(url) {
  const { port } = new URL(url);
  const socket = net.connect(port, '127.0.0.1');
  const fields = {
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': 'http',
    ':path': '/',
    ':authority': 'a',
    'sec-websocket-version': '13',
  };
  const block = Object.entries(fields).map(([name, value]) =>
    Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)]),
  );
  let [bytes, have, seen] = [Buffer.alloc(0), 0, ''];
  let tell = () => {};
  const take = (type, flags, length) => {
    if (type === DATA) have += length;
    if (type === HEADERS) seen = 'answered';
    if (type !== SETTINGS || flags & SETTLED) return;
    socket.write(h2Frame(SETTINGS, SETTLED, 0));
    socket.write(h2Frame(HEADERS, 4, 1, Buffer.concat(block)));
  };
  socket.on('error', () => {});
  socket.on('data', (data) => {
    bytes = Buffer.concat([bytes, data]);
    while (bytes.length >= 9 && bytes.length >= 9 + bytes.readUIntBE(0, 3)) {
      const length = bytes.readUIntBE(0, 3);
      take(bytes[3], bytes[4], length);
      bytes = bytes.subarray(9 + length);
    }
    tell();
  });
  const until = (isSo) =>
    new Promise((resolve) => {
      tell = () => isSo() && resolve();
      tell();
    });
  const all = h2Frame(WINDOW_UPDATE, 0, 0, word(1 << 24)); // the connection's window is no matter
  socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), h2Frame(SETTINGS, 0, 0), all]));
  await until(() => seen === 'answered');
  return {
    open: (count) => socket.write(h2Frame(WINDOW_UPDATE, 0, 1, word(count))),
    received: (count) => until(() => have >= count),
    destroy: () => socket.destroy(),
  };
}
