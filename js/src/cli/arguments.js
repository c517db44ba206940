// Reads the arguments of the command line.
'use strict';

const HELP = `carom serve APP.mjs [options]

APP.mjs is a module whose default export is a function of a Request, or an object { fetch }; it
returns a Response, or a promise of one.

  --port N         port (the app's, or 8080; 0: any that is free)
  --hostname H     address to listen on (all)
  --path SOCKET    a Unix socket instead
  --workers N      threads of the engine (1)
  --io WAY         inline: the engine runs in Node's own loop; thread: on threads of its own
  --backend B      epoll or uring, where the kernel allows io_uring (epoll)
  --cert F --key F TLS with a certificate and its key (PEM); SIGHUP loads them again
  --tls-dev        TLS with a certificate for localhost, made for this run, to try things
  --tls-watch      load the certificate again when its files change
  --no-http2       speak HTTP/1.1 only
  --watch          load the app anew when its files change (its imports too, on Node)
  --log FORM       a line for each request: short, json or off (off; with --watch: short)
  --no-globals     leave the runtime's Request, Response and Headers in their place, which cost more
  --deadline S     seconds that requests have to end after SIGTERM (10)

carom --help (or -h), carom --version
`;

// Each option, and what its value must be; null: it takes no value.
const OPTIONS = {
  port: 'a number from 0 to 65535',
  hostname: 'an address',
  path: 'a file name',
  workers: 'a number from 1 to 256',
  io: 'inline or thread',
  backend: 'epoll or uring',
  watch: null,
  log: 'short, json or off',
  cert: 'a file name',
  key: 'a file name',
  'tls-dev': null,
  'tls-watch': null,
  'no-http2': null,
  'no-globals': null,
  deadline: 'a number of seconds',
  help: null,
  version: null,
};
const CHECKS = {
  port: (text) => /^\d{1,5}$/.test(text) && Number(text) <= 65535,
  workers: (text) => /^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= 256,
  io: (text) => text === 'inline' || text === 'thread',
  backend: (text) => text === 'epoll' || text === 'uring',
  log: (text) => ['short', 'json', 'off'].includes(text),
  deadline: (text) => /^\d+(\.\d+)?$/.test(text),
};

class UsageError extends Error {}

function parse(words) {
  const options = { deadline: '10' };
  const plain = [];
  for (let i = 0; i < words.length; i++) {
    if (words[i] === '-h') words[i] = '--help';
    const match = /^--([a-z][a-z0-9-]*)(?:=(.*))?$/.exec(words[i]);
    if (match === null && words[i].startsWith('-') && words[i] !== '-') throw new UsageError(`there is no option ${words[i]}`);
    if (match === null) {
      plain.push(words[i]);
      continue;
    }
    const [, name, given] = match;
    if (!Object.hasOwn(OPTIONS, name)) throw new UsageError(`there is no option --${name}`);
    if (OPTIONS[name] === null) {
      if (given !== undefined) throw new UsageError(`--${name} takes no value`);
      options[name] = true;
      continue;
    }
    const value = given !== undefined ? given : words[++i];
    if (value === undefined || (CHECKS[name] !== undefined && !CHECKS[name](value)))
      throw new UsageError(`--${name} needs ${OPTIONS[name]}${value === undefined ? '' : `, not ${value}`}`);
    options[name] = value;
  }
  return { options, plain };
}

function checkTls(options) {
  if (options['tls-dev'] && (options.cert || options.key))
    throw new UsageError('--tls-dev makes a certificate of its own: without --cert and --key');
  if (options.key && !options.cert) throw new UsageError('--key needs --cert too');
  if (options['tls-watch'] && !options.cert) throw new UsageError('--tls-watch needs --cert and --key: there are no files to watch');
}

// { action: 'help' | 'version' } or { action: 'serve', app, options }
function parseArguments(words) {
  const { options, plain } = parse(words);
  if (options.help) return { action: 'help' };
  if (options.version) return { action: 'version' };
  const [command, app, ...rest] = plain;
  if (command !== 'serve')
    throw new UsageError(
      command === undefined ? 'what is to be done? carom serve APP.mjs' : `there is no command ${command}; carom serve APP.mjs`,
    );
  if (app === undefined) throw new UsageError('which app? carom serve APP.mjs');
  if (rest.length > 0) throw new UsageError(`one app only, not also ${rest[0]}`);
  checkTls(options);
  return { action: 'serve', app, options };
}

module.exports = { parseArguments, UsageError, HELP };
