// The three classes of the Fetch standard, and the streams that bodies are.
'use strict';

module.exports = {
  Headers: require('./headers.js').Headers,
  Request: require('./request.js').Request,
  Response: require('./response.js').Response,
  ReadableStream: require('./readable-stream.js').ReadableStream,
};
