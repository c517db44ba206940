// How fast the content of a request must come: so many bytes in each window of the time in which somebody waits for them.
'use strict';

const { clearTimeout } = require('node:timers');

const { later } = require('./timers.js');

class ContentRate {
  constructor({ contentRate, contentWindow }, late) {
    this.isOff = contentRate === false || contentWindow === false;
    this.least = (contentRate * contentWindow) / 1000;
    this.window = contentWindow;
    this.late = late; // called once, when a window has ended with less
    this.bytes = 0;
    this.left = contentWindow; // milliseconds of the window
    this.since = 0; // when somebody began to wait; 0: nobody does
    this.timer = null;
  }

  came(bytes) {
    this.bytes += bytes;
  }

  // Somebody waits.
  wait() {
    if (this.isOff || this.since > 0) return;
    this.since = performance.now();
    this.timer = later(Math.max(1, this.left), () => this.ended());
  }

  // Nobody waits for now.
  pause() {
    if (this.since > 0) this.left -= performance.now() - this.since;
    this.since = 0;
    clearTimeout(this.timer);
  }

  ended() {
    const isTooSlow = this.bytes < this.least;
    this.since = 0;
    this.bytes = 0;
    this.left = this.window;
    if (isTooSlow) this.late();
    else this.wait();
  }
}

module.exports = { ContentRate };
