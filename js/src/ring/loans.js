// The numbers of loans, and the bytes that are lent under them. Low numbers are used first, and in the groups in which the engine
// keeps them, so that both sides can free what only a burst needed.
'use strict';

const GROUP = 256; // CAROM_LOAN_CHUNK

class Loans {
  constructor() {
    this.lent = []; // by number; null: free
    this.free = []; // numbers, by group
    this.lowest = 0; // no group before it has a free one
  }

  // A number for these bytes.
  take(bytes) {
    while (this.lowest < this.free.length && this.free[this.lowest].length === 0) this.lowest++;
    if (this.lowest === this.free.length) this.grow();
    const loan = this.free[this.lowest].pop();
    this.lent[loan] = bytes;
    return loan;
  }

  grow() {
    const first = this.lent.length;
    this.free.push(Array.from({ length: GROUP }, (_, i) => first + GROUP - 1 - i));
    for (let i = 0; i < GROUP; i++) this.lent.push(null);
  }

  // The engine needs them no more: the bytes.
  give(loan) {
    const bytes = this.lent[loan];
    const group = Math.floor(loan / GROUP);
    this.lent[loan] = null;
    this.free[group].push(loan);
    if (group < this.lowest) this.lowest = group;
    // One free group stays behind the last that is used.
    while (this.free.length > 1 && this.free.at(-1).length === GROUP && this.free.at(-2).length === GROUP) {
      this.free.pop();
      this.lent.length -= GROUP;
    }
    return bytes;
  }
}

module.exports = { Loans };
