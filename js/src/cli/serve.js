// `carom serve APP.mjs`: loads an app, serves it, logs its requests, reloads it when its files change, and drains at the end.
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const { loadApp, describe, AppError } = require('./app.js');
const { fail } = require('./fail.js');
const { Log } = require('./log.js');
const { Watch } = require('./watch.js');

const CURES = {
  CAROM_EADDRINUSE: 'the port is in use: choose another with --port',
  CAROM_EACCES: 'that is not allowed: ports below 1024 need a privilege, choose another with --port',
  CAROM_EADDRNOTAVAIL: 'this host has no such address: see --hostname',
  CAROM_EADDRESS: 'this is no address: give an IP address or localhost with --hostname',
};
const CURES_OF_PATHS = {
  CAROM_EADDRINUSE: 'another server has it, or it is another file: choose another with --path',
  CAROM_EACCES: 'its folder may not be written: choose another with --path',
  CAROM_ENOENT: 'its folder does not exist: choose another with --path',
  CAROM_EADDRESS: 'a path may have 107 bytes: choose another with --path',
};

const OF_THE_APP = ['tls', 'cert', 'key', 'certFile', 'keyFile', 'passphrase', 'ocspFile', 'serverName'];
const LOOK = 1000; // ms between two looks at the files of a certificate

// Options of TLS on the command line replace those of the app.
function takeTls(options, given) {
  if (given['no-http2']) options.http2 = false;
  if (!given['tls-dev'] && given.cert === undefined) return;
  for (const name of OF_THE_APP) delete options[name];
  if (given['tls-dev']) options.tls = 'dev';
  else {
    options.certFile = given.cert;
    if (given.key !== undefined) options.keyFile = given.key;
  }
}

function optionsOf(given, fromApp) {
  const options = { ...fromApp, onListen: fromApp.onListen || null };
  takeTls(options, given);
  if (given.path !== undefined) options.path = given.path;
  else if (given.port !== undefined) {
    options.port = Number(given.port);
    delete options.path;
  } else if (options.port === undefined) options.port = 8080;
  if (given.hostname !== undefined) options.hostname = given.hostname;
  if (given.workers !== undefined) options.workers = Number(given.workers);
  if (given.io !== undefined) options.io = given.io;
  if (given.backend !== undefined) options.backend = given.backend;
  options.onError = (error) => {
    process.stderr.write(`${describe(error)}\n`);
    if (typeof fromApp.onError === 'function') return fromApp.onError(error);
    return new Response('Internal Server Error\n', { status: 500, headers: { 'content-type': 'text/plain' } });
  };
  return options;
}

function drainOnSignals(server, deadline, log) {
  let stopping = false;
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, async () => {
      if (stopping) process.exit(128 + os.constants.signals[signal]);
      stopping = true;
      process.stderr.write('carom: answering what is in flight; once more to stop at once\n');
      await server.shutdown({ deadline });
      log.flush();
      const { requests = 0, responses = 0 } = server.stats();
      process.stderr.write(`carom: ${requests} requests, ${responses} responses\n`);
      process.exit(0);
    });
  }
}

// When the files cannot be loaded, the server keeps its certificates and says so.
function reloadTls(server) {
  try {
    server.reloadTls();
    process.stderr.write('carom: the certificate is loaded again\n');
  } catch (error) {
    process.stderr.write(`carom: the old certificate goes on: ${error.message}\n`);
  }
}

// The files are polled and not watched: a certificate is often a link to a link, and renewal changes the links.
function reloadOnChange(server, given) {
  process.on('SIGHUP', () => reloadTls(server));
  if (!given['tls-watch']) return;
  for (const file of new Set([given.cert, given.key].filter((name) => name !== undefined)))
    fs.watchFile(file, { interval: LOOK, persistent: false }, () => reloadTls(server));
}

async function startApp(app, given) {
  const { serve } = require('../serve/serve.js');
  if (!given['no-globals']) require('../globals/index.js').install();
  const watch = given.watch ? new Watch(app) : null;
  const loaded = await loadApp(app);
  const options = optionsOf(given, loaded.options);
  const log = new Log(given.log || (given.watch ? 'short' : 'off'), process.stdout);
  let server;
  try {
    server = serve(options, log.of(loaded.fetch));
  } catch (error) {
    if (error.code === undefined) fail(error.message, 2); // an option that cannot be
    if (error instanceof TypeError) fail(error.message, 1); // a certificate that cannot be used
    const cure = (options.path === undefined ? CURES : CURES_OF_PATHS)[error.code];
    if (cure !== undefined) fail(`cannot listen on ${options.path || options.hostname || `port ${options.port}`}: ${cure}`, 1);
    throw error;
  }
  const { addr } = server;
  process.stdout.write(
    addr.transport === 'unix'
      ? `carom: listening on ${addr.path}\n`
      : `carom: ${server.origin().split(':', 1)[0]}://${given.hostname === undefined ? 'localhost' : addr.hostname.includes(':') ? `[${addr.hostname}]` : addr.hostname}:${addr.port}/ (Ctrl-C stops)\n`,
  );
  drainOnSignals(server, Number(given.deadline) * 1000, log);
  if (server.secure) reloadOnChange(server, given);
  if (watch === null) return;
  watch.start(async () => {
    try {
      const { fetch, options: anew } = await loadApp(app);
      server.reload({ fetch: log.of(fetch), websocket: anew.websocket });
      process.stderr.write('carom: loaded anew\n');
    } catch (error) {
      process.stderr.write(`carom: the old version goes on, the new one is broken\n${describe(error)}\n`);
    }
  });
}

async function serveApp(app, given) {
  try {
    await startApp(app, given);
  } catch (error) {
    if (error instanceof AppError) fail(error.message, 1);
    fail(
      error && error.code && String(error.code).startsWith('CAROM_') ? error.message : `the app cannot be loaded\n${describe(error)}`,
      1,
    );
  }
}

module.exports = { serveApp };
