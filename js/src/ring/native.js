// Finds and loads the addon, carom.node: a prebuilt one that came with the package, or one that was built here.
'use strict';

const path = require('node:path');

const places = [
  path.join(__dirname, '..', '..', 'prebuilds', `${process.platform}-${process.arch}`, 'carom.napi.node'),
  path.join(__dirname, '..', '..', 'build', 'Release', 'carom.node'),
  path.join(__dirname, '..', '..', '..', 'build', 'carom.node'),
];
if (process.env.CAROM_NODE) places.unshift(process.env.CAROM_NODE);

function load() {
  const problems = [];
  for (const place of places) {
    try {
      return require(place);
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') problems.push(`${place}: ${error.message}`);
    }
  }
  const error = new Error(
    `carom has no binary for ${process.platform}-${process.arch}; run "npm rebuild carom", or ` +
      `"make build" in its repository${problems.map((line) => `\n  ${line}`).join('')}`,
  );
  error.code = 'CAROM_NO_BINARY';
  throw error;
}

module.exports = load();
