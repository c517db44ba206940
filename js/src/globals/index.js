// Puts our Headers, Request, Response and, on Node, ReadableStream in the place of the runtime's, and wraps those functions of the
// runtime that must look inside objects of its own classes. It is done once and never undone.
'use strict';

const { Headers } = require('../fetch/headers.js');
const { Request, partsOfRequest } = require('../fetch/request.js');
const { Response, nativeResponse, isOurResponse } = require('../fetch/response.js');
const { ReadableStream, NativeStream, isOurs: isOurStream } = require('../fetch/readable-stream.js');
const { place, standBefore } = require('./place.js');
const { letFetchTakeOurs } = require('./requests.js');
const bun = require('./bun.js');

const { isOurs } = partsOfRequest;

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

// Streams that Node makes itself are told their class when they are made, and may have a prototype of their own.
function nameStreams() {
  for (const prototype of new Set([NativeStream.prototype, Object.getPrototypeOf(new NativeStream().tee()[0])]))
    Object.defineProperty(prototype, 'constructor', {
      get: () => ReadableStream,
      set(value) {
        if (value !== NativeStream)
          Object.defineProperty(this, 'constructor', { value, writable: true, enumerable: true, configurable: true });
      },
      configurable: true,
    });
}

function install() {
  if (globalThis.Response === Response) return;
  refuseClones();
  letFetchTakeOurs();
  if (globalThis.Bun !== undefined) bun.takeResponses(globalThis.Bun);
  for (const Class of [Headers, Request, Response]) place(Class);
  if (!isOurStream) return;
  require('./transfers.js').letThemTransferOurs();
  place(ReadableStream);
  nameStreams();
}

module.exports = { install };
