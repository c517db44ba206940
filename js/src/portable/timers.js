'use strict';

const { setTimeout } = require('node:timers');

// A timer that keeps no process alive; false: none.
function later(milliseconds, act) {
  if (milliseconds === false) return null;
  const timer = setTimeout(act, Math.min(milliseconds, 0x7fffffff));
  timer.unref?.();
  return timer;
}

module.exports = { later };
