// node io.mjs PORT inline|thread: handlers as people have them, which work for 0, 20 and 200 µs, or wait for somebody else.
import carom from '../../js/index.mjs';

const [port, io] = process.argv.slice(2);
const { Response } = carom;
const text = { headers: { 'content-type': 'text/plain' } };
const LATER = 1; // milliseconds that a database takes

let sum = 0;
function work(steps) {
  for (let i = 0; i < steps; i++) sum = (sum * 31 + i) | 0;
}

// Steps of work in a microsecond: the most that were done in any of many looks, since others may have the processor meanwhile.
let speed = 0;
for (let i = 0; i < 500; i++) {
  const start = performance.now();
  work(20_000);
  speed = Math.max(speed, 20_000 / (1000 * (performance.now() - start)));
}

function worksFor(microseconds) {
  const steps = Math.round(microseconds * speed);
  return () => {
    work(steps);
    return new Response(`Hello, World! ${sum & 1}`, text);
  };
}

const routes = {
  '/0': worksFor(0),
  '/20': worksFor(20),
  '/200': worksFor(200),
  '/json': (request) => Response.json({ path: new URL(request.url).pathname, agent: request.headers.get('user-agent'), list: [1, 2, 3] }),
  '/database': async () => {
    await new Promise((resolve) => {
      setTimeout(resolve, LATER);
    });
    return new Response('Hello, World!', text);
  },
};

carom.serve({ port: Number(port), hostname: '127.0.0.1', io, onListen() {} }, (request) => {
  const { url } = request;
  return routes[url.slice(url.indexOf('/', 8))](request);
});
