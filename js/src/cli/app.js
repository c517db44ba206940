// Loads an app, and shows the place in its files where it failed.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { pathToFileURL, fileURLToPath } = require('node:url');
const { isPlain } = require('../serve/serve.js');

class AppError extends Error {}

function handlerOf(app, module) {
  const exported = module.default;
  if (typeof exported === 'function') return { fetch: exported, options: {} };
  if (exported !== null && typeof exported === 'object' && typeof exported.fetch === 'function') {
    const { fetch, ...options } = isPlain(exported) ? exported : {};
    return { fetch: (request, info) => exported.fetch(request, info), options };
  }
  throw new AppError(`${app} must export by default a function of a Request, or an object { fetch }`);
}

// The place of a syntax error, in the app or in what it imports, and what stands there. The error that import() throws on Node does
// not tell it, so another process looks for it; where it finds none, the error itself may.
function syntaxError(file, error) {
  if (!process.versions.bun && !process.versions.deno) {
    const node = (...words) => spawnSync(process.execPath, words, { encoding: 'utf8' });
    const finder = path.join(__dirname, 'find-syntax-error.mjs');
    const { stdout: wrong = '' } = node('--experimental-vm-modules', '--no-warnings', finder, file);
    const { stderr: said = '' } = wrong === '' ? {} : node('--check', wrong);
    const lines = said.split('\n').filter((line) => !/^\s+at |^Node\.js /.test(line));
    if (lines.length > 1) return lines.join('\n').trim();
  }
  const { file: other, line, lineText = '' } = error.position || {}; // Bun's
  if (line !== undefined) return `${other}:${line}\n${lineText}\n\n${error.name}: ${error.message}`;
  const frames = String(error.stack).indexOf('\n    at ');
  return frames < 0 ? String(error.stack) : error.stack.slice(0, frames);
}

let version = 0;

// The app's handler and options. Each call loads the module again.
async function loadApp(app) {
  const file = path.resolve(app);
  const stats = fs.statSync(file, { throwIfNoEntry: false });
  if (stats === undefined) throw new AppError(`there is no app ${app}`);
  if (!stats.isFile()) throw new AppError(`the app ${app} is no file`);
  const url = pathToFileURL(file);
  if (version++ > 0) url.search = `?${version}`;
  try {
    return handlerOf(app, await import(url.href));
  } catch (error) {
    if (error && /^ERR_(MODULE_NOT_FOUND|UNKNOWN_FILE_EXTENSION)$/.test(error.code))
      throw new AppError(`the app cannot be loaded: ${error.message.split('\n')[0]}`);
    if (error instanceof SyntaxError || error?.name === 'BuildMessage')
      throw new AppError(`the app cannot be loaded\n${syntaxError(file, error)}`);
    throw error;
  }
}

const LONGEST_LINE = 1024; // of a stack; the expression below looks at a longer one for too long
const LONGEST_FILE = 1024 * 1024;

function isSource(file) {
  const stats = fs.statSync(file, { throwIfNoEntry: false });
  return stats !== undefined && stats.isFile() && stats.size <= LONGEST_FILE;
}

// The first place in the stack that is in a file of the app. The message of the error is skipped: a client may have chosen
// its text.
function placeOf(stack, message) {
  const said = stack.indexOf(message);
  const frames = said < 0 ? stack : stack.slice(said + message.length);
  for (const line of frames.split('\n')) {
    if (line.length > LONGEST_LINE || !/^\s+at /.test(line)) continue;
    const match = /(file:\/\/[^\s():]+|\/[^\s():]+?)(?:\?\d+)?:(\d+)(?::(\d+))?/.exec(line);
    if (match === null || line.includes('node:') || line.includes('/node_modules/')) continue;
    const file = match[1].startsWith('file:') ? fileURLToPath(match[1]) : match[1];
    if (file.startsWith(path.join(__dirname, '..', '..'))) continue;
    if (isSource(file)) return { file, line: Number(match[2]), column: Number(match[3] || 0) };
  }
  return null;
}

// Lines around a place, with a mark under the column.
function excerpt({ file, line, column }) {
  const lines = fs.readFileSync(file, 'utf8').split('\n');
  const from = Math.max(0, line - 3);
  const shown = [];
  for (let i = from; i < Math.min(lines.length, line + 2); i++) {
    shown.push(`${i + 1 === line ? '>' : ' '} ${String(i + 1).padStart(4)} | ${lines[i]}`);
    if (i + 1 === line && column > 0) shown.push(`       | ${' '.repeat(column - 1)}^`);
  }
  return shown.join('\n');
}

function describe(error) {
  if (!(error instanceof Error)) return String(error);
  const stack = String(error.stack || error.message);
  const place = placeOf(stack, String(error.message));
  if (place === null) return stack;
  return `${error.name}: ${error.message}\n  at ${path.relative(process.cwd(), place.file)}:${place.line}\n${excerpt(place)}`;
}

module.exports = { loadApp, describe, AppError };
