// What a content-type field says (Fetch, "extract a MIME type"; MIME Sniffing, 4.4).
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const { mediaType } = createRequire(import.meta.url)('../../src/fetch/media-type.js');

test('media types', () => {
  for (const [field, type] of [
    [null, ''],
    ['', ''],
    ['text', ''],
    ['text/', ''],
    ['/plain', ''],
    ['text/pl ain', ''],
    ['*/*', ''],
    [' Text/PLAIN ', 'text/plain'],
    ['text/plain;', 'text/plain'],
    ['text/plain;charset', 'text/plain'],
    ['text/plain; Charset=UTF-8 ', 'text/plain;charset=UTF-8'],
    ['text/plain;charset=', 'text/plain'],
    ['text/plain;charset=a;charset=b', 'text/plain;charset=a'],
    ['text/plain;x y=a;z=b', 'text/plain;z=b'],
    ['text/plain;x=a\u0100;z=b', 'text/plain;z=b'],
    ['text/plain;x="a;b";y="c\\"d"', 'text/plain;x="a;b";y="c\\"d"'],
    ['text/plain;x="a\\b"', 'text/plain;x=ab'],
    ['text/plain;x="a', 'text/plain;x=a'],
    ['text/plain;x="a\\', 'text/plain;x="a\\\\"'],
    ['text/plain;x="a"b', 'text/plain;x=a'],
    ['text/plain;x=""', 'text/plain;x=""'],
    ['text/plain;x="\\\\"', 'text/plain;x="\\\\"'],
    // Sent more than once: the last that is one, with the charset of one before it when they are of a kind.
    ['text/plain, text/html', 'text/html'],
    ['text/html, x', 'text/html'],
    ['text/html, */*', 'text/html'],
    ['text/plain;charset=a, text/plain', 'text/plain;charset=a'],
    ['text/plain;charset=a, text/plain;x=b', 'text/plain;x=b;charset=a'],
    ['text/plain;charset=a, text/plain;charset=b, text/plain', 'text/plain;charset=b'],
    ['text/plain;charset=a, text/html, text/html', 'text/html'],
    ['text/plain;charset=a, text/html;charset=b, text/html', 'text/html;charset=b'],
    ['text/plain;x="a,b", text/html', 'text/html'],
  ])
    assert.equal(mediaType(field), type, JSON.stringify(field));
});
