// It has no topics: a Set does for a room.
const room = new Set();

Deno.serve({ port: Number(Deno.args[0]), hostname: '127.0.0.1', onListen() {} }, (request) => {
  if (request.url.endsWith('/collect')) {
    globalThis.gc();
    return new Response('');
  }
  const { socket, response } = Deno.upgradeWebSocket(request);
  if (request.url.endsWith('/room')) {
    socket.onopen = () => room.add(socket);
    socket.onclose = () => room.delete(socket);
    socket.onmessage = (event) => {
      for (const member of room) member.send(event.data);
    };
  } else {
    socket.onmessage = (event) => socket.send(event.data);
  }
  return response;
});
