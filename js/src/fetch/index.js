// The three classes of the Fetch standard.
'use strict';

module.exports = {
  Headers: require('./headers.js').Headers,
  Request: require('./request.js').Request,
  Response: require('./response.js').Response,
};
