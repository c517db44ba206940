// Headers (Fetch, 5.1). Names are kept in lower case, in one flat list: [name, value, ...].
'use strict';

const { isProxy } = require('node:util').types;

const { addMembersOfBun } = require('./headers-of-bun.js');
const { standIn } = require('./stand-in.js');

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// Names that were seen and their lower-case form. Programs use few names, so most are found here.
const names = new Map();
const NAMES = 500;

function lowerName(name) {
  name = `${name}`;
  const known = names.get(name);
  if (known !== undefined) return known;
  if (!TOKEN.test(name)) throw new TypeError(`Headers: ${JSON.stringify(name)} is not a field name`);
  const lower = name.toLowerCase();
  if (names.size < NAMES) names.set(name, lower);
  return lower;
}

// A name that the engine has read and checked. It is not put into the cache, which clients could fill.
function receivedName(name) {
  const known = names.get(name);
  return known !== undefined ? known : name.toLowerCase();
}

function isOuter(code) {
  return code === 32 || code === 9 || code === 10 || code === 13;
}

// The value without white space at both ends. A loop, because a regular expression would take quadratic time here.
function stripped(value) {
  let start = 0;
  let end = value.length;
  while (start < end && isOuter(value.charCodeAt(start))) start++;
  while (end > start && isOuter(value.charCodeAt(end - 1))) end--;
  return value.slice(start, end);
}

// Nearly all values are ASCII of this kind: nothing must be stripped or refused.
function isPlain(value) {
  const last = value.length - 1;
  if (last < 0) return true;
  if (last > 256 || value.charCodeAt(0) === 32 || value.charCodeAt(last) === 32) return false;
  for (let i = 0; i <= last; i++) {
    const code = value.charCodeAt(i);
    if (code < 32 || code > 126) return false;
  }
  return true;
}

function fieldValue(value) {
  value = `${value}`;
  if (isPlain(value)) return value;
  value = stripped(value);
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code === 0 || code === 10 || code === 13 || code > 255)
      throw new TypeError(`Headers: ${JSON.stringify(value)} is not a field value`);
  }
  return value;
}

function combined(list, name) {
  let found = null;
  const between = name === 'cookie' ? '; ' : ', ';
  for (let i = 0; i < list.length; i += 2) if (list[i] === name) found = found === null ? list[i + 1] : found + between + list[i + 1];
  return found;
}

// Sorted by name, values of one name joined, but for set-cookie (Fetch, "sort and combine").
function sorted(list) {
  const byName = new Map();
  for (let i = 0; i < list.length; i += 2) {
    const values = byName.get(list[i]);
    if (values === undefined) byName.set(list[i], [list[i + 1]]);
    else values.push(list[i + 1]);
  }
  const entries = [];
  for (const name of [...byName.keys()].sort()) {
    const values = byName.get(name);
    if (name !== 'set-cookie') entries.push([name, values.join(name === 'cookie' ? '; ' : ', ')]);
    else for (const value of values) entries.push([name, value]);
  }
  return entries;
}

// "Fill" (Fetch, 5.1) of an empty list.
function listOf(init) {
  if (init === null || (typeof init !== 'object' && typeof init !== 'function'))
    throw new TypeError('Headers: init must be an object or a sequence of pairs');
  const iterate = init[Symbol.iterator];
  if (iterate === undefined || iterate === null) return listOfRecord(init);
  if (typeof iterate !== 'function') throw new TypeError('Headers: init is not iterable');
  const list = [];
  for (const pair of init) {
    const values = pair !== null && typeof pair === 'object' && typeof pair[Symbol.iterator] === 'function' ? [...pair] : [];
    if (values.length !== 2) throw new TypeError('Headers: each of the sequence must be a pair');
    list.push(lowerName(values[0]), fieldValue(values[1]));
  }
  return list;
}

function listOfRecord(init) {
  const list = [];
  if (!isProxy(init) && Object.getPrototypeOf(init) === Object.prototype) {
    // what for-in finds is its own
    for (const key in init) list.push(lowerName(key), fieldValue(init[key]));
    return list;
  }
  for (const key of Reflect.ownKeys(init)) {
    const property = Reflect.getOwnPropertyDescriptor(init, key);
    if (property === undefined || !property.enumerable) continue;
    if (typeof key === 'symbol') throw new TypeError('Headers: a name cannot be a Symbol');
    list.push(lowerName(key), fieldValue(init[key]));
  }
  return list;
}

// What may be set in a request without CORS (Fetch, "no-CORS-safelisted request-header").
const SAFE_TYPES = ['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain'];
const SAFE_VALUES = {
  accept: (value) => !/[\x00-\x08\x0a-\x1f"():<>?@[\\\]{}\x7f]/.test(value),
  'accept-language': (value) => /^[0-9A-Za-z *,\-.;=]*$/.test(value),
  'content-language': (value) => /^[0-9A-Za-z *,\-.;=]*$/.test(value),
  'content-type': (value) => SAFE_VALUES.accept(value) && SAFE_TYPES.includes(value.split(';')[0].trim().toLowerCase()),
};

function isSafe(name, value) {
  return Object.hasOwn(SAFE_VALUES, name) && value.length <= 128 && SAFE_VALUES[name](value);
}

// The iterators of all Headers have this prototype (WebIDL, 3.7.10.2).
class HeadersIterator {
  #next;

  constructor(next) {
    this.#next = next;
  }

  next() {
    return this.#next();
  }
}

Object.setPrototypeOf(HeadersIterator.prototype, Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())));
delete HeadersIterator.prototype.constructor;
Object.defineProperty(HeadersIterator.prototype, 'next', { enumerable: true });
Object.defineProperty(HeadersIterator.prototype, Symbol.toStringTag, { value: 'Headers Iterator', configurable: true });

// Whether iterating gives its fields: programs may give an object an iterator of its own.
function iteratesFields(headers) {
  return headers[Symbol.iterator] === Headers.prototype[Symbol.iterator];
}

class Headers {
  #list = null; // null: not decoded from the exchange yet
  #exchange = null;
  #guard;
  #sorted = null; // until something changes

  constructor(init = undefined) {
    this.#guard = 'none';
    this.#list = init === undefined ? [] : #list in Object(init) && iteratesFields(init) ? [...init.#fields()] : listOf(init);
  }

  static #make(list, exchange, guard) {
    const headers = new Headers();
    headers.#list = list;
    headers.#exchange = exchange;
    headers.#guard = guard;
    return headers;
  }

  static {
    Headers.internals = {
      ofExchange: (exchange) => Headers.#make(null, exchange, 'immutable'),
      withGuard: (list, guard) => Headers.#make(list, null, guard),
      list: (headers) => headers.#fields(),
      setGuard: (headers, guard) => {
        headers.#guard = guard;
      },
      // A copy of another Headers under the same guard needs no checks.
      copy: (headers) => Headers.#make([...headers.#fields()], null, headers.#guard),
      listOf: (init) => (init !== null && typeof init === 'object' && #list in init ? [...init.#fields()] : listOf(init)),
    };
  }

  #fields() {
    if (this.#list === null) {
      const raw = this.#exchange.rawFields();
      for (let i = 0; i < raw.length; i += 2) raw[i] = receivedName(raw[i]);
      this.#list = raw;
    }
    return this.#list;
  }

  #append(name, value) {
    this.#mutable();
    if (this.#guard === 'request-no-cors') {
      const before = combined(this.#list, name);
      if (!isSafe(name, before === null ? value : `${before}, ${value}`)) return;
    }
    this.#list.push(name, value);
  }

  #mutable() {
    if (this.#guard === 'immutable') throw new TypeError('Headers: these cannot be changed');
    this.#sorted = null;
  }

  append(name, value) {
    needArguments('append', arguments.length, 2);
    this.#append(lowerName(name), fieldValue(value));
  }

  delete(name) {
    needArguments('delete', arguments.length, 1);
    name = lowerName(name);
    this.#mutable();
    const list = this.#list;
    for (let i = list.length - 2; i >= 0; i -= 2) if (list[i] === name) list.splice(i, 2);
  }

  get(name) {
    needArguments('get', arguments.length, 1);
    name = lowerName(name);
    return this.#list === null ? this.#exchange.field(name) : combined(this.#list, name);
  }

  getSetCookie() {
    const list = this.#fields();
    return list.filter((_, i) => i % 2 === 1 && list[i - 1] === 'set-cookie');
  }

  has(name) {
    needArguments('has', arguments.length, 1);
    name = lowerName(name);
    if (this.#list === null) return this.#exchange.field(name) !== null;
    for (let i = 0; i < this.#list.length; i += 2) if (this.#list[i] === name) return true;
    return false;
  }

  set(name, value) {
    needArguments('set', arguments.length, 2);
    name = lowerName(name);
    value = fieldValue(value);
    this.#mutable();
    if (this.#guard === 'request-no-cors' && !isSafe(name, value)) return;
    const list = this.#list;
    let first = -1;
    for (let i = list.length - 2; i >= 0; i -= 2) {
      if (list[i] !== name) continue;
      if (first >= 0) list.splice(first, 2);
      first = i;
    }
    if (first < 0) list.push(name, value);
    else list[first + 1] = value;
  }

  forEach(callback, thisArgument = undefined) {
    needArguments('forEach', arguments.length, 1);
    if (typeof callback !== 'function') throw new TypeError('Headers.forEach: the callback is not a function');
    for (const [name, value] of this) callback.call(thisArgument, value, name, this);
  }

  #entries() {
    if (this.#sorted === null) this.#sorted = sorted(this.#fields());
    return this.#sorted;
  }

  // An iteration goes by position, and sees what is changed meanwhile (WebIDL, 3.7.10).
  #iterator(pick) {
    let index = 0;
    void this.#guard; // of ours only
    return new HeadersIterator(() => {
      const entries = this.#entries();
      if (index >= entries.length) return { value: undefined, done: true };
      return { value: pick(entries[index++]), done: false };
    });
  }

  keys() {
    return this.#iterator((entry) => entry[0]);
  }
  values() {
    return this.#iterator((entry) => entry[1]);
  }
  entries() {
    return this.#iterator((entry) => [entry[0], entry[1]]);
  }

  [Symbol.for('nodejs.util.inspect.custom')](depth, options, inspect) {
    if (this.#list === null && this.#exchange.released) return '[Headers]';
    const shown = Object.fromEntries(sorted(this.#fields()));
    const cookies = this.getSetCookie();
    if (cookies.length > 1) shown['set-cookie'] = cookies;
    return `Headers ${inspect(shown, options)}`;
  }
}

function needArguments(method, given, wanted) {
  if (given < wanted) throw new TypeError(`Headers.${method}: ${wanted} arguments are needed, ${given} given`);
}

Object.defineProperty(Headers.prototype, Symbol.iterator, {
  value: Headers.prototype.entries,
  writable: true,
  configurable: true,
});
for (const name of ['append', 'delete', 'get', 'getSetCookie', 'has', 'set', 'forEach', 'keys', 'values', 'entries'])
  Object.defineProperty(Headers.prototype, name, { enumerable: true });

Object.defineProperty(Headers.prototype, Symbol.toStringTag, { value: 'Headers', configurable: true });
if (globalThis.Bun !== undefined) addMembersOfBun(Headers.prototype);

const { internals } = Headers;
delete Headers.internals;
const NativeHeaders = globalThis.Headers;
standIn(Headers, NativeHeaders, NativeHeaders && new NativeHeaders(), (headers) => new NativeHeaders([...headers]));

module.exports = { Headers, internals };
