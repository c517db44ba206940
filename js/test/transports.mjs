// The transports over which applications are tested, in one table: HTTP/1.1 and HTTP/2, in the clear and over TLS. Each test of an
// application runs over all of them; the application does not know which.
import { execFileSync } from 'node:child_process';
import { Agent, request as requestTls } from 'node:https';
import http2 from 'node:http2';
import { createRequire } from 'node:module';
import { Readable } from 'node:stream';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';

import { serve } from '../index.mjs';
import { PATIENT, nativeOnly } from './support.mjs';

const native = createRequire(import.meta.url)('../src/ring/native.js');
export const isNode = !process.versions.bun && !globalThis.Deno;
export const WAYS = isNode ? ['inline', 'thread'] : ['thread']; // to run a server

// A certificate for this host, and for what else is asked: { cert, key }, PEM.
export const certificate = (names = 'localhost,127.0.0.1,::1') => native.selfSigned(names);
export const own = certificate();

// A client's certificate with its key, signed by itself: who trusts it trusts this client.
export function clientCertificate(name) {
  const pem = execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
      '-addext',
      'extendedKeyUsage=clientAuth',
      '-keyout',
      '-',
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
  return { cert: pem, key: pem };
}

const globalFetch = globalThis.fetch;
const DECODERS = { gzip: gunzipSync, br: brotliDecompressSync };
const NO_BODY = new Set([204, 304]);

// ---------------------------------------------------------------- a fetch over streams of Node's

// What came, as the runtime's Response: `fields` as Node has them, `stream` the content.
function responseOf(stream, status, fields, method) {
  const headers = new Headers();
  for (const [name, value] of Object.entries(fields))
    if (!name.startsWith(':')) for (const one of [value].flat()) headers.append(name, one);
  if (NO_BODY.has(status) || method === 'HEAD') {
    stream.resume();
    return new Response(null, { status, headers });
  }
  const decode = DECODERS[headers.get('content-encoding')];
  return new Response(Readable.toWeb(Readable.from(decode === undefined ? wholeOf(stream) : decodedOf(stream, decode))), {
    status,
    headers,
  });
}

// Not by its own iterator: that of Node 24 fails when all of a stream of HTTP/2 came before somebody read. One that is reset ends as
// if it were whole.
async function* wholeOf(stream) {
  let { errored, destroyed: over } = stream;
  let wake = () => {};
  const end = () => {
    over = true;
    wake();
  };
  stream
    .on('readable', () => wake())
    .on('end', end)
    .on('close', end)
    .on('error', (error) => {
      errored = error;
      wake();
    });
  try {
    for (;;) {
      const piece = stream.read();
      if (piece !== null) yield piece;
      else if (errored) throw errored;
      else if (over) break;
      else
        await new Promise((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    stream.destroy();
  }
  if (stream.rstCode) throw new TypeError(`fetch failed: the stream was reset (${stream.rstCode})`);
}

async function* decodedOf(stream, decode) {
  const pieces = [];
  for await (const piece of wholeOf(stream)) pieces.push(piece);
  yield decode(Buffer.concat(pieces));
}

// fetch, over what `connect` gives: begin(url, method, fields, answered) begins a request and gives the stream to write its body
// to; answered(stream, status, fields).
function fetchBy(connect) {
  return async (input, init = {}) => {
    const { signal, ...rest } = init;
    signal?.throwIfAborted();
    const request = new Request(input, rest);
    const body = request.body === null ? null : Buffer.from(await request.arrayBuffer());
    const fields = Object.fromEntries(request.headers);
    if (body !== null) fields['content-length'] = String(body.length);
    for (let attempts = 1; ; attempts++) {
      const begin = await connect(new URL(request.url).origin);
      try {
        return await attempt(begin, request, fields, body, signal);
      } catch (error) {
        // The server has not seen it, as it was ending the connection: RFC 9113, 8.7. A fresh connection is not ended so soon.
        if (attempts > 2 || error.message !== 'Stream closed with error code NGHTTP2_REFUSED_STREAM') throw error;
      }
    }
  };
}

function attempt(begin, request, fields, body, signal) {
  return new Promise((resolve, reject) => {
    const stream = begin(new URL(request.url), request.method, fields, (from, status, received) =>
      resolve(responseOf(from, status, received, request.method)),
    );
    stream.on('error', reject);
    stream.on('close', () => reject(new TypeError('fetch failed: no answer')));
    signal?.addEventListener(
      'abort',
      () => {
        stream.destroy();
        reject(signal.reason);
      },
      { once: true },
    );
    stream.end(body === null ? undefined : body);
  });
}

function fetchH1Tls() {
  const agent = new Agent({ keepAlive: true, ca: own.cert, ALPNProtocols: ['http/1.1'] });
  return fetchBy(
    () => (url, method, headers, answered) =>
      requestTls(url, { agent, method, headers }).on('response', (response) => answered(response, response.statusCode, response.headers)),
  );
}

// A client that does not wait for SETTINGS may open more streams than it may.
function connected(session) {
  return new Promise((resolve, reject) => {
    session.once('remoteSettings', () => resolve(session));
    session.once('error', reject);
  });
}

function fetchH2() {
  const sessions = new Map(); // promises of them, by origin
  const sessionOf = (origin) => {
    if (!sessions.has(origin)) {
      const session = http2.connect(origin, { ca: own.cert });
      const forget = () => sessions.delete(origin);
      session.on('error', forget).on('goaway', forget).on('close', forget);
      sessions.set(origin, connected(session));
    }
    return sessions.get(origin);
  };
  return fetchBy(async (origin) => {
    const session = await sessionOf(origin);
    return (url, method, headers, answered) => {
      const stream = session.request({ ':method': method, ':path': url.pathname + url.search, ...headers });
      return stream.on('response', (fields) => answered(stream, fields[':status'], fields));
    };
  });
}

// ---------------------------------------------------------------- the table

// Where a runtime's own fetch can do it, that is what is tested.
function fetchOf(http2Wanted, tls) {
  if (globalThis.Deno) {
    const client = Deno.createHttpClient({ caCerts: [own.cert], http1: !http2Wanted, http2: http2Wanted });
    return (input, init) => globalFetch(input, { ...init, client });
  }
  if (http2Wanted) return fetchH2();
  if (!tls) return globalFetch;
  return process.versions.bun ? (input, init) => globalFetch(input, { ...init, tls: { ca: own.cert } }) : fetchH1Tls();
}

function transport(name, alpn, tls) {
  return {
    name,
    alpn,
    tls,
    version: alpn.startsWith('h2') ? 2 : 1,
    options: { ...PATIENT, backend: process.env.CAROM_BACKEND || 'epoll', ...(tls ? { cert: own.cert, key: own.key } : {}) }, // of the server: all that makes a difference
    origin: (port, host = '127.0.0.1') => `${tls ? 'https' : 'http'}://${host}:${port}`,
    fetch: fetchOf(alpn.startsWith('h2'), tls),
  };
}

// Bun's sessions of HTTP/2 take no socket of which bytes were read.
export const noPlainH2 = process.versions.bun && nativeOnly('HTTP/2', 'on Bun it is spoken over TLS only');

export const TRANSPORTS = [
  transport('HTTP/1.1', 'http/1.1', false),
  transport('HTTP/1.1 over TLS', 'http/1.1', true),
  transport('HTTP/2', 'h2c', false),
  transport('HTTP/2 over TLS', 'h2', true),
].filter(({ alpn }) => alpn !== 'h2c' || !noPlainH2);

// Ports that servers have had, one after the other. The clients keep their connections, by port, and one to a server that has just ended
// is no connection to the next server, should the kernel give that the same port: of 7,000 it does so now and then.
const known = new Set();

export async function serveOnAnotherPort(options, handler) {
  for (;;) {
    const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {}, ...options }, handler);
    const { port } = server.addr;
    if (!known.has(port)) {
      known.add(port);
      return server;
    }
    await server.shutdown({ deadline: 0 });
  }
}

// serving(options, handler, body) serves over that transport for as long as `body` runs; everything must end after it.
export function servingOver({ options: over, origin }) {
  return async (options, handler, body) => {
    const server = await serveOnAnotherPort({ ...over, ...options }, handler);
    try {
      return await body(origin(server.addr.port), server);
    } finally {
      await server.shutdown({ deadline: 0 });
    }
  };
}
