// The command line, as a person meets it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test, after } from 'node:test';
import tls from 'node:tls';

import { certificate } from '../transports.mjs';
import { Ws } from '../ws-client.mjs';

const require = createRequire(import.meta.url);
const { parseArguments, UsageError } = require('../../src/cli/arguments.js');
const { Log } = require('../../src/cli/log.js');

const DEADLINE = 600_000; // ms, to end what hangs
const CLI = new URL('../../bin/carom.mjs', import.meta.url).pathname;
const folder = mkdtempSync(path.join(tmpdir(), 'carom-cli-'));
after(() => rmSync(folder, { recursive: true }));

function app(name, text) {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
}

const hello = app('hello.mjs', 'export default (request) => new Response(`hello ${new URL(request.url).pathname}`);\n');

// A run of the command line, for as long as its test runs: what it says so far, and waiting for it to say something or end.
class Run {
  constructor(t, ...words) {
    this.said = '';
    this.process = spawn(process.execPath, [CLI, ...words], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    this.ended = once(this.process, 'close').then(([code]) => code);
    t.after(() => this.process.kill('SIGKILL'));
    for (const stream of [this.process.stdout, this.process.stderr])
      stream.on('data', (data) => {
        this.said += data;
        this.heard?.();
      });
  }

  async says(pattern) {
    let timer;
    const late = new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`never said ${pattern}, but: ${this.said}`)), DEADLINE);
    });
    try {
      for (;;) {
        const match = pattern.exec(this.said);
        if (match !== null) return match;
        await Promise.race([
          new Promise((resolve) => {
            this.heard = resolve;
          }),
          late,
          this.ended.then((code) => {
            if (!pattern.test(this.said)) throw new Error(`ended with ${code}: ${this.said}`);
          }),
        ]);
      }
    } finally {
      clearTimeout(timer); // it would go off behind the test
    }
  }

  async port() {
    return Number((await this.says(/https?:\/\/localhost:(\d+)\//))[1]);
  }

  async origin() {
    return `http://127.0.0.1:${await this.port()}`;
  }

  async stop() {
    this.process.kill('SIGTERM');
    return this.ended;
  }
}

test('serves, logs, and drains on SIGTERM', async (t) => {
  const began = performance.now();
  const run = new Run(t, 'serve', hello, '--port', '0', '--log', 'short');
  const origin = await run.origin();
  assert.equal(await (await fetch(`${origin}/you`)).text(), 'hello /you');
  const [, milliseconds] = await run.says(/200 GET \/you 10 B ([\d.]+) ms/);
  assert.ok(Number(milliseconds) <= performance.now() - began, 'longer than the server has lived');
  assert.equal(await run.stop(), 0);
  assert.match(run.said, /1 requests, 1 responses/);
});

test('logs nothing unless it is asked to', async (t) => {
  const run = new Run(t, 'serve', hello, '--port', '0');
  await (await fetch(`${await run.origin()}/you`)).text();
  assert.equal(await run.stop(), 0);
  assert.match(run.said, /1 requests, 1 responses/);
  assert.doesNotMatch(run.said, /GET/);
});

test("an app finds Carom's classes in the place of the runtime's, unless --no-globals", async (t) => {
  const file = app(
    'whose.mjs',
    `import { Response as Ours } from ${JSON.stringify(new URL('../../index.mjs', import.meta.url).href)};
const same = Response === Ours;
export default () => new Response(String(same));
`,
  );
  for (const [words, answer] of [
    [[], 'true'],
    [['--no-globals'], 'false'],
  ]) {
    const run = new Run(t, 'serve', file, '--port', '0', ...words);
    assert.equal(await (await fetch(await run.origin())).text(), answer);
    await run.stop();
  }
});

test('logs as JSON', async (t) => {
  const run = new Run(t, 'serve', hello, '--port=0', '--log', 'json');
  await (await fetch(`${await run.origin()}/x?y`)).text();
  const [line] = await run.says(/^\{.*\}$/m);
  const { time, remote, method, target, status, bytes, outcome, ms } = JSON.parse(line);
  assert.ok(time === new Date(time).toISOString() && Math.abs(Date.parse(time) - Date.now()) < 600_000 && ms >= 0);
  assert.equal(remote, '127.0.0.1');
  assert.deepEqual(
    { method, target, status, bytes, outcome },
    { method: 'GET', target: '/x?y', status: 200, bytes: 8, outcome: 'complete' },
  );
  await run.stop();
});

test('-h is help, wherever it stands', async (t) => {
  for (const words of [['-h'], ['serve', '-h']]) {
    const run = new Run(t, ...words);
    assert.equal(await run.ended, 0);
    assert.match(run.said, /^carom serve APP\.mjs \[options\]\n/);
  }
});

test('bad usage', () => {
  for (const [words, what] of [
    [[], /what is to be done/],
    [['serve'], /which app/],
    [['fly', 'x'], /no command fly/],
    [['serve', hello, '--port', '70000'], /--port needs a number/],
    [['serve', hello, '--fast'], /no option --fast/],
    [['serve', hello, '--watch=yes'], /--watch takes no value/],
    [['serve', hello, '--workers', '0'], /--workers needs a number from 1/],
    [['serve', hello, '--tls-dev', '--key', 'key.pem'], /--tls-dev makes a certificate of its own/],
  ])
    assert.throws(() => parseArguments(words), { constructor: UsageError, message: what });
});

test('every option is read, with its value beside it or behind an equals sign', () => {
  const values = {
    port: ['0', '65535'],
    hostname: ['::1'],
    path: ['/tmp/a', '-'],
    workers: ['1', '256'],
    io: ['inline', 'thread'],
    backend: ['epoll', 'uring'],
    log: ['short', 'json', 'off'],
    cert: ['c.pem'],
    deadline: ['0', '1.5'],
  };
  for (const [name, list] of Object.entries(values))
    for (const value of list)
      for (const words of [[`--${name}`, value], [`--${name}=${value}`]]) {
        const expected = { action: 'serve', app: 'a.mjs', options: { deadline: '10', [name]: value } };
        assert.deepEqual(parseArguments(['serve', 'a.mjs', ...words]), expected);
        assert.deepEqual(parseArguments([...words, 'serve', 'a.mjs']), expected);
      }
  const flags = ['watch', 'no-http2', 'no-globals', 'tls-dev'];
  const { options } = parseArguments(['serve', 'a.mjs', ...flags.map((name) => `--${name}`)]);
  assert.deepEqual(options, { deadline: '10', ...Object.fromEntries(flags.map((name) => [name, true])) });
  for (const words of [
    ['--port', '65536'],
    ['--port', '-1'],
    ['--port'],
    ['--workers', '257'],
    ['--workers', 'x'],
    ['--io', 'x'],
    ['--backend', 'kqueue'],
    ['--log', 'x'],
    ['--deadline', '1.'],
    ['--deadline', '-1'],
    ['--tls-watch'],
    ['--key', 'k.pem'],
    ['b.mjs'],
    ['-x'],
  ])
    assert.throws(() => parseArguments(['serve', 'a.mjs', ...words]), UsageError, words.join(' '));
  assert.deepEqual(parseArguments(['serve', '-']).app, '-');
});

test('--version is the one of the package', async (t) => {
  const run = new Run(t, '--version');
  assert.equal(await run.ended, 0);
  assert.equal(run.said, `${require('../../package.json').version}\n`);
});

test('bad usage is said in one line, with exit 2', async (t) => {
  const run = new Run(t, 'fly', 'x');
  assert.equal(await run.ended, 2);
  assert.match(run.said, /^carom: [^\n]*no command fly[^\n]*\n$/);
});

test('a time has its milliseconds in three digits', (t) => {
  const log = new Log('json', {});
  for (const milliseconds of [0, 5, 50, 999]) {
    t.mock.method(Date, 'now', () => 1_700_000_000_000 + milliseconds);
    assert.equal(Date.parse(log.time()), Date.now());
  }
});

test('an app that is missing, exports nothing, or is broken', async (t) => {
  const missing = new Run(t, 'serve', 'nowhere.mjs');
  assert.equal(await missing.ended, 1);
  assert.equal(missing.said, 'carom: there is no app nowhere.mjs\n');
  const empty = new Run(t, 'serve', app('empty.mjs', 'export default 7;\n'));
  assert.equal(await empty.ended, 1);
  assert.match(empty.said, /must export by default/);
  const broken = new Run(t, 'serve', app('broken.mjs', 'const one = 1;\none.two.three();\n'));
  assert.equal(await broken.ended, 1);
  assert.match(broken.said, /TypeError: [^]*at broken\.mjs:2[^]*> +2 \| one\.two\.three\(\);/);
});

test('an app that cannot be found, or its imports, in one line', async (t) => {
  for (const [words, what] of [
    [['serve', folder], /^carom: the app \S+ is no file\n$/],
    [['serve', app('imports.mjs', 'import "./nix.mjs";\n')], /^carom: the app cannot be loaded: [^\n]*nix\.mjs[^\n]*\n$/],
  ]) {
    const run = new Run(t, ...words);
    assert.equal(await run.ended, 1);
    assert.match(run.said, what);
  }
});

test('what cannot be listened on is said in one line, with the cure', async (t) => {
  for (const [words, what] of [
    [['--path', '/nowhere/socket'], /listen on \/nowhere\/socket: its folder does not exist: choose another with --path/],
    [['--path', hello], /another file: choose another with --path/],
    [['--path', `/tmp/${'x'.repeat(200)}`], /107 bytes/],
    [['--hostname', 'nope'], /listen on nope: this is no address: give an IP address or localhost/],
  ]) {
    const run = new Run(t, 'serve', hello, ...words);
    assert.equal(await run.ended, 1);
    assert.match(run.said, what);
    assert.equal(run.said.trim().split('\n').length, 1);
  }
});

test('a syntax error shows its place', async (t) => {
  const run = new Run(t, 'serve', app('syntax.mjs', 'const one = 1;\nconst = 2;\n'));
  assert.equal(await run.ended, 1);
  assert.match(run.said, /syntax\.mjs:2\nconst = 2;/);
});

test('options that cannot be are said in one line', async (t) => {
  const run = new Run(t, 'serve', hello, '--io', 'inline', '--workers', '2');
  assert.equal(await run.ended, 2);
  assert.match(run.said, /^carom: io: 'inline' has one worker[^\n]*\n$/);
});

test('the port of the app, and apps that are more than options', async (t) => {
  const run = new Run(
    t,
    'serve',
    app('own.mjs', 'class App { routes = [1]; onError = 7; fetch() { return new Response("mine"); } }\nexport default new App();\n'),
    '--port',
    '0',
  );
  assert.equal(await (await fetch(await run.origin())).text(), 'mine');
  await run.stop();
});

test('the place and onListen of the app; the command line comes first', async (t) => {
  const socket = path.join(folder, 'app.sock');
  const run = new Run(
    t,
    'serve',
    app(
      'place.mjs',
      `export default { path: ${JSON.stringify(socket)}, onListen(addr) { console.log('told', addr.path); }, fetch: () => new Response() };\n`,
    ),
  );
  await run.says(/told \S*app\.sock/);
  await run.stop();
  const other = new Run(t, 'serve', app('any.mjs', `export default { port: 0, fetch: () => new Response('any') };\n`));
  assert.notEqual(new URL(await other.origin()).port, '8080');
  await other.stop();
  const given = new Run(t, 'serve', 'place.mjs', '--port', '0');
  await given.origin();
  await given.stop();
});

test('an error in a handler shows its place, and answers 500', async (t) => {
  const run = new Run(
    t,
    'serve',
    app('throws.mjs', 'export default () => {\n  throw new Error("oops");\n};\n'),
    '--port',
    '0',
    '--log',
    'short',
  );
  const response = await fetch(await run.origin());
  assert.equal(response.status, 500);
  assert.equal(await response.text(), 'Internal Server Error\n');
  await run.says(/Error: oops\n +at throws\.mjs:2[^]*> +2 \| {3}throw new Error[^]*\^\n/);
  assert.match(run.said, /\n {7}\| {9}\^\n/);
  await run.stop();
  assert.match(run.said, /^500 GET \/ /m);
});

// A client that chose what is read and shown could choose /dev/zero, and the server would never end reading.
test('what an error says is no place', async (t) => {
  const run = new Run(
    t,
    'serve',
    app('says.mjs', 'export default (request) => {\n  throw new Error(`no ${decodeURIComponent(new URL(request.url).pathname)}`);\n};\n'),
    '--port',
    '0',
  );
  const origin = await run.origin();
  for (const target of [
    '/dev/zero:1',
    '/etc/passwd:1:1',
    '/etc/passwd:1:9999999999',
    '/%0a    at /etc/passwd:1:1',
    '/%0a    at x (/dev/zero:1:1)',
    '/'.repeat(8000),
  ])
    assert.equal((await fetch(origin + target)).status, 500);
  await run.stop();
  assert.doesNotMatch(run.said, /root:|^ +at \S*(zero|passwd):1$/m);
  assert.equal(run.said.match(/> +2 \| {3}throw new Error/g).length, 6);
});

test('a port in use is said with the cure', async (t) => {
  const first = new Run(t, 'serve', hello, '--port', '0');
  const { port } = new URL(await first.origin());
  const second = new Run(t, 'serve', hello, '--port', port);
  assert.equal(await second.ended, 1);
  assert.match(second.said, /in use: choose another with --port\n$/);
  await first.stop();
});

test('an option of an app that is misspelt is said in one line', async (t) => {
  const run = new Run(
    t,
    'serve',
    app('misspelt.mjs', 'export default { fetch: () => new Response(), certfile: "cert.pem" };\n'),
    '--port',
    '0',
  );
  assert.equal(await run.ended, 2);
  assert.equal(run.said, 'carom: there is no option certfile: certFile is meant?\n');
});

test('SIGTERM answers what is in flight; a second one stops at once', async (t) => {
  const slow = app(
    'slow.mjs',
    `export default (request) => new Promise((resolve) => {
    console.log('waiting');
    if (request.url.endsWith('/soon')) setTimeout(() => resolve(new Response('done')), 300);
  });\n`,
  );
  const run = new Run(t, 'serve', slow, '--port', '0');
  const response = fetch(`${await run.origin()}/soon`);
  await run.says(/waiting/);
  assert.equal(await run.stop(), 0);
  assert.equal(await (await response).text(), 'done');
  const stuck = new Run(t, 'serve', slow, '--port', '0');
  fetch(`${await stuck.origin()}/never`).catch(() => {});
  await stuck.says(/waiting/);
  stuck.process.kill('SIGTERM');
  await stuck.says(/once more/);
  assert.equal(await stuck.stop(), 143);
});

test('a syntax error in what the app imports shows its place, too', async (t) => {
  app('whole.mjs', "import './half.mjs';\n");
  app('half.mjs', 'export const one = 1;\nfunction two() {\n');
  const run = new Run(t, 'serve', app('imports.mjs', "import './whole.mjs';\nexport default () => new Response();\n"));
  assert.equal(await run.ended, 1);
  assert.match(run.said, /half\.mjs:3\n[^]*SyntaxError: Unexpected end of input/);
});

test('--watch says which import is broken, and where', async (t) => {
  app('part.mjs', "export const text = 'one';\n");
  const file = app('whole-app.mjs', "import { text } from './part.mjs';\nexport default () => new Response(text);\n");
  const run = new Run(t, 'serve', file, '--port', '0', '--watch', '--log', 'off');
  const origin = await run.origin();
  app('part.mjs', "export const text = 'two';\nconst = 3;\n");
  await run.says(/the new one is broken[^]*part\.mjs:2\nconst = 3;/);
  assert.equal(await (await fetch(origin)).text(), 'one');
});

test('--watch loads anew what the app imports', async (t) => {
  mkdirSync(path.join(folder, 'parts'), { recursive: true });
  app('parts/deep.mjs', 'export const word = "one";\n');
  app('parts/word.mjs', 'export { word } from "./deep.mjs";\n');
  const file = app('imports.mjs', 'import { word } from "./parts/word.mjs";\nexport default () => new Response(word);\n');
  const run = new Run(t, 'serve', file, '--port', '0', '--watch', '--log', 'off');
  const origin = await run.origin();
  assert.equal(await (await fetch(origin)).text(), 'one');
  app('parts/deep.mjs', 'export const word = "two";\n');
  await run.says(/loaded anew/);
  assert.equal(await (await fetch(origin)).text(), 'two');
  await run.stop();
});

test('--watch brings new handlers of WebSockets', async (t) => {
  const text = (word) =>
    `export default { websocket: { open: (ws) => ws.send('${word}') }, fetch(request, server) { server.upgrade(request); } };\n`;
  const file = app('sockets.mjs', text('one'));
  const run = new Run(t, 'serve', file, '--port', '0', '--watch', '--log', 'off');
  const origin = await run.origin();
  const told = async () => {
    const socket = new Ws(origin.replace('http', 'ws'));
    const [data] = await once(socket, 'message');
    socket.terminate();
    return String(data);
  };
  assert.equal(await told(), 'one');
  app('sockets.mjs', text('two'));
  await run.says(/loaded anew/);
  assert.equal(await told(), 'two');
  await run.stop();
});

test('--watch loads the app anew, and keeps the old one when the new is broken', async (t) => {
  const file = app('watched.mjs', 'export default () => new Response("one");\n');
  const run = new Run(t, 'serve', file, '--port', '0', '--watch');
  const origin = await run.origin();
  assert.equal(await (await fetch(origin)).text(), 'one');
  await run.says(/200 GET \/ 3 B [\d.]+ ms\n/); // who watches sees the requests
  app('watched.mjs', 'export default () => new Response("two");\n');
  await run.says(/loaded anew/);
  assert.equal(await (await fetch(origin)).text(), 'two');
  app('watched.mjs', 'export default () => {\n');
  await run.says(/the old version goes on/);
  assert.equal(await (await fetch(origin)).text(), 'two');
  await run.stop();
});

// ---------------------------------------------------------------- TLS

// What a client is shown, and what is agreed on: { name, alpn }.
async function shown(port, ALPNProtocols = ['h2', 'http/1.1']) {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols });
  await once(socket, 'secureConnect');
  const { subjectaltname: name } = socket.getPeerCertificate();
  socket.destroy();
  return { name, alpn: socket.alpnProtocol };
}

// Files of a certificate for a name, put in the place of those before as a whole.
function keep(name, cert = 'cert.pem', key = 'key.pem') {
  const made = certificate(name);
  for (const [file, text] of [
    [cert, made.cert],
    [key, made.key],
  ]) {
    writeFileSync(path.join(folder, `${file}.new`), text);
    renameSync(path.join(folder, `${file}.new`), path.join(folder, file));
  }
}

test('--cert and --key, and SIGHUP loads them again', async (t) => {
  keep('one.test');
  const run = new Run(t, 'serve', hello, '--port', '0', '--cert', 'cert.pem', '--key', 'key.pem');
  const port = await run.port();
  assert.deepEqual(await shown(port), { name: 'DNS:one.test', alpn: 'h2' });
  keep('two.test');
  assert.deepEqual(await shown(port), { name: 'DNS:one.test', alpn: 'h2' });
  run.process.kill('SIGHUP');
  await run.says(/the certificate is loaded again/);
  assert.equal((await shown(port)).name, 'DNS:two.test');
  writeFileSync(path.join(folder, 'cert.pem'), 'damaged');
  run.process.kill('SIGHUP');
  await run.says(/the old certificate goes on: [^\n]*cert\.pem[^\n]*no PEM/);
  assert.equal((await shown(port)).name, 'DNS:two.test');
  assert.equal(await run.stop(), 0);
});

test('SIGHUP ends what has no certificates', async (t) => {
  const run = new Run(t, 'serve', hello, '--port', '0');
  await run.port();
  run.process.kill('SIGHUP');
  assert.equal(await run.ended, null);
  assert.equal(run.process.signalCode, 'SIGHUP');
});

test('--tls-watch loads them again by itself', async (t) => {
  keep('one.test', 'watched.pem', 'watched-key.pem');
  const run = new Run(t, 'serve', hello, '--port', '0', '--cert', 'watched.pem', '--key', 'watched-key.pem', '--tls-watch');
  const port = await run.port();
  assert.equal((await shown(port)).name, 'DNS:one.test');
  keep('three.test', 'watched.pem', 'watched-key.pem');
  await run.says(/the certificate is loaded again/);
  assert.equal((await shown(port)).name, 'DNS:three.test');
  assert.equal(await run.stop(), 0);
});

test('--tls-dev, and --no-http2', async (t) => {
  const run = new Run(t, 'serve', hello, '--port', '0', '--tls-dev', '--no-http2');
  assert.match((await run.says(/https:\/\/localhost:\d+\//))[0], /^https/);
  const { name, alpn } = await shown(await run.port());
  assert.match(name, /DNS:localhost/);
  assert.equal(alpn, 'http/1.1');
  assert.equal(await run.stop(), 0);
});

test('TLS that cannot be, in one line with the cure', async (t) => {
  keep('one.test');
  writeFileSync(path.join(folder, 'other-key.pem'), certificate('other.test').key);
  for (const [words, code, what] of [
    [['--key', 'key.pem'], 2, /--key needs --cert/],
    [['--tls-watch'], 2, /--tls-watch needs --cert/],
    [['--tls-dev', '--cert', 'cert.pem'], 2, /--tls-dev makes a certificate of its own/],
    [['--cert', 'nowhere.pem', '--key', 'key.pem'], 1, /nowhere\.pem: [^\n]*No such file/],
    [['--cert', 'cert.pem', '--key', 'other-key.pem'], 1, /it is the key of another certificate/],
  ]) {
    const run = new Run(t, 'serve', hello, '--port', '0', ...words);
    assert.equal(await run.ended, code);
    assert.match(run.said, what);
    assert.equal(run.said.trim().split('\n').length, 1);
  }
});
