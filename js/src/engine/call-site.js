// Finds the line of the user's program that made a server, for messages.
'use strict';

const path = require('node:path');

// An option: where the server was made, when that is not where it begins to listen.
const MADE_AT = Symbol('made at');

const OURS = path.join(__dirname, '..');
const FRAME = /(?:^|[\s(])((?:file:\/\/)?\/[^\s()][^()]*?:\d+)(?::\d+)?\)?$/;
const FRAMES = 30; // of ours and of a framework's there may be a few

// "/path/app.mjs:12", or '' when no frame tells.
function callSite() {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = FRAMES;
  const { stack = '' } = new Error();
  Error.stackTraceLimit = stackTraceLimit;
  for (const line of String(stack).split('\n').slice(1)) {
    const found = FRAME.exec(line);
    if (found === null || found[1].includes(OURS)) continue;
    return found[1].replace(/^file:\/\//, '');
  }
  return '';
}

module.exports = { callSite, MADE_AT };
