// For the tests of the portable engine itself, on any machine.
process.env.CAROM_ENGINE = 'portable';

export const { serve, upgradeWebSocket } = await import('../../index.mjs');
export const { createServer } = await import('../../node.mjs');
export const { raw } = await import('../support.mjs');

// Serve for as long as the test runs.
export function serving(t, options, handler) {
  const server = serve({ port: 0, hostname: '127.0.0.1', onListen() {}, ...options }, handler);
  t.after(() => server.shutdown({ deadline: 0 }));
  return server;
}

// A promise with what settles it.
export function resolvers() {
  const made = {};
  made.promise = new Promise((resolve) => {
    made.resolve = resolve;
  });
  return made;
}

// `all` is there when one() was called so many times; one() gives it.
export function counted(count) {
  const { promise: all, resolve } = resolvers();
  const one = () => {
    if (--count === 0) resolve();
    return all;
  };
  return { all, one };
}

// What the engine says of its faults, for as long as the test runs: lines.
export function quietly(t) {
  const { error } = console;
  t.after(() => Object.assign(console, { error }));
  const told = [];
  console.error = (...said) => told.push(said.join(' '));
  return told;
}
