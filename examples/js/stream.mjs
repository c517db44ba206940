// Streams of any size in constant memory:  make serve APP=examples/js/stream.mjs
//
//     curl -T big.iso localhost:8080/upload         the SHA-256, as it arrives
//     curl localhost:8080/download?bytes=1000000    zeros
import { createHash } from 'node:crypto';

async function upload(request) {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return Response.json({ bytes, sha256: hash.digest('hex') });
}

function download(bytes) {
  const zeros = new Uint8Array(65536);
  const stream = new ReadableStream({
    pull(controller) {
      const piece = Math.min(bytes, zeros.length);
      if (piece > 0) controller.enqueue(zeros.subarray(0, piece));
      bytes -= piece;
      if (bytes === 0) controller.close();
    },
  });
  return new Response(stream, { headers: { 'content-type': 'application/octet-stream', 'content-length': String(bytes) } });
}

export default function fetch(request) {
  const { pathname, searchParams } = new URL(request.url);
  if (pathname === '/upload') return upload(request);
  const bytes = Number(searchParams.get('bytes') ?? 1_000_000);
  if (pathname !== '/download' || !Number.isSafeInteger(bytes) || bytes < 0) return new Response('Not Found\n', { status: 404 });
  return download(bytes);
}
