// Module hooks (Node): what an app imports of its own modules is loaded anew with it. The version in
// the address of the app goes on to its imports; who watches is told where they lie.
let port;

export function initialize(given) {
  port = given.port;
}

export async function resolve(specifier, context, next) {
  const found = await next(specifier, context);
  const { protocol, pathname, search } = new URL(found.url);
  if (protocol !== 'file:' || pathname.includes('/node_modules/')) return found;
  port.postMessage(found.url);
  const version = /\?\d+$/.exec(context.parentURL || '');
  return version === null || search !== '' ? found : { ...found, url: found.url + version[0] };
}
