// Module hooks of Node, by which the modules that an app imports are loaded again together with the app. The app is imported
// with a version at the end of its address (?2), and its own modules inherit that. The address of each is sent to watch.js.
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
