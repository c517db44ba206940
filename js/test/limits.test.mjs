// The fields of responses have one limit, in bytes: heads and trailers, of serve, of routes and of createServer.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { serve, Response } from '../index.mjs';
import { createServer } from '../node.mjs';
import { PATIENT, raw } from './support.mjs';

const isNode = !process.versions.bun && !globalThis.Deno;
const LIMIT = 65536;
const ASK = 'HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

// Runs `use(ask)` against a server: ask(path) gives the head and the rest of an answer. Returns the messages of errors.
async function serving(options, handler, use) {
  const messages = [];
  const onError = (error) => {
    messages.push(error.message);
    return new Response(error.code, { status: 500 });
  };
  const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {}, ...PATIENT, onError, ...options }, handler);
  try {
    await use(async (path) => (await raw(server.addr.port, `GET ${path} ${ASK}`)).split(/\r\n\r\n(.*)/s));
  } finally {
    await server.shutdown({ deadline: 0 });
  }
  return messages;
}

// Fields of so many bytes in all, beside those that a Response has by itself.
const fieldsOf = {
  one: (bytes) => [['x', 'v'.repeat(bytes - 1)]],
  many: (bytes) => Array.from({ length: bytes / 32 }, (_, i) => ['set-cookie', `c${i}=`.padEnd(22, 'v')]),
};
const bodies = {
  whole: () => null,
  streamed: () => {
    let timer;
    return new ReadableStream({
      start(controller) {
        controller.enqueue(new Uint8Array(10));
        timer = setTimeout(() => controller.close());
      },
      cancel() {
        clearTimeout(timer);
      },
    });
  },
};

for (const io of isNode ? ['inline', 'thread'] : ['thread'])
  for (const [how, body] of Object.entries(bodies))
    test(`${io}: ${how}: fields up to the limit are sent, one or many`, async () => {
      const handler = ({ url }) => {
        const [, kind, bytes] = new URL(url).pathname.split('/');
        return new Response(body(), { headers: fieldsOf[kind](Number(bytes)) });
      };
      const messages = await serving({ io }, handler, async (ask) => {
        for (const kind of Object.keys(fieldsOf)) {
          const [head] = await ask(`/${kind}/${LIMIT}`);
          assert.match(head, /^HTTP\/1\.1 200 /);
          const got = head.match(/\r\n(x|set-cookie): [^\r]*/g).map((line) => line.length - 4); // CRLF, colon, blank
          assert.equal(
            got.reduce((a, b) => a + b),
            LIMIT,
          );
          const [, code] = await ask(`/${kind}/${LIMIT + 32}`);
          assert.equal(code, 'CAROM_ETOOBIG');
        }
      });
      assert.deepEqual(
        messages.map((message) => message.replace(/ of the server made at .*\/(.*):\d+$/, ' of $1')),
        ['one', 'many'].map(
          (kind) =>
            `response fields may take 65536 bytes in all (maxResponseHead), and these take 65568: ${kind === 'one' ? 'x alone has 65567' : 'set-cookie alone has 22'}, in the response to GET /${kind}/65568, of limits.test.mjs`,
        ),
      );
    });

test('the limit is an option, and can be off', async () => {
  const handler = ({ url }) => new Response(null, { headers: fieldsOf.one(Number(new URL(url).pathname.slice(1))) });
  const asked = async (maxResponseHead, bytes) => {
    let status;
    await serving({ maxResponseHead }, handler, async (ask) => {
      [, status] = / (\d+) /.exec((await ask(`/${bytes}`))[0]);
    });
    return status;
  };
  assert.equal(await asked(1000, 1000), '200');
  assert.equal(await asked(1000, 1001), '500');
  assert.equal(await asked(200_000, 200_000), '200');
  assert.equal(await asked(false, 300_000), '200');
});

test('trailers have the same limit', async () => {
  const handler = ({ url }, info) => {
    info.trailers(fieldsOf.one(Number(new URL(url).pathname.slice(1))));
    return new Response('content');
  };
  const messages = await serving({}, handler, async (ask) => {
    const [, rest] = await ask(`/${LIMIT}`);
    assert.match(rest, /^7\r\ncontent\r\n0\r\nx: v{65535}\r\n\r\n$/);
    const [, cut = ''] = await ask(`/${LIMIT + 1}`).catch(() => ['']); // reset, which may or may not overtake the content
    assert.doesNotMatch(cut, /\r\n0\r\n/);
  });
  assert.match(messages[0], /may take 65536 bytes in all \(maxResponseHead\), and these take 65537: x alone has 65536/);
});

test('a route has as many fields as a response', async () => {
  const route = new Response('r', { headers: fieldsOf.many(LIMIT - 64) });
  await serving(
    { routes: { '/': route } },
    () => new Response(),
    async (ask) => {
      const [head] = await ask('/');
      assert.equal(head.match(/\r\nset-cookie: /g).length, LIMIT / 32 - 2);
    },
  );
  const long = new Response('r', { headers: fieldsOf.one(LIMIT + 1) });
  assert.throws(() => serve({ port: 0, onListen() {}, routes: { '/': long } }, () => new Response()), /maxResponseHead allows 65536/);
});

test('what is wrong with a field is told by its name', async () => {
  const wrong = { '/keep-alive': 'timeout=5', '/upgrade': 'x', '/connection': 'x-hop', '/content-length': 'ten' };
  const handler = ({ url }, info) => {
    const { pathname } = new URL(url);
    info.inform(103, { [pathname.slice(1)]: wrong[pathname] });
    return new Promise(() => {}); // its refusal is the answer
  };
  const messages = await serving({}, handler, async (ask) => {
    for (const path of Object.keys(wrong)) assert.match((await ask(path))[0], /^HTTP\/1\.1 500 /);
  });
  assert.deepEqual(
    messages.map((message) => message.replace(/, of the server made at .*$/, '')),
    [
      "keep-alive is the engine's to say, in the response to GET /keep-alive",
      'upgrade is in an informational response, or is missing in an upgrade, in the response to GET /upgrade',
      'Connection is "x-hop", and may be close or keep-alive, in the response to GET /connection',
      'Content-Length is "ten", which is no length, in the response to GET /content-length',
    ],
  );
});

test('createServer has the same limit, and its error leads to who gave the fields', { skip: !isNode && 'of Node' }, async () => {
  const warned = [];
  const { emitWarning } = process;
  process.emitWarning = (message) => warned.push(message);
  const server = createServer((req, res) => {
    res.setHeader('x', 'v'.repeat(Number(req.url.slice(1)) - 1));
    res.end('text');
  });
  try {
    await new Promise((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const ask = async (bytes) => (await raw(server.address().port, `GET /${bytes} ${ASK}`)).split(' ', 2)[1];
    assert.equal(await ask(LIMIT - 500), '200'); // express and others have fields of their own
    assert.equal(await ask(LIMIT + 1), '500');
    assert.match(warned[0], /x alone has 65536, in the response to GET \/65537, of the server made at .*limits\.test\.mjs:\d+$/);
  } finally {
    process.emitWarning = emitWarning;
    server.close();
  }
});
