// The variables of the environment that choose the engine.
'use strict';

// Deno throws where the program may not read the variable: as if it were not set.
function variable(name) {
  try {
    return process.env[name];
  } catch {
    return undefined;
  }
}

module.exports = { variable };
