// Ends a connection, or a stream of HTTP/2, behind what was written on it. A socket of node hands that to the kernel at once; here the
// engine takes a message at a time, and waits with the next one while the client takes nothing.
'use strict';

// Milliseconds: how long a client may take nothing before it gets no more, in all, and how often is looked.
const PATIENCE = 1000;
const EACH = 10;

// `end` is called when the engine has been given all, or the client does not take it.
function closeBehind(exchanges, end, patience = PATIENCE) {
  for (const exchange of exchanges) exchange.flush();
  const left = exchanges.filter(({ isSending }) => isSending);
  if (left.length === 0 || patience <= 0) end();
  else if (!left.every(({ waitsForClient }) => waitsForClient)) setImmediate(closeBehind, exchanges, end, patience);
  else setTimeout(closeBehind, EACH, exchanges, end, patience - EACH);
}

module.exports = { closeBehind };
