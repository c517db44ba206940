// A registry of npm for tests: it offers the tarballs of a folder, and nothing else. Every package manager can be told to ask it.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';

// The package.json of a tarball, as `npm pack` makes it.
function manifestOf(tarball) {
  const archive = gunzipSync(tarball);
  for (let at = 0; at + 512 <= archive.length; ) {
    const name = archive.toString('latin1', at, archive.indexOf(0, at));
    const size = Number.parseInt(archive.toString('latin1', at + 124, at + 135), 8) || 0;
    if (name === 'package/package.json') return JSON.parse(archive.toString('utf8', at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  throw new Error('there is no package.json in the tarball');
}

// { url, close() }
export async function openRegistry(folder) {
  const server = http.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}/`;
  const answers = new Map();
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.tgz'))) {
    const tarball = readFileSync(path.join(folder, file));
    const manifest = manifestOf(tarball);
    const { name, version } = manifest;
    const dist = {
      tarball: `${url}files/${file}`,
      integrity: `sha512-${createHash('sha512').update(tarball).digest('base64')}`,
      shasum: createHash('sha1').update(tarball).digest('hex'),
    };
    answers.set(`/files/${file}`, tarball);
    const time = { [version]: '2020-01-01T00:00:00.000Z' }; // long ago: some take nothing that is new
    const document = { name, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, dist } }, time };
    answers.set(`/${name}`, Buffer.from(JSON.stringify(document)));
  }
  server.on('request', (request, response) => {
    const answer = answers.get(request.url);
    response.writeHead(answer === undefined ? 404 : 200, {
      'content-type': request.url.startsWith('/files/') ? 'application/octet-stream' : 'application/json',
    });
    response.end(answer === undefined ? '{}' : answer);
  });
  return { url, close: () => server.close() };
}
