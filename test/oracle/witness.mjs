// Two servers that tell what they saw, as test/tool/witness.c does:
//
//     node witness.mjs HTTP-SOCKET RAW-SOCKET
//
// node:http with nothing but its strict defaults, and a recorder of raw bytes, which stands behind
// nginx: it takes one request from a connection and does no more than cut it at its lines.
import http from 'node:http';
import net from 'node:net';

const encode = (text) => text.replace(/[^A-Za-z0-9._/-]/g, (c) => `%${c.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`);

const pairs = (mark, raw) => {
  let text = '';
  for (let i = 0; i < raw.length; i += 2) text += ` ${mark}${encode(raw[i])}=${encode(raw[i + 1])}`;
  return text;
};

const saw = (method, target, content, fields, trailers) =>
  `${encode(method)} ${encode(target)} =${encode(content)}${pairs(':', fields)}${pairs('+', trailers)}`;

// ---------------------------------------------------------------- node:http

const server = http.createServer({ maxHeaderSize: 8192 }, (request, response) => {
  let content = '';
  request.setEncoding('latin1');
  request.on('data', (piece) => (content += piece));
  request.on('end', () => {
    response.setHeader('Saw', saw(request.method, request.url, content, request.rawHeaders, request.rawTrailers));
    response.setHeader('Content-Length', 5);
    response.end('seen\n');
  });
});
server.httpAllowHalfOpen = true; // answer a client that has sent FIN
server.maxHeadersCount = 0;

// The answers to what came before must go first: their requests end some ticks later, and before the
// client's FIN is looked at.
const end = (socket, text, ticks = 20) => (ticks === 0 ? socket.end(text) : process.nextTick(end, socket, text, ticks - 1));

// What follows CONNECT is not HTTP: the connection ends there.
server.on('connect', (request, socket) => {
  const text = saw(request.method, request.url, '', request.rawHeaders, []);
  socket.on('error', () => {});
  end(socket, `HTTP/1.1 405 No\r\nSaw: ${text}\r\nContent-Length: 5\r\nConnection: close\r\n\r\nseen\n`);
});

// Node takes what follows a head with Upgrade for the new protocol, its content too, and without this
// listener it would read nothing of it and never answer.
server.on('upgrade', (request, socket) => {
  socket.on('error', () => {});
  end(socket, 'HTTP/1.1 101 Other\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n');
});

const refused = new WeakSet();
server.on('clientError', (error, socket) => {
  if (refused.has(socket)) return;
  refused.add(socket);
  const waits = error.code === 'HPE_INVALID_EOF_STATE'; // the bytes end within a request
  end(socket, waits ? '' : `HTTP/1.1 400 No\r\nWhy: ${error.code}\r\nContent-Length: 0\r\n\r\n`);
});

// ---------------------------------------------------------------- raw bytes

const recorder = net.createServer((socket) => {
  let bytes = '';
  socket.setEncoding('latin1');
  socket.on('error', () => {});
  socket.on('data', (piece) => {
    bytes += piece;
    const end = bytes.indexOf('\r\n\r\n');
    if (end < 0) return;
    const lines = bytes.slice(0, end).split('\r\n');
    const fields = lines.slice(1).flatMap((line) => {
      const colon = line.indexOf(': ');
      return [line.slice(0, colon), line.slice(colon + 2)];
    });
    const at = fields.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === 'content-length');
    const content = bytes.slice(end + 4);
    if (at >= 0 && content.length < Number(fields[at + 1])) return;
    const [, method, target] = /^(\S*) (.*) HTTP\/1\.0$/.exec(lines[0]);
    const text = saw(method, target, content, fields, []);
    socket.end(`HTTP/1.0 200 OK\r\nSaw: ${text}\r\nContent-Length: 5\r\n\r\nseen\n`);
  });
});

server.listen(process.argv[2], () => recorder.listen(process.argv[3], () => console.log('ready')));
