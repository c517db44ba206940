// Lets the runtime's fetch and Request take a Request of ours, as input and as init. Node from 24 on cannot look inside one, Bun sees a
// part of it, and none of them knows that the fields of the connection on which it came are not to go further: fetch of Node
// refuses some of them. So they are given what a Request has instead of it.
'use strict';

const { Request, partsOfRequest } = require('../fetch/request.js');
const { place, standBefore } = require('./place.js');

const { isOurs } = partsOfRequest;

let fetchTakes = false; // they are there already
let requestTakes = false;

// The arguments for the runtime's fetch or Request in the place of those that were given: the URL, and what a Request has as `init`,
// without the fields of the connection by which it came.
function forRuntime(args) {
  let [input, init] = args;
  if (isOurs(init)) init = partsOfRequest(init, {});
  if (!isOurs(input)) return [input, init, ...args.slice(2)];
  return [input.url, partsOfRequest(input, init === undefined || init === null ? {} : init), ...args.slice(2)];
}

const hasOurs = ([input, init]) => isOurs(input) || isOurs(init);

function letFetchTakeOurs() {
  if (fetchTakes) return;
  fetchTakes = true;
  standBefore(globalThis, 'fetch', (native, self, args) => {
    if (!hasOurs(args)) return Reflect.apply(native, self, args);
    try {
      return Reflect.apply(native, self, forRuntime(args));
    } catch (error) {
      return Promise.reject(error);
    }
  });
}

// For a server, whose handler is given requests of ours, though the classes of the runtime are in their place.
function letRuntimeTakeOurs() {
  const { Request: theirs } = globalThis;
  if (requestTakes || theirs === undefined || theirs === Request) return;
  requestTakes = true;
  letFetchTakeOurs();
  place(
    new Proxy(theirs, {
      construct: (native, args, target) => Reflect.construct(native, hasOurs(args) ? forRuntime(args) : args, target),
    }),
  );
}

module.exports = { letFetchTakeOurs, letRuntimeTakeOurs };
