// How the package finds the engine's binary, and what it says when it cannot: as it is installed, beside packages of machines that
// hold what the test puts there.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, after, beforeEach } from 'node:test';

const JS = new URL('..', import.meta.url).pathname;
const ADDON = process.env.CAROM_NODE || path.join(JS, '../build/carom.node');
const require = createRequire(import.meta.url);
const { libcOf } = require('../src/binary/libc.js');
const { nameOfMachine } = require('../src/binary/binary.js');
const { version } = require('../package.json');
const HERE = nameOfMachine();
const OTHER = HERE === 'linux-arm64-musl' ? 'linux-arm64-gnu' : 'linux-arm64-musl';

// A new folder for each installation: the runtime remembers what it found where.
const folders = [];
let folder;
let modules;
function anew() {
  folder = mkdtempSync(path.join(tmpdir(), 'carom-binary-'));
  folders.push(folder);
  modules = path.join(folder, 'node_modules');
  cpSync(path.join(JS, 'src/binary'), path.join(modules, 'carom/src/binary'), { recursive: true });
  copyFileSync(path.join(JS, 'package.json'), path.join(modules, 'carom/package.json'));
}
beforeEach(anew);
after(() => {
  for (const made of folders) rmSync(made, { recursive: true });
});

// The package of a kind of machine, with a binary, or with a module in its place.
function install(kind, main, write) {
  const place = path.join(modules, `carom-${kind}`);
  mkdirSync(place);
  writeFileSync(path.join(place, 'package.json'), JSON.stringify({ name: `carom-${kind}`, version: '0.0.0', main }));
  write(path.join(place, main));
}

// What comes of looking for the binary, on this machine or one that says it is another.
function found(named = '', machine = {}) {
  const { platform, arch } = process;
  const before = process.env.CAROM_NODE;
  process.env.CAROM_NODE = named;
  try {
    for (const [key, value] of Object.entries(machine)) Object.defineProperty(process, key, { value });
    const addon = require(path.join(modules, 'carom/src/binary/binary.js')).findBinary();
    return addon === null ? 'none' : addon.version();
  } catch (error) {
    return `${error.code}: ${error.message}`;
  } finally {
    process.env.CAROM_NODE = before;
    for (const [key, value] of Object.entries({ platform, arch })) Object.defineProperty(process, key, { value });
  }
}

test('the package of this machine is loaded', () => {
  install(HERE, 'carom.node', (file) => copyFileSync(ADDON, file));
  assert.equal(found(), version);
});

test('CAROM_NODE names a file, from the working directory; what is wrong with it is an error', () => {
  install(HERE, 'carom.node', (file) => copyFileSync(ADDON, file));
  assert.equal(found(path.relative(process.cwd(), ADDON)), version);
  assert.equal(found(ADDON, { platform: 'darwin' }), version);
  assert.equal(
    found('nowhere.node'),
    `CAROM_BINARY_MISSING: the file ${path.resolve('nowhere.node')}, which CAROM_NODE names, is not there: correct or unset it`,
  );
  writeFileSync(path.join(folder, 'text.node'), 'text');
  assert.match(
    found(path.join(folder, 'text.node')),
    /^CAROM_BINARY_BROKEN: .*which CAROM_NODE names, cannot be loaded: it is not whole, .*$/,
  );
  writeFileSync(path.join(folder, 'other.js'), 'exports.open = () => {};');
  assert.match(found(path.join(folder, 'other.js')), /^CAROM_BINARY_BROKEN: .*is not the engine of carom$/);
});

test('where its package was left out, it says how to install', () => {
  assert.match(found(), new RegExp(`^CAROM_BINARY_MISSING: the package carom-${HERE} is not installed: .*--omit=optional.*$`));
  install(OTHER, 'index.js', (file) => writeFileSync(file, ''));
  assert.match(found(), new RegExp(`^CAROM_BINARY_MISSING: .*node_modules is of another machine \\(it has carom-${OTHER}\\).*$`));
});

test('a package of this machine without its binary is not whole', () => {
  install(OTHER, 'index.js', (file) => writeFileSync(file, ''));
  install(HERE, 'carom.node', () => {});
  assert.match(
    found(),
    new RegExp(`^CAROM_BINARY_BROKEN: the package carom-${HERE} cannot be loaded: it is not whole, .*: install again .*$`),
  );
});

test('a binary that does not load is an error with its cure', () => {
  const throwing = (message) => (file) => writeFileSync(file, `throw new Error(${JSON.stringify(message)});`);
  for (const [message, cure] of [
    ["/lib/libc.so.6: version `GLIBC_2.28' not found (required by carom.node)\n- and more", 'the C library of this system is too old'],
    ['Error loading shared library libx.so: No such file', 'a library that it needs is not installed'],
    ['carom.node: undefined symbol: napi_later', 'use a newer one'],
    ['carom.node: failed to map segment from shared object', 'noexec'],
    ['Requires ffi access to "carom.node"', '--allow-ffi'],
    ['carom.node: invalid ELF header', 'it is not whole, or for another machine: install again'],
  ]) {
    anew();
    install(HERE, 'index.js', throwing(message));
    const said = found();
    assert.ok(said.startsWith(`CAROM_BINARY_BROKEN: the package carom-${HERE} cannot be loaded: `), said);
    assert.ok(said.includes(cure) && said.endsWith(`(${message.split('\n')[0]})`) && !said.includes('\n'), said);
  }
});

test('a binary of another version is refused', () => {
  install(HERE, 'index.js', (file) => writeFileSync(file, "exports.version = () => '0.0.9';"));
  assert.match(found(), /^CAROM_BINARY_BROKEN: .* is of version 0\.0\.9, but carom is \d+\.\d+\.\d+: .*$/);
});

test('there is none for other machines', () => {
  for (const machine of [{ platform: 'darwin', arch: 'arm64' }, { platform: 'win32' }, { arch: 'riscv64' }])
    assert.equal(found('', machine), 'none');
});

// The engine's source, whole.
const installSource = () => cpSync(path.join(JS, 'src'), path.join(modules, 'carom/src'), { recursive: true });

test('a Linux for which there is none runs on the portable engine, with one line that has the cure', () => {
  installSource();
  const program = `
    Object.defineProperty(process, 'arch', { value: 'riscv64' });
    console.log(require('./node_modules/carom/src/ring/native.js').isPortable);`;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', program], {
    cwd: folder,
    env: { ...process.env, CAROM_NODE: '' },
    encoding: 'utf8',
  });
  assert.equal(stdout, 'true\n');
  assert.equal(
    stderr,
    'carom: no native engine for linux-riscv64, using the portable one: for development; ' +
      'to serve, build the native one and name it by CAROM_NODE\n',
  );
});

test('Deno loads it without leave to read the environment or its own program', () => {
  installSource();
  install(HERE, 'carom.node', (file) => copyFileSync(ADDON, file));
  writeFileSync(path.join(folder, 'package.json'), '{}');
  writeFileSync(
    path.join(folder, 'app.mjs'),
    "import native from './node_modules/carom/src/ring/native.js'; console.log(native.version());",
  );
  const { stdout, stderr } = spawnSync(
    path.join(JS, 'node_modules/.bin/deno'),
    ['run', '--quiet', '--no-prompt', '--allow-ffi', 'app.mjs'],
    { cwd: folder, encoding: 'utf8' },
  );
  assert.deepEqual([stdout, stderr], [`${version}\n`, '']);
});

test('Deno is asked for its C library', (t) => {
  for (const env of ['gnu', 'musl']) {
    globalThis.Deno = { build: { env } };
    t.after(() => delete globalThis.Deno);
    assert.equal(nameOfMachine(), `linux-${process.arch}-${env}`);
  }
});

test('the command line says it in one line, and has its help without', () => {
  installSource();
  cpSync(path.join(JS, 'bin'), path.join(modules, 'carom/bin'), { recursive: true });
  const run = (...words) => {
    const { stdout, stderr } = spawnSync(process.execPath, [path.join(modules, 'carom/bin/carom.mjs'), ...words], {
      env: { ...process.env, CAROM_NODE: '' },
      encoding: 'utf8',
    });
    return stdout + stderr;
  };
  assert.match(run('serve', 'app.mjs'), /^carom: the package carom-.* is not installed: .*\n$/);
  assert.match(run('--version'), /^\d+\.\d+\.\d+\n$/);
});

// An ELF program of nothing but its header and what names its dynamic linker.
function programWith(linker, name = 'program') {
  const bytes = Buffer.alloc(64 + 2 * 56);
  bytes.write('\x7fELF', 'latin1');
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(2, 56);
  bytes.writeUInt32LE(linker === null ? 1 : 3, 64 + 56);
  bytes.writeBigUInt64LE(BigInt(bytes.length), 64 + 56 + 8);
  bytes.writeBigUInt64LE(BigInt((linker || '').length + 1), 64 + 56 + 32);
  const file = path.join(folder, name);
  writeFileSync(file, Buffer.concat([bytes, Buffer.from(`${linker || ''}\0`)]));
  return file;
}

test('the C library is told by the dynamic linker of the program', () => {
  assert.equal(libcOf(programWith('/lib/ld-musl-aarch64.so.1')), 'musl');
  assert.equal(libcOf(programWith('/lib64/ld-linux-x86-64.so.2')), 'gnu');
  assert.equal(libcOf(programWith(null)), 'gnu');
  assert.equal(libcOf(programWith(null, 'ld-musl-x86_64.so.1')), 'musl');
  assert.equal(libcOf(path.join(folder, 'nowhere')), 'gnu');
});

test('the codes that are documented are those that are thrown', () => {
  const codesIn = (file) => new Set(readFileSync(path.join(JS, file), 'utf8').match(/\bCAROM_(NO_)?BINARY[A-Z_]*/g));
  const thrown = codesIn('src/binary/binary.js');
  assert.deepEqual(codesIn('../docs/js/install.md'), thrown);
  assert.deepEqual(codesIn('index.d.ts'), thrown);
});

test('package.json and the binary have one version', () => {
  assert.equal(require(ADDON).version(), version);
});
