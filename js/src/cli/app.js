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

// What Node says about the syntax of a file. The error that import() throws does not tell the place.
function syntaxError(file) {
  const { stderr = '' } = spawnSync(process.execPath, ['--check', file], { encoding: 'utf8' });
  return stderr
    .split('\n')
    .filter((line) => !/^\s+at |^Node\.js /.test(line))
    .join('\n')
    .trim();
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
    if (error instanceof SyntaxError) throw new AppError(`the app cannot be loaded\n${syntaxError(file) || error}`);
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
