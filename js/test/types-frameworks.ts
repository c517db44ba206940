// Servers of ours where libraries want their own: package.test.mjs runs the type checker on it.
import Fastify from 'fastify';
import { Server as SocketIo } from 'socket.io';
import { WebSocketServer } from 'ws';
import { Request } from 'carom';
import { caromAdapter } from 'carom/crossws';
import { upgradeWebSocket as ofHono } from 'carom/hono';
import { createServer } from 'carom/node';

Fastify({ serverFactory: (handler) => createServer(handler) });
new SocketIo(createServer());
new WebSocketServer({ server: createServer() });
ofHono(() => ({ onMessage: (event, ws) => ws.send(String(event.data)) }), { maxMessage: 1024 });
caromAdapter({ carom: { maxMessage: 1024 }, hooks: { message: (peer, message) => void peer.send(message.text()) } }).handleUpgrade(
  new Request('http://a'),
);
