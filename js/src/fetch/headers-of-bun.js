// What Headers of Bun have beyond the standard's. Programs that were written for Bun use it, Elysia for each request.
'use strict';

const MEMBERS = {
  // Cookies that are set are an array, also a single one.
  toJSON() {
    const entries = [...this].filter(([name]) => name !== 'set-cookie');
    const cookies = this.getSetCookie();
    if (cookies.length > 0) entries.push(['set-cookie', cookies]);
    return Object.fromEntries(entries);
  },

  getAll(name) {
    if (String(name).toLowerCase() !== 'set-cookie') throw new TypeError('Headers.getAll: only of "set-cookie"');
    return this.getSetCookie();
  },

  get count() {
    return [...this].length;
  },
};

function addMembersOfBun(prototype) {
  Object.defineProperties(prototype, Object.getOwnPropertyDescriptors(MEMBERS));
}

module.exports = { addMembersOfBun };
