// The settings of ../engine/options.js with their defaults, as include/carom.h has them. `false`: off.
'use strict';

const KIB = 1024;
const DEFAULTS = {
  backlog: 4096,
  maxTarget: 8 * KIB,
  maxHeaderSection: 16 * KIB,
  maxFields: 100,
  maxContent: KIB * KIB * KIB,
  maxConnections: 16384,
  maxInFlight: 16384,
  maxConnectionRequests: Infinity,
  maxPipeline: 32,
  drainContent: 256 * KIB,
  maxResponseHead: 64 * KIB,
  headerTimeout: 10_000,
  firstByteTimeout: 15_000,
  keepAlive: 75_000,
  keepAliveGrace: 1000,
  contentRate: 240,
  contentWindow: 5000,
  writeTimeout: 30_000,
  handlerTimeout: false,
  lingerTimeout: 2000,
  handshakeTimeout: 10_000,
  h2MaxStreams: 128,
  h2StreamWindow: 64 * KIB,
};
const ENDLESS = ['maxContent', 'maxConnections', 'maxInFlight', 'maxConnectionRequests', 'maxPipeline', 'drainContent', 'maxResponseHead'];

function settingsOf(given) {
  const settings = {};
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    const value = given[name];
    settings[name] = value < 0 ? (ENDLESS.includes(name) ? Infinity : false) : value || usual;
  }
  for (const name of ['halfClose', 'hostOptional', 'reusePort']) settings[name] = given[name] === 1;
  settings.http2 = given.noHttp2 !== 1;
  settings.h2ConnectProtocol = given.h2ConnectProtocol === 1;
  const { keepAlive, maxConnectionRequests: most } = settings;
  const max = most === Infinity ? '' : `, max=${most}`;
  settings.keepAliveLine = keepAlive === false ? '' : `Keep-Alive: timeout=${Math.floor(keepAlive / 1000)}${max}`;
  return settings;
}

module.exports = { settingsOf };
