'use strict';

const { setTimeout } = require('node:timers');

// What the runtime calls must not throw, for that would end the process. A fault of the engine's own is said. True: there was none.
function guarded(act) {
  try {
    act();
    return true;
  } catch (error) {
    console.error('carom: a fault of the portable engine:', error);
    return false;
  }
}

// A timer that keeps no process alive; false: none.
function later(milliseconds, act) {
  if (milliseconds === false) return null;
  const timer = setTimeout(() => guarded(act), Math.min(milliseconds, 0x7fffffff));
  timer.unref?.();
  return timer;
}

module.exports = { guarded, later };
