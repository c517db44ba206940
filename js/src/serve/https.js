// For servers that speak https: a redirect from the plain port, and the field that tells clients to use https from now on.
'use strict';

const { Response } = require('../fetch/response.js');

// Clients shall ask this host by https only, for a year (RFC 6797).
const STRICT_TRANSPORT_SECURITY = 'max-age=31536000';

// A redirect to the same URI with https and `port` (RFC 9110, 15.4.9), at the host that the client has named.
function redirectToHttps(request, port = 443) {
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new RangeError(`port must be an integer from 1 to 65535, not ${String(port)}`);
  if (request.headers.get('host') === null) return new Response(null, { status: 400 }); // HTTP/1.0 may have none
  const { hostname, pathname, search } = new URL(request.url);
  const location = `https://${hostname}${port === 443 ? '' : `:${port}`}${pathname}${search}`;
  return new Response(null, { status: 308, headers: { location } });
}

module.exports = { redirectToHttps, STRICT_TRANSPORT_SECURITY };
