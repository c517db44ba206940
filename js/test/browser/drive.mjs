// An application in a real browser: Debian's Chromium, without a window, over HTTP/1.1, HTTP/1.1 with TLS, and HTTP/2, with io
// inline and thread. Its WebSockets over HTTP/2 are extended CONNECTs, which Chromium chooses by itself (RFC 8441). `make browser` runs it; it is no part of `make test`, because a browser is much to install.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { serve, Response } from '../../index.mjs';
import { own } from '../transports.mjs';

const DEADLINE = 60_000; // ms, for all

// ---------------------------------------------------------------- the application

const PAGE = '<!doctype html><title>carom</title><link rel="icon" href="data:,"><script src="/script.js"></script><p id="said"></p>';
let left = 0; // clients that left in the middle

async function* events() {
  for (let i = 0; i < 3; i++) yield `id: ${i}\ndata: ${i}\n\n`;
}

async function* slowly() {
  for (const word of ['one ', 'two ', 'three']) {
    yield word;
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
}

const streamed = (pieces, type) =>
  new Response(ReadableStream.from(pieces).pipeThrough(new TextEncoderStream()), { headers: { 'content-type': type } });

const routes = {
  '/': () => new Response(PAGE, { headers: { 'content-type': 'text/html', 'set-cookie': 'seen=yes' } }),
  '/script.js': () =>
    new Response('document.getElementById; globalThis.loaded = true;', { headers: { 'content-type': 'text/javascript' } }),
  '/echo': async (request) => new Response(await request.arrayBuffer(), { headers: { 'x-cookie': String(request.headers.get('cookie')) } }),
  '/events': () => streamed(events(), 'text/event-stream'),
  '/slowly': () => streamed(slowly(), 'text/plain'),
  '/never': (request) =>
    new Promise(() => {
      request.signal.addEventListener('abort', () => {
        left++;
      });
    }),
  '/left': () => Response.json(left),
};

// A socket says first how it was asked for, then what it is told, and closes when it is told so.
const websocket = {
  deflate: 'shared',
  protocols: ['plain'],
  open: (ws) => ws.send(`${ws.data} ${ws.extensions}`),
  message: (ws, data) => (data === 'close' ? ws.close(4001, 'as you say') : ws.send(data)),
};

function upgraded(request, info) {
  const data = request.headers.get('upgrade') === 'websocket' ? 'Upgrade' : 'CONNECT';
  return info.upgrade(request, { data, headers: { 'set-cookie': 'socket=yes' } }) ? undefined : new Response('no', { status: 400 });
}

function app(request, info) {
  return request.url.endsWith('/socket') ? upgraded(request, info) : answered(request);
}

const answered = (request) => (routes[new URL(request.url).pathname] ?? (() => new Response('none', { status: 404 })))(request);

// ---------------------------------------------------------------- in the page

/* global document, performance, EventSource, WebSocket, location */
async function visit() {
  const seen = { title: document.title, script: globalThis.loaded === true };
  const content = 'x'.repeat(300_000);
  const echo = await fetch('/echo', { method: 'POST', body: content });
  seen.echo = (await echo.text()) === content;
  seen.cookie = echo.headers.get('x-cookie');
  seen.many = (
    await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        fetch('/echo', { method: 'POST', body: String(i) })
          .then((r) => r.text())
          .then((text) => text === String(i)),
      ),
    )
  ).every(Boolean);
  seen.slowly = await (await fetch('/slowly')).text();
  seen.missing = (await fetch('/nowhere')).status;
  seen.head = (await fetch('/script.js', { method: 'HEAD' })).headers.get('content-length');
  seen.events = await new Promise((resolve) => {
    const source = new EventSource('/events');
    const got = [];
    source.onmessage = ({ data }) => {
      got.push(data);
      if (got.length < 3) return;
      source.close();
      resolve(got.join());
    };
  });
  const before = await (await fetch('/left')).json();
  const stop = new AbortController();
  const never = fetch('/never', { signal: stop.signal }).catch((error) => error.name);
  await fetch('/left');
  stop.abort();
  seen.aborted = await never;
  while ((await (await fetch('/left')).json()) === before);
  seen.socket = await new Promise((resolve) => {
    const socket = new WebSocket(`ws${location.protocol.slice(4)}//${location.host}/socket`, ['other', 'plain']);
    const got = [];
    const large = new Uint8Array(300_000).map((_, i) => i * 7);
    socket.binaryType = 'arraybuffer';
    socket.onmessage = ({ data }) => {
      if (typeof data === 'string') got.push(data.length > 100 ? data === 'x'.repeat(100_000) : data);
      else got.push(new Uint8Array(data).every((byte, i) => byte === large[i]));
      if (got.length === 1) for (const message of ['grüße', '', 'x'.repeat(100_000), large]) socket.send(message);
      if (got.length === 5) socket.send('close');
    };
    socket.onclose = ({ code, reason, wasClean }) => resolve([socket.protocol, socket.extensions, ...got, code, reason, wasClean]);
  });
  seen.left = await new Promise((resolve) => {
    const socket = new WebSocket(`ws${location.protocol.slice(4)}//${location.host}/socket`);
    socket.onmessage = () => socket.close(3000, 'bye');
    socket.onclose = ({ code, wasClean }) => resolve(`${code} ${wasClean}`);
  });
  seen.cookies = document.cookie;
  // biome-ignore lint/suspicious/noDocumentCookie: a cookie of the test's own
  document.cookie = 'socket=; max-age=0'; // the next page is of the same host
  seen.protocols = [
    ...new Set(
      performance
        .getEntriesByType('resource')
        .filter(({ name }) => name.startsWith(location.origin))
        .map((entry) => entry.nextHopProtocol)
        .filter(Boolean),
    ),
  ]; // of the aborted one nothing is known
  return seen;
}

// ---------------------------------------------------------------- the browser

class Browser {
  constructor(folder) {
    this.process = spawn(
      'chromium',
      [
        '--headless=new',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-background-networking',
        '--remote-debugging-pipe',
        '--ignore-certificate-errors',
        `--user-data-dir=${folder}`,
        'about:blank',
      ],
      { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
    );
    this.process.on('error', () => {
      process.stderr.write('there is no chromium; run script/bootstrap browser\n');
      process.exit(1);
    });
    this.waiting = new Map();
    let text = '';
    this.process.stdio[4].setEncoding('utf8').on('data', (data) => {
      const lines = (text + data).split('\0');
      text = lines.pop();
      for (const line of lines) this.heard(JSON.parse(line));
    });
  }

  heard({ id, result, error }) {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (error !== undefined) waiting?.reject(new Error(error.message));
    else waiting?.resolve(result);
  }

  say(method, params = {}, sessionId = undefined) {
    const id = ++Browser.last;
    this.process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
    });
  }

  // What a function gives, in a page that was opened at a URL.
  async evaluate(url, body) {
    const { targetId } = await this.say('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.say('Target.attachToTarget', { targetId, flatten: true });
    const run = (expression) => this.say('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true }, sessionId);
    await this.say('Page.navigate', { url }, sessionId);
    while ((await run('document.readyState + " " + location.href')).result.value !== `complete ${url}`);
    const { result, exceptionDetails } = await run(`(${body})()`);
    await this.say('Target.closeTarget', { targetId });
    if (exceptionDetails !== undefined) throw new Error(exceptionDetails.exception.description);
    return result.value;
  }
}
Browser.last = 0;

// ---------------------------------------------------------------- all of it

const WAYS = [
  { name: 'HTTP/1.1', options: {}, protocol: 'http/1.1', asks: 'Upgrade' },
  { name: 'HTTP/1.1 over TLS', options: { ...own, http2: false }, protocol: 'http/1.1', asks: 'Upgrade' },
  { name: 'HTTP/2 over TLS', options: own, protocol: 'h2', asks: 'CONNECT' },
];

const SHARED = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';
const folder = mkdtempSync(path.join(tmpdir(), 'carom-browser-'));
const browser = new Browser(folder);
process.on('exit', () => browser.process.kill('SIGKILL'));
const late = setTimeout(() => {
  process.stderr.write('the browser does not come to an end\n');
  process.exit(1);
}, DEADLINE);
for (const io of ['inline', 'thread'])
  for (const { name, options, protocol, asks } of WAYS) {
    const server = serve({ port: 0, hostname: '127.0.0.1', io, onListen() {}, websocket, ...options }, app);
    const seen = await browser.evaluate(`${server.secure ? 'https' : 'http'}://localhost:${server.addr.port}/`, visit);
    assert.deepEqual(seen, {
      title: 'carom',
      script: true,
      echo: true,
      cookie: 'seen=yes',
      many: true,
      slowly: 'one two three',
      missing: 404,
      head: '50',
      events: '0,1,2',
      aborted: 'AbortError',
      socket: ['plain', SHARED, `${asks} permessage-deflate`, 'grüße', '', true, true, 4001, 'as you say', true],
      left: '3000 true',
      cookies: 'seen=yes; socket=yes',
      protocols: [protocol],
    });
    console.log(`${name}, io: ${io}: ${server.stats().requests} requests by ${server.stats().connectionsAccepted} connections`);
    await server.shutdown({ deadline: 0 });
  }
clearTimeout(late);
browser.say('Browser.close');
await new Promise((resolve) => {
  browser.process.on('close', resolve);
});
rmSync(folder, { recursive: true, force: true });
