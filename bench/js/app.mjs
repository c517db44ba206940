// The app that the fetch-style servers of the comparison serve, with these classes.
export function makeApp(Response, ReadableStream = globalThis.ReadableStream) {
  const page = new Uint8Array(65536).fill(120);
  const large = new Uint8Array(1024 * 1024).fill(120);
  const text = { headers: { 'content-type': 'text/plain' } };
  const encoder = new TextEncoder();
  const eventStream = { headers: { 'content-type': 'text/event-stream' } };
  const events = (make) => {
    let n = 0;
    const source = {
      pull(controller) {
        controller.enqueue(make(n++));
        if (n === 10) controller.close();
      },
    };
    return new Response(new ReadableStream(source), eventStream);
  };
  async function* generated() {
    for (let n = 0; n < 10; n++) yield `data: ${n}\n\n`;
  }
  const after = (milliseconds) =>
    new Promise((resolve) => {
      setTimeout(() => resolve(new Response('Hello, World!', text)), milliseconds);
    });
  const routes = {
    '/hello': () => new Response('Hello, World!', text),
    '/json': () => Response.json({ message: 'Hello, World!', number: 42, list: [1, 2, 3] }),
    '/echo': async (request) => Response.json(await request.json()),
    '/read': (request) =>
      new Response(
        `${request.headers.get('host')} ${request.headers.get('user-agent')} ${request.headers.get('accept')} ${request.url}`,
        text,
      ),
    '/await': async () => {
      await null;
      return new Response('Hello, World!', text);
    },
    '/later': () => after(1),
    '/slow': () => after(10),
    '/64k': () => new Response(page),
    '/1m': () => new Response(large),
    '/count': async (request) => {
      let bytes = 0;
      for await (const piece of request.body) bytes += piece.length;
      return new Response(`${bytes}`);
    },
    '/whole': async (request) => new Response(`${(await request.arrayBuffer()).byteLength}`),
    '/sse': () => events((n) => encoder.encode(`data: ${n}\n\n`)),
    '/sse-strings': () => events((n) => `data: ${n}\n\n`),
    '/sse-generator': () => new Response(generated(), eventStream),
  };
  const missing = () => new Response('Not Found', { status: 404 });
  return (request) => {
    const { url } = request;
    const start = url.indexOf('/', 8);
    return (routes[url.slice(start)] || missing)(request);
  };
}
