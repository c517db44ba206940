// Every package manager installs the package and the binary of this machine into an empty folder, with scripts of packages forbidden,
// and what it has installed serves.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { openRegistry } from '../test/registry.mjs';

const ROOT = new URL('../..', import.meta.url).pathname;
const { nameOfMachine } = createRequire(import.meta.url)('../src/binary/binary.js');
const BIN = path.join(ROOT, 'js/node_modules/.bin');
const TOOLS = path.join(ROOT, 'js/tools/node_modules');
const PROGRAM = `
import { serve, Response } from 'carom';
import { createServer } from 'carom/node';
const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {} }, () => new Response(server.backend + ' ' + typeof createServer));
console.log(await (await fetch('http://127.0.0.1:' + server.addr.port)).text());
await server.shutdown({ deadline: 0 });
`;

const folder = mkdtempSync(path.join(tmpdir(), 'carom-managers-'));
let registry;
before(async () => {
  // Those for other machines are in the registry, too, and must not be what is loaded: they hold this text.
  const none = path.join(folder, 'none');
  writeFileSync(none, 'no binary');
  const own = process.env.CAROM_NODE || path.join(ROOT, 'build/carom.node');
  const kinds = ['linux-x64-gnu', 'linux-x64-musl', 'linux-arm64-gnu', 'linux-arm64-musl'];
  const files = kinds.map((kind) => `${kind}=${kind === nameOfMachine() ? own : none}`);
  execFileSync(path.join(ROOT, 'tools/package'), ['--to', folder, ...files]);
  registry = await openRegistry(folder);
});
after(() => {
  registry.close();
  rmSync(folder, { recursive: true });
});

// A folder with an app, and what runs a program in it: everything that a manager keeps is in the folder, too.
function app(name) {
  const place = path.join(folder, name);
  mkdirSync(place);
  writeFileSync(path.join(place, 'package.json'), '{ "name": "app", "private": true, "type": "module" }');
  writeFileSync(path.join(place, 'app.mjs'), PROGRAM);
  const { url } = registry;
  writeFileSync(path.join(place, '.npmrc'), `registry=${url}\n`);
  const env = {
    ...process.env,
    HOME: place,
    XDG_CACHE_HOME: path.join(place, '.cache'),
    XDG_DATA_HOME: path.join(place, '.data'),
    CI: '',
    NO_COLOR: '1',
    npm_config_registry: url,
    npm_config_cache: path.join(place, '.cache/npm'),
    npm_config_ignore_scripts: 'true',
    npm_config_update_notifier: 'false',
    BUN_CONFIG_REGISTRY: url,
    BUN_INSTALL_CACHE_DIR: path.join(place, '.cache/bun'),
    NPM_CONFIG_REGISTRY: url,
    DENO_DIR: path.join(place, '.cache/deno'),
    DENO_NO_UPDATE_CHECK: '1',
    YARN_NPM_REGISTRY_SERVER: url,
    YARN_UNSAFE_HTTP_WHITELIST: '127.0.0.1',
    YARN_ENABLE_SCRIPTS: 'false',
    YARN_ENABLE_TELEMETRY: 'false',
    YARN_ENABLE_GLOBAL_CACHE: 'false',
    YARN_CHECKSUM_BEHAVIOR: 'update',
  };
  delete env.CAROM_NODE;
  const run = async (file, ...words) => {
    try {
      return (await promisify(execFile)(file, words, { cwd: place, env })).stdout;
    } catch (error) {
      throw new Error(`${error.message}\n${error.stdout}`);
    }
  };
  return { place, env, run };
}

const NODE = process.execPath;
const SERVED = /^(epoll|uring) function\n$/m;

test('npm, and npx carom serve', async () => {
  const { place, env, run } = app('npm');
  await run('npm', 'install', '--no-audit', '--no-fund', 'carom');
  assert.match(await run(NODE, 'app.mjs'), SERVED);
  writeFileSync(path.join(place, 'served.mjs'), "export default () => new Response('by the command');");
  const command = spawn('npx', ['--offline', 'carom', 'serve', 'served.mjs', '--port', '0'], { cwd: place, env, detached: true });
  let said = '';
  command.stdout.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  while (!/http:\/\/\S+/.test(said)) await once(command.stdout, 'data');
  const [, port] = /http:\/\/\S+?:(\d+)/.exec(said);
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'by the command');
  process.kill(-command.pid, 'SIGTERM'); // npx, and what it has started
  await once(command, 'close');
});

test('pnpm', async () => {
  const { run } = app('pnpm');
  await run(NODE, path.join(TOOLS, 'pnpm/bin/pnpm.mjs'), 'add', 'carom');
  assert.match(await run(NODE, 'app.mjs'), SERVED);
});

test('Yarn 1', async () => {
  const { run } = app('yarn-1');
  await run(NODE, path.join(TOOLS, 'yarn-1/bin/yarn.js'), 'add', '--ignore-scripts', '--no-progress', 'carom');
  assert.match(await run(NODE, 'app.mjs'), SERVED);
});

for (const linker of ['node-modules', 'pnpm', 'pnp'])
  test(`Yarn 4, ${linker}`, async () => {
    const { place, env, run } = app(`yarn-4-${linker}`);
    env.YARN_NODE_LINKER = linker;
    env.YARN_PNP_ENABLE_ESM_LOADER = 'true';
    writeFileSync(path.join(place, 'yarn.lock'), '');
    const yarn = path.join(TOOLS, 'yarn-4/bin/yarn.js');
    await run(NODE, yarn, 'add', 'carom');
    assert.match(await run(NODE, yarn, 'node', 'app.mjs'), SERVED);
  });

test('Bun', async () => {
  const { run } = app('bun');
  await run(path.join(BIN, 'bun'), 'add', 'carom');
  assert.match(await run(path.join(BIN, 'bun'), 'app.mjs'), SERVED);
});

test('Deno', async () => {
  const { run } = app('deno');
  await run(path.join(BIN, 'deno'), 'add', 'npm:carom');
  assert.match(await run(path.join(BIN, 'deno'), 'run', '-A', 'app.mjs'), SERVED);
});
