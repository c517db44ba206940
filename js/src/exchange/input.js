// The content of a request, as far as JavaScript has asked for it. The engine copies content into room that is lent to it for that: so
// what a reader is given was copied once. Short content, and content for which no room may be lent, comes in a page of the ring instead
// and is copied out of that.
'use strict';

const { RING_PAGE_SIZE, SLOT_PIECE_PAGE, SLOT_PIECE_LENGTH, SLOT_TRAILERS_LENGTH } = require('../memory/layout.js');
const { decodeFields } = require('../ring/codec.js');
const { newRoom } = require('../ring/copies.js');

// Bytes of the room for a piece: twice as many as the last time when that was filled, half as many when it was not even half full.
const LEAST_ROOM = 32768;
const MOST_ROOM = 262144;
// Fewer are copied faster than room is lent for them.
const SHORT = 4096;

class Input {
  constructor() {
    this.reading = null; // who waits for a piece: { resolve, reject }
    this.done = false; // all was read
    this.lost = false; // the rest does not come, or nobody wants it
    this.trailers = null;
    this.received = 0; // bytes
    this.flowing = false; // the last piece was not short
    this.roomSize = LEAST_ROOM; // of the next piece
    this.room = null; // where the engine is to put the piece; null: into a page
    this.loan = 0; // as which it has that; 0: it has not
    this.spare = null; // room that the last piece did not need
    this.rest = null; // what a reader's room was too small for
  }

  // Room for the next piece of content of this length, -1: unknown; `most` bytes may be lent. Null: it is to come in a page.
  roomForPiece(contentLength, most) {
    const left = contentLength < 0 ? MOST_ROOM : contentLength - this.received;
    const size = Math.min(left, this.roomSize, most);
    if (size < SHORT || (contentLength < 0 && !this.flowing)) return null;
    const { spare } = this;
    this.spare = null;
    return spare !== null && spare.length <= left ? spare : newRoom(size);
  }

  // What a read has brought; null: nothing. Its own memory, or the reader's room.
  take({ words, ring }, own) {
    const length = words[SLOT_PIECE_LENGTH];
    const start = (words[SLOT_PIECE_PAGE] - 1) * RING_PAGE_SIZE;
    const { room, loan } = this;
    const trailers = words[SLOT_TRAILERS_LENGTH];
    if (trailers > 0) this.trailers = decodeFields(ring.pages, loan === 0 ? start + length : start, trailers);
    this.room = null;
    this.received += length;
    this.flowing = length >= SHORT;
    if (length === 0) return null;
    if (loan === 0) return new Uint8Array(ring.pages.subarray(start, start + length));
    return own ? this.pieceOf(room, length) : room.subarray(0, length);
  }

  // A piece at the beginning of a room of ours. Nothing of the room that was not overwritten is given away.
  pieceOf(room, length) {
    if (length < room.length / 2) {
      if (room.length === LEAST_ROOM) this.spare = room;
      else if (room.length === this.roomSize) this.roomSize /= 2;
      return room.slice(0, length);
    }
    if (length < room.length) room.fill(0, length);
    else if (length === this.roomSize) this.roomSize = Math.min(2 * length, MOST_ROOM);
    return room.subarray(0, length);
  }

  // Puts a piece into a reader's room; how many bytes. What does not fit is kept.
  putInto(room, piece) {
    const fits = piece.length <= room.length;
    room.set(fits ? piece : piece.subarray(0, room.length));
    this.rest = fits ? null : piece.subarray(room.length);
    return fits ? piece.length : room.length;
  }
}

module.exports = { Input };
