// What frameworks of node:http have for WebSockets, on a server of ours: each by a client as it is used with it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { WAYS } from '../transports.mjs';
import { closeAfter, createServer, skip } from './support.mjs';

const [major] = process.versions.node.split('.').map(Number);
const old = (name) => major < 20 && `${name} needs Node 20`;
const withoutCookies = !Headers.prototype.getSetCookie && 'tRPC needs getSetCookie() of Headers'; // Debian's Node 18 has none

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `127.0.0.1:${server.address().port}`;
}

// A client of `ws`: next() is a message that has come or comes, `ended` the Close that it got.
async function connect(t, url, options) {
  const client = new WebSocket(url, options);
  t.after(() => client.terminate());
  const messages = [];
  client.on('message', (data, isBinary) => messages.push(isBinary ? data : String(data)));
  client.on('error', () => {});
  const ended = once(client, 'close').then(([code, reason]) => [code, String(reason)]);
  await once(client, 'open');
  const next = async () => {
    if (messages.length === 0) await Promise.race([once(client, 'message'), ended]);
    assert.ok(messages.length > 0, 'the connection has ended, and a message was expected');
    return messages.shift();
  };
  return { client, next, ended };
}

async function checkEcho({ client, next }) {
  for (const message of ['text', '', 'ä'.repeat(100_000), Buffer.alloc(2 ** 20, 7)]) {
    client.send(message);
    assert.deepEqual(await next(), message);
  }
}

// How a request for a WebSocket is refused: [status, content].
async function refusal(url) {
  const [, response] = await once(
    new WebSocket(url).on('error', () => {}),
    'unexpected-response',
  );
  let content = '';
  for await (const piece of response) content += piece;
  return [response.statusCode, content];
}

function later() {
  const it = {};
  it.promise = new Promise((resolve) => {
    it.resolve = resolve;
  });
  return it;
}

const make = (io, listener) => createServer({ carom: { io } }, listener);

async function expressApp(t, io) {
  const { default: express } = await import('express');
  const { default: expressWs } = await import('express-ws');
  const app = express();
  const server = closeAfter(t, make(io, app));
  const { getWss } = expressWs(app, server);
  const closed = later();
  app.use((req, res, next) => {
    req.mark = 'marked';
    next();
  });
  app.get('/page', (req, res) => res.send('page'));
  app.ws('/echo/:name', (socket, req) => {
    socket.send(`${req.params.name} ${req.query.q} ${req.mark} ${req.headers.cookie}`);
    socket.on('message', (data) => socket.send(data));
    socket.on('close', (code, reason) => closed.resolve([code, String(reason)]));
  });
  app.ws('/room', (socket) => {
    socket.on('message', (data) => {
      for (const one of getWss().clients) one.send(`room ${data}`);
    });
  });
  app.ws('/bye', (socket) => {
    socket.send('x'.repeat(300_000));
    socket.close(4000, 'bye');
  });
  return { at: await listen(server), closed: closed.promise };
}

for (const io of WAYS)
  test(`express-ws, ${io}`, { skip }, async (t) => {
    const { at, closed } = await expressApp(t, io);
    const page = async () => (await fetch(`http://${at}/page`)).text();
    assert.equal(await page(), 'page');
    const echo = await connect(t, `ws://${at}/echo/bob?q=7`, { headers: { cookie: 'a=1' } });
    assert.equal(await echo.next(), 'bob 7 marked a=1');
    await checkEcho(echo);
    echo.client.close(3001, 'mine');
    assert.deepEqual(await closed, [3001, 'mine']);
    assert.deepEqual(await echo.ended, [3001, 'mine']);

    const room = [await connect(t, `ws://${at}/room`), await connect(t, `ws://${at}/room`)];
    room[0].client.send('hello');
    for (const one of room) assert.equal(await one.next(), 'room hello');

    const bye = await connect(t, `ws://${at}/bye`);
    assert.equal((await bye.next()).length, 300_000);
    assert.deepEqual(await bye.ended, [4000, 'bye']);
    assert.equal((await (await connect(t, `ws://${at}/none`)).ended)[0], 1005); // no handler is for it
    assert.equal(await page(), 'page');
  });

async function fastifyApp(t, io) {
  const { default: Fastify } = await import('fastify');
  const { default: websocket } = await import('@fastify/websocket');
  const app = Fastify({ serverFactory: (handler) => make(io, handler), forceCloseConnections: true });
  t.after(() => app.close());
  const closed = later();
  await app.register(websocket, {
    options: { maxPayload: 2 ** 21 },
    errorHandler: (error, socket) => socket.close(4011, error.message),
  });
  await app.register(async (routes) => {
    routes.addHook('preValidation', async (request, reply) => {
      if (request.query.no) await reply.code(401).send('not you');
    });
    routes.get('/echo/:id', { websocket: true }, (socket, request) => {
      socket.send(`${request.params.id} ${request.query.q}`);
      socket.on('message', (data, binary) => socket.send(data, { binary }));
      socket.on('close', closed.resolve);
    });
    routes.get('/throws', { websocket: true }, () => {
      throw new Error('as it should');
    });
    routes.route({
      method: 'GET',
      url: '/both',
      handler: (request, reply) => reply.send({ http: 1 }),
      wsHandler: (socket) => socket.send('both'),
    });
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  return { app, at: `127.0.0.1:${app.server.address().port}`, closed: closed.promise };
}

for (const io of WAYS)
  test(`@fastify/websocket, ${io}`, { skip: skip || old('Fastify 5') }, async (t) => {
    const { app, at, closed } = await fastifyApp(t, io);
    const echo = await connect(t, `ws://${at}/echo/9?q=r`);
    assert.equal(await echo.next(), '9 r');
    await checkEcho(echo);
    echo.client.close(3001, 'mine');
    assert.equal(await closed, 3001);
    assert.deepEqual(await echo.ended, [3001, 'mine']);

    const long = await connect(t, `ws://${at}/echo/1`);
    long.client.send(Buffer.alloc(2 ** 21 + 1));
    assert.equal((await long.ended)[0], 1009);
    assert.deepEqual(await refusal(`ws://${at}/echo/1?no=1`), [401, 'not you']);
    assert.equal((await refusal(`ws://${at}/none`))[0], 404);
    assert.deepEqual(await (await connect(t, `ws://${at}/throws`)).ended, [4011, 'as it should']);

    assert.deepEqual(await (await fetch(`http://${at}/both`)).json(), { http: 1 });
    const both = await connect(t, `ws://${at}/both`);
    assert.equal(await both.next(), 'both');
    await app.close(); // which closes the sockets that are open
    assert.equal((await both.ended)[0], 1005);
  });

// `held` counts 1, 2, 3 and then waits until somebody ends it; `released` is told when.
function graphql({ createYoga, createSchema, Repeater }, released) {
  const typeDefs = `type Query { hello(name: String): String }
    type Mutation { double(value: Int): Int }
    type Subscription { count(to: Int): Int, held: Int, fails: Int }`;
  const resolvers = {
    Query: { hello: (_, { name }) => `hello ${name}` },
    Mutation: { double: (_, { value }) => value * 2 },
    Subscription: {
      count: {
        async *subscribe(_, { to }) {
          for (let count = 1; count <= to; count++) yield { count };
        },
      },
      held: {
        subscribe: () =>
          new Repeater(async (push, stop) => {
            for (const held of [1, 2, 3]) push({ held });
            await stop;
            released();
          }),
      },
      fails: {
        async *subscribe() {
          yield { fails: 1 };
          throw new Error('as it should');
        },
      },
    },
  };
  return createYoga({ logging: false, schema: createSchema({ typeDefs, resolvers }) });
}

// An operation of graphql-ws is executed by Yoga, with what its plugins make of the parts of that.
function byYoga(yoga) {
  return {
    execute: (args) => args.rootValue.execute(args),
    subscribe: (args) => args.rootValue.subscribe(args),
    async onSubscribe({ extra, ...context }, id, params) {
      const { schema, execute, subscribe, contextFactory, parse, validate } = yoga.getEnveloped({ ...context, req: extra.request, params });
      const document = parse(params.query);
      const errors = validate(schema, document);
      if (errors.length > 0) return errors;
      const contextValue = await contextFactory();
      return { schema, document, variableValues: params.variables, contextValue, rootValue: { execute, subscribe } };
    },
    onConnect: ({ connectionParams }) => !connectionParams?.refused,
  };
}

async function yogaApp(t, io) {
  const { useServer } = await import('graphql-ws/use/ws');
  const releases = [];
  const yoga = graphql(await import('graphql-yoga'), () => releases.shift().resolve());
  const server = closeAfter(t, make(io, yoga));
  // No pings: what is sent must arrive without something that follows it.
  const sockets = useServer(byYoga(yoga), new WebSocketServer({ server, path: yoga.graphqlEndpoint }), 0);
  return { at: `${await listen(server)}${yoga.graphqlEndpoint}`, sockets, releases };
}

// All that an operation gives, until it is complete or has failed; onNext(value, stop) for each.
function results(client, query, onNext = () => {}) {
  return new Promise((resolve) => {
    const values = [];
    const next = (value) => {
      values.push(value.data);
      onNext(values.length, stop);
    };
    const stop = client.subscribe({ query }, { next, error: (error) => resolve({ error, values }), complete: () => resolve(values) });
  });
}

for (const io of WAYS)
  test(`GraphQL Yoga by graphql-ws, ${io}`, { skip: skip || old('graphql-ws 6') }, async (t) => {
    const { createClient } = await import('graphql-ws');
    const { at, sockets, releases } = await yogaApp(t, io);
    const graph = (settings) => createClient({ url: `ws://${at}`, webSocketImpl: WebSocket, retryAttempts: 0, ...settings });
    const client = graph();
    t.after(() => client.dispose());
    const query = encodeURIComponent('{hello(name:"http")}');
    assert.deepEqual(await (await fetch(`http://${at}?query=${query}`)).json(), { data: { hello: 'hello http' } });
    assert.deepEqual(await results(client, '{hello(name:"ws")}'), [{ hello: 'hello ws' }]);
    assert.deepEqual(await results(client, 'mutation{double(value:4)}'), [{ double: 8 }]);
    assert.match((await results(client, '{nothing}')).error[0].message, /Cannot query field/);

    const counts = await Promise.all(Array.from({ length: 20 }, (_, i) => results(client, `subscription{count(to:${i + 1})}`)));
    for (const [i, values] of counts.entries())
      assert.deepEqual(
        values,
        Array.from({ length: i + 1 }, (_, j) => ({ count: j + 1 })),
      );
    const { error, values } = await results(client, 'subscription{fails}');
    assert.deepEqual([error.length, values], [1, [{ fails: 1 }]]);

    const held = [{ held: 1 }, { held: 2 }, { held: 3 }];
    const stopAtThree = (count, stop) => count === 3 && stop();
    releases.push(later());
    const [release] = releases;
    assert.deepEqual(await results(client, 'subscription{held}', stopAtThree), held);
    await release.promise; // the server has ended it, too

    releases.push(later());
    const [lost] = releases;
    const leave = (count) => count === 3 && client.terminate();
    assert.equal((await results(client, 'subscription{held}', leave)).values.length, 3);
    await lost.promise;

    assert.equal((await results(graph({ connectionParams: { refused: true } }), '{hello}')).error.code, 4403);
    assert.equal((await refusal(`ws://${at}/other`))[0], 400);

    releases.push(later());
    const close = (count) => count === 3 && sockets.dispose();
    assert.equal((await results(client, 'subscription{held}', close)).error.code, 1001);
  });

// `held` is as that of GraphQL above. `count` gives three values to each connection, and goes on behind what the client had last.
function procedures({ initTRPC, TRPCError, tracked }, released) {
  const { procedure, router } = initTRPC.context().create();
  return router({
    hello: procedure.input(String).query(({ input, ctx }) => `hello ${input} by ${ctx.by}`),
    increment: procedure.input(Number).mutation(({ input }) => input + 1),
    fails: procedure.query(() => {
      throw new TRPCError({ code: 'FORBIDDEN', message: 'as it should' });
    }),
    count: procedure
      .input((given) => given)
      .subscription(async function* ({ input, signal }) {
        const last = Number(input.lastEventId ?? 0);
        for (let i = last + 1; i <= input.to; i++) {
          if (i === last + 4 && !signal.aborted) await once(signal, 'abort');
          yield tracked(String(i), i);
        }
      }),
    held: procedure.subscription(async function* ({ signal }) {
      yield* [1, 2, 3];
      if (!signal.aborted) await once(signal, 'abort');
      released();
    }),
  });
}

async function trpcApp(t, io) {
  const { applyWSSHandler } = await import('@trpc/server/adapters/ws');
  const { createHTTPHandler } = await import('@trpc/server/adapters/standalone');
  const release = later();
  const router = procedures(await import('@trpc/server'), release.resolve);
  const server = closeAfter(t, make(io, createHTTPHandler({ router, createContext: () => ({ by: 'http' }) })));
  const sockets = new WebSocketServer({ server });
  const createContext = ({ info }) => ({ by: info.connectionParams?.by });
  const handler = applyWSSHandler({ wss: sockets, router, createContext });
  return { at: await listen(server), sockets, handler, released: release.promise };
}

// The values of a subscription until it is complete; onData(count, subscription) for each.
function subscribed(procedure, input, onData = () => {}) {
  return new Promise((resolve, reject) => {
    const values = [];
    const subscription = procedure.subscribe(input, {
      onData: (value) => {
        values.push(value.data ?? value);
        onData(values.length, subscription);
      },
      onComplete: () => resolve(values),
      onStopped: () => resolve(values),
      onError: reject,
    });
  });
}

async function trpcClient(t, at, connections) {
  const { createTRPCClient, createWSClient, httpBatchLink, splitLink, wsLink } = await import('@trpc/client');
  const url = `ws://${at}`;
  const onOpen = () => connections.push('open');
  const socket = createWSClient({ url, WebSocket, connectionParams: () => ({ by: 'ws' }), retryDelayMs: () => 0, onOpen });
  t.after(() => socket.close());
  const condition = ({ context }) => context.http === true;
  const links = [splitLink({ condition, true: httpBatchLink({ url: `http://${at}` }), false: wsLink({ client: socket }) })];
  return { client: createTRPCClient({ links }), socket };
}

for (const io of WAYS)
  test(`tRPC by its handler for ws, ${io}`, { skip: skip || withoutCookies }, async (t) => {
    const { at, sockets, handler, released } = await trpcApp(t, io);
    const connections = [];
    const { client, socket } = await trpcClient(t, at, connections);
    assert.equal(await client.hello.query('a', { context: { http: true } }), 'hello a by http');
    assert.equal(await client.hello.query('b'), 'hello b by ws');
    assert.equal((await client.hello.query('y'.repeat(1_000_000))).length, 1_000_012);
    const increments = await Promise.all(Array.from({ length: 100 }, (_, i) => client.increment.mutate(i)));
    for (const [i, value] of increments.entries()) assert.equal(value, i + 1);
    await assert.rejects(client.fails.query(), { message: 'as it should' });

    assert.deepEqual(await subscribed(client.count, { to: 3 }), [1, 2, 3]);
    const stopAtThree = (count, subscription) => count === 3 && subscription.unsubscribe();
    assert.deepEqual(await subscribed(client.held, undefined, stopAtThree), [1, 2, 3]);
    await released; // the server has ended it, too

    const breaks = (count) => {
      if (count === 3) for (const one of sockets.clients) one.terminate();
      if (count === 6) handler.broadcastReconnectNotification();
      if (count === 9) for (const one of sockets.clients) one.close(1001);
    };
    assert.deepEqual(await subscribed(client.count, { to: 11 }, breaks), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    assert.equal(connections.length, 4);
    const [last] = [...sockets.clients].slice(-1);
    const ended = once(last, 'close');
    await socket.close();
    await ended;
  });
