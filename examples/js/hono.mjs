// A Hono app as it is:  (cd js && npm ci) && make serve APP=examples/js/hono.mjs
import { createRequire } from 'node:module';

// In your own project: import { Hono } from 'hono'.
const { Hono } = createRequire(new URL('../../js/package.json', import.meta.url))('hono');

const app = new Hono();
app.use(async (context, next) => {
  await next();
  context.header('x-served-by', 'carom');
});
app.get('/', (context) => context.text('Hello, Hono!'));
app.get('/users/:name', (context) => context.json({ name: context.req.param('name') }));
app.post('/echo', async (context) => context.json(await context.req.json()));

export default app;
