"""The examples that ask a backend on the worker's own thread: PostgreSQL, Redis and another HTTP server, which are started
here on Unix sockets or free ports; and the broadcast of events. What is not built, since its library is not there, is skipped."""

import http.client
import os
import pwd
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

import programs
from programs import DEADLINE, connect, path_of, serve

MIB = 1 << 20


def needs(example, *commands):
    """Skip where the example is not built, or what it asks is not installed."""
    missing = [command for command in commands if not command]
    return unittest.skipIf(missing or not os.path.exists(path_of(example)), f"{example} is not built (script/bootstrap test)")


def ask(port, target, method="GET", body=None, fields=None):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    try:
        client.request(method, target, body, fields or {})
        response = client.getresponse()
        return response.status, response.read()
    finally:
        client.close()


def all_at_once(calls):
    """The results of functions, each called in a thread of its own."""
    results = [None] * len(calls)

    def run(index):
        results[index] = calls[index]()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def until(test, condition):
    """For what happens by itself and tells nobody."""
    for _ in range(DEADLINE * 100):
        if condition():
            return
        programs.pause()
    test.fail("it has not happened")


def folder(test, user=None):
    path = tempfile.mkdtemp()
    test.addCleanup(shutil.rmtree, path, ignore_errors=True)
    if user:
        os.chown(path, *pwd.getpwnam(user)[2:4])
    return path


# ---------------------------------------------------------------- PostgreSQL

POSTGRES = next((str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin")) if (path / "postgres").exists()), None)


class Postgres:
    """A server of its own in an empty folder. It refuses to be root."""

    def __init__(self, test):
        user = "postgres" if os.geteuid() == 0 else None
        self.folder = folder(test, user)
        self.prefix = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--pdeathsig", "KILL"] if user else []
        self.run("initdb", "-D", f"{self.folder}/data", "-U", "carom", "-A", "trust", "-N", "--no-locale", "-E", "UTF8")
        command = [*self.prefix, f"{POSTGRES}/postgres", "-D", f"{self.folder}/data", "-k", self.folder, "-h", "", "-F",
                   "-c", "shared_buffers=1MB", "-c", "max_connections=20"]
        self.program = programs.Program(test, ["sh", "-c", 'exec "$@" 2>&1', "sh", *command], cwd=self.folder)
        test.addCleanup(self.program.stop, signal.SIGQUIT)
        self.program.wait_line("ready to accept connections")
        self.conninfo = f"host={self.folder} user=carom dbname=postgres"

    def run(self, name, *arguments):
        done = subprocess.run([*self.prefix, f"{POSTGRES}/{name}", *arguments], cwd=self.folder, capture_output=True,
                              text=True, timeout=DEADLINE)
        if done.returncode != 0:
            raise AssertionError(f"{name}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def query(self, text):
        return self.run("psql", "-h", self.folder, "-U", "carom", "-d", "postgres", "-Atc", text)


@needs("database", POSTGRES)
class Database(unittest.TestCase):
    OTHERS = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"

    def test_it_asks_the_database(self):
        postgres = Postgres(self)
        database = serve(self, "database", postgres.conninfo)
        names = [f"client {number}" for number in range(40)]
        answers = all_at_once([lambda name=name: ask(database.port, "/" + name.replace(" ", "-") + "?0.01") for name in names])
        for name, answer in zip(names, answers):
            self.assertEqual(answer, (200, f'{{"name" : "{name.replace(" ", "-")}"}}'.encode()))
        self.assertEqual(postgres.query(f"SELECT count(*) {self.OTHERS}"), "8")  # four of each worker

        # Clients that leave: the queries that run for them, and those that wait, are for nobody.
        sleepers = [connect(self, database.port) for _ in range(20)]
        for sleeper in sleepers:
            sleeper.sendall(b"GET /sleeper?600 HTTP/1.1\r\nHost: x\r\n\r\n")
        until(self, lambda: int(postgres.query(f"SELECT count(*) {self.OTHERS} AND state = 'active'")) >= 4)
        for number, sleeper in enumerate(sleepers):
            (socket.socket.close if number % 2 else programs.reset)(sleeper)

        # Connections that break: who waits for one is told, and they are opened again.
        waiting = connect(self, database.port)
        waiting.sendall(b"GET /waiting?600 HTTP/1.1\r\nHost: x\r\n\r\n")
        last = b""
        while not last:  # it may wait in the queue until some have broken
            postgres.query(f"SELECT count(pg_terminate_backend(pid)) {self.OTHERS} AND state = 'active'")
            waiting.settimeout(0.01)
            try:
                last = waiting.recv(4096)
            except TimeoutError:
                pass
        self.assertRegex(last, rb"^HTTP/1.1 50[03] ")  # an error, or the end of the connection
        self.assertEqual(ask(database.port, "/again"), (200, b'{"name" : "again"}'))

        # A shutdown waits for no query that nobody waits for.
        sleeper = connect(self, database.port)
        sleeper.sendall(b"GET /sleeper?600 HTTP/1.1\r\nHost: x\r\n\r\n")
        until(self, lambda: int(postgres.query(f"SELECT count(*) {self.OTHERS} AND state = 'active'")) >= 1)
        self.assertEqual(database.stop(), 0)
        self.assertEqual(database.errors, [])

    def test_without_a_database_it_waits_for_one(self):
        database = serve(self, "database", f"host={folder(self)}")
        peer = connect(self, database.port)
        peer.sendall(b"GET /nobody HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(database.stop(), 0)
        self.assertEqual(programs.read_all(peer), b"")


# ---------------------------------------------------------------- Redis

REDIS = shutil.which("redis-server")


def redis(test, path):
    program = programs.Program(test, [REDIS, "--port", "0", "--unixsocket", f"{path}/redis", "--save", "", "--dir", path])
    program.wait_line("ready to accept connections|now ready")
    return program


@needs("cache", REDIS)
class Cache(unittest.TestCase):
    def test_it_asks_redis(self):
        path = folder(self)
        server = redis(self, path)
        cache = serve(self, "cache", f"{path}/redis")
        self.assertEqual(ask(cache.port, "/nothing")[0], 404)
        value = bytes(range(256)) * 256  # 64 KiB
        self.assertEqual(ask(cache.port, "/value", "PUT", value), (200, b"OK"))
        self.assertEqual(ask(cache.port, "/value"), (200, value))
        self.assertEqual(ask(cache.port, "/value", "PUT", value + b"x")[0], 413)
        self.assertEqual(ask(cache.port, "/value", "POST")[0], 500)  # it is no number
        numbers = all_at_once([lambda: ask(cache.port, "/count", "POST") for _ in range(40)])
        self.assertEqual(sorted(int(content) for _, content in numbers), list(range(1, 41)))

        # Clients that leave before their answer.
        for leave in [socket.socket.close, programs.reset] * 10:
            peer = connect(self, cache.port)
            peer.sendall(b"POST /left HTTP/1.1\r\nHost: x\r\n\r\n")
            leave(peer)
        self.assertIn(ask(cache.port, "/left")[0], [200, 404])  # a request may go with its client

        # Redis goes, and comes again.
        server.stop(signal.SIGKILL)
        until(self, lambda: ask(cache.port, "/nothing")[0] == 503)
        redis(self, path)
        until(self, lambda: all_at_once([lambda: ask(cache.port, "/nothing")[0]] * 8) == [404] * 8)
        self.assertEqual(cache.stop(), 0)
        self.assertEqual(cache.errors, [])


# ---------------------------------------------------------------- a reverse proxy

class Upstream:
    """Accepts connections of the proxy, one by one, and leaves what is said to the test."""

    def __init__(self, test):
        self.test = test
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.settimeout(DEADLINE)
        test.addCleanup(self.listening.close)
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def accept(self):
        """A connection, and the head of its request."""
        peer, _ = self.listening.accept()
        peer.settimeout(DEADLINE)
        self.test.addCleanup(peer.close)
        head = b""
        while b"\r\n\r\n" not in head:
            head += peer.recv(1)
        return peer, head.decode()


@needs("proxy")
class Proxy(unittest.TestCase):
    def test_heads_pass_but_for_what_is_of_one_connection(self):
        upstream = Upstream(self)
        proxy = serve(self, "proxy", upstream.url)
        client = connect(self, proxy.port)
        client.sendall(b"GET /a/../b?c HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nX-Empty:\r\nTE: trailers\r\n\r\n")
        peer, head = upstream.accept()
        lines = head.lower().split("\r\n")
        self.assertEqual(lines[0], "get /a/../b?c http/1.1")
        self.assertIn("x-one: 1", lines)
        self.assertIn("x-empty:", lines)
        self.assertNotIn("te: trailers", lines)
        peer.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 203 Fine\r\nX-Two: 2\r\nConnection: close\r\n"
                     b"Content-Length: 3\r\n\r\nabc")
        answer = client.makefile("rb")
        self.assertEqual(answer.readline().split()[1], b"203")
        fields = dict(line.split(b": ") for line in iter(lambda: answer.readline().rstrip(), b""))
        self.assertEqual(fields[b"X-Two"], b"2")
        self.assertEqual(fields[b"Connection"], b"keep-alive")  # ours, not the upstream's
        self.assertEqual((fields[b"Content-Length"], answer.read(3)), (b"3", b"abc"))
        self.assertEqual(proxy.stop(), 0)
        self.assertEqual(proxy.errors, [])

    def test_content_goes_both_ways_at_once(self):
        echo = serve(self, "echo")
        proxy = serve(self, "proxy", f"http://127.0.0.1:{echo.port}")
        content = os.urandom(MIB) * 8
        for chunked in [False, True]:
            body = (content[i:i + 50000] for i in range(0, len(content), 50000)) if chunked else content
            client = connect(self, proxy.port)
            received = []
            reader = threading.Thread(target=lambda: received.append(client.makefile("rb").read()))
            framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(content)
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + framing + b"\r\n\r\n")
            reader.start()
            for piece in body if chunked else [body]:
                client.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            client.sendall(b"0\r\n\r\n" if chunked else b"")
            reader.join()
            head, _, answer = received[0].partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 200 "), head)
            if b"chunked" in head.lower():
                pieces, rest = [], memoryview(answer)
                while (size := int(bytes(rest[:16]).split(b"\r\n")[0], 16)) > 0:
                    start = bytes(rest[:16]).index(b"\r\n") + 2
                    pieces.append(rest[start:start + size])
                    rest = rest[start + size + 2:]
                answer = b"".join(pieces)
            self.assertTrue(answer == content, f"{len(answer)} bytes differ")
        self.assertEqual(ask(proxy.port, "/", "HEAD")[0], ask(echo.port, "/", "HEAD")[0])
        if not programs.SANITIZED:
            self.assertLess(proxy.peak_kib(), 32 * 1024)
        self.assertEqual(proxy.stop(), 0)
        self.assertEqual(proxy.errors, [])

    def test_who_sends_no_more_before_it_has_the_answer(self):
        """Its upload waits for more and its answer for room, both at once."""
        echo = serve(self, "echo")
        proxy = serve(self, "proxy", f"http://127.0.0.1:{echo.port}")
        client, size = connect(self, proxy.port), 200_000
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            client.sendall(b"%x\r\n%b\r\n" % (size, b"\x01" * size))
            back = 0
            while back < size:
                piece = client.recv(1 << 20)
                self.assertTrue(piece, f"closed behind {back} bytes")
                back += piece.count(1)
        client.close()
        self.assertEqual(proxy.stop(), 0)
        self.assertEqual(proxy.errors, [])

    def test_who_does_not_read_is_not_sent_to(self):
        upstream = Upstream(self)
        proxy = serve(self, "proxy", upstream.url)
        client = connect(self, proxy.port)
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        peer, _ = upstream.accept()
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1000 * MIB))
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        peer.settimeout(0.5)  # it has stalled, or is slow
        sent = 0
        with self.assertRaises(TimeoutError):
            while sent < 1000 * MIB:
                sent += peer.send(bytes(65536))
        self.assertLess(sent, 64 * MIB)
        if not programs.SANITIZED:
            self.assertLess(proxy.peak_kib(), 32 * 1024)
        peer.settimeout(DEADLINE)
        client.recv(1 << 20)
        programs.reset(client)  # it leaves, and so does the proxy
        with self.assertRaises(OSError):
            while True:
                peer.sendall(bytes(65536))
        self.assertEqual(proxy.stop(), 0)

    def test_either_side_may_leave(self):
        upstream = Upstream(self)
        proxy = serve(self, "proxy", upstream.url)
        for leave in [socket.socket.close, programs.reset]:
            client = connect(self, proxy.port)
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\nabc")
            peer, _ = upstream.accept()
            self.assertEqual(peer.recv(3), b"abc")
            leave(client)
            self.assertEqual(programs.read_all(peer), b"")
        client = connect(self, proxy.port)
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        peer, _ = upstream.accept()
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        self.assertIn(b" 200 OK", client.recv(4096))
        peer.close()
        self.assertLess(len(programs.read_all(client)), 10)  # the end, before its content's
        upstream.listening.close()
        self.assertEqual(ask(proxy.port, "/")[0], 502)
        self.assertEqual(proxy.stop(), 0)
        self.assertEqual(proxy.errors, [])


# ---------------------------------------------------------------- a broadcast

@needs("broadcast")
class Broadcast(unittest.TestCase):
    CLIENTS = 100 if programs.SANITIZED else 1000

    def setUp(self):
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)

    def listener(self, port):
        peer = connect(self, port)
        peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        return peer

    def read_until(self, peer, end):
        received = b""
        while not received.endswith(end):
            piece = peer.recv(65536)
            self.assertTrue(piece, received)
            received += piece
        return received

    def test_events_go_to_all_by_a_post_for_each_worker(self):
        broadcast = serve(self, "broadcast", "3")
        peers = [self.listener(broadcast.port) for _ in range(self.CLIENTS)]
        for peer in peers:
            self.assertIn(b"text/event-stream", self.read_until(peer, b"\r\n\r\n"))
        leaving, staying = peers[::10], [peer for index, peer in enumerate(peers) if index % 10]
        for number, peer in enumerate(leaving):
            (socket.socket.close if number % 2 else programs.reset)(peer)
        for number in range(5):
            self.assertEqual(ask(broadcast.port, "/", "POST", b"event %d" % number), (200, b"3\n"))
        expected = b"".join(b"data: event %d\n\n" % number for number in range(5))
        for peer in staying:  # those of one turn share a chunk
            self.assertEqual(re.sub(rb"(?m)^\w+\r\n|\r\n", b"", self.read_until(peer, b"event 4\n\n\r\n")), expected)
        self.assertEqual(ask(broadcast.port, "/", "POST", bytes(1025))[0], 413)
        broadcast.signal()
        for peer in staying:
            self.assertEqual(programs.read_all(peer), b"0\r\n\r\n")  # an end, not a break
        self.assertEqual(broadcast.wait_exit(), 0)
        self.assertEqual(broadcast.errors, [])

    def test_who_does_not_read_holds_nobody_up(self):
        broadcast = serve(self, "broadcast", "1")
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", broadcast.port))
        slow.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        fast = self.listener(broadcast.port)
        self.read_until(fast, b"\r\n\r\n")
        poster = http.client.HTTPConnection("127.0.0.1", broadcast.port, timeout=DEADLINE)
        self.addCleanup(poster.close)
        for number in range(1000):  # 1 MB, more than the kernel and the engine take for one
            poster.request("POST", "/", b"%01000d" % number)
            self.assertEqual(poster.getresponse().read(), b"1\n")
            self.read_until(fast, b"%01000d\n\n\r\n" % number)
        slow.settimeout(DEADLINE)
        received = b""
        while b"%01000d" % 0 not in received:
            received += slow.recv(65536)
        slow.close()
        self.assertEqual(broadcast.stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2 if "-v" in sys.argv else 1)
