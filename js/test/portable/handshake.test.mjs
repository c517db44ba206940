// What the portable engine answers to a handshake of WebSocket: the tables of test/unit/wire/test_ws_handshake.c.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const require = createRequire(import.meta.url);
const { handshake } = require('../../src/portable/handshake.js');
const { E } = require('../../src/portable/names.js');

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const BOTH_NONE = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';
const USUAL = { origins: [], protocols: [], deflates: true };

// `fields`: flat, beside those of a handshake that is in order; a name of these that is given stands in its place.
function asked(fields, { settings, given = [], secure = false, ...head } = {}) {
  const usual = ['Host', 'a', 'Sec-WebSocket-Version', '13', 'Sec-WebSocket-Key', KEY];
  for (let i = 4; i >= 0; i -= 2)
    if (fields.some((text, k) => k % 2 === 0 && text.toLowerCase() === usual[i].toLowerCase())) usual.splice(i, 2);
  const all = { version: 11, method: 'GET', ...head, fields: [...usual, ...fields] };
  return handshake({ head: all, core: { secure } }, { ...USUAL, ...settings }, given);
}

// The value of a field that is answered, undefined for none; or the status of a refusal.
function answered(name, ...rest) {
  const { status, response } = asked(...rest);
  if (status !== undefined) return status;
  const at = response.fields.indexOf(name);
  return at < 0 ? undefined : response.fields[at + 1];
}

test('a handshake is answered as the RFC has it', () => {
  const { response, protocol, deflate } = asked([]);
  assert.deepEqual(response, {
    status: 101,
    phrase: '',
    fields: ['Upgrade', 'websocket', 'Sec-WebSocket-Accept', 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='],
  });
  assert.deepEqual([protocol, deflate], ['', false]);
});

test('over HTTP/2 there is no key, and the method is CONNECT', () => {
  const { response } = asked(['sec-websocket-key', ''], { version: 20, method: 'CONNECT' });
  assert.deepEqual(response, { status: 200, phrase: '', fields: [] });
  assert.deepEqual(asked(['sec-websocket-version', '12'], { version: 20, method: 'CONNECT' }), {
    status: 426,
    fields: ['Sec-WebSocket-Version', '13'],
  });
});

test('what is no handshake is refused', () => {
  const other = { status: 426, fields: ['Upgrade', 'websocket', 'Sec-WebSocket-Version', '13'] };
  const bad = { status: 400, fields: ['Content-Length', '0'] };
  assert.deepEqual(asked([], { method: 'POST' }), bad);
  assert.deepEqual(asked(['sec-websocket-version', '8'], {}), other);
  assert.deepEqual(asked(['sec-websocket-version', '13', 'sec-websocket-version', '13'], {}), other);
  for (const key of ['', KEY.slice(1), `${KEY}=`, `a${KEY}`, KEY.replace('d', '-'), KEY.replace('==', '=a')])
    assert.deepEqual(asked(['sec-websocket-key', key]), bad, key);
  assert.deepEqual(asked(['sec-websocket-key', KEY, 'Sec-WebSocket-Key', KEY]), bad);
  assert.deepEqual(asked(['Origin', 'http://b']), { status: 403, fields: ['Content-Length', '0'] });
});

test('fields of the handshake itself are not the answer to give', () => {
  for (const name of ['Upgrade', 'connection', 'Sec-WebSocket-Accept', 'sec-websocket-extensions'])
    assert.equal(asked([], { given: [name, 'x'] }), E.EFIELD);
  const { response, protocol } = asked(['Sec-WebSocket-Protocol', 'chat'], {
    settings: { protocols: ['chat'] },
    given: ['X', 'y', 'Sec-WebSocket-Protocol', 'own'],
  });
  assert.equal(protocol, '');
  assert.deepEqual(response.fields.slice(0, 4), ['X', 'y', 'Sec-WebSocket-Protocol', 'own']);
  assert.ok(!response.fields.includes('chat'));
});

test('offers of compression are accepted, passed over or refused', () => {
  const of = (parameters) => `permessage-deflate; ${parameters}`;
  const taken = {
    'permessage-deflate': BOTH_NONE,
    [of('client_max_window_bits')]: BOTH_NONE,
    'permessage-deflate ;\tclient_max_window_bits = 10': BOTH_NONE,
    [of('client_max_window_bits=8')]: BOTH_NONE,
    [of('client_max_window_bits=15')]: BOTH_NONE,
    [of('server_max_window_bits=15')]: `${BOTH_NONE}; server_max_window_bits=15`,
    [of('server_max_window_bits="15"')]: `${BOTH_NONE}; server_max_window_bits=15`,
    [of('server_no_context_takeover; client_max_window_bits')]: BOTH_NONE,
    [of('client_no_context_takeover; client_max_window_bits')]: BOTH_NONE,
    'foo; a="b"; c, permessage-deflate; unknown, permessage-deflate, permessage-deflate; server_max_window_bits=15': BOTH_NONE,
    ' , permessage-deflate ,, ': BOTH_NONE,
    // Its windows are whole: who asks for less is passed over.
    'permessage-deflate; server_max_window_bits=10, permessage-deflate': BOTH_NONE,
  };
  for (const [offer, answer] of Object.entries(taken)) {
    assert.equal(answered('Sec-WebSocket-Extensions', ['Sec-WebSocket-Extensions', offer]), answer, offer);
    assert.equal(asked(['Sec-WebSocket-Extensions', offer]).deflate, true);
    assert.equal(asked(['Sec-WebSocket-Extensions', offer], { settings: { deflates: false } }).deflate, false);
  }
  for (const offer of [
    ...['8', '10', '7', '16', '08', '015', '100', '"100"', 'x', '1x'].map((bits) => of(`server_max_window_bits=${bits}`)),
    of('server_max_window_bits'),
    of('client_max_window_bits=7'),
    of('client_max_window_bits=16'),
    of('client_max_window_bits; client_max_window_bits=10'),
    of('server_max_window_bits=15; server_max_window_bits=15'),
    of('server_no_context_takeover; server_no_context_takeover'),
    of('client_no_context_takeover=1'),
    of('server_no_context_takeover="true"'),
    of('unknown'),
    of('unknown=5'),
    'x-webkit-deflate-frame',
    'permessage-deflatex',
    'Permessage-Deflate',
  ])
    assert.equal(answered('Sec-WebSocket-Extensions', ['Sec-WebSocket-Extensions', offer]), undefined, offer);
  for (const offer of [
    '',
    ' , ',
    'permessage-deflate;',
    ...['; ;', 'a=', 'a="', 'a=""', 'a="b', 'a="b c"', 'a="b"c', '=5'].map(of),
    'permessage-deflate client_max_window_bits',
    'permessage-deflate, foo bar',
    'permessage-deflate, "foo"',
    '; a',
  ])
    assert.equal(answered('Sec-WebSocket-Extensions', ['Sec-WebSocket-Extensions', offer]), 400, offer);
});

test('lines of a field are one list', () => {
  const lines = ['Sec-WebSocket-Extensions', 'foo', 'sec-websocket-extensions', 'permessage-deflate'];
  assert.equal(answered('Sec-WebSocket-Extensions', lines), BOTH_NONE);
  assert.equal(answered('Sec-WebSocket-Extensions', [...lines, 'Sec-WebSocket-Extensions', 'bar;']), 400);
});

test('the first protocol that is ours is chosen', () => {
  const settings = { protocols: ['chat', 'superchat'] };
  for (const [offer, chosen] of [
    ['chat', 'chat'],
    ['superchat', 'superchat'],
    ['superchat, chat', 'superchat'],
    ['foo , superchat\t,bar', 'superchat'],
    [',chat,', 'chat'],
    ['Chat', undefined],
    ['cha', undefined],
    ['chats', undefined],
    ['chat, chat', 400],
    ['foo, chat, foo', 400],
    ['', 400],
    [' ,', 400],
    ['chat superchat', 400],
    ['chat, "foo"', 400],
    ['chat, a/b', 400],
    ['chat; q=1', 400],
    [Array.from({ length: 64 }, (_, i) => `p${i}`).join(), undefined],
    [Array.from({ length: 65 }, (_, i) => `p${i}`).join(), 400],
  ]) {
    assert.equal(answered('Sec-WebSocket-Protocol', ['Sec-WebSocket-Protocol', offer], { settings }), chosen, offer);
    if (typeof chosen === 'string') assert.equal(asked(['Sec-WebSocket-Protocol', offer], { settings }).protocol, chosen);
  }
});

test('the same origin is told', () => {
  for (const [origin, host, clear, secure] of [
    ['http://example.com', 'example.com', true, false],
    ['https://example.com', 'example.com', true, true],
    ['HTTPS://Example.COM', 'eXample.com', true, true],
    ['http://example.com', 'example.com:80', true, false],
    ['http://example.com:80', 'example.com', true, false],
    ['https://example.com', 'example.com:443', true, true],
    ['https://example.com:443', 'example.com', true, true],
    ['https://example.com', 'example.com:80', false, false],
    ['http://example.com:8080', 'example.com:8080', true, false],
    ['http://example.com:8080', 'example.com:8081', false, false],
    ['http://example.com:8080', 'example.com', false, false],
    ['http://example.com', 'example.com:8080', false, false],
    ['http://example.com', 'example.org', false, false],
    ['http://example.com.evil.org', 'example.com', false, false],
    ['http://evil-example.com', 'example.com', false, false],
    ['http://example.com@evil.org', 'example.com', false, false],
    ['http://example.com:80@evil.org', 'example.com', false, false],
    ['http://example.com/', 'example.com', false, false],
    ['http://[::1]:8080', '[::1]:8080', true, false],
    ['http://[::1]', '[::1]:80', true, false],
    ['http://[::1]', '[::2]', false, false],
    ['https://example.com:443', 'example.com:4294967739', false, false],
    ['ws://example.com', 'example.com', false, false],
    ['file://', 'example.com', false, false],
    ['http://', 'example.com', false, false],
    ['http://', '', false, false],
    ['null', 'null', false, false],
    ['', '', false, false],
    ['example.com', 'example.com', false, false],
  ])
    for (const isSecure of [false, true]) {
      const { status = 101 } = asked(['Host', host, 'Origin', origin], { secure: isSecure });
      assert.equal(status, (isSecure ? secure : clear) ? 101 : 403, `${origin} at ${host}, ${isSecure}`);
    }
  assert.equal(asked(['Origin', 'http://a', 'Origin', 'http://a']).status, 403);
});

test('origins of a list are allowed, and no other', () => {
  const settings = { origins: ['https://a.example', 'null'] };
  for (const [origin, isAllowed] of [
    ['https://a.example', true],
    ['https://A.example', true],
    ['null', true],
    ['http://a.example', false],
    ['https://a.example:8443', false],
    ['https://a', false],
    ['', false],
  ])
    assert.equal(asked(['Host', 'a', 'Origin', origin], { settings, secure: true }).status, isAllowed ? undefined : 403, origin);
  assert.equal(asked(['Origin', 'https://c.example'], { settings: { origins: ['*'] } }).status, undefined);
  assert.equal(asked([], { settings }).status, undefined);
});
