// What tests of a running server share.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { createRequire } from 'node:module';

export const { isPortable = false } = createRequire(import.meta.url)('../src/ring/native.js');

// The `skip` of a test whose matter the portable engine does not have, or has otherwise; tools/portable-page makes a table of these
// calls. `area`: of the table; `reason`: what is otherwise, in one sentence.
export function nativeOnly(area, reason) {
  return isPortable && `${area}: ${reason}`;
}

// Options of a server whose clients may be slow, as the machine may be: no time-out meets a client but where a test is of it.
export const PATIENT = Object.fromEntries(
  ['headerTimeout', 'firstByteTimeout', 'keepAlive', 'writeTimeout', 'lingerTimeout', 'handshakeTimeout', 'h2PingInterval'].map((name) => [
    name,
    600_000,
  ]),
);

// Send bytes, and give what comes back until the server closes or `enough` says so.
export function raw(port, text, enough = () => false) {
  return new Promise((resolve, reject) => {
    let got = '';
    const socket = net.connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (data) => {
      got += data.toString('latin1');
      if (enough(got)) socket.destroy();
    });
    socket.on('close', () => resolve(got));
    socket.on('error', reject);
  });
}

// Run a program of JavaScript in a process of its own: { code, signal, output }.
export async function run(text, ...flags) {
  const child = spawn(process.execPath, [...flags, '-e', text], {
    cwd: new URL('..', import.meta.url),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => {
      output += data;
    });
  const [code, signal] = await once(child, 'close');
  return { code, signal, output };
}
