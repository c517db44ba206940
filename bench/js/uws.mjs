// uWebSockets.js, as one writes for it.
import { createRequire } from 'node:module';

const uws = createRequire(new URL('../../js/package.json', import.meta.url))('uwebsockets');
const page = new Uint8Array(65536).fill(120);
const large = new Uint8Array(1024 * 1024).fill(120);
const json = (response, value) => response.writeHeader('content-type', 'application/json').end(JSON.stringify(value));

const later = (response, milliseconds) => {
  let gone = false;
  response.onAborted(() => {
    gone = true;
  });
  setTimeout(() => {
    if (!gone) response.cork(() => response.writeHeader('content-type', 'text/plain').end('Hello, World!'));
  }, milliseconds);
};
const events = (response) => {
  response.writeHeader('content-type', 'text/event-stream');
  for (let n = 0; n < 10; n++) response.write(`data: ${n}\n\n`);
  response.end();
};
const { CERT, KEY } = process.env;

(CERT ? uws.SSLApp({ cert_file_name: CERT, key_file_name: KEY }) : uws.App())
  .get('/hello', (response) => {
    response.writeHeader('content-type', 'text/plain').end('Hello, World!');
  })
  .get('/json', (response) => {
    json(response, { message: 'Hello, World!', number: 42, list: [1, 2, 3] });
  })
  .post('/echo', (response) => {
    let all = Buffer.alloc(0);
    response.onAborted(() => {});
    response.onData((chunk, last) => {
      all = Buffer.concat([all, Buffer.from(chunk)]);
      if (last) response.cork(() => json(response, JSON.parse(all.toString())));
    });
  })
  .get('/read', (response, request) => {
    response
      .writeHeader('content-type', 'text/plain')
      .end(
        `${request.getHeader('host')} ${request.getHeader('user-agent')} ${request.getHeader('accept')} http://${request.getHeader('host')}${request.getUrl()}`,
      );
  })
  .get('/await', async (response) => {
    response.onAborted(() => {});
    await null;
    response.cork(() => response.writeHeader('content-type', 'text/plain').end('Hello, World!'));
  })
  .get('/later', (response) => later(response, 1))
  .get('/slow', (response) => later(response, 10))
  .get('/64k', (response) => {
    response.end(page);
  })
  .get('/1m', (response) => {
    response.onAborted(() => {}).end(large);
  })
  .post('/count', (response) => {
    let bytes = 0;
    response
      .onAborted(() => {})
      .onData((piece, last) => {
        bytes += piece.byteLength;
        if (last) response.cork(() => response.end(`${bytes}`));
      });
  })
  .post('/whole', (response) => {
    const pieces = [];
    response
      .onAborted(() => {})
      .onData((piece, last) => {
        pieces.push(Buffer.from(new Uint8Array(piece)));
        if (last) response.cork(() => response.end(`${Buffer.concat(pieces).length}`));
      });
  })
  .get('/sse', events)
  .get('/sse-strings', events)
  .get('/sse-generator', events)
  .listen('127.0.0.1', Number(process.argv[2]), () => {});
