// Finds and loads carom.node, the engine for the machine that runs this. It comes in a package of its own for each kind of machine,
// of which npm installs the one that fits (`optionalDependencies`, written by tools/package); in the repository it comes from the
// build; CAROM_NODE names another file. Whatever is wrong and can be cured is an Error with a `code`, in one line with its cure.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { variable } = require('./environment.js');
const { libcOf } = require('./libc.js');
const { version } = require('../../package.json');

const PACKAGES = ['linux-x64-gnu', 'linux-x64-musl', 'linux-arm64-gnu', 'linux-arm64-musl'];

const PACKAGE = path.join(__dirname, '..', '..');
const BUILT = path.join(PACKAGE, '..', 'build', 'carom.node'); // of a build in the repository

// What the errors of dlopen mean to who runs the program, and what to do. First what is told most exactly.
const CURES = [
  ['GLIBC_', 'the C library of this system is too old (2.28 is needed, as by Node 18): use a newer system or image'],
  ['Error loading shared library', 'a library that it needs is not installed'],
  ['undefined symbol: napi_', 'this runtime lacks a part of Node-API that the engine needs: use a newer one'],
  ['Requires ffi access', 'Deno lets it load no binary: run it with --allow-ffi, or -A'],
  ['failed to map segment', 'it lies where nothing may be executed (a mount with noexec), or is not whole: move it, or install again'],
];

function failure(code, message, cause) {
  return Object.assign(new Error(message, cause === undefined ? {} : { cause }), { code });
}

// Deno tells which C library it was linked with, and may be forbidden to read its program.
const libc = () => globalThis.Deno?.build.env ?? libcOf(process.execPath);

// Like "linux-x64-gnu", the name of a package; without the C library where there is no package for any.
function nameOfMachine() {
  const name = `${process.platform}-${process.arch}`;
  return PACKAGES.includes(`${name}-gnu`) ? `${name}-${libc()}` : name;
}

const isMissing = (error) => error.code === 'MODULE_NOT_FOUND' || error.code === 'ERR_MODULE_NOT_FOUND';

function broken(what, error, otherwise) {
  const [first] = String(error.message).split('\n');
  const [, cure] = CURES.find(([sign]) => error.message.includes(sign)) || ['', `it is not whole, or for another machine: ${otherwise}`];
  return failure('CAROM_BINARY_BROKEN', `${what} cannot be loaded: ${cure} (${first})`, error);
}

function ofThisVersion(addon, what) {
  if (typeof addon.version !== 'function') throw failure('CAROM_BINARY_BROKEN', `${what} is not the engine of carom`);
  if (addon.version() !== version)
    throw failure('CAROM_BINARY_BROKEN', `${what} is of version ${addon.version()}, but carom is ${version}: install or build both anew`);
  return addon;
}

function loadFile(file, what, cure) {
  if (!fs.existsSync(file)) throw failure('CAROM_BINARY_MISSING', `${what} is not there: ${cure}`);
  try {
    return require(file);
  } catch (error) {
    throw broken(what, error, cure);
  }
}

function isInstalled(name) {
  try {
    return require.resolve(`carom-${name}/package.json`) !== '';
  } catch {
    return false;
  }
}

// The package that is needed is not there. One for another machine tells why.
function missing(machine) {
  const other = PACKAGES.find(isInstalled);
  const cure =
    other === undefined
      ? 'install without --omit=optional (--no-optional); if a lock file was made on another system, remove it and node_modules first'
      : `node_modules is of another machine (it has carom-${other}): install on this one`;
  return failure('CAROM_BINARY_MISSING', `the package carom-${machine} is not installed: ${cure}`);
}

// The repository has the package in a folder that is called js, and the sources of the binary beside it.
function inRepository() {
  return path.basename(PACKAGE) === 'js' && fs.existsSync(path.join(PACKAGE, '..', 'bindings', 'node'));
}

// The names stand here in full and in a block that catches, so that bundlers, and what gathers the files that a program needs, find the
// package that is there and do without the others.
function loadPackage(machine) {
  try {
    if (machine === 'linux-x64-gnu') return require('carom-linux-x64-gnu');
    if (machine === 'linux-x64-musl') return require('carom-linux-x64-musl');
    if (machine === 'linux-arm64-gnu') return require('carom-linux-arm64-gnu');
    return require('carom-linux-arm64-musl');
  } catch (error) {
    throw isMissing(error) && !isInstalled(machine) ? missing(machine) : broken(`the package carom-${machine}`, error, 'install again');
  }
}

// The addon. Or null: there is no package for such machines, and none that was built is named.
function findBinary() {
  const named = variable('CAROM_NODE');
  if (named) {
    const file = path.resolve(named);
    const what = `the file ${file}, which CAROM_NODE names,`;
    return ofThisVersion(loadFile(file, what, 'correct or unset it'), what);
  }
  if (process.platform !== 'linux') return null;
  if (inRepository()) return ofThisVersion(loadFile(BUILT, BUILT, 'run "make"'), BUILT);
  const machine = nameOfMachine();
  return PACKAGES.includes(machine) ? ofThisVersion(loadPackage(machine), `the package carom-${machine}`) : null;
}

module.exports = { findBinary, nameOfMachine };
