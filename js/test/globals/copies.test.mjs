// Copies of a received Request, by the runtime's classes and by ours, and fetch of it, with our classes in their place.
import assert from 'node:assert/strict';
import { test, describe } from 'node:test';

import { Request as Ours, native, looksInside, requestOf, typeError } from '../fetch/support.mjs';
import '../../globals.mjs';
import { describeCopies } from '../fetch/copying.mjs';

describeCopies({ inPlace: true });

describe("what goes into a copy of the runtime's", { skip: !looksInside && 'it does not look inside ours' }, () => {
  const { Request } = native;
  const post = () =>
    requestOf({
      method: 'POST',
      fields: [
        'Host',
        'h',
        'Content-Length',
        '2',
        'Connection',
        'close, X-Hop',
        'X-Hop',
        '1',
        'Expect',
        '100-continue',
        'TE',
        'trailers',
        'X-A',
        'b',
      ],
      pieces: ['ab'],
    }).request;

  test('no field of the connection', () => {
    assert.deepEqual(
      [...new Request(post()).headers],
      [
        ['content-length', '2'],
        ['host', 'h'],
        ['x-a', 'b'],
      ],
    );
  });

  test('other content, and its length', async () => {
    const copy = new Ours(post(), { body: 'other' });
    assert.equal(copy.headers.get('content-length'), null);
    assert.equal(await copy.text(), 'other');
    assert.equal(new Ours(post()).headers.get('content-length'), '2');
  });

  test('the body, which is then used, and what init says', async () => {
    const request = post();
    const copy = new Request(request, { method: 'PUT', redirect: 'manual' });
    assert.deepEqual([request.bodyUsed, copy.method, copy.redirect, await copy.text()], [true, 'PUT', 'manual', 'ab']);
    typeError(() => new Request(request));
    typeError(() => new Request(post(), { method: 'GET' }));
  });

  test('the signal', () => {
    const { request, exchange } = requestOf();
    const copy = new Request(request);
    exchange.onend('client-reset');
    assert.equal(copy.signal.aborted, true);
  });
});
