// A connection of HTTP/1.1 on the portable engine that is a test's own: no socket is under it, and no time passes.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { Http1 } = require('../../src/portable/http1.js');
const { settingsOf } = require('../../src/portable/settings.js');

export const NAMED = ['Date', 'x']; // so that heads are the same each time
export const get = (line = 'GET / HTTP/1.1', ...fields) => [line, 'Host: a', ...fields, '', ''].join('\r\n');
export const post = (length, ...fields) => get('POST / HTTP/1.1', `Content-Length: ${length}`, ...fields);

// A connection with what became of it: `records` in the order in which handlers were called, `told`: what their owners heard, `done`:
// what was asked of the connection. Handlers wait for content where `reads` says so.
export function open({ reads = true, observed = false, admits = () => 0, ...given } = {}) {
  const all = { records: [], told: [], done: [], sent: '', within: null, draining: false, counts: { responses: 0, cancellations: 0 } };
  const dispatch = (record) => {
    const number = all.records.push(record);
    record.held = true;
    record.owner = {
      contentCame: () => all.told.push(`${number} content`),
      roomCame() {},
      ended: (reason) => all.told.push(`${number} ${reason}`),
    };
    if (reads) record.want();
  };
  const server = { settings: settingsOf(given), counts: all.counts, observed, dispatch, admit: admits, began() {}, ended() {} };
  Object.defineProperty(server, 'draining', { get: () => all.draining });
  const core = { server, state: 'open', queued: 0, requests: 0, sent: 0, total: 0, secure: false, peerIsDone: false };
  let touched = false;
  Object.assign(core, {
    send(bytes) {
      all.sent += bytes.toString('latin1');
      core.total += bytes.length;
    },
    pump() {
      core.sent = core.total;
    },
    touch() {
      touched = true;
    },
    receive: (on) => all.done.push(on ? 'on' : 'off'),
    readWithin(milliseconds) {
      all.within = milliseconds;
    },
    end(unread, reason = null) {
      core.state = 'ending';
      all.done.push(`end ${unread} ${reason}`);
    },
    abort(reason) {
      core.state = 'closed';
      all.done.push(`abort ${reason}`);
    },
    guard: (act) => act(),
    socket: { end: () => all.done.push('FIN') },
  });
  const http = new Http1(core);
  all.core = core;
  all.http = http;
  all.turn = () => {
    for (let turns = 0; touched; turns++) {
      assert.ok(turns < 100, 'it is asked for another turn again and again');
      touched = false;
      http.flush();
    }
  };
  all.come = (text) => {
    http.received(Buffer.from(text, 'latin1'));
    all.turn();
    return all;
  };
  all.leave = () => {
    core.peerIsDone = true;
    http.peerDone();
    all.turn();
    return all;
  };
  // What is sent from here on.
  all.next = () => {
    const { sent } = all;
    all.sent = '';
    return sent;
  };
  all.last = () => all.done.at(-1);
  return all;
}

export const head = (status = 200, fields = NAMED) => ({ status, phrase: '', fields });
export const bytes = (text) => Buffer.from(text);

// What is sent when the only request is answered by these calls of its record.
export function answer(request, calls, options) {
  const all = open(options).come(request);
  calls(all.records[0], all);
  all.turn();
  return [all.sent, all.core.state === 'open' ? 'open' : all.last()];
}

export const lines = (...all) => `${all.join('\r\n')}\r\n\r\n`;
