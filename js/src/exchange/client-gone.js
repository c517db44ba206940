// The error with which read() and ready() reject when the client has gone.
'use strict';

class ClientGone extends Error {
  constructor(reason) {
    super(`the client has gone (${reason})`);
    this.name = 'ClientGone';
    this.code = 'CAROM_ECANCELED';
    this.reason = reason;
  }
}

module.exports = { ClientGone };
