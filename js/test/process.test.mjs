// A server and its process: it keeps it alive, lets it go, and never brings it down.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, describe } from 'node:test';
import { fileURLToPath } from 'node:url';

import { run } from './support.mjs';

const START =
  "const { serve, Response } = require('./index.js'); const quiet = { port: 0, hostname: '127.0.0.1', onListen() {}, io: IO };\n";
// A client in the same process, whose answers nobody waits for.
const CLIENT =
  "const net = require('node:net'); const ask = (port, text = 'GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n') => { const s = net.connect(port, '127.0.0.1'); s.on('error', () => {}); s.write(text); return s; };\n";

for (const io of ['inline', 'thread']) {
  const program = (text) => START.replace('IO', `'${io}'`) + CLIENT + text;

  describe(`the process, io: ${io}`, () => {
    test('ends when the server has shut down', async () => {
      const { code, output } = await run(
        program("const s = serve(quiet, () => new Response()); s.shutdown().then(() => console.log('over'));"),
      );
      assert.deepEqual({ code, output }, { code: 0, output: 'over\n' });
    });

    test('stays for the shutdown of a server that was unreferenced', async () => {
      const text = "const s = serve(quiet, () => new Response()); s.unref(); s.shutdown().then(() => console.log('shut'));";
      const { code, output } = await run(program(text));
      assert.deepEqual({ code, output }, { code: 0, output: 'shut\n' });
    });

    test('ends when the server is unreferenced', async () => {
      const { code, output } = await run(program("serve(quiet, () => new Response()).unref(); console.log('end');"));
      assert.deepEqual({ code, output }, { code: 0, output: 'end\n' });
    });

    test('may exit with requests in flight, in a handler and outside', async () => {
      const outside =
        program(`let n = 0; const s = serve(quiet, () => { if (++n === 50) setTimeout(() => process.exit(7), 5); return new Promise(() => {}); });
        for (let i = 0; i < 50; i++) ask(s.addr.port);`);
      const inside = program(`const s = serve(quiet, () => process.exit(7)); for (let i = 0; i < 50; i++) ask(s.addr.port);`);
      for (const text of [outside, inside]) {
        const { code, signal, output } = await run(text);
        assert.deepEqual({ code, signal, output }, { code: 7, signal: null, output: '' });
      }
    });

    test('may exit while a response is streamed', async () => {
      const { code, signal } = await run(
        program(`const s = serve(quiet, () => new Response(new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(100000)); } })));
        ask(s.addr.port).on('data', () => setTimeout(() => process.exit(7), 20));`),
      );
      assert.deepEqual({ code, signal }, { code: 7, signal: null });
    });

    test('an uncaught error elsewhere ends it as always', async () => {
      const { code, output } = await run(
        program("serve(quiet, () => new Response()); setTimeout(() => { throw new Error('elsewhere'); }, 10);"),
      );
      assert.equal(code, 1);
      assert.match(output, /Error: elsewhere/);
    });

    test('an error of the ring itself is uncaught, and what waits is served all the same', async () => {
      const { code, output } = await run(
        program(`
        const { Ring } = require('./src/ring/ring.js');
        const { warnOfRefusals } = Ring.prototype;
        let calls = 0, heard = 0;
        Ring.prototype.warnOfRefusals = function () {
          if (++calls % 2 === 1) throw new Error('a fault of ours');
          warnOfRefusals.call(this);
        };
        process.on('uncaughtException', ({ message }) => { if (message === 'a fault of ours') heard++; });
        const s = serve(quiet, () => new Response('served'));
        (async () => {
          const port = s.addr.port;
          for (let i = 1; i <= 3; i++) console.log(await (await fetch('http://127.0.0.1:' + port)).text(), heard >= i);
          process.exit(0);
        })();`),
      );
      assert.deepEqual({ code, output }, { code: 0, output: 'served true\nserved true\nserved true\n' });
    });

    test('a worker thread may serve, and be terminated', async () => {
      const { code, signal, output } = await run(
        program(`
        const { Worker } = require('node:worker_threads');
        const text = ${JSON.stringify(START.replace('IO', `'${io}'`))} + "const s = serve(quiet, (r) => r.url.endsWith('/x') ? new Promise(() => {}) : new Response('from a worker')); require('node:worker_threads').parentPort.postMessage(s.addr.port);";
        const worker = new Worker(text, { eval: true });
        worker.once('message', async (port) => {
          console.log(await (await fetch('http://127.0.0.1:' + port)).text());
          ask(port, 'GET /x HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n');
          setTimeout(async () => { await worker.terminate(); console.log('terminated'); process.exit(0); }, 50);
        });`),
      );
      assert.deepEqual({ code, signal, output }, { code: 0, signal: null, output: 'from a worker\nterminated\n' });
    });

    test('processes and worker threads share a port when they all ask for it', async () => {
      const { code, output } = await run(
        program(`(async () => {
        const { Worker } = require('node:worker_threads');
        const shared = { ...quiet, reusePort: true };
        const { port } = serve(shared, () => new Response('main')).addr;
        const member = (name, up) => ${JSON.stringify(START.replace('IO', `'${io}'`))} +
          'serve({ ...quiet, reusePort: true, port: ' + port + " }, () => new Response('" + name + "')); " + up;
        const worker = new Worker(member('worker', "require('node:worker_threads').parentPort.postMessage('up')"), { eval: true });
        await new Promise((resolve) => worker.once('message', resolve));
        const child = require('node:child_process').spawn(process.execPath, ['-e', member('process', "console.log('up')")], { stdio: ['ignore', 'pipe', 'inherit'] });
        await new Promise((resolve) => child.stdout.once('data', resolve));
        const heard = new Set();
        while (heard.size < 3) // each request has a connection of its own, and the kernel picks the server
          heard.add(await (await fetch('http://127.0.0.1:' + port, { headers: { connection: 'close' } })).text());
        try { serve({ ...quiet, port }, () => {}); } catch (error) { heard.add(error.code); }
        console.log([...heard].sort().join());
        child.kill();
        await worker.terminate();
        process.exit(0);
      })();`),
      );
      assert.deepEqual({ code, output }, { code: 0, output: 'CAROM_EADDRINUSE,main,process,worker\n' });
    });

    test('several servers live side by side', async () => {
      const { code, output } = await run(
        program(`(async () => {
        const all = [1, 2, 3].map((n) => serve(quiet, () => new Response(String(n))));
        let text = '';
        for (const s of all) text += await (await fetch('http://127.0.0.1:' + s.addr.port)).text();
        await Promise.all(all.map((s) => s.shutdown({ deadline: 0 })));
        console.log(text);
      })();`),
      );
      assert.deepEqual({ code, output }, { code: 0, output: '123\n' });
    });

    test('garbage collection at every turn harms nothing', async () => {
      const { code, output } = await run(
        program(`(async () => {
        const s = serve(quiet, async (r) => { global.gc(); await null; const text = await r.text(); global.gc(); return new Response(text + 'x'.repeat(20000)); });
        let wrong = 0;
        await Promise.all(Array.from({ length: 8 }, async () => {
          for (let i = 0; i < 10; i++) {
            const text = await (await fetch('http://127.0.0.1:' + s.addr.port, { method: 'POST', body: 'b' + i })).text();
            if (text !== 'b' + i + 'x'.repeat(20000)) wrong++;
          }
        }));
        await s.shutdown({ deadline: 0 });
        console.log('wrong', wrong);
      })();`),
        '--expose-gc',
      );
      assert.deepEqual({ code, output }, { code: 0, output: 'wrong 0\n' });
    });

    test('garbage in the shared memory harms nobody but its own answers', async () => {
      const { code, signal, output } = await run(
        program(`
        const { Ring } = require('./src/ring/ring.js');
        const rings = [];
        const { addBlock } = Ring.prototype;
        Ring.prototype.addBlock = function () { rings.push(this); return addBlock.call(this); };
        console.error = () => {};
        process.on('uncaughtException', () => {});
        let seed = 42;
        const random = (below) => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) % below;
        const s = serve(quiet, (r) => new Promise((resolve) => setTimeout(resolve, random(5), new Response('x'))));
        for (let i = 0; i < 300; i++) {
          setTimeout(() => {
            const [ring] = rings;
            for (let k = 0; k < 50; k++) ring.slots[random(64)].words[random(48)] = random(2) ? random(1024) : random(4294967296);
            for (let k = 0; k < 4; k++) ring.control[48] = (ring.control[48] + random(3)) | 0;
            for (let k = 0; k < 20; k++) ring.control[144 + random(32768)] = random(100);
          }, i * 2);
          setTimeout(() => { const c = ask(s.addr.port, 'POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 5\\r\\n\\r\\nabcde'); setTimeout(() => c.destroy(), 30); }, i * 2);
        }
        setTimeout(() => { console.log('alive'); process.exit(0); }, 900);`),
      );
      assert.deepEqual({ code, signal, output }, { code: 0, signal: null, output: 'alive\n' });
    });
  });
}

// What deasync and its like do.
test('a handler may run the loop within itself', async () => {
  const addon = join(process.env.CAROM_BUILD ?? fileURLToPath(new URL('../../build', import.meta.url)), 'test/nested-loop.node');
  const { code, output } = await run(
    START.replace('IO', "'inline'") +
      CLIENT +
      `const module = { exports: {} };
      process.dlopen(module, ${JSON.stringify(addon)});
      const s = serve(quiet, (request) => {
        if (request.url.endsWith('/within')) return new Response('within');
        other.write('GET /within HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n'); // the engine could be asked for it at once
        for (let i = 0; i < 10; i++) module.exports();
        return new Response('around');
      });
      s.finished.then(() => { console.log('it has ended'); process.exit(0); });
      const other = net.connect(s.addr.port, '127.0.0.1', async () => {
        const answer = new Promise((resolve) => { let text = ''; other.on('data', (data) => { text += data; }).on('end', () => resolve(text.slice(-6))); });
        console.log(await (await fetch('http://127.0.0.1:' + s.addr.port)).text(), await answer);
        process.exit(0);
      });`,
  );
  assert.deepEqual({ code, output }, { code: 0, output: 'around within\n' });
});
