// Copies bytes that must stay as they are until the engine has sent them, on whatever thread: the owner of a buffer can change,
// shrink, detach or free it meanwhile. The memory of large copies is used again, since taking it from the system costs more than
// the copying. Bytes that are sent to many clients are copied once, so each further client costs neither memory nor time.
'use strict';

const LEAST = 13; // 8 KiB: what is shorter goes into the slot
const MOST = 20; // 1 MiB
const KEPT = 16 * 1024 * 1024; // bytes that wait to be used again
const SHARED = 64 * 1024; // copies of so many bytes may be those of several responses

const free = Array.from({ length: MOST - LEAST + 1 }, () => []); // by size, in powers of two
const holders = new WeakMap(); // by buffer of a copy: how many responses have it; 0 where it is free
const copies = new WeakMap(); // by buffer of somebody else's: the last copy of its bytes, as a WeakRef
const TEXTS = 4;
let texts = []; // long ones that were encoded last, with their copies, while those are held
let kept = 0;

function takeBuffer(bits) {
  const buffer = free[bits - LEAST].pop();
  if (buffer === undefined) return newRoom(2 ** bits).buffer;
  kept -= buffer.byteLength;
  return buffer;
}

// Memory that is not zeroed: who asks for it overwrites it.
function newRoom(length) {
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
}

// Room for so many bytes in memory that is used again when they are given back.
function room(length) {
  const bits = Math.max(LEAST, 32 - Math.clz32(length - 1));
  const buffer = bits > MOST ? newRoom(length).buffer : takeBuffer(bits);
  holders.set(buffer, 1);
  return new Uint8Array(buffer, 0, length);
}

function newCopy(bytes) {
  const copy = room(bytes.length);
  copy.set(bytes);
  return copy;
}

// One response more has it. False: none has.
function holdToo({ buffer }) {
  const count = holders.get(buffer);
  if (!(count > 0)) return false;
  holders.set(buffer, count + 1);
  return true;
}

function copyOf(bytes) {
  if (bytes.length < 2 ** LEAST) return new Uint8Array(bytes);
  if (bytes.length < SHARED) return newCopy(bytes);
  const last = copies.get(bytes.buffer)?.deref();
  if (last !== undefined && last.length === bytes.length && Buffer.compare(last, bytes) === 0 && holdToo(last)) return last;
  const copy = newCopy(bytes);
  copies.set(bytes.buffer, new WeakRef(copy));
  return copy;
}

function encode(text) {
  const length = Buffer.byteLength(text);
  const copy = room(length);
  const to = Buffer.from(copy.buffer, 0, length);
  if (length === text.length)
    to.latin1Write(text, 0, length); // ASCII, which takes less time so
  else to.utf8Write(text, 0, length);
  return copy;
}

function bytesOfText(text) {
  if (text.length < 2 ** LEAST) return Buffer.from(text, 'utf8');
  if (text.length < SHARED || text.length > 2 ** MOST) return encode(text);
  const last = texts.find((each) => each.text === text);
  if (last !== undefined && holdToo(last.copy)) return last.copy;
  const copy = encode(text);
  texts.push({ text, copy });
  if (texts.length > TEXTS) texts.shift();
  return copy;
}

// Called when the engine has sent the bytes of a response, or a reader is done with its room: when they were those of no other
// response, their memory can be used again.
function giveBack({ buffer }) {
  const count = holders.get(buffer);
  if (count === undefined) return;
  holders.set(buffer, count - 1);
  if (count > 1) return;
  if (texts.length > 0) texts = texts.filter((each) => each.copy.buffer !== buffer);
  if (kept + buffer.byteLength > KEPT || buffer.byteLength > 2 ** MOST) return;
  kept += buffer.byteLength;
  free[31 - Math.clz32(buffer.byteLength) - LEAST].push(buffer);
}

// Marks bytes that somebody else looks at, too: their memory is not used again.
function share({ buffer }) {
  holders.delete(buffer);
}

// The bytes themselves if `own` says that nobody else has them, otherwise a copy.
function ownBytes(body, own) {
  if (typeof body === 'string') return bytesOfText(body);
  return own || body === null ? body : copyOf(body);
}

module.exports = { newRoom, room, copyOf, ownBytes, share, giveBack };
