// The portable engine reads HTTP/1.1 as the engine in C does: the cases of test/wire, whose README tells their form, replayed whole,
// cut in two at every byte, and byte by byte.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const { Chunks } = createRequire(import.meta.url)('../../src/portable/chunks.js');
const { HeadReader, Refused } = createRequire(import.meta.url)('../../src/portable/head-reader.js');

const FOLDER = fileURLToPath(new URL('../../../test/wire/', import.meta.url));
const LIMITS = { target: 'maxTarget', section: 'maxHeaderSection', fields: 'maxFields' };
const OTHERWISE = { 'the highest length': 'a length has 18 digits at most, so that it is a number of JavaScript' };
const LETTERS = { r: '\r', n: '\n', t: '\t', 0: '\0', '\\': '\\' };

// Bytes as they stand in a case.
const escaped = (text) =>
  text.replace(/[^ -[\]-~]/g, (byte) => {
    const letter = Object.keys(LETTERS).find((one) => one !== '0' && LETTERS[one] === byte);
    return `\\${letter ?? `x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`}`;
  });
const unescaped = (text) =>
  text.replace(/\\(?:x(..)|(.))/g, (_, code, letter) => (letter ? LETTERS[letter] : String.fromCharCode(Number.parseInt(code, 16))));

// [{ name, bytes, limits, expected }]
function casesOf(file) {
  return readFileSync(path.join(FOLDER, file), 'utf8')
    .split(/^## /m)
    .slice(1)
    .map((text) => {
      const blocks = {};
      for (const [, kind, lines] of text.matchAll(/^```(\w+)\n(.*?)^```/gms)) blocks[kind] = lines;
      const limits = { maxTarget: 1000, maxHeaderSection: 1000, maxFields: 100 };
      for (const line of (blocks.limits ?? '').split('\n')) {
        const [name, value] = line.split(' ');
        if (name !== '') limits[LIMITS[name]] = Number(value);
      }
      const bytes = Buffer.from(unescaped(blocks.http.replaceAll('\n', '')), 'latin1');
      return { name: text.slice(0, text.indexOf('\n')), bytes, limits, expected: blocks.expect };
    });
}

// What a connection does with what is read, without one.
class Play {
  constructor({ bytes, limits }) {
    Object.assign(this, { bytes, limits, at: 0, content: '', events: '', chunks: null, left: 0 });
    this.reader = new HeadReader(limits, {});
    this.step = this.head;
  }

  say(line) {
    this.events += `${line}\n`;
  }

  showFields(word, fields) {
    for (let i = 0; i < fields.length; i += 2) this.say(`${word} ${escaped(fields[i])}:${fields[i + 1] && ` ${escaped(fields[i + 1])}`}`);
  }

  showContent() {
    if (this.content !== '') this.say(`content ${escaped(this.content)}`);
    this.content = '';
  }

  end() {
    this.showContent();
    this.say('end');
    this.reader = new HeadReader(this.limits, {});
    this.step = this.head;
  }

  head(data) {
    const head = this.reader.read(data);
    if (head === null) return 0;
    const { contentLength, fields } = head;
    const words = ['request', escaped(head.method), escaped(head.target), `${Math.floor(head.version / 10)}.${head.version % 10}`];
    words.push(head.keepAlive ? 'keep-alive' : 'close');
    const said = fields.some((text, i) => i % 2 === 0 && text.toLowerCase() === 'content-length');
    if (said) words.push(`length=${contentLength}`);
    for (const [word, is] of [
      ['chunked', contentLength < 0],
      ['continue', head.expectsContinue],
      ['upgrade', head.wantsUpgrade],
      ['head', head.isHead],
      ['connect', head.isConnect],
    ])
      if (is) words.push(word);
    this.say(words.join(' '));
    this.showFields('field', fields);
    this.left = contentLength;
    this.chunks = new Chunks();
    if (contentLength === 0) this.end();
    else this.step = contentLength > 0 ? this.length : this.chunk;
    return head.size;
  }

  length(data) {
    const piece = data.subarray(0, this.left);
    this.content += piece.latin1Slice();
    this.left -= piece.length;
    if (this.left === 0) this.end();
    return piece.length;
  }

  chunk(data) {
    const [size, piece] = this.chunks.read(data);
    this.content += piece?.latin1Slice() ?? '';
    if (size > 0 && this.chunks.isDone) {
      this.reader = new HeadReader(this.limits, { isTrailers: true });
      this.step = this.trailers;
    }
    return size;
  }

  trailers(data) {
    const section = this.reader.read(data);
    if (section === null) return 0;
    this.showContent();
    this.showFields('trailer', section.fields);
    this.end();
    return section.size;
  }

  // All bytes up to `end` have come.
  upTo(end) {
    try {
      for (let taken = 1; taken > 0 && this.at < end && this.step !== null; this.at += taken)
        taken = this.step(this.bytes.subarray(this.at, end));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.showContent();
      this.say(`refused ${error.status}`);
      this.step = null;
    }
  }

  result() {
    if (this.step !== null && (this.step !== this.head || this.at < this.bytes.length)) {
      this.showContent();
      this.say('more');
    }
    return this.events;
  }
}

function played(one, ...ends) {
  const play = new Play(one);
  for (const end of ends) play.upTo(end);
  return play.result();
}

for (const file of readdirSync(FOLDER).filter((name) => name !== 'README.md'))
  describe(file, () => {
    for (const one of casesOf(file))
      test(one.name, { skip: OTHERWISE[one.name] }, () => {
        const { length } = one.bytes;
        assert.equal(played(one, length), one.expected);
        for (let cut = 1; cut < length; cut++) assert.equal(played(one, cut, length), one.expected, `cut at ${cut}`);
        assert.equal(played(one, ...Array.from({ length }, (_, i) => i + 1)), one.expected, 'byte by byte');
      });
  });
