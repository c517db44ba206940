// Copies of a received Request, by the runtime's classes and by ours, and fetch of it: with our classes in their place, and without.
import assert from 'node:assert/strict';
import http from 'node:http';
import { test, describe, before, after } from 'node:test';

import { Request as Ours } from './support.mjs';
import { serve } from '../../index.mjs';

const told = async (request) => `${request.method} ${request.headers.get('x-a')} ${await request.text()}`;

// What a handler may do with its request: by path.
const WAYS = {
  '/copy': (request) => told(new Request(request)),
  '/init': (request) => told(new Request(request, { headers: { 'x-a': '2' } })),
  '/url': (request) => told(new Request('http://other.test/', request)),
  '/subclass': (request) => told(new (class extends Request {})(request)),
  '/ours': (request) => told(new Ours(request)),
  '/ours-url': (request) => told(new Ours('http://other.test/', request)),
  '/fetch': (request) => passOn(fetch(new URL('/passed', request.url), request)),
  '/fetch-it': (request) =>
    request.headers.has('x-passed') ? WAYS['/passed'](request) : passOn(fetch(request, { headers: { 'x-a': '1', 'x-passed': '1' } })),
  '/fetch-copy': (request) => passOn(fetch(new Request(new URL('/passed', request.url), request))),
  '/fetch-ours': (request) => passOn(fetch(new Ours(new URL('/passed', request.url), request))),
  '/told': told,
  '/passed': (request) => (request.headers.has('x-hop') ? 'a field of the connection came along' : told(request)),
};
const passOn = async (response) => (await response).text();

// `inPlace`: our classes are in the place of the runtime's.
export const describeCopies = ({ inPlace }) =>
  describe('a received request, copied', () => {
    let server;
    before(() => {
      server = serve(
        { port: 0, hostname: '127.0.0.1', onListen() {}, onError: (error) => new Response(String(error), { status: 500 }) },
        async (request) => new Response(await WAYS[new URL(request.url).pathname](request)),
      );
    });
    after(() => server.shutdown({ deadline: 0 }));

    test('fetch rejects, it does not throw', async () => {
      const request = new Request('http://a/', { method: 'POST', body: 'x' });
      await request.text();
      await assert.rejects(fetch(request), TypeError);
    });

    const ask = (path, method, pieces, chunked) =>
      new Promise((resolve, reject) => {
        const headers = { 'x-a': '1', 'x-hop': 'h', connection: 'keep-alive, x-hop' };
        if (chunked) headers['transfer-encoding'] = 'chunked';
        else if (pieces.length > 0) headers['content-length'] = pieces.join('').length;
        const request = http.request(
          { port: server.addr.port, host: '127.0.0.1', agent: false, path, method, headers },
          async (response) => {
            let all = '';
            for await (const piece of response) all += piece;
            resolve(all);
          },
        );
        request.on('error', reject);
        for (const piece of pieces) request.write(piece);
        request.end();
      });

    const long = 'x'.repeat(20000);
    for (const path of Object.keys(WAYS).filter((way) => way !== '/passed'))
      test(path, async () => {
        const a = path === '/init' ? '2' : '1';
        assert.equal(await ask(path, 'GET', []), `GET ${a} `);
        assert.equal(await ask(path, 'DELETE', []), `DELETE ${a} `);
        assert.equal(await ask(path, 'POST', ['abc']), `POST ${a} abc`);
        assert.equal(await ask(path, 'POST', ['ab', 'c'], true), `POST ${a} abc`);
        assert.equal(await ask(path, 'PUT', [long]), `PUT ${a} ${long}`);
        // The runtime's fetch and Request have no content with GET, or refuse it; ours keep it, if they got it.
        if (!inPlace) return;
        const kept = !path.startsWith('/fetch');
        assert.equal(await ask(path, 'GET', ['abc']), `GET ${a} ${kept ? 'abc' : ''}`);
      });
  });
