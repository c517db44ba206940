// The package `carom`: serve HTTP with the web-standard API.
'use strict';

const { serve } = require('./src/serve/serve.js');
const { Headers, Request, Response } = require('./src/fetch/index.js');
const { redirectToHttps, STRICT_TRANSPORT_SECURITY } = require('./src/serve/https.js');

module.exports = { serve, redirectToHttps, STRICT_TRANSPORT_SECURITY, Headers, Request, Response };
