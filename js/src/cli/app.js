// Loading an app, and saying where it went wrong.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL, fileURLToPath } = require('node:url');

class AppError extends Error {}

function handlerOf(app, module) {
  const exported = module.default;
  if (typeof exported === 'function') return { fetch: exported, options: {} };
  if (exported !== null && typeof exported === 'object' && typeof exported.fetch === 'function') {
    const { fetch, ...options } = exported;
    return { fetch: (request, info) => exported.fetch(request, info), options };
  }
  throw new AppError(`${app} must export by default a function of a Request, or an object { fetch }`);
}

let version = 0;

// The app's handler and options, read anew each time.
async function loadApp(app) {
  const file = path.resolve(app);
  if (!fs.existsSync(file)) throw new AppError(`there is no app ${app}`);
  const url = pathToFileURL(file);
  if (version++ > 0) url.search = `?${version}`;
  return handlerOf(app, await import(url.href));
}

// The first place in the stack that is in a file of the app.
function placeOf(stack) {
  for (const line of stack.split('\n')) {
    const match = /(file:\/\/[^\s():]+|\/[^\s():]+?)(?:\?\d+)?:(\d+)(?::(\d+))?/.exec(line);
    if (match === null || line.includes('node:') || line.includes('/node_modules/')) continue;
    const file = match[1].startsWith('file:') ? fileURLToPath(match[1]) : match[1];
    if (file.startsWith(path.join(__dirname, '..', '..'))) continue;
    if (fs.existsSync(file)) return { file, line: Number(match[2]), column: Number(match[3] || 0) };
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
  const place = placeOf(stack);
  const what = stack.includes(error.message) && !(error instanceof SyntaxError) ? `${error.name}: ${error.message}` : `${error.name}: ${error.message}`;
  if (place === null) return stack;
  return `${what}\n  at ${path.relative(process.cwd(), place.file)}:${place.line}\n${excerpt(place)}`;
}

module.exports = { loadApp, describe, AppError };
