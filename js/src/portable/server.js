// A server of the portable engine: its listener, its connections, and the turns in which the program and they hear of one another.
'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const tls = require('node:tls');
const { setTimeout, clearTimeout } = require('node:timers');

const { Connection } = require('./connection.js');
const { E, REASONS, errorOf } = require('./names.js');
const { Side } = require('./side.js');
const { settingsOf } = require('./settings.js');
const { guarded } = require('./timers.js');
const { tlsOptions, tlsError } = require('./tls.js');

const MOST_TIME = 0x7fffffff; // milliseconds that a timer of the runtime can count

class Server {
  constructor(settings, memories, capacity, bytes, drain, finished) {
    this.given = settings;
    this.settings = settingsOf(settings);
    this.observed = settings.watch === true;
    this.sides = memories.map((memory, index) => new Side(this, index, memory, capacity, bytes));
    this.next = 0; // side for a connection
    this.drainProgram = drain;
    this.finished = finished;
    this.listener = null;
    this.path = null; // of a Unix socket that is ours to remove
    this.routes = new Map();
    this.connections = new Set();
    this.numbers = [null]; // connections by number, for an observer
    this.touched = []; // connections that may have something to send
    this.ends = []; // and those whose client has sent FIN
    this.records = 0; // in flight
    this.running = this.draining = this.over = false;
    this.isReferenced = true;
    this.turnIsDue = this.inTurn = false;
    this.counts = {
      connectionsAccepted: 0,
      connectionsRefused: 0,
      requests: 0,
      responses: 0,
      bytesReceived: 0,
      bytesSent: 0,
      recordsPeak: 0,
      timeouts: 0,
      cancellations: 0,
      tlsHandshakes: 0,
      tlsResumed: 0,
      tlsFailed: 0,
      h2Connections: 0,
      requestsRefused: 0,
      calls: 0,
      webSocketsOpen: 0,
      webSocketsAccepted: 0,
      webSocketsRefused: 0,
      webSocketMessagesReceived: 0,
      webSocketMessagesSent: 0,
      webSocketBytesReceived: 0,
      webSocketBytesSent: 0,
      webSocketBytesSaved: 0,
    };
    this.endedCounts = Object.fromEntries(REASONS.slice(1).map((reason) => [reason, 0]));
    this.closedCounts = Object.fromEntries([...Array.from({ length: 15 }, (_, i) => 1000 + i), 'other'].map((code) => [code, 0]));
  }

  // Other settings, from now on, for those that are given.
  adjust(settings) {
    this.given = { ...this.given, ...settings };
    this.settings = settingsOf(this.given);
    return 0;
  }

  // ---------------------------------------------------------------- listening

  // 0 or a negative error. The runtime has the port when this returns.
  listen(address, options) {
    try {
      this.listener = options === undefined ? net.createServer({ allowHalfOpen: true }) : this.secureListener(options);
    } catch (error) {
      return -tlsError(error);
    }
    const { listener } = this;
    let failed = null;
    listener.on('error', (error) => {
      failed = error;
    });
    try {
      open(listener, address, this.settings, this);
    } catch (error) {
      failed = error;
    }
    if (failed !== null) return -errorOf(failed);
    if (!listener.listening) return -E.EADDRINUSE; // the runtime says so later
    listener.on(options === undefined ? 'connection' : 'secureConnection', (socket) => {
      if (!guarded(() => this.accept(socket))) socket.destroy();
    });
    listener.on('tlsClientError', () => {
      this.counts.tlsFailed++;
    });
    return 0;
  }

  secureListener(given) {
    const { options, pick } = tlsOptions(given, this.settings);
    this.pick = pick;
    options.SNICallback = (name, callback) => {
      let context;
      guarded(() => {
        context = this.pick(name);
      });
      callback(context === undefined ? new Error('no such name') : null, context);
    };
    return tls.createServer(options);
  }

  address() {
    const address = this.listener?.address();
    if (!address) return [0, 0, ''];
    if (typeof address === 'string') return [3, 0, address];
    if (this.path !== null) return [3, 0, this.path];
    return [address.address.includes(':') ? 2 : 1, address.port, address.address];
  }

  replaceTls(options) {
    try {
      const { options: others, pick } = tlsOptions(options, this.settings);
      this.listener.setSecureContext(others);
      this.pick = pick;
    } catch (error) {
      return -tlsError(error);
    }
    return 0;
  }

  start() {
    this.running = true;
    this.turnSoon();
    return 0;
  }

  discard() {
    this.listener?.close();
    this.removePath();
    this.over = true;
  }

  removePath() {
    if (this.path !== null && !this.path.startsWith('\0')) fs.rmSync(this.path, { force: true });
    this.path = null;
  }

  reference(on) {
    this.isReferenced = on;
    for (const one of [this.listener, ...[...this.connections].map(({ socket }) => socket)]) (on ? one.ref : one.unref)?.call(one);
  }

  // ---------------------------------------------------------------- connections

  accept(socket) {
    if (this.over || this.draining) {
      socket.destroy();
      return;
    }
    if (this.connections.size >= this.settings.maxConnections) {
      this.counts.connectionsRefused++;
      socket.end('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n', () =>
        socket.destroy(),
      );
      socket.on('error', () => {});
      return;
    }
    this.counts.connectionsAccepted++;
    if (!this.isReferenced) socket.unref?.();
    const connection = new Connection(this, socket);
    this.connections.add(connection);
    if (connection.secure) {
      this.counts.tlsHandshakes++;
      if (socket.isSessionReused?.()) this.counts.tlsResumed++;
    }
    if (!this.observed) return;
    let number = this.numbers.indexOf(undefined);
    if (number < 0) number = this.numbers.length;
    this.numbers[number] = connection;
    connection.number = number;
    connection.side.opened(connection);
  }

  nextSide() {
    const side = this.sides[this.next];
    this.next = (this.next + 1) % this.sides.length;
    return side;
  }

  connectionClosed(connection, reason) {
    this.connections.delete(connection);
    if (this.observed) connection.side.closed(connection, reason);
    this.turnSoon();
  }

  connectionsOf(number) {
    if (number === 0) return [...this.connections];
    const connection = this.numbers[number];
    return connection ? [connection] : [];
  }

  // ---------------------------------------------------------------- requests

  began(record) {
    this.counts.requests += record.head.refusal === 0 ? 1 : 0;
    this.counts.recordsPeak = Math.max(this.counts.recordsPeak, ++this.records);
  }

  ended(record) {
    this.records--;
    this.endedCounts[record.reason]++;
  }

  // 0, or the status with which the request is refused.
  admit({ core, head }, secure) {
    if (head.asksHttps && !secure) return 421;
    if (head.contentLength > this.settings.maxContent) return 413;
    if (this.records <= this.settings.maxInFlight) return 0;
    core.side.countRefused();
    return 503;
  }

  dispatch(record) {
    const { method, target } = record.head;
    const route = method === 'GET' || method === 'HEAD' ? this.routes.get(target.split('?', 1)[0]) : undefined;
    if (route !== undefined) {
      record.held = true;
      record.respond(route.response, route.body);
      record.release();
      return;
    }
    const { handlerTimeout } = this.settings;
    if (handlerTimeout !== false)
      record.timer = record.core.later(handlerTimeout, () => {
        this.counts.timeouts++;
        record.refuse(503, 'handler-timeout');
      });
    record.core.side.handle(record);
  }

  // ---------------------------------------------------------------- turns

  turnSoon() {
    if (this.turnIsDue || this.inTurn || this.over) return;
    this.turnIsDue = true;
    setImmediate(() => this.turn());
  }

  turn() {
    this.turnIsDue = false;
    if (this.over || !this.running) return;
    this.inTurn = true;
    this.takeCommands();
    this.flush();
    if (this.sides.filter((side) => side.wakesProgram).length > 0) this.callProgram();
    this.takeCommands();
    for (const connection of this.ends.splice(0)) connection.guard(() => connection.peerDone());
    this.flush();
    this.inTurn = false;
    const more = this.touched.length > 0 || this.sides.some((side) => side.isAwake);
    for (const side of this.sides) side.sleep();
    if (more) this.turnSoon();
    else if (this.draining) this.finishIfDone();
  }

  takeCommands() {
    for (const side of this.sides) guarded(() => side.takeCommands());
  }

  callProgram() {
    this.counts.calls++;
    try {
      this.drainProgram();
    } catch (error) {
      setImmediate(raise, error); // uncaught, as it must be; but the turn goes on
    }
  }

  flush() {
    const touched = this.touched;
    this.touched = [];
    for (const connection of touched) {
      connection.touched = false;
      connection.guard(() => (connection.protocol === null ? connection.pump() : connection.protocol.flush()));
    }
  }

  // ---------------------------------------------------------------- the end

  // `milliseconds`; -1: as long as it takes.
  shutdown(milliseconds) {
    if (this.over) return;
    if (!this.draining) {
      this.draining = true;
      this.listener.close();
      this.removePath();
      for (const side of this.sides) side.sockets?.drain(milliseconds);
      for (const connection of [...this.connections])
        connection.guard(() => {
          if (connection.protocol === null) connection.end(false);
          else connection.protocol.drain();
        });
    }
    clearTimeout(this.deadline);
    if (milliseconds >= 0) this.deadline = setTimeout(() => this.giveUp(), Math.min(milliseconds, MOST_TIME));
    this.turnSoon();
  }

  giveUp() {
    for (const connection of [...this.connections])
      connection.guard(() => {
        connection.protocol?.lost('shutdown');
        connection.abort('shutdown', true);
      });
    this.turnSoon();
  }

  finishIfDone() {
    if (this.connections.size > 0 || this.over) return;
    clearTimeout(this.deadline);
    this.over = true;
    this.finished();
  }

  stats() {
    return {
      ...this.counts,
      connectionsOpen: this.connections.size,
      recordsInFlight: this.records,
      recordsPooled: 0,
      recordsRecycled: 0,
      recordsAllocated: 0,
      memory: 0,
      allocations: 0,
      h2Calmed: 0,
      webSocketsClosed: { ...this.closedCounts },
      ended: { ...this.endedCounts },
    };
  }
}

function raise(error) {
  throw error;
}

// Listens at once, as the runtime can: node and Deno only on a handle that is there already, Bun in any case.
function open(listener, address, { backlog, reusePort }, server) {
  if (address.startsWith('fd:')) {
    listener.listen({ fd: Number(address.slice(3)), backlog });
    return;
  }
  if (address.startsWith('unix:')) {
    openUnix(listener, address.slice(5), backlog, server);
    return;
  }
  const colon = address.lastIndexOf(':');
  const port = Number(address.slice(colon + 1));
  const host = address.slice(0, colon);
  const name = host === '*' ? '::' : host.startsWith('[') ? host.slice(1, -1) : host;
  if (!net.isIP(name)) throw Object.assign(new Error('no address'), { code: 'ENOTFOUND' });
  const flags = address.startsWith('[::]') ? 1 : 0; // UV_TCP_IPV6ONLY
  if (typeof net._createServerHandle !== 'function') {
    listener.listen({ port, host: name, backlog, ipv6Only: flags === 1, reusePort });
    return;
  }
  const handle = net._createServerHandle(name, port, net.isIP(name), -1, flags);
  if (typeof handle === 'number') throw Object.assign(new Error('cannot listen'), { code: codeOf(handle) });
  listener.listen(handle, backlog);
}

function codeOf(number) {
  try {
    return require('node:util').getSystemErrorName(number);
  } catch {
    return 'ESYSTEM';
  }
}

// A file that nobody listens on any more is replaced.
function openUnix(listener, text, backlog, server) {
  const [, file, mode] = /^(.*?)(?:\?mode=0([0-7]+))?$/s.exec(text);
  const place = file.startsWith('@') ? `\0${file.slice(1)}` : file;
  if (!place.startsWith('\0') && fs.statSync(place, { throwIfNoEntry: false })?.isSocket() && !isServed(place)) fs.rmSync(place);
  if (place.length > 107) throw Object.assign(new Error('too long'), { code: 'ENAMETOOLONG' });
  listener.listen({ path: place, backlog });
  if (listener.listening) server.path = place;
  if (mode !== undefined) fs.chmodSync(place, Number.parseInt(mode, 8));
}

// Whether a server is at the socket. Only connecting tells, whatever its name is, and that the runtime does not do at once: so a process
// does it, for a file that is there already. Who may run none takes the file for one of a server that lives.
function isServed(place) {
  const program = `require('node:net').connect(process.argv.at(-1)).on('connect', () => process.exit(0)).on('error', (error) => process.exit(error.code === 'ECONNREFUSED' ? 9 : 1));`;
  const flags = process.versions.deno ? ['eval', '--ext=cjs'] : ['-e'];
  try {
    return (
      spawnSync(process.execPath, [...flags, program, place], { stdio: 'ignore', env: { ...process.env, NODE_OPTIONS: '' } }).status !== 9
    );
  } catch {
    return true;
  }
}

module.exports = { Server };
