// The package as npm delivers it: installed from a registry into an empty folder, with the binary of this machine, it serves on all
// three runtimes. And its types are what they say.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, after } from 'node:test';
import { promisify } from 'node:util';
import { openRegistry } from './registry.mjs';

const ROOT = new URL('../..', import.meta.url).pathname;
const BIN = path.join(ROOT, 'js/node_modules/.bin');
const folder = mkdtempSync(path.join(tmpdir(), 'carom-package-'));
after(() => rmSync(folder, { recursive: true }));

const environment = { ...process.env };
delete environment.CAROM_NODE;
const runIn = (cwd, file, ...words) =>
  execFileSync(file, words, { cwd, encoding: 'utf8', env: environment, stdio: ['ignore', 'pipe', 'pipe'] });

const PROGRAM = `
  const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {} }, (request) => new Response(new URL(request.url).pathname));
  console.log(await (await fetch('http://127.0.0.1:' + server.addr.port + '/installed')).text());
  await server.shutdown({ deadline: 0 });
`;

test('a program that has no package.json imports it by its place', () => {
  const alone = path.join(folder, 'alone');
  mkdirSync(alone);
  const names = ['index', 'node', 'globals', 'hono'];
  const lines = names.map((name) => `import * as ${name} from ${JSON.stringify(path.join(ROOT, `js/${name}.mjs`))};`);
  lines.push('console.log(typeof index.serve, typeof node.createServer, typeof hono.upgradeWebSocket);');
  writeFileSync(path.join(alone, 'app.mjs'), lines.join('\n'));
  for (const command of [[process.execPath], [path.join(BIN, 'bun')], [path.join(BIN, 'deno'), 'run', '-A', '--quiet']])
    assert.equal(runIn(alone, ...command, 'app.mjs'), 'function function function\n');
});

test('installed into an empty folder', async (t) => {
  execFileSync(path.join(ROOT, 'tools/package'), {
    env: { ...process.env, BUILD: folder, CAROM_NODE: process.env.CAROM_NODE || path.join(ROOT, 'build/carom.node') },
  });
  const registry = await openRegistry(folder);
  t.after(() => registry.close());
  const app = path.join(folder, 'app');
  mkdirSync(app);
  writeFileSync(path.join(app, 'package.json'), '{ "name": "app", "private": true }');
  const npm = ['--ignore-scripts', '--no-audit', '--no-fund', '--cache', path.join(folder, 'cache'), '--registry', registry.url];
  await promisify(execFile)('npm', ['install', ...npm, 'carom'], { cwd: app });
  writeFileSync(path.join(app, 'esm.mjs'), `import { serve, Response } from 'carom';${PROGRAM}`);
  writeFileSync(path.join(app, 'common.cjs'), `const { serve, Response } = require('carom'); (async () => {${PROGRAM}})();`);
  writeFileSync(
    path.join(app, 'globals.mjs'),
    `import 'carom/globals'; import carom from 'carom'; console.log(Response === carom.Response);`,
  );
  writeFileSync(path.join(app, 'http.mjs'), `import { createServer } from 'carom/node'; console.log(typeof createServer);`);
  await t.test('Node', () => {
    assert.equal(runIn(app, 'node', 'esm.mjs'), '/installed\n');
    assert.equal(runIn(app, 'node', 'common.cjs'), '/installed\n');
    assert.equal(runIn(app, 'node', 'globals.mjs'), 'true\n');
    assert.equal(runIn(app, 'node', 'http.mjs'), 'function\n');
    assert.match(runIn(app, 'npx', '--offline', 'carom', '--version'), /^\d+\.\d+\.\d+\n$/);
  });
  await t.test('Bun', () => assert.equal(runIn(app, path.join(BIN, 'bun'), 'esm.mjs'), '/installed\n'));
  await t.test('Deno', () =>
    assert.equal(runIn(app, path.join(BIN, 'deno'), 'run', '--quiet', '--no-check', '-A', 'esm.mjs'), '/installed\n'),
  );
  await t.test('links of its pages lead somewhere', () => {
    const root = path.join(app, 'node_modules/carom');
    const pages = ['README.md', ...readdirSync(path.join(root, 'docs')).map((name) => `docs/${name}`)];
    let links = 0;
    for (const page of pages)
      for (const [, link] of readFileSync(path.join(root, page), 'utf8').matchAll(/\]\(([^)#:]+)[^):]*\)/g)) {
        links++;
        assert.ok(existsSync(path.join(root, path.dirname(page), link)), `${page}: ${link}`);
      }
    assert.ok(links > 0);
  });
  await t.test('it has what package.json promises', () => {
    const root = path.join(app, 'node_modules/carom');
    const { exports: entries, bin } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
    const files = [...Object.values(entries).flatMap((entry) => (typeof entry === 'string' ? entry : Object.values(entry))), bin.carom];
    for (const file of files) assert.ok(existsSync(path.join(root, file)), file);
  });
});

test('published from a repository it says so, and that it can be proved', async (t) => {
  const to = path.join(folder, 'published');
  mkdirSync(to);
  const given = {
    REPOSITORY: 'https://example.org/carom.git',
    BUILD: to,
    CAROM_NODE: process.env.CAROM_NODE || path.join(ROOT, 'build/carom.node'),
  };
  execFileSync(path.join(ROOT, 'tools/package'), { env: { ...process.env, ...given } });
  const registry = await openRegistry(to);
  t.after(() => registry.close());
  const { nameOfMachine } = createRequire(import.meta.url)('../src/binary/binary.js');
  for (const [name, directory] of [
    ['carom', { directory: 'js' }],
    [`carom-${nameOfMachine()}`, {}],
  ]) {
    const { versions } = await (await fetch(`${registry.url}${name}`)).json();
    const [manifest] = Object.values(versions);
    assert.deepEqual(manifest.repository, { type: 'git', url: 'git+https://example.org/carom.git', ...directory });
    assert.equal(manifest.homepage, 'https://example.org/carom#readme');
    assert.equal(manifest.bugs, 'https://example.org/carom/issues');
    assert.deepEqual(manifest.publishConfig, { access: 'public', provenance: true });
  }
  assert.match(readFileSync(path.join(to, 'package/carom/README.md'), 'utf8'), /^# carom\n\n\[!\[npm\]\(https:.*\n\nAn HTTP server/);
});

test('every option is in the types', () => {
  const { NAMES } = createRequire(import.meta.url)('../src/engine/options.js');
  const types = readFileSync(path.join(ROOT, 'js/index.d.ts'), 'utf8');
  for (const name of NAMES) assert.ok(types.includes(` ${name}?: `) || types.includes(` ${name}: Handler`), name);
});

test('the types', () => {
  const files = ['types.ts', 'types-frameworks.ts'].map((name) => path.join(ROOT, 'js/test', name));
  runIn(
    path.join(ROOT, 'js'),
    path.join(BIN, 'tsc'),
    '--noEmit',
    '--strict',
    '--skipLibCheck',
    '--target',
    'es2022',
    '--module',
    'nodenext',
    '--lib',
    'es2023,dom,dom.iterable,esnext.disposable',
    '--types',
    'node',
    ...files,
  );
});
