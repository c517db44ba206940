// The types hold under releases 5 to 7 of TypeScript, each way of finding modules, and the types of Node 18 to 24: each of these with
// each of the others once, and what the package's pages have in TypeScript with each.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';

const ROOT = new URL('../..', import.meta.url).pathname;
const INSTALLED = path.join(ROOT, 'js/tools/node_modules');
const COMPILERS = ['typescript-5', 'typescript', 'typescript-6', 'typescript-7'];
const MODULES = [
  ['nodenext', 'nodenext'],
  ['node16', 'node16'],
  ['esnext', 'bundler'],
];
const NODES = [18, 20, 22, 24];

const folder = mkdtempSync(path.join(tmpdir(), 'carom-types-'));
after(() => rmSync(folder, { recursive: true }));
const carom = path.join(folder, 'node_modules/carom');
mkdirSync(carom, { recursive: true });
for (const name of readdirSync(path.join(ROOT, 'js')))
  if (/^package\.json$|\.d\.m?ts$/.test(name)) cpSync(path.join(ROOT, 'js', name), path.join(carom, name));
writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }');
cpSync(path.join(ROOT, 'js/test/types.ts'), path.join(folder, 'types.ts'));

const pages = ['js/README.md', ...readdirSync(path.join(ROOT, 'docs/js')).map((name) => `docs/js/${name}`)];
const blocks = pages.flatMap((page) => [...readFileSync(path.join(ROOT, page), 'utf8').matchAll(/^```ts\n([^]*?)^```/gm)]);
for (const [i, [, code]] of blocks.entries()) writeFileSync(path.join(folder, `block-${i}.ts`), code);

test('there are pages with TypeScript', () => assert.ok(blocks.length > 0));

// What a compiler says of our files; what it says of those of others is not our business.
function findings(compiler, [module, moduleResolution], release) {
  const place = path.join(folder, 'node_modules/@types');
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place);
  symlinkSync(path.join(INSTALLED, `types-node-${release}`), path.join(place, 'node'));
  const options = { strict: true, noEmit: true, target: 'es2022', lib: ['es2022', 'esnext.disposable'], types: ['node'] };
  const config = { compilerOptions: { ...options, module, moduleResolution }, include: ['*.ts'] };
  writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(config));
  const words = [path.join(INSTALLED, compiler, 'bin/tsc'), '--pretty', 'false', '--listFiles', '-p', folder];
  const { stdout, stderr } = spawnSync(process.execPath, words, { cwd: folder, encoding: 'utf8' });
  const listed = stdout.split('\n');
  for (const name of ['types.ts', 'node_modules/carom/index.d.ts', 'node_modules/carom/node.d.ts'])
    assert.ok(listed.includes(path.join(folder, name)), `${name} was not read: ${stdout.slice(-500)}${stderr}`);
  return listed.filter((line) => /^(types|block-\d+)\.ts\(|^node_modules\/carom\/|^error /.test(line));
}

for (const [i, compiler] of COMPILERS.entries())
  for (const [j, release] of NODES.entries()) {
    const module = MODULES[(i + j) % MODULES.length];
    test(`${compiler}, ${module[1]}, @types/node ${release}`, () => assert.deepEqual(findings(compiler, module, release), []));
  }
