// The JavaScript in the documents runs as it stands there: each block is a module, with its ports exchanged for free ones. What then
// listens in the clear is asked for `/`.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { certificate } from './transports.mjs';

const ROOT = new URL('../..', import.meta.url).pathname;
const PAGES = ['README.md', 'js/README.md', ...readdirSync(path.join(ROOT, 'docs/js')).map((name) => `docs/js/${name}`)];

// What a block takes for granted: files, and names that the reader has.
const FILES = ['fullchain.pem', 'privkey.pem', 'example.net.pem', 'example.net.key', 'clients.pem'];
const GIVEN = `
import express from 'express';
import Fastify from 'fastify';
import { Hono } from 'hono';
const [handler, newHandler] = [() => new Response('old'), () => new Response('new')];
const [honoApp, expressApp] = [new Hono(), express()];
`;

const folder = mkdtempSync(path.join(tmpdir(), 'carom-docs-'));
after(() => rmSync(folder, { recursive: true }));
mkdirSync(path.join(folder, 'node_modules'));
for (const name of ['express', 'fastify', 'hono'])
  symlinkSync(path.join(ROOT, 'js/node_modules', name), path.join(folder, 'node_modules', name));

// The package, but its servers are remembered, so that they can be shut down.
const opened = [];
globalThis.openedByDocuments = opened;
const carom = path.join(folder, 'node_modules/carom');
mkdirSync(carom);
writeFileSync(
  path.join(carom, 'package.json'),
  '{ "exports": { ".": "./index.mjs", "./node": "./node.mjs", "./globals": "./globals.mjs", "./hono": "./hono.mjs", "./crossws": "./crossws.mjs" } }',
);
writeFileSync(path.join(carom, 'globals.mjs'), `import '${ROOT}js/globals.mjs';`);
for (const name of ['hono', 'crossws']) writeFileSync(path.join(carom, `${name}.mjs`), `export * from '${ROOT}js/${name}.mjs';`);
writeFileSync(
  path.join(carom, 'index.mjs'),
  `import * as real from '${ROOT}js/index.mjs'; export * from '${ROOT}js/index.mjs';
export const serve = (...given) => { const server = real.serve(...given); openedByDocuments.push({ server, end: () => server.shutdown({ deadline: 0 }) }); return server; };`,
);
writeFileSync(
  path.join(carom, 'node.mjs'),
  `import { createServer as real } from '${ROOT}js/node.mjs';
export const createServer = (...given) => { const server = real(...given); openedByDocuments.push({ server, end: () => new Promise((ended) => { server.close(ended); }) }); return server; };`,
);
const { cert, key } = certificate('localhost,example.net');
mkdirSync(path.join(folder, 'public'));
writeFileSync(path.join(folder, 'public/index.html'), '<!doctype html>');
for (const name of FILES) writeFileSync(path.join(folder, name), name.endsWith('key') || name.startsWith('priv') ? key : cert);

// A request for / is answered by everything that listens, and is no fault but where only WebSockets are served.
async function ask({ server }, code) {
  const isGone = /^await \S+\.(shutdown|close)\(|=> server\.close\(/m.test(code);
  if (isGone || server.secure || /upgradeWebSocket|createServer\(.*cert/.test(code)) return;
  if (server.addr === undefined) await new Promise(setImmediate);
  const { transport = 'tcp', port } = server.addr || server.address() || {};
  if (port === undefined || transport !== 'tcp') return;
  const { status } = await fetch(`http://127.0.0.1:${port}/`, { redirect: 'manual' });
  assert.ok(status < 500, `GET / is answered ${status}`);
}

for (const page of PAGES) {
  const blocks = [...readFileSync(path.join(ROOT, page), 'utf8').matchAll(/^```js\n([^]*?)^```/gm)].map(([, code]) => code);
  for (const [i, code] of blocks.entries())
    test(`${page}, block ${i + 1}`, async (t) => {
      t.mock.method(console, 'log', () => {});
      const file = path.join(folder, `${page.replaceAll('/', '-')}-${i}.mjs`);
      const imported = /\bimport\b[^;]*\bserve\b[^;]*from 'carom'/.test(code) ? '' : "import { serve } from 'carom';";
      const given = GIVEN.replace(/^import .* (from '\w+');$/gm, (line, from) => (code.includes(from) ? '' : line));
      writeFileSync(file, `${imported}${given}${code.replace(/port: \d+/g, 'port: 0').replace('listen(8080)', 'listen(0)')}`);
      const before = process.cwd();
      process.chdir(folder);
      try {
        await import(pathToFileURL(file));
        for (const one of opened) await ask(one, code);
      } finally {
        process.chdir(before);
        await Promise.all(opened.splice(0).map(({ end }) => end()));
      }
    });
}

test('there are such blocks', () => {
  for (const page of PAGES) assert.match(readFileSync(path.join(ROOT, page), 'utf8'), /^```js$/m, page);
});
