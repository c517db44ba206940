// The three classes of the Fetch standard.
'use strict';

const runtime = require('./runtime.js');

runtime.takeOurs();
runtime.noteText();

module.exports = {
  Headers: require('./headers.js').Headers,
  Request: require('./request.js').Request,
  Response: require('./response.js').Response,
};
