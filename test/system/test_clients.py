#!/usr/bin/python3
"""Clients that people use, against the engine: curl, wrk, Node, Python, nginx as a proxy, a browser.

The examples hello, echo and upload answer; what needs a richer server (streams, tunnels, a Unix
socket) asks test/tool/serve. A client that is not installed is skipped and named.
"""
import hashlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import programs  # noqa: E402
from programs import DEADLINE, Program, path_of, serve  # noqa: E402

MIB = 1 << 20
os.environ["PATH"] += ":/usr/sbin:/sbin"


def need(command):
    return unittest.skipUnless(shutil.which(command), f"{command} is not installed")


def noise(size, seed=3):
    return random.Random(seed).randbytes(size)


class Case(unittest.TestCase):
    def folder(self):
        """A temporary folder, short enough to hold a Unix socket."""
        folder = tempfile.TemporaryDirectory(prefix="carom-")
        self.addCleanup(folder.cleanup)
        return folder.name

    def run_client(self, *command, status=0, data=None):
        """Run a client to its end; its standard output as bytes. A status of None allows any."""
        try:
            run = subprocess.run(command, capture_output=True, timeout=DEADLINE, input=data or b"")
        except subprocess.TimeoutExpired as problem:
            self.fail(f"{command} hangs: {problem.stdout} {problem.stderr}")
        if status is not None:
            self.assertEqual(run.returncode, status, (command, run.stdout[-2000:], run.stderr[-2000:]))
        self.said = run.stderr.decode(errors="replace")
        return run.stdout

    def tool(self, *arguments):
        """Start test/tool/serve; it has .address when this returns."""
        if not os.path.exists(path_of("serve", "test/tool")):
            self.skipTest("test/tool/serve is not built")
        program = Program(self, [path_of("serve", "test/tool"), *arguments])
        program.address = program.wait_line(r"^listening (\S+)").group(1)
        program.wait_line(r"^ready")
        return program


@need("curl")
class Curl(Case):
    def curl(self, *arguments, status=0, data=None):
        return self.run_client("curl", "-q", "-sS", "-m", str(DEADLINE), *arguments,
                               status=status, data=data)

    def setUp(self):
        os.environ["no_proxy"] = "*"

    def start(self, name):
        self.program = serve(self, name)
        return f"http://127.0.0.1:{self.program.port}/"

    def tearDown(self):
        if hasattr(self, "program"):  # whatever the client did, the service stops in good order
            self.assertEqual(self.program.stop(signal.SIGTERM), 0)
            self.assertEqual(self.program.errors, [])

    def file(self, content):
        path = os.path.join(self.folder(), "content")
        with open(path, "wb") as file:
            file.write(content)
        return path

    def test_get(self):
        url = self.start("hello")
        told = self.curl("-w", "\n%{http_code} %{http_version} %{content_type}", url).decode()
        self.assertEqual(told, "Hello, World!\n200 1.1 text/plain")

    def test_head(self):
        head = self.curl("-I", self.start("hello")).decode()
        self.assertTrue(head.startswith("HTTP/1.1 200 OK\r\n"), head)
        self.assertIn("\r\ncontent-length: 13\r\n", head.lower())
        self.assertRegex(head.lower(), r"\r\ndate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d gmt\r\n")
        self.assertTrue(head.endswith("\r\n\r\n"), "content after the head of HEAD")

    def test_post_form(self):
        url = self.start("echo")
        told = self.curl("-d", "a=1", "-d", "b=2", "-w", "\n%{content_type}", url).decode()
        self.assertEqual(told, "a=1&b=2\napplication/x-www-form-urlencoded")

    def test_multipart_form(self):
        url, content = self.start("echo"), noise(200000)
        told = self.curl("-F", "name=value", "-F", f"file=@{self.file(content)}", url)
        self.assertIn(content, told)
        self.assertIn(b'name="name"\r\n\r\nvalue\r\n', told)

    def test_upload_of_a_file(self):
        url, content = self.start("echo"), noise(5 * MIB)
        self.assertTrue(self.curl("-T", self.file(content), url) == content, "the bytes differ")

    def test_upload_of_a_pipe_is_chunked(self):
        url, content = self.start("echo"), noise(3 * MIB)
        self.assertTrue(self.curl("-T", "-", url, data=content) == content, "the bytes differ")
        url = f"http://127.0.0.1:{serve(self, 'upload').port}/"
        digest = hashlib.sha256(content).hexdigest()
        self.assertEqual(self.curl("-T", "-", url, data=content).decode(),
                         f"{digest}  {len(content)} bytes\n")

    def test_expect_continue(self):
        url, content = self.start("echo"), noise(2 * MIB)
        told = self.curl("-v", "-H", "Expect: 100-continue", "--expect100-timeout", str(DEADLINE),
                         "--data-binary", "@" + self.file(content), url)
        self.assertTrue(told == content, "the bytes differ")
        self.assertIn("< HTTP/1.1 100 Continue", self.said)

    def test_expect_continue_that_is_not_wanted(self):
        url = f"http://127.0.0.1:{serve(self, 'upload').port}/"
        told = self.curl("-v", "-X", "PATCH", "-H", "Expect: 100-continue",
                         "--expect100-timeout", str(DEADLINE), "-w", "%{http_code} %{size_upload}",
                         "--data-binary", "@" + self.file(noise(2 * MIB)), "-o", os.devnull, url)
        self.assertEqual(told, b"405 0")
        self.assertNotIn("100 Continue", self.said)

    def test_chunked(self):
        url, content = self.start("echo"), noise(2 * MIB)
        told = self.curl("-H", "Transfer-Encoding: chunked", "--data-binary",
                         "@" + self.file(content), "-w", "%{stderr}%header{transfer-encoding}", url)
        self.assertTrue(told == content, "the bytes differ")
        self.assertEqual(self.said, "chunked")

    def test_raw_chunks_are_well_formed(self):
        url = self.start("echo")
        told = self.curl("--raw", "-H", "Transfer-Encoding: chunked", "-d", "abc", url)
        self.assertEqual(told, b"3\r\nabc\r\n0\r\n\r\n")

    def test_http_1_0(self):
        url = self.start("hello")
        told = self.curl("--http1.0", "-i", url).decode().replace("\r", "")
        self.assertTrue(told.startswith("HTTP/1.1 200 OK\n"), told)
        self.assertTrue(told.endswith("\n\nHello, World!"))
        told = self.curl("--http1.0", "-w", " %{num_connects}", url, url).decode()
        self.assertEqual(told, "Hello, World! 1Hello, World! 1")
        told = self.curl("--http1.0", "-H", "Connection: keep-alive", "-w", " %{num_connects}",
                         url, url).decode()
        self.assertEqual(told, "Hello, World! 1Hello, World! 0")
        url = f"http://127.0.0.1:{serve(self, 'echo').port}/"
        self.assertEqual(self.curl("--http1.0", "-d", "old", url), b"old")

    def test_connections(self):
        url = self.start("hello")
        for arguments, connects in [([], "100"), (["-H", "Connection: close"], "111"),
                                    (["--no-keepalive"], "100"), (["--head"], "100")]:
            told = self.curl(*arguments, "-o", os.devnull, "-o", os.devnull, "-o", os.devnull, "-w",
                             "%{num_connects}", url, url + "b", url + "c").decode()
            self.assertEqual(told, connects, arguments)

    def test_connection_is_kept_after_every_kind_of_body(self):
        url, path = self.start("echo"), self.file(noise(100000))
        again = ["--next", "-sS", "-o", os.devnull, "-w", "%{num_connects}"]
        told = self.curl(*again[2:], "-d", "x", url, *again, "-T", path, url, *again, "-I", url, *again,
                         "-H", "Transfer-Encoding: chunked", "-d", "y", url, *again, url)
        self.assertEqual(told, b"10000")

    def test_many_at_once(self):
        url = self.start("hello")
        told = self.curl("-Z", "--parallel-max", "30", url + "[1-300]")
        self.assertEqual(told, b"Hello, World!" * 300)

    def test_limit_rate(self):
        url, content = self.start("echo"), noise(600000)
        told = self.curl("--limit-rate", "300k", "-T", self.file(content), url)
        self.assertTrue(told == content, "the bytes differ")

    def test_ranges_and_encodings_are_the_handlers(self):
        url = self.start("hello")
        for arguments in [["-r", "0-4"], ["--compressed"], ["-z", "2030-01-01"], ["-e", "x"], ["-G"]]:
            self.assertEqual(self.curl(*arguments, url), b"Hello, World!")

    def test_offer_of_http2(self):
        told = self.curl("--http2", "-w", "%{http_code} %{http_version}", self.start("hello"))
        self.assertEqual(told, b"Hello, World!200 1.1")

    def test_http2_without_an_offer(self):
        self.curl("--http2-prior-knowledge", self.start("hello"), status=None)
        self.assertEqual(self.curl(f"http://127.0.0.1:{self.program.port}/"), b"Hello, World!")

    def test_upgrade_that_nobody_takes(self):
        told = self.curl("-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-w",
                         "%{http_code}", self.start("hello"))
        self.assertEqual(told, b"Hello, World!200")

    def test_any_target_and_method(self):
        url = self.start("hello")
        for arguments in [["-X", "OPTIONS", "--request-target", "*"], ["-X", "PROPFIND"],
                          ["--path-as-is"], ["--request-target", url]]:
            self.assertEqual(self.curl(*arguments, url + "a/../b?c=%20#d"), b"Hello, World!")

    def test_limits_are_told(self):
        url = self.start("hello")
        for arguments, target, status in [(["-H", "X: " + "x" * 20000], "", b"431"),
                                          ([], "x" * 9000, b"414")]:
            told = self.curl(*arguments, "-o", os.devnull, "-w", "%{http_code}", url + target)
            self.assertEqual(told, status)

    def test_plain_http_asked_for_tls(self):
        self.curl("-k", f"https://127.0.0.1:{int(self.start('hello').split(':')[2][:-1])}/",
                  status=35)

    def test_unix_socket(self):
        path = os.path.join(self.folder(), "socket")
        self.program = self.tool("--listen", "unix:" + path)
        told = self.curl("--unix-socket", path, "http://any/hello", "http://any/hello",
                         "-w", "%{http_code}%{num_connects} ")
        self.assertRegex(told, rb"2001 [^\0]*2000 ")

    def test_stream_arrives_while_it_is_made(self):
        self.program = self.tool()
        body = self.curl("-N", f"http://{self.program.address}/stream?size=50000&piece=1000")
        self.assertEqual(body, (b"abcdefghijklmnopqrstuvwxyz" * 2000)[:50000])

    def test_tunnel_through_connect(self):
        self.program = self.tool()
        target = serve(self, "hello")
        # The tool's tunnel echoes what it is sent: curl then reads its own request as the answer.
        self.curl("-p", "-x", f"http://{self.program.address}", "--noproxy", "", "-v",
                  f"http://127.0.0.1:{target.port}/", status=None)
        self.assertRegex(self.said, r"< HTTP/1.1 \d\d\d ")


@need("wrk")
class Wrk(Case):
    def load(self, name, *arguments, script=None):
        program = serve(self, name, *(["--workers", "2"] if name == "hello" else []))
        if script:
            path = os.path.join(self.folder(), "script.lua")
            with open(path, "w") as file:
                file.write(script)
            arguments += ("-s", path)
        told = self.run_client("wrk", "-t2", "-c64", "-d1s", "--timeout", "30s", *arguments,
                               f"http://127.0.0.1:{program.port}/").decode()
        self.assertNotIn("Socket errors", told)
        self.assertNotIn("Non-2xx", told)
        self.assertGreater(int(re.search(r"(\d+) requests in", told).group(1)), 0, told)
        self.assertEqual(program.stop(), 0)
        self.assertEqual(program.errors, [])
        return program

    def test_keep_alive(self):
        program = self.load("hello")
        # wrk tries the address with a connection of its own first, which may end before it counts.
        self.assertRegex(program.lines[1], "^connections 6[45]$")

    def test_a_connection_for_each(self):
        self.load("hello", "-H", "Connection: close")

    def test_pipelined(self):
        self.load("hello", script="""
            local all = {}
            init = function() for i = 1, 16 do all[i] = wrk.format("GET", "/" .. i) end end
            request = function() return table.concat(all) end""")

    def test_bodies(self):
        self.load("echo", script="""
            wrk.method = "POST"
            wrk.body = string.rep("carom", 4000)
            response = function(status, _, body)
                if body ~= wrk.body then io.stderr:write("differs") os.exit(1) end
            end""")


NODE_AGENT = """
const http = require('http'), crypto = require('crypto'), {Readable} = require('stream');
const [hello, echo] = process.argv.slice(1).map(Number);
const agent = new http.Agent({keepAlive: true, maxSockets: 8});
const sockets = new Set();
function ask(port, options, body) {
  return new Promise((done, fail) => {
    const request = http.request({host: '127.0.0.1', port, agent, ...options}, response => {
      const pieces = [];
      response.on('data', piece => pieces.push(piece)).on('error', fail).on('end', () =>
        done({status: response.statusCode, body: Buffer.concat(pieces)}));
    }).on('error', fail).on('socket', socket => sockets.add(socket));
    if (body) body.pipe(request); else request.end();
  });
}
(async () => {
  const answers = await Promise.all(Array.from({length: 300}, (_, i) =>
    ask(hello, {path: '/' + i, method: i % 7 ? 'GET' : 'HEAD'})));
  const good = answers.filter((a, i) =>
    a.status === 200 && a.body.toString() === (i % 7 ? 'Hello, World!' : '')).length;
  const content = crypto.randomBytes(3 << 20);
  const cut = [];
  for (let at = 0; at < content.length; at += 70001) cut.push(content.subarray(at, at + 70001));
  const echoes = await Promise.all([1, 2, 3, 4].map(() =>
    ask(echo, {method: 'POST'}, Readable.from(cut))));
  const same = echoes.filter(e => e.status === 200 && e.body.equals(content)).length;
  const request = http.request({host: '127.0.0.1', port: echo, agent, method: 'POST',
    headers: {Trailer: 'x-end', 'Transfer-Encoding': 'chunked'}});
  const trailed = await new Promise((done, fail) => {
    request.on('error', fail).on('response', response => {
      response.resume().on('end', () => done(response.statusCode)); });
    request.write('with a trailer'); request.addTrailers({'X-End': 'yes'}); request.end();
  });
  console.log(JSON.stringify({good, same, trailed, sockets: sockets.size}));
  agent.destroy();
})().catch(problem => { console.error(problem); process.exit(1); });
"""

NODE_FETCH = """
const [hello, echo] = process.argv.slice(1).map(port => `http://127.0.0.1:${port}/`);
(async () => {
  const texts = await Promise.all(Array.from({length: 100}, async () => (await fetch(hello)).text()));
  async function* pieces() { for (let i = 0; i < 500; i++) yield new Uint8Array(4001).fill(i); }
  const answer = await fetch(echo, {method: 'POST', body: ReadableStream.from?.(pieces()) ??
    require('stream').Readable.toWeb(require('stream').Readable.from(pieces())), duplex: 'half'});
  const body = new Uint8Array(await answer.arrayBuffer());
  const aborted = await fetch(echo, {method: 'POST', body: 'x'.repeat(1000),
    signal: AbortSignal.abort()}).catch(problem => problem.name);
  console.log(JSON.stringify({good: texts.filter(t => t === 'Hello, World!').length,
    same: body.length === 500 * 4001 && body.every((b, i) => b === (Math.floor(i / 4001) & 255)),
    aborted}));
})().catch(problem => { console.error(problem); process.exit(1); });
"""

NODE_PIPELINE = """
const net = require('net');
const socket = net.connect(Number(process.argv[1]), '127.0.0.1');
let text = '';
socket.write('GET /a HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'.repeat(99) +
  'GET /z HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n');
socket.on('data', data => text += data).on('error', problem => { throw problem; });
socket.on('end', () => console.log(JSON.stringify({
  heads: text.split('HTTP/1.1 200 OK').length - 1, bodies: text.split('Hello, World!').length - 1,
  closes: text.toLowerCase().split('connection: close').length - 1})));
"""


@need("node")
class Node(Case):
    def script(self, script, *ports):
        return json.loads(self.run_client("node", "-e", script, *map(str, ports)))

    def test_agent_with_keep_alive(self):
        hello, echo = serve(self, "hello"), serve(self, "echo")
        told = self.script(NODE_AGENT, hello.port, echo.port)
        self.assertEqual((told["good"], told["same"], told["trailed"]), (300, 4, 200))
        self.assertLessEqual(told["sockets"], 8 + 4 + 1)
        self.assertEqual([hello.stop(), echo.stop()], [0, 0])

    def test_fetch(self):
        hello, echo = serve(self, "hello"), serve(self, "echo")
        told = self.script(NODE_FETCH, hello.port, echo.port)
        self.assertEqual(told, {"good": 100, "same": True, "aborted": "AbortError"})

    def test_pipeline(self):
        told = self.script(NODE_PIPELINE, serve(self, "hello").port)
        self.assertEqual(told, {"heads": 100, "bodies": 100, "closes": 1})


class Python(Case):
    def test_one_connection_for_everything(self):
        echo = serve(self, "echo")
        client = http.client.HTTPConnection("127.0.0.1", echo.port, timeout=DEADLINE)
        self.addCleanup(client.close)
        client.connect()
        first = client.sock
        for i in range(100):
            body = noise(i * i * 7, i)
            client.request("POST", "/", body=iter([body[:50], body[50:]]) if i % 2 else body)
            response = client.getresponse()
            self.assertTrue(response.status == 200 and response.read() == body)
            self.assertIs(client.sock, first)


NGINX = """
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    log_format short '$request_method $status $upstream_status';
    access_log {folder}/access short;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    upstream carom {{ server 127.0.0.1:{port}; keepalive 8; }}
    server {{
        listen unix:{folder}/socket;
        location / {{
            proxy_pass http://carom;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering {buffering};
            proxy_buffering {buffering};
            proxy_next_upstream off;
        }}
    }}
}}
"""


class UnixConnection(http.client.HTTPConnection):
    """http.client over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=DEADLINE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(self.path)


@need("nginx")
class Nginx(Case):
    def proxy(self, port, buffering="on"):
        """Start nginx in front of `port`, listening on a Unix socket: its path."""
        folder = self.folder()
        os.chmod(folder, 0o755)
        with open(os.path.join(folder, "conf"), "w") as file:
            file.write(NGINX.format(folder=folder, port=port, buffering=buffering,
                                    user="user root;" if os.geteuid() == 0 else ""))
        self.nginx = Program(self, ["nginx", "-p", folder, "-c", os.path.join(folder, "conf")])
        self.log = os.path.join(folder, "access")
        path = os.path.join(folder, "socket")
        self.wait_for(path)
        return path

    def wait_for(self, path):
        """Return when `path` accepts connections."""
        for _ in range(DEADLINE * 100):
            try:
                with socket.socket(socket.AF_UNIX) as peer:
                    peer.connect(path)
                return
            except OSError:
                self.assertIsNone(self.nginx.process.poll(), self.nginx.errors)
                programs.pause()
        self.fail("nginx does not listen")

    def finish(self):
        """End nginx; the lines of its access log."""
        self.nginx.signal(signal.SIGQUIT)
        self.nginx.wait_exit()
        with open(self.log) as log:
            return log.read().splitlines()

    def many(self, path, threads, requests, ask):
        """Call ask(client, i) on several threads, each with a connection; what went wrong."""
        problems = []

        def work(number):
            client = UnixConnection(path)
            try:
                for i in range(requests):
                    problem = ask(client, number * requests + i)
                    if problem:
                        problems.append(problem)
                        return
            except (OSError, http.client.HTTPException) as problem:
                problems.append(repr(problem))
            finally:
                client.close()

        workers = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return problems

    def test_many_requests(self):
        hello = serve(self, "hello")
        path = self.proxy(hello.port)

        def ask(client, number):
            client.request("POST" if number % 3 == 0 else "GET", f"/{number}",
                           body=b"x" * number if number % 3 == 0 else None)
            response = client.getresponse()
            text = response.read()
            return None if (response.status, text) == (200, b"Hello, World!") else response.status

        self.assertEqual(self.many(path, 8, 400, ask), [])
        lines = self.finish()
        self.assertEqual(len(lines), 3200)
        self.assertEqual([line for line in lines if not line.endswith(" 200 200")], [])
        self.assertEqual(hello.stop(), 0)
        connections = int(hello.wait_line(r"^connections (\d+)").group(1))
        self.assertLessEqual(connections, 64, "the connections upstream are not kept")

    def bodies(self, buffering):
        echo = serve(self, "echo")
        path = self.proxy(echo.port, buffering)
        bodies = [noise(size) for size in [0, 1, 70000, 3 * MIB]]

        def ask(client, number):
            body = bodies[number % 4]
            chunked = number % 8 >= 4
            client.request("POST", "/", body=iter([body[:99], body[99:]]) if chunked else body)
            response = client.getresponse()
            return None if (response.status, response.read()) == (200, body) else response.status

        # Without buffers a client has to read while it sends; these read afterwards.
        if buffering == "off":
            bodies[3] = noise(60000)
        self.assertEqual(self.many(path, 4, 24, ask), [])
        self.assertEqual([line for line in self.finish() if " 502" in line], [])
        self.assertEqual(echo.stop(), 0)

    def test_bodies_with_buffers(self):
        self.bodies("on")

    def test_bodies_without_buffers(self):
        self.bodies("off")

    def test_drain(self):
        later = serve(self, "later")
        path = self.proxy(later.port)
        clients = [UnixConnection(path) for _ in range(8)]
        for client in clients:  # connections to keep
            self.addCleanup(client.close)
            client.request("GET", "/timer/0")
            self.assertEqual(client.getresponse().read(), b"0 ms by a timer\n")
        for client in clients:
            client.request("GET", "/timer/1000")
        probe = UnixConnection(path)  # comes after them and is answered before them
        probe.request("GET", "/timer/100")
        probe.getresponse().read()
        probe.close()
        later.signal(signal.SIGTERM)
        for client in clients:
            response = client.getresponse()
            self.assertEqual((response.status, response.read()), (200, b"1000 ms by a timer\n"))
        self.assertEqual(later.wait_exit(), 0)
        self.assertEqual([line for line in self.finish() if not line.endswith(" 200 200")], [])


BROWSER = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)


@unittest.skipUnless(BROWSER, "no Chromium is installed")
class Browser(Case):
    def test_page(self):
        hello = serve(self, "hello")
        page = self.run_client(
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--disable-background-networking", "--no-proxy-server",
            f"--user-data-dir={self.folder()}", "--dump-dom", f"http://localhost:{hello.port}/")
        self.assertIn(b"Hello, World!", page)
        self.assertEqual(hello.stop(), 0)
        self.assertGreaterEqual(int(hello.wait_line(r"^requests (\d+)").group(1)), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2 if "-v" in sys.argv else 1)
