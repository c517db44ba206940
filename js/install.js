// Run by npm when the package is installed: when there is no binary for this machine, build one from
// the sources that came along.
'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const engine = path.join(__dirname, 'engine');
const target = path.join(__dirname, 'build', 'Release', 'carom.node');

function loads() {
  try {
    require('./src/ring/native.js');
    return true;
  } catch {
    return false;
  }
}

function headers() {
  const places = [path.join(path.dirname(process.execPath), '..', 'include', 'node'), '/usr/include/node', '/usr/local/include/node'];
  return places.find((place) => fs.existsSync(path.join(place, 'node_api.h')));
}

function sources(folder) {
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) return sources(file);
    return file.endsWith('.c') ? [file] : [];
  });
}

function fail(message) {
  console.error(`carom: ${message}`);
  process.exit(1);
}

// The path of a static library, or undefined.
function archive(compiler, name) {
  const { stdout } = spawnSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' });
  const file = (stdout || '').trim();
  return path.isAbsolute(file) ? file : undefined;
}

// nghttp2, OpenSSL and zlib, brought along with hidden symbols as Node has its own; see CMakeLists.txt.
function libraries(compiler, folder) {
  const nghttp2 = archive(compiler, 'libnghttp2.a');
  const others = ['libssl.a', 'libcrypto.a', 'libz.a'].map((name) => archive(compiler, name));
  if (nghttp2 === undefined || others.includes(undefined))
    fail(
      'there is no binary for this machine, and building one needs nghttp2, OpenSSL 3 and zlib (Debian: apt-get install libnghttp2-dev libssl-dev zlib1g-dev)',
    );
  const ours = path.join(folder, 'libnghttp2.a');
  const made = spawnSync('objcopy', ['--redefine-sym', 'stderr=carom_nghttp2_stderr', nghttp2, ours], { stdio: 'inherit' });
  if (made.error || made.status !== 0)
    fail('there is no binary for this machine, and building one needs objcopy (Debian: apt-get install binutils)');
  return [ours, ...others];
}

function build() {
  const include = headers();
  if (process.platform !== 'linux') fail(`there is no binary for ${process.platform} yet, and the engine needs Linux`);
  if (include === undefined)
    fail("there is no binary for this machine, and building one needs Node's headers (Debian: apt-get install libnode-dev)");
  fs.mkdirSync(path.dirname(target), { recursive: true });
  const compiler = process.env.CC || 'cc';
  if (spawnSync(compiler, ['--version']).error)
    fail(`there is no binary for this machine, and no compiler ${compiler} to build one (Debian: apt-get install gcc libc6-dev)`);
  const found = libraries(compiler, path.dirname(target));
  const engineSources = sources(path.join(engine, 'src')).filter((file) => !file.endsWith('_none.c'));
  const result = spawnSync(
    compiler,
    [
      '-std=c11',
      '-D_GNU_SOURCE',
      '-O2',
      '-g',
      ...(process.env.CFLAGS || '').split(' ').filter(Boolean),
      '-fPIC',
      '-fvisibility=hidden',
      '-shared',
      '-pthread',
      `-I${engine}/include`,
      `-I${engine}/src`,
      `-I${include}`,
      ...engineSources,
      ...sources(path.join(engine, 'bindings', 'node')),
      ...found,
      '-Wl,--exclude-libs,ALL',
      '-Wl,-Bsymbolic',
      '-ldl',
      '-o',
      target,
    ],
    { stdio: 'inherit' },
  );
  if (result.status !== 0 || !loads()) fail('the engine could not be built; see above');
}

// In the repository the binary comes from `make build`.
if (fs.existsSync(engine) && !loads()) build();
