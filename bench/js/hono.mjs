import { createRequire } from 'node:module';
import { makeApp } from './app.mjs';

const { serve } = createRequire(new URL('../../js/package.json', import.meta.url))('@hono/node-server');
serve({ port: Number(process.argv[2]), hostname: '127.0.0.1', fetch: makeApp(Response) });
