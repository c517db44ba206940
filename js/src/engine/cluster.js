// Workers of node:cluster. Node's own servers get their sockets from the primary process; the engine opens one in each worker, and
// the kernel spreads the connections over them (SO_REUSEPORT).
'use strict';

function clusterWorker() {
  if (typeof process.send !== 'function') return null; // nor is there a primary
  const cluster = require('node:cluster');
  return cluster.isWorker ? cluster.worker : null;
}

// Tells the primary, which emits 'listening', and calls `close` when the worker is to disconnect.
function joinCluster(addr, finished, close) {
  const worker = clusterWorker();
  if (worker === null) return;
  const { hostname, port, path } = addr;
  const addressType = path !== undefined ? -1 : hostname.includes(':') ? 6 : 4;
  const message = { cmd: 'NODE_CLUSTER', act: 'listening', addressType, address: path ?? hostname, port: port ?? -1 };
  if (process.connected) process.send(message, () => {}); // the primary may have gone
  worker.once('disconnect', close);
  finished.then(() => worker.removeListener('disconnect', close));
}

module.exports = { clusterWorker, joinCluster };
