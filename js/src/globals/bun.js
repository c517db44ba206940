// Bun's own code is native and cannot look inside an object of ours. So its functions are wrapped: a Response of ours that is given
// to them is first made into one of Bun's.
'use strict';

const { nativeResponse, isOurResponse } = require('../fetch/response.js');
const { partsOfRequest, nativeRequest } = require('../fetch/request.js');
const { standBefore } = require('./place.js');

function forBun(value) {
  if (isOurResponse(value)) return nativeResponse(value);
  return partsOfRequest.isOurs(value) ? nativeRequest(value) : value;
}

const isPromise = (value) => value !== null && typeof value === 'object' && typeof value.then === 'function';

// What a handler returns.
function answered(value) {
  if (isOurResponse(value)) return nativeResponse(value);
  return isPromise(value) ? value.then(forBun) : value;
}

const handler = (given) =>
  function handle(...args) {
    return answered(Reflect.apply(given, this, args));
  };

// A route is a Response, a handler, or those by method.
function route(given) {
  if (typeof given === 'function') return handler(given);
  if (given === null || typeof given !== 'object' || Object.getPrototypeOf(given) !== Object.prototype) return forBun(given);
  return Object.fromEntries(Object.entries(given).map(([method, value]) => [method, route(value)]));
}

function routes(given) {
  return Object.fromEntries(Object.entries(given).map(([path, value]) => [path, route(value)]));
}

// The options of Bun.serve with handlers that give Bun what it takes; the rest is read where it was.
function options(given) {
  if (given === null || typeof given !== 'object') return given;
  const taken = Object.create(given);
  const define = (name, value) => Object.defineProperty(taken, name, { value, enumerable: true, configurable: true });
  for (const name of ['fetch', 'error']) if (typeof given[name] === 'function') define(name, handler(given[name]));
  for (const name of ['routes', 'static']) if (given[name] !== null && typeof given[name] === 'object') define(name, routes(given[name]));
  return taken;
}

function takeResponses(bun) {
  const first = (native, self, [value, ...rest]) => Reflect.apply(native, self, [forBun(value), ...rest]);
  const awaited = (native, self, [value, ...rest]) =>
    Reflect.apply(native, self, [isPromise(value) ? value.then(forBun) : forBun(value), ...rest]);
  standBefore(bun, 'serve', (native, self, [given, ...rest]) => {
    const server = Reflect.apply(native, self, [options(given), ...rest]);
    const reload = server.reload;
    server.reload = (next) => Reflect.apply(reload, server, [options(next)]);
    const inner = server.fetch;
    server.fetch = (request) => Reflect.apply(inner, server, [forBun(request)]);
    return server;
  });
  standBefore(bun, 'write', (native, self, [to, what, ...rest]) => Reflect.apply(native, self, [to, forBun(what), ...rest]));
  standBefore(Object.getPrototypeOf(bun.file('/')), 'write', first);
  standBefore(globalThis.HTMLRewriter.prototype, 'transform', first);
  for (const name of ['compileStreaming', 'instantiateStreaming']) standBefore(WebAssembly, name, awaited);
}

module.exports = { takeResponses };
