// The handler of a plain port beside one of TLS.
'use strict';

const { Response } = require('./fetch/index.js');

// Every request is sent to the same URL with https: and this port.
function redirectToHttps(port = 443) {
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new RangeError('redirectToHttps: the port must be a number from 1 to 65535');
  const suffix = port === 443 ? '' : `:${port}`;
  return (request) => {
    const { hostname, pathname, search } = new URL(request.url);
    return Response.redirect(`https://${hostname}${suffix}${pathname}${search}`, 308);
  };
}

module.exports = { redirectToHttps };
