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
