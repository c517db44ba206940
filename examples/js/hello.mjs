// The first app:  make serve APP=examples/js/hello.mjs
//
//     GET /        a page that says that it works
//     GET /hello   text
//     GET /time    JSON, made anew each time

const page = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Carom</title>
<style>
  body { font: 18px/1.6 system-ui, sans-serif; max-width: 36rem; margin: 18vh auto 0; padding: 0 1.5rem; color: #1d2733; background: #f7f8fa }
  h1 { font-size: 2.2rem; margin: 0 } code, a { color: #0b62a8 } p { margin: .8rem 0 }
  @media (prefers-color-scheme: dark) { body { background: #14181d; color: #dfe6ee } code, a { color: #7cc0ff } }
</style>
<h1>It works.</h1>
<p>This page comes from <code>examples/js/hello.mjs</code>: a function that takes a Request and returns a Response.</p>
<p>See also <a href="/hello">/hello</a> and <a href="/time">/time</a>; change the file, and run <code>make serve</code> again.</p>
</html>
`;

export default {
  fetch(request) {
    switch (new URL(request.url).pathname) {
      case '/':
        return new Response(page, { headers: { 'content-type': 'text/html; charset=utf-8' } });
      case '/hello':
        return new Response('Hello, World!', { headers: { 'content-type': 'text/plain' } });
      case '/time':
        return Response.json({ now: new Date() });
      default:
        return new Response('Not Found\n', { status: 404, headers: { 'content-type': 'text/plain' } });
    }
  },
};
