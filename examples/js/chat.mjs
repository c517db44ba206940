// A chat room, and its page: what one says all hear.
//
//     make serve APP=examples/js/chat.mjs
//
//     /         the page
//     /room     a WebSocket, which is told what is said; ?name= says who speaks
import { createRequire } from 'node:module';

// In your own project: import { upgradeWebSocket } from 'carom'.
const { upgradeWebSocket } = createRequire(import.meta.url)('../../js/index.js');

const MOST_WAITING = 65536; // bytes that wait for a member; who takes too slowly misses what is said, and holds up nobody
const members = new Set();

function say(text) {
  for (const socket of members) if (socket.bufferedAmount < MOST_WAITING) socket.send(text);
}

function enter(request, name) {
  const { socket, response } = upgradeWebSocket(request, { maxMessage: 4096 });
  socket.onopen = () => {
    members.add(socket);
    say(`${name} is here`);
  };
  socket.onmessage = ({ data }) => {
    if (typeof data === 'string') say(`${name}: ${data}`);
    else socket.close(4000, 'only text is spoken here');
  };
  socket.onclose = () => {
    if (members.delete(socket)) say(`${name} has left`);
  };
  return response;
}

const page = `<!doctype html>
<meta charset="utf-8">
<title>Chat</title>
<form><input autofocus placeholder="Say something"></form>
<pre></pre>
<script>
  const name = prompt('Your name?') || 'somebody';
  const socket = new WebSocket('/room?name=' + encodeURIComponent(name));
  const show = (text) => document.querySelector('pre').append(text + '\\n');
  socket.onmessage = (event) => show(event.data);
  socket.onclose = (event) => show('The room is closed (' + event.code + ').');
  document.querySelector('form').onsubmit = (event) => {
    event.preventDefault();
    const [input] = event.target;
    socket.send(input.value);
    input.value = '';
  };
</script>
`;

export default {
  fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === '/') return new Response(page, { headers: { 'content-type': 'text/html; charset=utf-8' } });
    if (pathname !== '/room') return new Response('Not here.\n', { status: 404 });
    if (!request.headers.has('sec-websocket-version')) return new Response('This is for WebSockets.\n', { status: 426 });
    return enter(request, searchParams.get('name')?.slice(0, 40) || 'somebody');
  },
};
