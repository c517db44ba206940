// What stands before the runtime's own classes. Makes Request and fetch of the runtime take a Request of ours. They look into their own objects where nobody else can, so they
// are given the URL and what a Request has as `init`. Both stay what they are in all else: the stand-ins pass on what they are asked.
'use strict';

const { Request, partsOfRequest } = require('./request.js');
const { Response, ofText } = require('./response.js');

const { isOurs } = partsOfRequest;

// The arguments for the runtime's Request and fetch in the place of those that were given.
function translated(args) {
  let [input, init] = args;
  if (isOurs(init)) init = partsOfRequest(init, {});
  if (!isOurs(input)) return init === args[1] ? args : [input, init];
  return [input.url, partsOfRequest(input, init === undefined || init === null ? {} : init)];
}

const asks = (input, init) => isOurs(input) || isOurs(init);

function replace(name, handler) {
  const native = globalThis[name];
  if (typeof native !== 'function') return;
  const { enumerable } = Object.getOwnPropertyDescriptor(globalThis, name);
  const value = new Proxy(native, handler);
  Object.defineProperty(globalThis, name, { value, enumerable, writable: true, configurable: true });
  if (native.prototype !== undefined) Object.defineProperty(native.prototype, 'constructor', { value });
}

function takeOurs() {
  replace('Request', {
    construct: (native, args, target) => Reflect.construct(native, asks(args[0], args[1]) ? translated(args) : args, target),
  });
  replace('fetch', {
    apply(native, self, args) {
      if (!asks(args[0], args[1])) return Reflect.apply(native, self, args);
      try {
        return Reflect.apply(native, self, translated(args));
      } catch (error) {
        return Promise.reject(error);
      }
    },
  });
  Object.setPrototypeOf(Request, globalThis.Request); // as a class that extends what programs see
}

// A Response of a string has a type (Fetch, 5.2). Bun adds it only when it sends the response itself, so it is noted for us.
function noteText() {
  if (new globalThis.Response('').headers.has('content-type')) return;
  replace('Response', {
    construct(native, args, target) {
      const response = Reflect.construct(native, args, target);
      if (typeof args[0] === 'string' || ofText.has(args[1])) ofText.add(response); // `init` may be one
      return response;
    },
  });
  Object.setPrototypeOf(Response, globalThis.Response);
}

module.exports = { takeOurs, noteText };
