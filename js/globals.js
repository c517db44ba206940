// Puts our Headers, Request, Response and ReadableStream in the place of the runtime's, for programs that ask for it.
'use strict';

require('./src/globals/index.js').install();
