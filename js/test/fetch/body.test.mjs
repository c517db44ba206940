// Bodies (Fetch, 2.2.4 and 5.3), of Requests and of Responses alike.
import assert from 'node:assert/strict';
import { test, describe } from 'node:test';

import { Request, Response, bytes, text, readAll, streamOf, typeError, rejectsTypeError } from './support.mjs';

// Bun and Deno cannot say of a stream of theirs that is locked whether it was read from.
const tellsDisturbed = process.versions.bun === undefined && globalThis.Deno === undefined;

const makers = {
  Response: (body, headers) => new Response(body, { headers }),
  Request: (body, headers) => new Request('http://a.test/', { method: 'POST', body, headers, duplex: 'half' }),
};
const READERS = ['text', 'json', 'arrayBuffer', 'bytes', 'blob', 'formData'];

const form = () => {
  const data = new FormData();
  data.append('a', '1');
  data.append('a', 'zwei ü');
  data.append('file', new Blob(['content'], { type: 'text/x' }), 'name.txt');
  return data;
};

for (const [kind, make] of Object.entries(makers)) {
  describe(`${kind}: sources`, () => {
    const sources = {
      string: () => 'tëxt',
      'empty string': () => '',
      'String object': () => new String('tëxt'),
      number: () => 12,
      object: () => ({ toString: () => 'tëxt' }),
      ArrayBuffer: () => bytes('tëxt').buffer,
      Uint8Array: () => bytes('xtëxt').subarray(1),
      DataView: () => new DataView(bytes('xtëxtx').buffer, 1, 5),
      Uint16Array: () => new Uint16Array([0x6161, 0x6262]),
      Blob: () => new Blob(['të', 'xt']),
      URLSearchParams: () => new URLSearchParams({ a: 'ü&' }),
      stream: () => streamOf('të', 'xt'),
      'empty stream': () => streamOf(),
      'async iterable': () =>
        (async function* () {
          yield 'të';
          yield bytes('xt');
        })(),
      generator: () =>
        (function* () {
          yield 'të';
          yield bytes('xt');
        })(),
      iterator: () => ['të', 'xt'].values(),
      array: () => ['të', 'xt'],
    };
    const texts = {
      number: '12',
      Uint16Array: 'aabb',
      URLSearchParams: 'a=%C3%BC%26',
      array: 'të,xt',
      'empty string': '',
      'empty stream': '',
    };

    for (const [name, source] of Object.entries(sources)) {
      const expected = name in texts ? texts[name] : 'tëxt';
      test(name, async () => {
        assert.equal(await make(source()).text(), expected);
        assert.equal(text(new Uint8Array(await make(source()).arrayBuffer())), expected);
        assert.equal(text(await make(source()).bytes()), expected);
        assert.equal(await (await make(source()).blob()).text(), expected);
        assert.equal(await readAll(make(source()).body), expected);
        assert.equal(await make(source()).clone().text(), expected);
      });
    }

    test('FormData', async () => {
      const back = await make(form()).formData();
      assert.deepEqual(back.getAll('a'), ['1', 'zwei ü']);
      const file = back.get('file');
      assert.deepEqual([file.name, await file.text()], ['name.txt', 'content']);
      if (process.versions.bun === undefined) assert.equal(file.type, 'text/x'); // Bun goes by the name
      assert.match(await make(form()).clone().text(), /^--/);
    });

    test('FormData: what would end a name is written in another way', async () => {
      const odd = new FormData();
      odd.append('a"b\r\nc', '1');
      assert.match(await make(odd).text(), /; name="a%22b%0D%0Ac"\r\n/);
    });

    test('lone surrogates are replaced', async () => {
      assert.equal(await make('a\ud800b').text(), 'a\ufffdb');
      assert.equal(await make('a😀b').text(), 'a😀b');
    });

    test('what is changed later does not matter', async () => {
      const source = bytes('abc');
      const message = make(source);
      source.fill(0);
      assert.equal(await message.text(), 'abc');
    });
  });

  describe(`${kind}: read`, () => {
    test('text: a BOM goes, bad bytes are replaced', async () => {
      assert.equal(await make(new Uint8Array([0xef, 0xbb, 0xbf, 0x61])).text(), 'a');
      assert.equal(await make('\ufeffa').text(), 'a');
      assert.equal(await make('\ufeff\ufeffa').text(), '\ufeffa');
      for (const bad of [[0xff, 0x61], [0xc3], [0xe2, 0x82], [0xf0, 0x9f, 0x98, 0x61], [0xed, 0xa0, 0x80], [0xc0, 0xaf]])
        assert.equal(await make(new Uint8Array(bad)).text(), new TextDecoder().decode(new Uint8Array(bad)));
    });

    test('json', async () => {
      assert.deepEqual(await make('{"a":[1,null]}').json(), { a: [1, null] });
      assert.deepEqual(await make(new Uint8Array([0xef, 0xbb, 0xbf, 0x31])).json(), 1);
      for (const bad of ['', '{', 'undefined']) await assert.rejects(make(bad).json(), SyntaxError);
    });

    test("arrayBuffer and bytes are the caller's own", async () => {
      const source = bytes('abc');
      const message = make(source);
      const other = message.clone();
      const buffer = await message.arrayBuffer();
      assert.ok(buffer instanceof ArrayBuffer);
      assert.equal(buffer.byteLength, 3);
      new Uint8Array(buffer).fill(0);
      const view = await other.bytes();
      assert.equal(text(view), 'abc');
      assert.ok(view instanceof Uint8Array);
      assert.equal(view.constructor, Uint8Array);
      assert.equal(view.byteOffset, 0);
    });

    test('blob has the type of the content', async () => {
      const type = async (value) => (await make('x', { 'content-type': value }).blob()).type;
      assert.equal((await make('x').blob()).type, 'text/plain;charset=utf-8');
      assert.equal(await type('A/B'), 'a/b');
      assert.equal(await type('nonsense'), '');
      assert.equal(await type('a/b, c/d'), 'c/d');
      assert.equal(await type('a/b, */*'), 'a/b');
      assert.equal(await type('Text/Html ; Charset=UTF-8 ;; x; =y; charset=b'), 'text/html;charset=utf-8');
      assert.equal(await type('a/b; q="c\\"d,e; f" trailing'), 'a/b;q="c\\"d,e; f"');
      assert.equal(await type('a/b; q="c\\'), 'a/b;q="c\\\\"');
      assert.equal(await type('text/plain;charset=gbk, text/plain;a=b'), 'text/plain;a=b;charset=gbk');
      assert.equal(await type('x/y;charset=gbk, a/b, x/y'), 'x/y');
      assert.equal((await make(bytes('x')).blob()).type, '');
    });

    test('formData of urlencoded', async () => {
      const urlencoded = 'application/x-www-form-urlencoded';
      const data = await make('a=1&b=%C3%BC+x&a=2&&c', { 'content-type': urlencoded }).formData();
      assert.deepEqual(
        [...data],
        [
          ['a', '1'],
          ['b', 'ü x'],
          ['a', '2'],
          ['c', ''],
        ],
      );
      assert.deepEqual([...(await make(new URLSearchParams('x=y')).formData())], [['x', 'y']]);
      assert.deepEqual([...(await make('', { 'content-type': `${urlencoded}; charset=utf-8` }).formData())], []);
    });

    test('formData of multipart', async () => {
      const body =
        '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b\r\n' +
        'Content-Disposition: form-data; name="f"; filename="n.txt"\r\nContent-Type: text/x\r\n\r\ncontent\r\n--b--\r\n';
      const data = await make(body, { 'content-type': 'multipart/form-data; boundary=b' }).formData();
      assert.equal(data.get('a'), '1');
      assert.deepEqual([data.get('f').name, await data.get('f').text()], ['n.txt', 'content']);
      await rejectsTypeError(make('nonsense', { 'content-type': 'multipart/form-data; boundary=b' }).formData());
    });

    test('formData of anything else is refused', async () => {
      await rejectsTypeError(make('a=1').formData());
      await rejectsTypeError(make(bytes('a=1')).formData());
      await rejectsTypeError(make('a=1', { 'content-type': 'multipart/form-data' }).formData());
    });

    test('textStream', async () => {
      let all = '';
      const reader = make(streamOf(new Uint8Array([0xc3]), new Uint8Array([0xbc])))
        .textStream()
        .getReader();
      for (let next = await reader.read(); !next.done; next = await reader.read()) all += next.value;
      assert.equal(all, 'ü');
    });

    test('methods of something else reject', async () => {
      for (const name of READERS) await rejectsTypeError(make('x')[name].call({}));
    });
  });

  describe(`${kind}: used`, () => {
    for (const name of READERS) {
      test(`${name}() uses the body`, async () => {
        for (const source of ['1', bytes('1'), new Blob(['1']), streamOf('1')]) {
          const message = make(source, { 'content-type': 'application/x-www-form-urlencoded' });
          assert.equal(message.bodyUsed, false);
          const promise = message[name]();
          assert.equal(message.bodyUsed, true);
          await promise;
          assert.equal(message.bodyUsed, true);
          for (const second of READERS) await rejectsTypeError(message[second]());
          typeError(() => message.clone());
          typeError(() => message.textStream());
        }
      });
    }

    test('a body that was read cannot be read by its stream', async () => {
      const message = make('x');
      await message.text();
      assert.ok(message.body instanceof ReadableStream);
      typeError(() => new Response(message.body));
    });

    test('locked is not used, but cannot be read', async () => {
      for (const source of ['x', bytes('x'), streamOf('x'), ...(tellsDisturbed ? [new Blob(['x'])] : [])]) {
        const message = make(source);
        const reader = message.body.getReader();
        assert.equal(message.bodyUsed, false);
        for (const name of READERS) await rejectsTypeError(message[name]());
        typeError(() => message.clone());
        reader.releaseLock();
        assert.equal(await message.text(), 'x');
      }
    });

    test('read from or cancelled is used', async () => {
      const read = make('x');
      const reader = read.body.getReader();
      await reader.read();
      assert.equal(read.bodyUsed, true);
      reader.releaseLock();
      assert.equal(read.bodyUsed, true);
      await rejectsTypeError(read.text());
      const cancelled = make('x');
      await cancelled.body.cancel();
      assert.equal(cancelled.bodyUsed, true);
      await rejectsTypeError(cancelled.text());
    });

    test('streams that are locked or read from are refused', async () => {
      const locked = streamOf('x');
      locked.getReader();
      typeError(() => make(locked));
      const read = streamOf('x');
      const reader = read.getReader();
      await reader.read();
      reader.releaseLock();
      typeError(() => make(read));
    });

    test('no body is never used', async () => {
      const message = kind === 'Response' ? () => new Response() : () => new Request('http://a.test/');
      for (const name of ['text', 'arrayBuffer', 'bytes', 'blob']) {
        const one = message();
        await one[name]();
        assert.equal(one.bodyUsed, false);
        await one[name]();
      }
      await assert.rejects(message().json(), SyntaxError);
      await rejectsTypeError(message().formData());
    });
  });

  describe(`${kind}: streams`, () => {
    test('the same one each time, and that which was given', () => {
      const message = make('x');
      assert.equal(message.body, message.body);
      const stream = streamOf('x');
      assert.equal(make(stream).body, stream);
    });

    test('chunks that are no Uint8Array are refused', async () => {
      for (const chunk of ['string', 1, null, undefined, {}]) {
        const stream = new ReadableStream({
          start(controller) {
            controller.enqueue(chunk);
            controller.close();
          },
        });
        await rejectsTypeError(make(stream).arrayBuffer());
      }
    });

    test('an error of the stream comes through', async () => {
      const error = new RangeError('mine');
      for (const name of READERS)
        await assert.rejects(
          make(
            new ReadableStream({
              pull() {
                throw error;
              },
            }),
          )[name](),
          (thrown) => thrown === error,
        );
    });

    test('bytes can be read into a buffer', async () => {
      for (const source of ['text', bytes('text'), new Blob(['text'])]) {
        const reader = make(source).body.getReader({ mode: 'byob' });
        const { value } = await reader.read(new Uint8Array(2));
        assert.equal(text(value), 'te');
        assert.equal(text((await reader.read(new Uint8Array(8))).value), 'xt');
        assert.equal((await reader.read(new Uint8Array(8))).done, true);
      }
    });

    test('both halves of a clone are read on their own', async () => {
      const message = make(streamOf('a', 'b'));
      const other = message.clone();
      assert.equal(await message.text(), 'ab');
      assert.equal(other.bodyUsed, false);
      const reader = other.body.getReader();
      assert.equal(text((await reader.read()).value), 'a');
      if (tellsDisturbed) assert.equal(other.bodyUsed, true);
    });
  });
}
