// While clients hold all they can and nothing can move, nobody calls JavaScript, and it does not call itself: calls are counted
// over turns of its loop.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import net from 'node:net';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';

import { serve, Response } from '../index.mjs';
import { PATIENT } from './support.mjs';

const require = createRequire(import.meta.url);
const native = require('../src/ring/native.js');
const { Ring } = require('../src/ring/ring.js');

const SLOTS = 32;
const BIG = new Uint8Array(1 << 20);
const forEver = new Promise(() => {});
const get = (path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const post = `POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 900000000\r\n\r\n${'x'.repeat(100_000)}`;

// What each of so many clients sends, when it takes nothing of what comes, and which bound they reach.
const HOLDERS = {
  'slots: handlers that hang': { clients: 40, sends: get('/hang').repeat(4) },
  'pages: content that is not read on': { clients: 20, sends: post },
  'unsent bytes: answers that nobody takes': { clients: 8, sends: get('/big').repeat(32) },
  'loans: there is none': { clients: 8, sends: get('/big'), refuses: 'lend' },
};

async function handler(request) {
  const { pathname } = new URL(request.url);
  if (pathname === '/big') return new Response(BIG);
  if (pathname === '/read') await request.body.getReader().read();
  return forEver;
}

async function turns(count) {
  for (let i = 0; i < count; i++) await turn();
}

// Turns of our loop until `look` has shown the same for a while.
async function untilStill(look) {
  for (let same = 0, last = look(); same < 100; same++) {
    await turns(10);
    const now = look();
    if (now !== last) same = 0;
    last = now;
  }
}

for (const io of ['inline', 'thread'])
  for (const [bound, { clients, sends, refuses }] of Object.entries(HOLDERS))
    test(`${io}, ${bound}`, async (t) => {
      let asked = 0;
      const options = { ...PATIENT, port: 0, hostname: '127.0.0.1', io, onListen() {}, maxRingMemory: SLOTS * 8192, maxUnsent: 1 << 22 };
      const server = serve(options, (request) => {
        asked++;
        return handler(request);
      });
      t.mock.method(console, 'warn', () => {}); // of requests that are answered 503
      if (refuses !== undefined) t.mock.method(native, refuses, () => -1);
      const drain = t.mock.method(Ring.prototype, 'drain');
      const sockets = Array.from({ length: clients }, () => {
        const socket = net.connect(server.addr.port, '127.0.0.1', () => socket.write(sends));
        return socket.on('error', () => {}).pause();
      });
      try {
        const least = Math.min(clients, 8);
        while (asked < least) await turn();
        await untilStill(() => [asked, server.stats().bytesReceived, server.stats().bytesSent].join());
        const before = drain.mock.callCount();
        await turns(300);
        const calls = drain.mock.callCount() - before;
        assert.ok(calls < 30, `${calls} in 300 turns`); // some are of windows of time, in which memory goes back
      } finally {
        for (const socket of sockets) socket.destroy();
        await server.shutdown({ deadline: 0 });
      }
    });
