// A program: find-syntax-error.mjs FILE. Reads a module and all that it imports, without running any of it, and prints the name of
// the first file whose syntax is wrong. Prints nothing when there is none.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import vm from 'node:vm';

const SOURCE = /\.[cm]?js$/;
const DYNAMIC = /\bimport\(\s*(?:'([^'\n]+)'|"([^"\n]+)")/g;
const seen = new Set();

function resolve(specifier, parent) {
  try {
    if (/^(?:\.{0,2}\/|file:)/.test(specifier)) return fileURLToPath(new URL(specifier, pathToFileURL(parent)));
    const found = createRequire(parent).resolve(specifier);
    return found === specifier ? null : found; // a module of Node's
  } catch {
    return null;
  }
}

// What a file says it needs. A SyntaxError when it is no module and no script.
function importsOf(file, text) {
  try {
    const module = new vm.SourceTextModule(text, { identifier: file });
    const names = module.moduleRequests ? module.moduleRequests.map(({ specifier }) => specifier) : module.dependencySpecifiers;
    return [...names, ...Array.from(text.matchAll(DYNAMIC), ([, single, double]) => single || double)];
  } catch (error) {
    try {
      new vm.Script(`(function(exports,require,module,__filename,__dirname){${text}\n})`, { filename: file });
      return []; // the stack of what a script requires tells the place
    } catch {
      throw error;
    }
  }
}

// The first file whose syntax is wrong, or null.
function wrongOf(file) {
  if (file === null || seen.has(file) || !SOURCE.test(file)) return null;
  seen.add(file);
  let names;
  try {
    names = importsOf(file, fs.readFileSync(file, 'utf8'));
  } catch (error) {
    return error instanceof SyntaxError ? file : null;
  }
  for (const name of names) {
    const wrong = wrongOf(resolve(name, file));
    if (wrong !== null) return wrong;
  }
  return null;
}

process.stdout.write(wrongOf(process.argv[2]) || '');
