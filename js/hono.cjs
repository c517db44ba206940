// What hono.mjs imports: by this ending every runtime knows CommonJS, also Deno beside a program that has no package.json.
'use strict';

module.exports = require('./hono.js');
