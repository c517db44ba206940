// The same for `carom serve`.
export default (request) => new Response('Hello, World!');
