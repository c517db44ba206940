// Waits for a slow backend, and stops waiting when the client leaves:  make serve APP=examples/js/slow.mjs
//
//     curl localhost:8080/?ms=3000     (and Ctrl-C before it answers)
import { setTimeout as backend } from 'node:timers/promises';

export default async function fetch(request) {
  const { signal } = request;
  const ms = Math.min(Number(new URL(request.url).searchParams.get('ms') ?? 1000), 60_000);
  try {
    await backend(ms, undefined, { signal });
    return new Response(`after ${ms} ms\n`);
  } catch (error) {
    if (!signal.aborted) throw error;
    console.log('the client has left; the backend was told');
    return new Response(null, { status: 499 });
  }
}
