// Reads HTTP/1.1 request heads and trailer sections, as strictly as src/wire/h1_request.c and h1_framing.c do: what is ambiguous is
// refused, and the answer does not depend on how the bytes were cut up.
'use strict';

const { TOKEN, VALUE } = require('./plan.js');

const MAX_METHOD = 32;
const LINE_REST = 11; // bytes: blanks, version and CR beside method and target
const MAX_EMPTY = 4; // bytes of empty lines before the request line
const LF = 10;
const CR = 13;
const VERSION = /^HTTP\/(\d)\.(\d)$/;
const TARGET = /^[!"$-~]+$/; // no fragment
const LENGTH = /^\d{1,18}$/;
const HOST = /^(?:[-._~%!$&'()*+,;=0-9A-Za-z]*|\[[-._~%!$&'()*+,;=0-9A-Za-z:]+\])(?::(\d{0,5}))?$/;
const ABSOLUTE = /^http(s?):\/\/([^/?]+)/i;
const CODING = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?=$|[; \t])/;
const BLANKS_BEFORE = /^[ \t]+/;
const OF_FRAMING = new Set(['host', 'trailer', 'upgrade', 'connection', 'content-length', 'transfer-encoding']);

class Refused extends Error {
  constructor(status) {
    super(`refused: ${status}`);
    this.status = status;
  }
}

function refuse(status) {
  throw new Refused(status);
}

// Without blanks around it. (trim() takes more than blanks for such.)
function stripped(text) {
  let end = text.length;
  while (end > 0 && (text[end - 1] === ' ' || text[end - 1] === '\t')) end--;
  return text.slice(0, end).replace(BLANKS_BEFORE, '');
}

function membersOf(value) {
  return value
    .split(',')
    .map(stripped)
    .filter((member) => member !== '');
}

function isAuthority(text, portNeeded) {
  const match = HOST.exec(text);
  if (match === null) return false;
  const port = match[1];
  if (port === undefined) return !portNeeded;
  return !text.startsWith(':') && Number(port) <= 65535 && (!portNeeded || Number(port) > 0);
}

class HeadReader {
  // `limits`: { maxTarget, maxHeaderSection, maxFields }; `anyExpectation`: one that is not 100-continue is let through.
  constructor(limits, { anyExpectation = false, hostOptional = false, isTrailers = false } = {}) {
    this.limits = limits;
    this.anyExpectation = anyExpectation;
    this.hostOptional = hostOptional;
    this.isTrailers = isTrailers;
    this.line = 0; // where the line begins that is not complete
    this.section = isTrailers ? 0 : -1; // and the first field line
    this.fields = [];
    this.start = null; // { method, target, version, ... }
  }

  // The head, or the trailers, once they are complete, with `size`, the bytes they took; null: more bytes are wanted. Throws Refused.
  read(data) {
    for (;;) {
      const text = this.nextLine(data);
      if (text === null) return null;
      if (this.section < 0) {
        if (text === '' && this.line <= MAX_EMPTY) continue;
        if (text === '') refuse(400);
        this.start = this.requestLine(text);
        this.section = this.line;
      } else if (text === '') return { ...(this.isTrailers ? {} : this.framed()), fields: this.fields, size: this.line };
      else this.fieldLine(text);
    }
  }

  nextLine(data) {
    const feed = data.indexOf(LF, this.line);
    const end = feed < 0 ? data.length : feed;
    const { maxTarget, maxHeaderSection } = this.limits;
    if (this.section >= 0 ? end - this.section > maxHeaderSection + 1 : end - this.line > maxTarget + MAX_METHOD + LINE_REST)
      this.refuseLong(data.latin1Slice(this.line, end));
    if (feed < 0) return null;
    if (feed === this.line || data[feed - 1] !== CR) refuse(400);
    const text = data.latin1Slice(this.line, feed - 1);
    this.line = feed + 1;
    return text;
  }

  refuseLong(text) {
    if (this.section >= 0) refuse(431);
    const method = text.slice(0, text.indexOf(' ') < 0 ? text.length : text.indexOf(' '));
    if (method.length > MAX_METHOD && TOKEN.test(method.slice(0, MAX_METHOD + 1))) refuse(501);
    refuse(TOKEN.test(method) ? 414 : 400);
  }

  requestLine(text) {
    const first = text.indexOf(' ');
    const last = text.length - 9;
    const method = text.slice(0, Math.max(first, 0));
    if (!TOKEN.test(method)) refuse(400);
    if (method.length > MAX_METHOD) refuse(501);
    if (last <= first + 1 || text[last] !== ' ') refuse(400);
    const target = text.slice(first + 1, last);
    if (target.length > this.limits.maxTarget) refuse(414);
    const version = VERSION.exec(text.slice(last + 1));
    if (version === null) refuse(400);
    if (version[1] !== '1') refuse(505);
    const start = {
      method,
      target,
      version: version[2] === '0' ? 10 : 11,
      isHead: method === 'HEAD',
      isConnect: method === 'CONNECT',
      asksHttps: false,
    };
    if (!TARGET.test(target) || !this.targetForm(start)) refuse(400);
    return start;
  }

  targetForm(start) {
    const { method, target } = start;
    if (start.isConnect) return isAuthority(target, true);
    if (target[0] === '/') return true;
    if (target[0] === '*') return target === '*' && method === 'OPTIONS';
    const match = ABSOLUTE.exec(target);
    if (match === null) return false;
    start.asksHttps = match[1] !== '';
    return isAuthority(match[2], false);
  }

  fieldLine(text) {
    const colon = text.indexOf(':');
    const name = text.slice(0, Math.max(colon, 0));
    if (!TOKEN.test(name)) refuse(400);
    const value = stripped(text.slice(colon + 1));
    if (!VALUE.test(value)) refuse(400);
    if (this.fields.length >= 2 * this.limits.maxFields) refuse(431);
    if (this.isTrailers && OF_FRAMING.has(name.toLowerCase())) refuse(400);
    this.fields.push(name, value);
  }

  // ---------------------------------------------------------------- framing (RFC 9112, 6.3, without any of its lenient readings)

  framed() {
    const seen = { host: null, length: null, codings: null, options: new Set(), expects: false, upgrade: null };
    for (let i = 0; i < this.fields.length; i += 2) this.note(seen, this.fields[i].toLowerCase(), this.fields[i + 1]);
    const { version, isConnect } = this.start;
    if (seen.host === null && version !== 10 && !this.hostOptional) refuse(400);
    const contentLength = this.contentLength(seen);
    if (isConnect && contentLength !== 0) refuse(400);
    const wantsUpgrade = seen.upgrade !== null && seen.options.has('upgrade') && version !== 10;
    return {
      ...this.start,
      contentLength,
      keepAlive: !seen.options.has('close') && (version !== 10 || seen.options.has('keep-alive')),
      expectsContinue: seen.expects && version !== 10 && contentLength !== 0,
      wantsUpgrade,
      protocol: wantsUpgrade ? seen.upgrade : null,
      refusal: 0,
      refusalReason: 'none',
    };
  }

  note(seen, name, value) {
    switch (name) {
      case 'host':
        if (seen.host !== null || !isAuthority(value, false)) refuse(400);
        seen.host = value;
        break;
      case 'content-length':
        if (seen.length !== null || !LENGTH.test(value)) refuse(400);
        seen.length = Number(value);
        break;
      case 'transfer-encoding':
        seen.codings = [...(seen.codings || []), ...membersOf(value)];
        break;
      case 'connection':
        for (const member of membersOf(value)) seen.options.add(member.toLowerCase());
        break;
      case 'upgrade':
        if (value !== '' && seen.upgrade === null) seen.upgrade = value;
        break;
      case 'expect':
        for (const member of membersOf(value))
          if (member.toLowerCase() === '100-continue') seen.expects = true;
          else if (!this.anyExpectation) refuse(417);
        break;
    }
  }

  contentLength({ length, codings }) {
    if (codings === null) return length === null ? 0 : length;
    const chunked = codings.findIndex((coding) => coding.toLowerCase() === 'chunked');
    const bad = chunked !== codings.length - 1 || codings.some((coding) => !CODING.test(coding));
    if (this.start.version === 10 || length !== null || chunked < 0 || bad) refuse(400);
    if (codings.length > 1) refuse(501);
    return -1;
  }
}

module.exports = { HeadReader, Refused, TARGET, isAuthority };
