#!/usr/bin/env node
// Bytes of JavaScript heap for each request: what the heap grows by while no garbage is collected.
// bench/js/heap prints a Markdown table; Carom inline, and node:http beside it.
import { spawn } from 'node:child_process';
import net from 'node:net';
import { createRequire } from 'node:module';

const REQUESTS = 2000,
  WARM_UP = 5000;
const AGENT = 'user-agent: heap\r\naccept: */*\r\n\r\n';
const ROWS = {
  text: `GET /hello HTTP/1.1\r\nHost: a\r\n${AGENT}`,
  JSON: `GET /json HTTP/1.1\r\nHost: a\r\n${AGENT}`,
  '3 headers and URL': `GET /read HTTP/1.1\r\nHost: a\r\n${AGENT}`,
  'awaits once': `GET /await HTTP/1.1\r\nHost: a\r\n${AGENT}`,
  'echo of 1 KiB JSON': `POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1012\r\n${AGENT}{"text": "${'x'.repeat(1000)}"}`,
};
const SERVERS = { 'carom inline': 'carom.mjs', 'node:http': 'node.mjs' };

// ---------------------------------------------------------------- in the server's process

function answerTheMeter() {
  const require = createRequire(import.meta.url);
  const v8 = require('node:v8');
  process.on('message', () => {
    process.send(v8.getHeapStatistics().used_heap_size);
    setImmediate(() => global.gc()); // for the next time
  });
  process.on('disconnect', () => process.exit());
}

// ---------------------------------------------------------------- the meter

function ask(child) {
  return new Promise((resolve) => {
    child.once('message', resolve);
    child.send('heap');
  });
}

// Send a request and wait for the whole response, `count` times on one connection.
async function drive(port, text, count) {
  const socket = net.connect(port, '127.0.0.1');
  let buffer = '',
    over = null;
  socket.setEncoding('latin1').on('data', (data) => {
    buffer += data;
    const head = buffer.indexOf('\r\n\r\n');
    if (head < 0) return;
    const length = /content-length: (\d+)/i.exec(buffer);
    const end = length !== null ? head + 4 + Number(length[1]) : buffer.endsWith('0\r\n\r\n') ? buffer.length : Infinity;
    if (buffer.length < end) return;
    buffer = buffer.slice(end);
    over();
  });
  for (let i = 0; i < count; i++) {
    const answered = new Promise((resolve) => {
      over = resolve;
    });
    socket.write(text);
    await answered;
  }
  socket.destroy();
}

async function listening(port) {
  for (;;) {
    const up = await new Promise((resolve) => {
      const probe = net
        .connect(port, '127.0.0.1', () => {
          probe.destroy();
          resolve(true);
        })
        .on('error', () => resolve(false));
    });
    if (up) return;
  }
}

async function measure(script, text, port) {
  const child = spawn(
    process.execPath,
    [
      '--expose-gc',
      '--max-semi-space-size=128',
      '--min-semi-space-size=128',
      '--import',
      import.meta.url,
      new URL(script, import.meta.url).pathname,
      String(port),
      'inline',
    ],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env: { ...process.env, HEAP_METER: '1' } },
  );
  await listening(port);
  await drive(port, text, WARM_UP);
  await ask(child); // collects
  await ask(child);
  const before = await ask(child);
  await drive(port, text, REQUESTS);
  const after = await ask(child);
  child.disconnect();
  return Math.round((after - before) / REQUESTS);
}

if (process.env.HEAP_METER) answerTheMeter();
else {
  console.log(`| bytes of heap per request | ${Object.keys(ROWS).join(' | ')} |\n| --- |${' ---: |'.repeat(Object.keys(ROWS).length)}`);
  let port = 9500;
  for (const [name, script] of Object.entries(SERVERS)) {
    const cells = [];
    for (const text of Object.values(ROWS)) cells.push(await measure(script, text, port++));
    console.log(`| ${name} | ${cells.join(' | ')} |`);
  }
}
