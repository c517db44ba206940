// The package `carom`: serve HTTP with the web-standard API.
'use strict';

const { serve } = require('./src/serve.js');
const { redirectToHttps } = require('./src/redirect.js');
const { Headers, Request, Response } = require('./src/fetch/index.js');

module.exports = { serve, redirectToHttps, Headers, Request, Response };
