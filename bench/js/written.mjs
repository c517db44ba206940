// node|bun|deno written.mjs PORT ours|globals|runtime: the first example of js/README.md, and with which Response.
import { serve, Response as Ours } from '../../js/index.mjs';

const [port, whose] = process.argv.slice(2);
if (whose === 'globals') await import('../../js/globals.mjs');
const Response = whose === 'ours' ? Ours : globalThis.Response;

serve({ port: Number(port), hostname: '127.0.0.1', onListen() {} }, (request) => new Response('Hello, World!'));
