// Server-sent events:  make serve APP=examples/js/events.mjs, then open http://localhost:8080/

const page = `<!doctype html><meta charset="utf-8"><title>Events</title>
<p id="time">waiting</p>
<script>new EventSource('/events').onmessage = (event) => { document.getElementById('time').textContent = event.data }</script>
`;

function events(request) {
  const encoder = new TextEncoder();
  let timer;
  return new Response(
    new ReadableStream({
      start(controller) {
        const tell = () => controller.enqueue(encoder.encode(`data: ${new Date().toISOString()}\n\n`));
        tell();
        timer = setInterval(tell, 1000);
      },
      cancel() {
        clearInterval(timer); // the client has gone
      },
    }),
    { headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' } },
  );
}

export default function fetch(request) {
  if (new URL(request.url).pathname === '/events') return events(request);
  return new Response(page, { headers: { 'content-type': 'text/html; charset=utf-8' } });
}
