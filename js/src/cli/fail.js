// The command line ends with a message in one line.
'use strict';

function fail(message, code) {
  process.stderr.write(`carom: ${message}\n`);
  process.exit(code);
}

module.exports = { fail };
