// Headers (Fetch, 5.1).
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import vm from 'node:vm';
import { test, describe } from 'node:test';

import { Headers, Request, Response, native, looksInside, joinsCookies, requestOf, typeError } from './support.mjs';

const pairs = (headers) => [...headers];

describe('Headers: how they are made', () => {
  test('of nothing', () => {
    assert.deepEqual(pairs(new Headers()), []);
    assert.deepEqual(pairs(new Headers(undefined)), []);
    assert.deepEqual(pairs(new Headers({})), []);
    assert.deepEqual(pairs(new Headers([])), []);
  });

  test('what is no init is refused', () => {
    for (const init of [null, 1, 'a', true, Symbol('x'), 1n]) typeError(() => new Headers(init));
    typeError(() => Headers());
  });

  test('of a record', () => {
    const headers = new Headers({ 'X-One': 'first', two: 2, three: null, four: undefined });
    assert.deepEqual(pairs(headers), [
      ['four', 'undefined'],
      ['three', 'null'],
      ['two', '2'],
      ['x-one', 'first'],
    ]);
  });

  test('a record has own enumerable properties only', () => {
    const inherited = Object.create(
      { inherited: 'no' },
      {
        own: { value: 'yes', enumerable: true },
        hidden: { value: 'no', enumerable: false },
      },
    );
    assert.deepEqual(pairs(new Headers(inherited)), [['own', 'yes']]);
    assert.deepEqual(pairs(new Headers(Object.assign(Object.create(null), { a: '1' }))), [['a', '1']]);
  });

  test('a record whose keys are alike in lower case is combined', () => {
    assert.equal(new Headers({ a: '1', A: '2' }).get('a'), '1, 2');
  });

  test('what a getter throws comes through', () => {
    const error = new Error('mine');
    assert.throws(
      () =>
        new Headers({
          get a() {
            throw error;
          },
        }),
      (thrown) => thrown === error,
    );
  });

  test('of sequences', () => {
    assert.equal(
      new Headers([
        ['a', '1'],
        ['A', '2'],
      ]).get('a'),
      '1, 2',
    );
    assert.deepEqual(
      pairs(
        new Headers(
          new Map([
            ['b', '2'],
            ['a', '1'],
          ]),
        ),
      ),
      [
        ['a', '1'],
        ['b', '2'],
      ],
    );
    assert.deepEqual(
      pairs(
        new Headers(
          (function* () {
            yield new Set(['a', '1']);
          })(),
        ),
      ),
      [['a', '1']],
    );
  });

  test('a sequence of anything but pairs is refused', () => {
    for (const init of [[['a']], [['a', 'b', 'c']], [[]], ['ab'], [1], [null], [undefined], [{}]]) typeError(() => new Headers(init));
    typeError(() => new Headers({ [Symbol.iterator]: 1 }));
  });

  test('of Headers, which are copied', () => {
    const first = new Headers([
      ['a', '1'],
      ['set-cookie', 'x'],
      ['set-cookie', 'y'],
    ]);
    const second = new Headers(first);
    first.set('a', '2');
    assert.deepEqual(pairs(second), [
      ['a', '1'],
      ['set-cookie', 'x'],
      ['set-cookie', 'y'],
    ]);
  });

  test('of Headers of the runtime, and the other way', { skip: joinsCookies }, () => {
    const entries = [
      ['a', '1, 2'],
      ['set-cookie', 'x'],
      ['set-cookie', 'y'],
    ];
    const list = [
      ['a', '1'],
      ['a', '2'],
      ['set-cookie', 'x'],
      ['set-cookie', 'y'],
    ];
    assert.deepEqual(pairs(new Headers(new native.Headers(list))), entries);
    assert.deepEqual(pairs(new native.Headers([...new Headers(list)])), entries);
  });

  test('of objects of another realm', () => {
    const foreign = vm.runInNewContext('({ a: "1", B: 2 })');
    assert.deepEqual(pairs(new Headers(foreign)), [
      ['a', '1'],
      ['b', '2'],
    ]);
    assert.deepEqual(pairs(new Headers(vm.runInNewContext('[["a", "1"]]'))), [['a', '1']]);
  });
});

describe('Headers: names and values', () => {
  const badNames = ['', ' ', 'a b', 'a:', 'a\n', '\0', 'ü', '\u0100', '(', '"a"', 'a/b', '{}', '@'];
  const badValues = ['a\0b', 'a\nb', 'a\rb', '\u0100', 'x\ny', '☃'];

  test('bad names are refused everywhere', () => {
    for (const name of badNames) {
      const headers = new Headers();
      for (const use of [
        () => headers.append(name, 'x'),
        () => headers.set(name, 'x'),
        () => headers.get(name),
        () => headers.has(name),
        () => headers.delete(name),
        () => new Headers({ [name]: 'x' }),
        () => new Headers([[name, 'x']]),
      ])
        typeError(use);
    }
  });

  test('bad values are refused everywhere', () => {
    for (const value of badValues) {
      const headers = new Headers();
      for (const use of [
        () => headers.append('a', value),
        () => headers.set('a', value),
        () => new Headers({ a: value }),
        () => new Headers([['a', value]]),
      ])
        typeError(use);
      assert.equal(headers.has('a'), false);
    }
  });

  test('a Symbol is neither', () => {
    for (const use of [
      (h) => h.append(Symbol('a'), 'x'),
      (h) => h.append('a', Symbol('x')),
      (h) => h.set('a', Symbol('x')),
      (h) => h.get(Symbol('a')),
    ])
      typeError(() => use(new Headers()));
    typeError(() => new Headers({ a: Symbol('x') }));
  });

  test('all the characters of a token', () => {
    const name = "!#$%&'*+-.^_`|~09azAZ";
    assert.deepEqual(pairs(new Headers({ [name]: '1' })), [[name.toLowerCase(), '1']]);
  });

  test('blanks around a value go, those inside stay', () => {
    const cases = {
      ' a': 'a',
      'a ': 'a',
      '\ta\t': 'a',
      '\r\na\r\n': 'a',
      ' a b ': 'a b',
      'a\tb': 'a\tb',
      ' ': '',
      '': '',
      '\va\f': '\va\f',
      '\u00a0a': '\u00a0a',
    };
    for (const [given, kept] of Object.entries(cases)) {
      assert.equal(new Headers({ a: given }).get('a'), kept, JSON.stringify(given));
      const headers = new Headers();
      headers.set('a', given);
      assert.equal(headers.get('a'), kept);
    }
  });

  test('latin1, control characters but three, and long values', () => {
    for (const value of ['\xff', 'ü', '\x01', '\x7f', 'x'.repeat(100000), `${'x'.repeat(1000)} y`])
      assert.equal(new Headers({ a: value }).get('a'), value);
  });

  test('values become strings, names too', () => {
    const headers = new Headers();
    headers.set(1, { toString: () => 'object' });
    assert.equal(headers.get('1'), 'object');
    headers.append('a', null);
    headers.append('a', undefined);
    assert.equal(headers.get('a'), 'null, undefined');
  });

  test('case of names does not matter', () => {
    const headers = new Headers({ 'Content-Type': 'x' });
    assert.equal(headers.get('CONTENT-TYPE'), 'x');
    assert.equal(headers.has('content-Type'), true);
    headers.delete('cOnTeNt-TyPe');
    assert.equal(headers.has('content-type'), false);
  });
});

describe('Headers: methods', () => {
  test('arguments that are missing', () => {
    const headers = new Headers();
    for (const name of ['append', 'set']) {
      typeError(() => headers[name]());
      typeError(() => headers[name]('a'));
    }
    for (const name of ['get', 'has', 'delete', 'forEach']) typeError(() => headers[name]());
  });

  test('append combines, in order', () => {
    const headers = new Headers();
    headers.append('a', '1');
    headers.append('A', '');
    headers.append('a', '2');
    assert.equal(headers.get('a'), '1, , 2');
  });

  test('set takes the place of the first, and removes the others', () => {
    const headers = new Headers([
      ['a', '1'],
      ['b', 'x'],
      ['a', '2'],
      ['c', 'y'],
      ['a', '3'],
    ]);
    headers.set('A', 'new');
    assert.deepEqual(pairs(headers), [
      ['a', 'new'],
      ['b', 'x'],
      ['c', 'y'],
    ]);
  });

  test('get of what is not there is null', () => {
    assert.equal(new Headers().get('a'), null);
    assert.equal(new Headers({ a: '' }).get('a'), '');
  });

  test('delete removes all', () => {
    const headers = new Headers([
      ['a', '1'],
      ['b', 'x'],
      ['a', '2'],
    ]);
    assert.equal(headers.delete('a'), undefined);
    headers.delete('none');
    assert.deepEqual(pairs(headers), [['b', 'x']]);
  });

  test('forEach', () => {
    const headers = new Headers({ b: '2', a: '1' });
    const seen = [];
    const self = {};
    assert.equal(
      headers.forEach(function (...args) {
        seen.push([this === self, ...args]);
      }, self),
      undefined,
    );
    assert.deepEqual(
      seen.map((each) => each.slice(0, 3)),
      [
        [true, '1', 'a'],
        [true, '2', 'b'],
      ],
    );
    assert.equal(seen[0][3], headers);
    for (const callback of [undefined, null, {}, 'x']) typeError(() => headers.forEach(callback));
  });

  test('methods of something else', () => {
    for (const name of ['append', 'get', 'has', 'set', 'delete', 'keys', 'entries', 'getSetCookie'])
      typeError(() => Headers.prototype[name].call({}, 'a', 'b'));
  });
});

describe('Headers: set-cookie', () => {
  const make = () =>
    new Headers([
      ['set-cookie', 'b=1; Path=/, x'],
      ['a', '1'],
      ['Set-Cookie', 'a=2'],
      ['z', ''],
    ]);

  test('getSetCookie gives each', () => {
    assert.deepEqual(make().getSetCookie(), ['b=1; Path=/, x', 'a=2']);
    assert.deepEqual(new Headers().getSetCookie(), []);
    assert.deepEqual(new Headers({ 'set-cookie': '' }).getSetCookie(), ['']);
  });

  test('get joins, iteration does not', () => {
    assert.equal(make().get('set-cookie'), 'b=1; Path=/, x, a=2');
    assert.deepEqual(pairs(make()), [
      ['a', '1'],
      ['set-cookie', 'b=1; Path=/, x'],
      ['set-cookie', 'a=2'],
      ['z', ''],
    ]);
  });

  test('set replaces all, delete removes all', () => {
    const headers = make();
    headers.set('set-cookie', 'c=3');
    assert.deepEqual(headers.getSetCookie(), ['c=3']);
    headers.delete('Set-Cookie');
    assert.deepEqual(headers.getSetCookie(), []);
  });

  test('set-cookie2 is a field like any other', () => {
    assert.deepEqual(
      pairs(
        new Headers([
          ['set-cookie2', 'a'],
          ['set-cookie2', 'b'],
        ]),
      ),
      [['set-cookie2', 'a, b']],
    );
  });
});

describe('Headers: iteration', () => {
  test('sorted by bytes, combined', () => {
    const headers = new Headers([
      ['b', '1'],
      ['a-', '2'],
      ['B', '3'],
      ['a', '4'],
      ['_', '5'],
    ]);
    assert.deepEqual([...headers.keys()], ['_', 'a', 'a-', 'b']);
    assert.deepEqual([...headers.values()], ['5', '4', '2', '1, 3']);
    assert.deepEqual([...headers.entries()], pairs(headers));
    assert.equal(Headers.prototype[Symbol.iterator], Headers.prototype.entries);
  });

  test('what is appended behind is seen', () => {
    const headers = new Headers({ a: '1', c: '3' });
    const seen = [];
    for (const [name] of headers) {
      seen.push(name);
      if (name === 'a') headers.append('b', '2');
    }
    assert.deepEqual(seen, ['a', 'b', 'c']);
  });

  test('what is put before moves the others: by position', () => {
    const headers = new Headers({ b: '1', c: '2' });
    const seen = [];
    for (const [name] of headers) {
      seen.push(name);
      if (seen.length === 1) headers.append('a', '0');
    }
    assert.deepEqual(seen, ['b', 'b', 'c']);
  });

  test('what is deleted is skipped', () => {
    const headers = new Headers({ a: '1', b: '2', c: '3' });
    const seen = [];
    for (const [name] of headers) {
      seen.push(name);
      headers.delete(name);
    }
    assert.deepEqual(seen, ['a', 'c']);
    const other = new Headers({ a: '1', b: '2', c: '3' });
    const names = [];
    other.forEach((value, name) => {
      names.push(name);
      other.delete('b');
    });
    assert.deepEqual(names, ['a', 'c']);
  });

  test("an entry is the caller's own", () => {
    const headers = new Headers({ a: '1' });
    for (const entry of headers) entry[1] = 'changed';
    assert.deepEqual(pairs(headers), [['a', '1']]);
  });

  test('the iterator', () => {
    const iterator = new Headers({ a: '1' }).entries();
    assert.equal(iterator[Symbol.iterator](), iterator);
    assert.equal(Object.prototype.toString.call(iterator), '[object Headers Iterator]');
    assert.deepEqual(Object.keys(iterator), []);
    assert.equal(typeof Object.getPrototypeOf(iterator).next, 'function');
    assert.equal(Object.getPrototypeOf(new Headers().keys()), Object.getPrototypeOf(iterator));
    iterator.next();
    assert.deepEqual(iterator.next(), { value: undefined, done: true });
    assert.deepEqual(iterator.next(), { value: undefined, done: true });
    typeError(() => Object.getPrototypeOf(iterator).next.call({}));
  });
});

describe('Headers: guards', () => {
  test('immutable', () => {
    for (const headers of [requestOf().request.headers, Response.error().headers, Response.redirect('http://a.test/').headers]) {
      typeError(() => headers.append('a', '1'));
      typeError(() => headers.set('a', '1'));
      typeError(() => headers.delete('a'));
      typeError(() => headers.append('bad name', '1'));
    }
  });

  test('request-no-cors looks at a value with those before it', () => {
    const { headers } = new Request('http://a.test/', { mode: 'no-cors' });
    for (let i = 0; i < 3; i++) headers.append('accept', 'a'.repeat(60)); // 128 bytes in all
    assert.equal(headers.get('accept').length, 60 + 2 + 60);
  });

  test('lines of Cookie are joined as cookies are', () => {
    const headers = new Headers([
      ['cookie', 'a=1'],
      ['x', '1'],
      ['cookie', 'b=2'],
      ['x', '2'],
    ]);
    assert.equal(headers.get('cookie'), 'a=1; b=2');
    assert.deepEqual(pairs(headers), [
      ['cookie', 'a=1; b=2'],
      ['x', '1, 2'],
    ]);
  });

  test('request-no-cors lets little through', () => {
    const { headers } = new Request('http://a.test/', {
      mode: 'no-cors',
      headers: { accept: 'text/html', 'x-custom': '1', 'content-type': 'application/json', 'accept-language': 'de' },
    });
    assert.deepEqual(pairs(headers), [
      ['accept', 'text/html'],
      ['accept-language', 'de'],
    ]);
    headers.set('x-other', '1');
    headers.append('content-type', 'text/plain');
    headers.append('accept', '"');
    assert.deepEqual(pairs(headers), [
      ['accept', 'text/html'],
      ['accept-language', 'de'],
      ['content-type', 'text/plain'],
    ]);
    headers.set('accept-language', 'x'.repeat(128));
    assert.equal(headers.get('accept-language').length, 128);
    headers.set('accept', 'x'.repeat(129));
    headers.delete('x-none');
    assert.equal(headers.get('accept'), 'text/html');
    headers.delete('accept');
    assert.equal(headers.has('accept'), false);
  });

  test('a server sets cookies, and sees them', () => {
    const response = new Response(null, { headers: { 'set-cookie': 'a=1' } });
    response.headers.append('set-cookie', 'b=2');
    assert.deepEqual(response.headers.getSetCookie(), ['a=1', 'b=2']);
    assert.equal(new Request('http://a.test/', { headers: { cookie: 'a=1', host: 'b' } }).headers.get('cookie'), 'a=1');
  });
});

describe('Headers: the class', () => {
  test("it is the runtime's, to instanceof", () => {
    assert.ok(new Headers() instanceof native.Headers);
    assert.ok(new Headers() instanceof Headers);
    assert.equal(Object.getPrototypeOf(Headers), native.Headers);
    assert.equal(Object.prototype.toString.call(new Headers()), '[object Headers]');
    const tag = Object.getOwnPropertyDescriptor(Headers.prototype, Symbol.toStringTag);
    assert.deepEqual(tag, { value: 'Headers', writable: false, enumerable: false, configurable: true });
    assert.equal(Headers.name, 'Headers');
    assert.equal(Headers.length, 0);
  });

  test("the runtime's classes take them", { skip: joinsCookies }, () => {
    const fields = [
      ['a', '1'],
      ['set-cookie', 'x'],
      ['set-cookie', 'y'],
    ];
    const headers = new Headers(fields);
    assert.deepEqual([...new native.Headers(headers)], fields);
    assert.deepEqual([...new native.Response(null, { headers }).headers], fields);
    assert.equal(new native.Request('http://a', { headers }).headers.get('a'), '1');
  });

  test("nothing of the runtime's is left to fail on ours", () => {
    const headers = new Headers({ a: '1' });
    for (const key of Reflect.ownKeys(native.Headers.prototype)) {
      assert.ok(Object.hasOwn(Headers.prototype, key) || (typeof key === 'symbol' && looksInside), String(key));
      void headers[key];
    }
    assert.match(inspect(headers), /Headers.*a: '1'|Headers[^]*a[^]*1/);
    assert.match(
      inspect(
        new Headers([
          ['set-cookie', 'a=1'],
          ['set-cookie', 'b=2'],
        ]),
      ),
      /a=1[^]*b=2/,
    );
  });
});

test('on Bun they have what its own have', { skip: globalThis.Bun === undefined && 'the runtime is not Bun' }, () => {
  const inits = [
    {},
    { 'X-A': '1', cookie: 'k' },
    { 'set-cookie': 'a=1', b: '2' },
    [
      ['Set-Cookie', 'a=1'],
      ['c', '1'],
      ['set-cookie', 'b=2'],
      ['C', '2'],
    ],
    [['__proto__', 'data']],
  ];
  for (const init of inits) {
    const [ours, theirs] = [new Headers(init), new native.Headers(init)];
    assert.deepEqual(Object.entries(ours.toJSON()).sort(), Object.entries(theirs.toJSON()).sort());
    assert.equal(JSON.parse(JSON.stringify(ours)).b, theirs.toJSON().b);
    assert.deepEqual([ours.count, ours.getAll('Set-Cookie')], [theirs.count, theirs.getAll('set-cookie')]);
  }
  typeError(() => new Headers().getAll('a'));
  assert.equal(requestOf({ fields: ['X-A', '1'] }).request.headers.toJSON()['x-a'], '1');
});

test('names that are never the same take no memory', { skip: globalThis.gc === undefined && 'the runtime has no gc()' }, () => {
  const held = () => {
    globalThis.gc();
    return process.memoryUsage().heapUsed;
  };
  const use = (count, letter) => {
    for (let i = 0; i < count; i++) new Headers({ [`${letter}-${i}`]: '1' });
  };
  use(1000, 'a');
  const before = held();
  use(100_000, 'b');
  assert.ok(held() - before < 3_000_000, `${held() - before} bytes`);
});
