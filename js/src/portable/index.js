// The portable engine: the functions that the addon has (bindings/node/addon.c), over the runtime's net, tls and http2, for machines
// that have no binary. docs/internals/engine.md has the table of them. It is for development: docs/js/portable.md has what it costs.
'use strict';

const { CLOSE_IDLE, CLOSE_RESET } = require('../memory/layout.js');
const { REASONS, errorName, errorText } = require('./names.js');
const { readFields } = require('./bytes.js');
const { selfSigned } = require('./self-signed.js');
const { Server } = require('./server.js');
const { Sockets } = require('./sockets.js');
const { takeSaid } = require('./tls.js');

function create(settings, _workers, _inline, capacity, bytes, memories, drain, finished) {
  return new Server(settings, memories, capacity, bytes, drain, finished);
}

function route(server, path, status, bytes, body) {
  let fields = readFields(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length, 4);
  let phrase = '';
  if (fields[0] === '') {
    phrase = fields[1];
    fields = fields.slice(2);
  }
  if (!server.routes.has(path)) server.routes.set(path, { response: { status, phrase, fields }, body: Buffer.from(body) });
  return 0;
}

function tls(server, ring, index) {
  const record = server.sides[ring].slots[index]?.record;
  return record?.core.secure ? record.core.tls() : null;
}

function closeConnection(server, ring, number, how) {
  for (const connection of server.connectionsOf(number)) {
    if (number === 0 && connection.side !== server.sides[ring]) continue;
    connection.guard(() => {
      if (how !== CLOSE_IDLE) connection.closeNow(how === CLOSE_RESET);
      else if (connection.isIdle) connection.end(false);
    });
  }
}

function keepAlive(server, _ring, number, seconds) {
  for (const { socket } of server.connectionsOf(number)) socket.setKeepAlive?.(seconds > 0, seconds * 1000);
}

function traffic(server, _ring, number) {
  const [connection] = server.connectionsOf(number);
  return connection === undefined ? [0, 0] : [connection.received, connection.sent];
}

function addSockets(server, ring, memory, most, newsSize, messagesSize) {
  server.sides[ring].sockets = new Sockets(server.sides[ring], memory, most, newsSize, messagesSize);
  return 0;
}

module.exports = {
  isPortable: true,
  create,
  listen: (server, address, options) => server.listen(address, options),
  start: (server) => server.start(),
  discard: (server) => server.discard(),
  address: (server) => server.address(),
  backend: () => 'portable',
  route,
  addBlock: (server, ring, number, block) => server.sides[ring].addBlock(number, block),
  wake: (server) => server.turnSoon(),
  lend: (server, ring, loan, bytes) => server.sides[ring].lend(loan, bytes),
  lendRoom: (server, ring, loan, bytes) => server.sides[ring].lend(loan, bytes),
  addSockets,
  addSocketSettings: (server, ring, settings) => server.sides[ring].sockets.addSettings(settings),
  replaceTls: (server, options) => server.replaceTls(options),
  tls,
  said: takeSaid,
  selfSigned,
  connection: (server, ring) => server.sides[ring].news.shift(),
  forgetConnection(server, _ring, number) {
    server.numbers[number] = undefined;
  },
  closeConnection,
  keepAlive,
  traffic,
  shutdown: (server, milliseconds) => server.shutdown(milliseconds),
  adjust: (server, settings) => server.adjust(settings),
  reference: (server, on) => server.reference(on),
  stats: (server) => server.stats(),
  errorName,
  errorText,
  reasons: () => REASONS,
  version: () => require('../../package.json').version,
};
