// How refusals are put into words: of responses that the engine does not take, and of what is no request, as node would say it.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const require = createRequire(import.meta.url);
const { whyRefused } = require('../src/exchange/refusal.js');
const { clientError, endError, refusal, refusedError } = require('../src/node/client-error.js');

test('why a response is refused', () => {
  const why = (code, fields, status = 200, most = 100) => whyRefused(`CAROM_${code}`, 'the text', { status, fields }, most);
  for (const [fields, expected] of [
    [['', 'a\n'], 'the status text "a\\n" has a character that cannot be sent'],
    [['', 'Fine', 'X', 'y'], 'the text'],
    [['X', 'y', 'X y', 'z'], '"X y" is no name of a field'],
    [['X', 'a\rb'], 'the value of X, "a\\rb", has a character that cannot be sent'],
    [['X', `${'a'.repeat(40)}\r`], `the value of X, "${'a'.repeat(40)}...", has a character that cannot be sent`],
    [['X', `${'a'.repeat(39)}\r`], `the value of X, "${'a'.repeat(39)}\\r", has a character that cannot be sent`],
    [['Content-Length', 'x'], 'Content-Length is "x", which is no length'],
    [['Content-Length', '1234567890123456789'], 'Content-Length is "1234567890123456789", which is no length'],
    [['content-length', '1', 'Content-Length', '1'], 'Content-Length is given twice'],
    [['X', 'content-length', 'Content-Length', '1'], 'the text'],
    [['Connection', 'Close', 'connection', 'upgrade'], 'Connection is "upgrade", and may be close or keep-alive'],
    [['Transfer-Encoding', 'chunked'], "Transfer-Encoding is the engine's to say"],
    [['Keep-Alive', 'x'], "Keep-Alive is the engine's to say"],
    [['Upgrade', 'x'], 'Upgrade is in an informational response, or is missing in an upgrade'],
    [null, 'the text'],
  ])
    assert.equal(why('EFIELD', fields), expected);
  assert.equal(why('EINVAL', [], 99), '99 is no status that may be sent here');
  assert.equal(why('EINVAL', [], 0), 'the text');
  assert.equal(
    why('ETOOBIG', ['A', 'bc', 'De', 'fghi', 'J', 'kl']),
    'response fields may take 100 bytes in all (maxResponseHead), and these take 12: De alone has 4',
  );
  assert.equal(why('ETOOBIG', []), 'the text');
  assert.equal(why('ELENGTH', ['X', 'content-length', 'content-length', '7']), 'the text: Content-Length is "7"');
  assert.equal(why('ELENGTH', ['X', 'y']), 'the text');
  assert.equal(why('ESTATE', ['X', 'a\n']), 'the text');
});

test('what is no request, in the words of node', () => {
  const GET = 'GET / HTTP/1.1\r\n';
  for (const [status, text, code, parsed] of [
    [400, 'GETS / HTTP/1.1\r\n', 'HPE_INVALID_METHOD', 3],
    [400, 'xyz', 'HPE_INVALID_METHOD', 1],
    [400, 'GET / HTTP/1.2\r\n', 'HPE_INVALID_CONSTANT'],
    [400, 'GET /', 'HPE_INVALID_CONSTANT'],
    [400, `${GET}X: a\rb\r\n\r\n`, 'HPE_LF_EXPECTED'],
    [400, `${GET}Transfer-Encoding: x\r\nContent-Length: y\r\n\r\n`, 'HPE_INVALID_TRANSFER_ENCODING'],
    [400, `${GET}content-length : 1x\r\n\r\n`, 'HPE_INVALID_CONTENT_LENGTH'],
    [400, `${GET}Content-Length: \r\n\r\n`, 'HPE_INVALID_CONTENT_LENGTH'],
    [400, `${GET}Content-Length: 1\r\nContent-Length: 1\r\n\r\n`, 'HPE_UNEXPECTED_CONTENT_LENGTH'],
    [400, `${GET}X y: z\r\n\r\n`, 'HPE_INVALID_HEADER_TOKEN'],
    [414, 'GETS /', 'HPE_HEADER_OVERFLOW'],
    [431, GET, 'HPE_HEADER_OVERFLOW'],
    [505, 'GET / HTTP/2.0\r\n', 'HPE_INVALID_VERSION'],
  ]) {
    const bytes = Buffer.from(text, 'latin1');
    const error = clientError(status, bytes);
    assert.deepEqual([error.code, error.bytesParsed, error.rawPacket], [code, parsed ?? bytes.length, bytes], JSON.stringify(text));
    assert.equal(`Parse Error: ${error.reason}`, error.message);
    const same = refusedError({ refusal: status, refusalReason: 'bad-request', target: text });
    assert.deepEqual([same.code, same.rawPacket], [code, bytes]);
  }
  const late = clientError(408, Buffer.from('GET'));
  assert.deepEqual([late.code, late.message, late.rawPacket], ['ERR_HTTP_REQUEST_TIMEOUT', 'Request timeout', undefined]);
  const short = refusedError({ refusal: 400, refusalReason: 'client-closed', target: 'GET /' });
  assert.deepEqual([short.code, short.bytesParsed, short.reason], ['HPE_INVALID_EOF_STATE', 0, 'Invalid EOF state']);
  assert.deepEqual(
    ['bad-request', 'body-timeout', 'client-closed'].map((reason) => endError(reason)?.code),
    ['HPE_INVALID_CHUNK_SIZE', 'ERR_HTTP_REQUEST_TIMEOUT', undefined],
  );
  assert.equal(refusal(400), 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
});
