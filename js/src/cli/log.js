// Access logs: one line for each request, when its response is out or its client has gone. Lines of one turn of the event loop are
// written at once.
'use strict';

const { whenOver } = require('../serve/info.js');

const COLOURS = { 2: 32, 3: 36, 4: 33, 5: 31 };

function milliseconds(since) {
  return Math.round((performance.now() - since) * 10) / 10;
}

// The path and query of a URL.
function targetOf(url) {
  return url.slice(url.indexOf('/', url.indexOf('//') + 2));
}

const isPromise = (value) => value !== null && typeof value === 'object' && typeof value.then === 'function';

class Log {
  constructor(form, output) {
    this.form = form;
    this.output = output;
    this.colours = Boolean(output.isTTY);
    this.lines = '';
    this.second = 0; // since 1970, and how its beginning is written
    this.written = '';
  }

  flush() {
    const { lines } = this;
    this.lines = '';
    if (lines !== '') this.output.write(lines);
  }

  add(line) {
    if (this.lines === '') setImmediate(() => this.flush());
    this.lines += `${line}\n`;
  }

  short({ method, target, status }, bytes, ms, outcome) {
    const colour = this.colours ? COLOURS[Math.trunc(status / 100)] : undefined;
    const shown = colour === undefined ? status : `\x1b[${colour}m${status}\x1b[0m`;
    this.add(`${shown} ${method} ${target} ${bytes} B ${ms} ms${outcome === 'complete' ? '' : ` (${outcome})`}`);
  }

  // The time as ISO 8601 has it: of a second only its milliseconds are written anew.
  time() {
    const now = Date.now();
    const second = Math.trunc(now / 1000);
    if (second !== this.second) {
      this.second = second;
      this.written = new Date(second * 1000).toISOString().slice(0, -4);
    }
    return `${this.written}${String(now % 1000).padStart(3, '0')}Z`;
  }

  // A handler that calls `fetch` and has a line written when the exchange has ended.
  of(fetch) {
    if (this.form === 'off') return fetch;
    const json = this.form === 'json';
    return (request, info) => {
      const since = performance.now();
      const entry = { method: request.method, target: targetOf(request.url), status: 500 };
      const first = json ? { time: this.time(), remote: info.remoteAddr.hostname } : null;
      whenOver(info, (outcome, bytes) => {
        const ms = milliseconds(since);
        if (json) this.add(JSON.stringify({ ...first, ...entry, bytes, ms, outcome }));
        else this.short(entry, bytes, ms, outcome);
      });
      const note = (response) => {
        if (response !== null && typeof response === 'object' && typeof response.status === 'number') entry.status = response.status;
        return response;
      };
      const response = fetch(request, info);
      return isPromise(response) ? response.then(note) : note(response);
    };
  }
}

module.exports = { Log };
