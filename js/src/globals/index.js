// Puts our Headers, Request and Response in the place of the runtime's, and wraps those functions of the runtime that must look
// inside objects of its own classes. It is done once and never undone.
'use strict';

const { Headers } = require('../fetch/headers.js');
const { Request, partsOfRequest } = require('../fetch/request.js');
const { Response, nativeResponse, isOurResponse } = require('../fetch/response.js');
const { place, standBefore } = require('./place.js');
const bun = require('./bun.js');

const { isOurs } = partsOfRequest;

// The arguments for the runtime's fetch in the place of those that were given. It is given the URL and what a Request has as `init`:
// on Node 24 and Bun it cannot look inside ours, and nowhere may it be given fields of the connection by which a request came.
function forFetch(args) {
  let [input, init] = args;
  if (isOurs(init)) init = partsOfRequest(init, {});
  if (!isOurs(input)) return [input, init, ...args.slice(2)];
  return [input.url, partsOfRequest(input, init === undefined || init === null ? {} : init), ...args.slice(2)];
}

function takeRequests() {
  standBefore(globalThis, 'fetch', (native, self, args) => {
    if (!isOurs(args[0]) && !isOurs(args[1])) return Reflect.apply(native, self, args);
    try {
      return Reflect.apply(native, self, forFetch(args));
    } catch (error) {
      return Promise.reject(error);
    }
  });
}

// Where the runtime does not clone an object of its own, it must not clone one of ours into a bare object.
function refuseClones() {
  const clones = (object) => {
    try {
      structuredClone(object);
      return true;
    } catch {
      return false;
    }
  };
  if (clones(nativeResponse(new Response()))) return;
  standBefore(globalThis, 'structuredClone', (native, self, args) => {
    const [value] = args;
    if (isOurResponse(value) || isOurs(value) || (value instanceof Headers && Object.getPrototypeOf(value) === Headers.prototype))
      throw new DOMException(`${value} could not be cloned.`, 'DataCloneError');
    return Reflect.apply(native, self, args);
  });
}

function install() {
  if (globalThis.Response === Response) return;
  refuseClones();
  takeRequests();
  if (globalThis.Bun !== undefined) bun.takeResponses(globalThis.Bun);
  for (const Class of [Headers, Request, Response]) place(Class);
}

module.exports = { install };
