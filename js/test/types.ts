// What users write must pass the type checker; package.test.mjs runs it.
import carom, { serve, redirectToHttps, Request, Response, Headers } from 'carom';

const server = serve({ port: 0, keepAlive: 5000, handlerTimeout: false, onListen(addr) { if (addr.transport === "tcp") void addr.port; } },
  async (request, info) => {
    const { remoteAddr } = info;
    info.completed.catch(() => {});
    const headers: Headers = new Headers({ 'x-a': remoteAddr.hostname });
    if (request.signal.aborted) return new Response(null, { status: 204 });
    return Response.json(await request.json(), { headers });
  });
const { recordsInFlight } = server.stats();
void recordsInFlight;
server.reload(() => new Response('x'));
server.shutdown({ deadline: 1000 }).then(() => server.finished);
serve({ port: 0 }, redirectToHttps(8443));
carom.serve({ fetch: () => new Response(new Request('http://a').url) });
carom.serve({ port: 0, handler: () => new Response((async function* () { yield 'piece'; yield new Uint8Array(1); })()) });
export class Mine extends Response {}
// @ts-expect-error a handler returns a Response
serve(() => undefined);
