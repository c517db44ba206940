// Access logs: one line for each request, when its response is out or its client has gone.
'use strict';

const COLOURS = { 2: 32, 3: 36, 4: 33, 5: 31 };

function milliseconds(since) {
  return Math.round((performance.now() - since) * 10) / 10;
}

function short(entry, colours) {
  const status = String(entry.status);
  const shown = colours && COLOURS[status[0]] ? `\x1b[${COLOURS[status[0]]}m${status}\x1b[0m` : status;
  const outcome = entry.outcome === 'complete' ? '' : ` (${entry.outcome})`;
  return `${shown} ${entry.method} ${entry.target} ${entry.bytes} B ${entry.ms} ms${outcome}`;
}

// A handler that calls `fetch`, and writes a line to `output` when the exchange has ended.
function logged(fetch, form, output) {
  if (form === 'off') return fetch;
  const colours = Boolean(output.isTTY);
  const finish = (entry, since, { bytesSent = 0 }, outcome) => {
    entry.bytes = bytesSent;
    entry.ms = milliseconds(since);
    entry.outcome = outcome;
    output.write(`${form === 'json' ? JSON.stringify(entry) : short(entry, colours)}\n`);
  };
  return async (request, info) => {
    const since = performance.now();
    const { pathname, search } = new URL(request.url);
    const entry = {
      time: new Date().toISOString(),
      remote: info.remoteAddr.hostname,
      method: request.method,
      target: pathname + search,
      status: 500,
    };
    info.completed.then(
      (done) => finish(entry, since, done, 'complete'),
      (error) => finish(entry, since, error, error.reason || 'failed'),
    );
    const response = await fetch(request, info);
    if (response !== null && typeof response === 'object' && typeof response.status === 'number') entry.status = response.status;
    return response;
  };
}

module.exports = { logged };
