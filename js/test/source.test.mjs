// Properties of the source that are checked without running it: no expression takes more time than in proportion to its input, and
// what the source takes from layout.js is there.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { createRequire } from 'node:module';

const SOURCE = new URL('../src/', import.meta.url).pathname;
const files = readdirSync(SOURCE, { recursive: true })
  .map(String)
  .filter((name) => name.endsWith('.js'))
  .sort();
const read = (name) => readFileSync(path.join(SOURCE, name), 'utf8');

// Expressions that were looked at. Each is tried at one place only (it begins with ^), or fails within a
// bounded number of characters from each place, or its repetitions cannot give back characters to one
// another. One that is not here: can two of its repetitions match the same character, or can a repetition
// that does not begin with ^ run far and fail? Then it takes quadratic time or worse: write a loop.
const REVIEWED = {
  // anchored, with one repetition, or with repetitions of different characters
  'cli/app.js': [
    /^\s+at |^Node\.js /, // a local file's; the blanks cannot be given to anything else
    /^ERR_(MODULE_NOT_FOUND|UNKNOWN_FILE_EXTENSION)$/,
    /^\s+at /,
    // Not anchored and quadratic: lines of at most LONGEST_LINE only.
    /(file:\/\/[^\s():]+|\/[^\s():]+?)(?:\?\d+)?:(\d+)(?::(\d+))?/,
  ],
  'cli/arguments.js': [/^\d{1,5}$/, /^\d{1,3}$/, /^\d+(\.\d+)?$/, /^--([a-z][a-z0-9-]*)(?:=(.*))?$/],
  'cli/watch.js': [/\.(m?[jt]s|c[jt]s|json|html|css|txt)$/], // bounded from each place
  'engine/call-site.js': [
    // Not anchored and quadratic: lines of a stack of the program's own, once for a server.
    /(?:^|[\s(])((?:file:\/\/)?\/[^\s()][^()]*?:\d+)(?::\d+)?\)?$/,
    /^file:\/\//,
  ],
  'exchange/refusal.js': [/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, /^[\t\x20-\x7e\x80-\xff]*$/, /^\d{1,18}$/, /^(close|keep-alive)$/i],
  'fetch/body.js': [/[\ud800-\udfff]/, /\r\n?|\n/g, /\r/g, /\n/g, /"/g],
  'fetch/headers.js': [
    /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/,
    /[\x00-\x08\x0a-\x1f"():<>?@[\\\]{}\x7f]/,
    /^[0-9A-Za-z *,\-.;=]*$/,
    /^[0-9A-Za-z *,\-.;=]*$/,
  ],
  'fetch/media-type.js': [
    /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/,
    /^[!#$%&'*+\-.^_`|~0-9a-z]+\/[!#$%&'*+\-.^_`|~0-9a-z]+$/,
    /^[\t\x20-\x7e\x80-\xff]*$/,
    /["\\]/g,
  ],
  'fetch/request.js': [
    /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/,
    /^https?:\/\//i,
    /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]+)(?::\d*)?$/,
  ],
  'fetch/foreign.js': [/^[\t\x20-\x7e\x80-\xff]*$/],
  'engine/options.js': [/^[0-9]+$/],
  'engine/tls-options.js': [/[^A-Za-z0-9._*-]/],
  'websocket/accept.js': [/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/],
  'websocket/options.js': [/^[a-z][a-z0-9+.-]*:\/\/[^\s,*/]+$/i, /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/],
  'node/server.js': [
    /^100-continue$/i,
    /(^|,)\s*upgrade\s*(,|$)/i, // from each comma to the next character that is no blank, and no further
  ],
  'node/listen.js': [/^[0-9]+$/],
  'node/client-error.js': [
    /^\S+ \S+ HTTP\/1\.[01]\r\n/,
    /\r\ncontent-length[ \t]*:/i,
    /\r\ncontent-length[ \t]*:(?![ \t]*[0-9]+[ \t]*\r\n)/i, // anchored by its name, and what repeats is different
    /\r\ntransfer-encoding[ \t]*:/i,
    /\r[^\n]/,
  ],
  'node/response.js': [/(^|,)\s*close\s*(,|$)/i, /(^|,)\s*keep-alive\s*(,|$)/i, /(^|,)\s*chunked\s*$/i], // likewise
  'ring/codec.js': [/\b(?:0:)+0\b|\b0\b/g, /:{3,}/], // of an address: at most 39 characters
  'serve/framing.js': [/^\d{1,15}$/, /[\0-\x08\x0e-\x1f\x7f]/],
  'serve/serve.js': [/[^!-~]|[?#]/],
  'portable/chunks.js': [
    // Of a line of at most 256 characters; its repetitions match different ones.
    /^([0-9A-Fa-f]+)(?:[ \t]*;[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*=[ \t]*(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)*$/,
    /^[0-9A-Fa-f]/,
  ],
  'portable/handshake.js': [/^[0-9A-Za-z+/]{22}==$/, /^(.*?)(?::(\d{0,5}))?$/, /^(https?):\/\/(.+)$/i, /^"(.*)"$/, /^(8|9|1[0-5])$/],
  'portable/head-reader.js': [
    /^HTTP\/(\d)\.(\d)$/,
    /^[!"$-~]+$/,
    /^\d{1,18}$/,
    /^(?:[-._~%!$&'()*+,;=0-9A-Za-z]*|\[[-._~%!$&'()*+,;=0-9A-Za-z:]+\])(?::(\d{0,5}))?$/,
    /^http(s?):\/\/([^/?]+)/i,
    /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?=$|[; \t])/,
    /^[ \t]+/,
  ],
  'portable/http2.js': [/^100-continue$/i],
  'portable/plan.js': [/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, /^[\t\x20-\x7e\x80-\xff]*$/, /^\d{1,18}$/],
  'portable/self-signed.js': [/[-:T]/g, /^[0-9.]+$/, /.{64}/g],
  'portable/server.js': [/^(.*?)(?:\?mode=0([0-7]+))?$/s], // a path of the program's own
  'portable/tls.js': [/key/i],
  'node/raw-head.js': [/^HTTP\/1\.[01] ([0-9]{3})(?: .*)?$/],
};

// Tokens: blanks and comments; words, numbers and strings; a piece of a template, from "`" or "}" to "`" or
// "${"; an expression.
const BLANK = /\s+|\/\/[^\n]*|\/\*[^]*?\*\//y;
const WORD = /[\w$#]+|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/y;
const TEMPLATE = /[`}](?:[^`\\$]|\\[^]|\$(?!\{))*(?:`|\$\{)/y;
const EXPRESSION = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;

function tokenAt(kind, text, at) {
  kind.lastIndex = at;
  const match = kind.exec(text);
  return match === null ? '' : match[0];
}

// The expressions written in a source. A "/" begins one where no value can have ended before it.
function expressionsOf(text) {
  const found = [];
  const braces = []; // of each "${" that is open, how many others are within
  let before = ''; // the last token that is not blank
  for (let i = 0; i < text.length; ) {
    const blank = tokenAt(BLANK, text, i);
    i += blank.length;
    if (blank !== '' || i === text.length) continue;
    let token;
    if (text[i] === '/' && /^(?:|[(,=:[!&|?{};+>]|return|.*\$\{)$/s.test(before)) {
      token = tokenAt(EXPRESSION, text, i);
      found.push(token);
    } else if (text[i] === '`' || (text[i] === '}' && braces.at(-1) === 0)) {
      if (text[i] === '}') braces.pop();
      token = tokenAt(TEMPLATE, text, i);
      if (token.endsWith('${')) braces.push(0);
    } else {
      token = tokenAt(WORD, text, i) || text[i];
      if (token === '{' && braces.length > 0) braces[braces.length - 1]++;
      if (token === '}' && braces.length > 0) braces[braces.length - 1]--;
    }
    before = token;
    i += token.length;
  }
  return found;
}

test('all expressions were looked at', () => {
  for (const name of files) assert.deepEqual(expressionsOf(read(name)), (REVIEWED[name] || []).map(String), name);
  assert.deepEqual(
    Object.keys(REVIEWED).filter((name) => !files.includes(name)),
    [],
  );
});

test('none is made at run time', () => {
  for (const name of files) assert.doesNotMatch(read(name), /\bRegExp\b|\.(?:match|matchAll|search)\((?!\/)/, name);
});

test('the scanner sees them', () => {
  assert.deepEqual(
    expressionsOf(
      "a / b; x = /a[/]\\/b/g; // /no/\n'/no/'; f(/c/) / 2; `/no/${{ y: z.m(/e/) }}/no/${/f/}` / 2; return /d/i.test(/* /no/ */ y)",
    ),
    ['/a[/]\\/b/g', '/c/', '/e/', '/f/', '/d/i'],
  );
});

test('what is taken from layout.js is there', () => {
  const layout = createRequire(import.meta.url)('../src/memory/layout.js');
  const takers = new Set();
  for (const name of files)
    for (const [, names] of read(name).matchAll(/const \{([^}]*)\} = require\('[./]*(?:memory\/)?layout\.js'\)/g))
      for (const constant of names
        .split(',')
        .map((word) => word.trim())
        .filter(Boolean)) {
        takers.add(name);
        assert.equal(typeof layout[constant], 'number', `${name}: ${constant}`);
      }
  assert.ok(takers.has('exchange/exchange.js') && takers.has('ring/ring.js'), [...takers].join());
});

// The table of js/src/README.md: of each folder, the folders whose files its own may require.
function floors() {
  const rows = [...read('README.md').matchAll(/^\| `(\w+)\/` \|.*\| ([^|]*) \|$/gm)];
  return Object.fromEntries(rows.map(([, folder, others]) => [folder, [...others.matchAll(/`(\w+)\/`/g)].map(([, other]) => other)]));
}

test('a folder requires those that js/src/README.md says, and there is no circle', () => {
  const allowed = floors();
  const folders = [...new Set(files.map((name) => path.dirname(name)))].sort();
  assert.deepEqual(Object.keys(allowed).sort(), folders);
  const seen = Object.fromEntries(folders.map((folder) => [folder, new Set()]));
  for (const name of files)
    for (const [, other] of read(name).matchAll(/require\('(\.[^']*)'\)/g)) {
      const [folder, target] = [path.dirname(name), path.dirname(path.join(path.dirname(name), other))];
      if (target === folder || target.startsWith('..')) continue; // what stands outside src is for programs
      assert.ok(allowed[folder].includes(target), `${name} requires ${other}`);
      seen[folder].add(target);
    }
  for (const folder of folders) assert.deepEqual([...seen[folder]].sort(), [...allowed[folder]].sort(), `${folder}/`);
  const below = (folder, path) => {
    assert.ok(!path.includes(folder), [...path, folder].join(' -> '));
    for (const other of allowed[folder]) below(other, [...path, folder]);
  };
  for (const folder of folders) below(folder, []);
});
