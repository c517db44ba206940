// Bytes that stay as they are until the engine has sent them, on whatever thread. A buffer of somebody
// else's can be changed, shrunk, or detached and freed meanwhile, so its bytes are copied; memory of large
// copies is used again, since taking it from the system costs more than the copying.
'use strict';

const LEAST = 13; // 8 KiB: what is shorter goes into the slot
const MOST = 20; // 1 MiB
const KEPT = 16 * 1024 * 1024; // bytes that wait to be used again

const free = Array.from({ length: MOST - LEAST + 1 }, () => []); // by size, in powers of two
const ours = new WeakSet();
let kept = 0;

function takeBuffer(bits) {
  const buffer = free[bits - LEAST].pop();
  if (buffer === undefined) {
    const made = new ArrayBuffer(2 ** bits);
    ours.add(made);
    return made;
  }
  kept -= buffer.byteLength;
  return buffer;
}

function copyOf(bytes) {
  const bits = 32 - Math.clz32(bytes.length - 1);
  if (bits < LEAST || bits > MOST) return new Uint8Array(bytes);
  const copy = new Uint8Array(takeBuffer(bits), 0, bytes.length);
  copy.set(bytes);
  return copy;
}

// Called when the engine has sent the bytes: their memory can be used again.
function giveBack({ buffer }) {
  if (kept + buffer.byteLength > KEPT || !ours.has(buffer)) return;
  kept += buffer.byteLength;
  free[31 - Math.clz32(buffer.byteLength) - LEAST].push(buffer);
}

// Marks bytes that somebody else looks at, too: their memory is not used again.
function share({ buffer }) {
  ours.delete(buffer);
}

// The bytes themselves if `own` says that nobody else has them, otherwise a copy.
function ownBytes(body, own) {
  if (typeof body === 'string') return Buffer.from(body, 'utf8');
  return own || body === null ? body : copyOf(body);
}

module.exports = { copyOf, ownBytes, share, giveBack };
