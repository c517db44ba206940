// The program `carom`: reads its arguments and does what they ask for.
'use strict';

const { parseArguments, UsageError, HELP } = require('./arguments.js');
const { fail } = require('./fail.js');

// It loads the engine, so help and the version are there without one.
function loadServe() {
  try {
    return require('./serve.js').serveApp;
  } catch (error) {
    if (!String(error.code).startsWith('CAROM_')) throw error;
    fail(error.message, 1);
  }
}

async function main(words) {
  let asked;
  try {
    asked = parseArguments(words);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    fail(`${error.message} (carom --help)`, 2);
  }
  if (asked.action === 'help') process.stdout.write(HELP);
  else if (asked.action === 'version') process.stdout.write(`${require('../../package.json').version}\n`);
  else await loadServe()(asked.app, asked.options);
}

module.exports = { main };
