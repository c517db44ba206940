#!/usr/bin/python3
"""Every example is run and its promise proved: answers, order, memory, drain, and complaints."""
import hashlib
import http.client
import os
import random
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import programs
from programs import DEADLINE, connect, path_of, serve  # noqa: E402

SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "c")
EXAMPLES = sorted(name[:-2] for name in os.listdir(SOURCES) if name.endswith(".c"))
MIB = 1 << 20


def get(port, target, method="GET", body=None):
    """One request on a connection of its own: (response, content)."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    try:
        client.request(method, target, body=body)
        response = client.getresponse()
        return response, response.read()
    finally:
        client.close()


def ask(peer, target):
    peer.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


class Complaints(unittest.TestCase):
    """What cannot be done is said in one line, and the exit status is not 0."""

    def complain(self, name, *arguments):
        run = subprocess.run([path_of(name), *arguments], capture_output=True, text=True,
                             stdin=subprocess.DEVNULL, timeout=DEADLINE)
        self.assertNotEqual(run.returncode, 0)
        self.assertGreater(run.returncode, 0, "ended by a signal")
        self.assertEqual(run.stdout, "")
        self.assertRegex(run.stderr, rf"\A{name}: [^\n]+\n\Z")
        return run.stderr

    def test_hello_arguments(self):
        for arguments, cure in [
                (["x"], "give a number from 0"), (["70000"], "give a number"), ([""], "give a number"),
                (["8080x"], "give a number"), (["99999999999999999999"], "give a number"),
                (["-1"], "give a number"), (["--nonsense"], "there is no nonsense"),
                (["--workers"], "no number"), (["--workers", "1025"], "1024 at most"),
                (["--workers", "many"], "no number"),
                (["--backend"], "epoll or uring"), (["--backend", "kqueue"], "epoll or uring")]:
            with self.subTest(arguments=arguments):
                self.assertIn(cure, self.complain("hello", *arguments))

    def test_bad_port(self):
        for name in EXAMPLES:
            with self.subTest(name=name):
                self.complain(name, "port")

    def test_port_in_use_by_another_program(self):
        for address in ["127.0.0.1", "0.0.0.0"]:
            with socket.create_server((address, 0)) as taken:
                port = str(taken.getsockname()[1])
                for name in EXAMPLES:
                    with self.subTest(name=name, address=address):
                        self.assertIn("in use", self.complain(name, port))

    def test_port_in_use_by_the_same_program(self):
        for name in EXAMPLES:
            with self.subTest(name=name):
                port = str(serve(self, name).port)
                self.assertIn("in use", self.complain(name, port))

    def test_port_of_root(self):
        # A port that only root may take, tried as somebody else where that can be done.
        if os.geteuid() == 0:
            self.skipTest("root may listen on any port")
        self.assertIn("above 1023", self.complain("hello", "1"))


class Hello(unittest.TestCase):
    def test_answers_every_request(self):
        hello = serve(self, "hello")
        for method, target, body in [("GET", "/", None), ("GET", "/any/where?q=1", None),
                                     ("POST", "/", b"x" * 100000), ("DELETE", "/thing", None),
                                     ("PUT", "/", iter([b"a", b"bc"]))]:
            response, content = get(hello.port, target, method, body)
            self.assertEqual(response.status, 200)
            self.assertEqual(response.getheader("content-type"), "text/plain")
            self.assertEqual(response.getheader("content-length"), "13")
            self.assertEqual(content, b"Hello, World!")
        response, content = get(hello.port, "/", "HEAD")
        self.assertEqual((response.status, content), (200, b""))
        self.assertEqual(response.getheader("content-length"), "13")

    def test_says_where_to_point_a_browser(self):
        hello = serve(self, "hello")
        hello.wait_line(rf"http://localhost:{hello.port}/")
        for family, host in [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]:
            with socket.socket(family) as peer:
                try:
                    peer.bind((host, 0))
                except OSError:
                    continue  # this host has no such addresses
            with socket.create_connection((host, hello.port), DEADLINE) as peer:
                peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
                self.assertIn(b"Hello, World!", programs.read_all(peer))

    def drains(self, number, *arguments):
        hello = serve(self, "hello", *arguments)
        client = http.client.HTTPConnection("127.0.0.1", hello.port, timeout=DEADLINE)
        self.addCleanup(client.close)
        for _ in range(5):
            client.request("GET", "/")
            self.assertEqual(client.getresponse().read(), b"Hello, World!")
        self.assertEqual(hello.stop(number), 0)  # the idle connection does not hold it up
        self.assertEqual(hello.errors, [])
        for line in ["connections 1", "requests 5", "responses 5", "ended complete 5"]:
            self.assertIn(line, hello.lines)
        self.assertEqual(client.sock.recv(1), b"")

    def test_sigint_drains_and_prints_statistics(self):
        self.drains(signal.SIGINT)

    def test_sigterm_drains_and_prints_statistics(self):
        self.drains(signal.SIGTERM)

    def test_sigint_drains_with_workers(self):
        self.drains(signal.SIGINT, "--workers", "3")

    def test_workers_share_the_port(self):
        hello = serve(self, "hello", "--workers", "4")
        peers = [connect(self, hello.port) for _ in range(40)]
        for peer in peers:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        for peer in peers:
            self.assertTrue(programs.read_all(peer).endswith(b"\r\n\r\nHello, World!"))
        self.assertEqual(hello.stop(), 0)
        for line in ["connections 40", "requests 40", "responses 40"]:
            self.assertIn(line, hello.lines)

    def test_second_signal_stops_at_once(self):
        hello = serve(self, "hello")
        peer = connect(self, hello.port)
        # Ask and never read, until the engine does not read either: its drain has to wait for us. (When it is
        # only slow it has megabytes of requests then, and nowhere to put their answers.)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.settimeout(1)
        with self.assertRaises(TimeoutError):
            while True:
                peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        hello.signal()
        programs.wait_refused(self, hello.port)
        self.assertIsNone(hello.process.poll(), "it should wait for the client that does not read")
        hello.signal()
        self.assertEqual(hello.wait_exit(), 0)
        self.assertTrue(any(line.startswith("ended shutdown ") for line in hello.lines), hello.lines)


class Later(unittest.TestCase):
    def test_answers_come_when_they_are_ready(self):
        later = serve(self, "later")
        start = time.monotonic()
        peers = {}
        for milliseconds in [99_999, 500, 0]:  # nobody waits for the first
            peers[milliseconds] = connect(self, later.port)
            ask(peers[milliseconds], f"/timer/{milliseconds}")
        for milliseconds in [0, 500]:
            self.assertIn(f"\r\n\r\n{milliseconds} ms by a timer\n".encode(), peers[milliseconds].recv(4096))
            self.assertGreaterEqual(time.monotonic() - start, milliseconds / 1000, "early")
        answered = select.select([peers[99_999]], [], [], 0)[0]
        self.assertTrue(answered == [] or time.monotonic() - start >= 99.999, "early")

    def test_pipelined_answers_leave_in_order(self):
        later = serve(self, "later")
        peer = connect(self, later.port)
        targets = [("/timer/400", b"400 ms by a timer"), ("/work/200", b"200 ms by a thread"),
                   ("/timer/0", b"0 ms by a timer"), ("/other", b"Ask for")]
        for target, _ in targets:
            ask(peer, target)
        answers = peer.makefile("rb")
        for _, text in targets:
            self.assertRegex(answers.readline(), rb"HTTP/1.1 (200 OK|404 Not Found)\r\n")
            length = 0
            for line in iter(answers.readline, b"\r\n"):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            self.assertIn(text, answers.read(length))

    def test_threads(self):
        later = serve(self, "later")
        peers = [connect(self, later.port) for _ in range(6)]
        start = time.monotonic()
        for peer in peers:
            ask(peer, "/work/150")
        for peer in peers:
            self.assertIn(b"150 ms by a thread", peer.recv(4096))
        # Six answers of two threads take three times as long as one, and the worker slept meanwhile.
        self.assertGreaterEqual(time.monotonic() - start, 0.45)
        self.assertEqual(later.stop(), 0)

    def test_clients_that_leave_are_noticed(self):
        later = serve(self, "later")
        for target, ways, by in [("/timer/60000", [socket.socket.close, programs.reset], False),
                                 ("/work/600", [socket.socket.close, programs.reset], True)]:
            for leave in ways:
                with self.subTest(target=target, leave=leave.__name__):
                    peer = connect(self, later.port)
                    ask(peer, target)
                    response, content = get(later.port, "/timer/1")  # the other has arrived by now
                    self.assertEqual(content, b"1 ms by a timer\n")
                    seen = len(later.lines)
                    leave(peer)
                    milliseconds = target.rpartition("/")[2]
                    later.wait_line(rf"left before its answer of {milliseconds} ms \(client-")
                    if by:
                        later.wait_line(rf"an answer of {milliseconds} ms was for nobody")
                    self.assertGreater(len(later.lines), seen)
                    del later.lines[:]
        self.assertEqual(later.stop(), 0)

    def test_shutdown_waits_for_answers(self):
        later = serve(self, "later")
        peers = {}
        for target in ["/timer/700", "/work/700"]:
            peers[target] = connect(self, later.port)
            ask(peers[target], target)
        get(later.port, "/timer/1")
        later.signal()
        for target, peer in peers.items():
            answer = programs.read_all(peer)
            self.assertIn(b"200 OK", answer, target)
            self.assertIn(b"\r\nconnection: close\r\n", answer.lower(), target)
            self.assertIn(b"700 ms by", answer, target)
        self.assertEqual(later.wait_exit(), 0)

    def test_second_signal_cancels(self):
        later = serve(self, "later")
        peer = connect(self, later.port)
        ask(peer, "/timer/90000")
        get(later.port, "/timer/1")
        later.signal()
        programs.wait_refused(self, later.port)
        self.assertIsNone(later.process.poll())
        later.signal()
        self.assertEqual(programs.read_all(peer), b"")
        self.assertEqual(later.wait_exit(), 0)
        later.wait_line(r"left before its answer of 90000 ms \(shutdown\)")


class Echo(unittest.TestCase):
    SIZE = 200 * MIB

    @classmethod
    def setUpClass(cls):
        cls.block = random.Random(1).randbytes(MIB - 7)

    def blocks(self, size):
        for start in range(0, size, len(self.block)):
            yield memoryview(self.block)[:min(len(self.block), size - start)]

    def through(self, port, size, chunked):
        """Send `size` bytes while reading them back; they must come back the same."""
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        self.addCleanup(client.close)
        client.putrequest("POST", "/")
        client.putheader("Content-Type", "application/x-noise")
        if chunked:
            client.putheader("Transfer-Encoding", "chunked")
        else:
            client.putheader("Content-Length", str(size))
        client.endheaders()
        sent, received, problems = hashlib.sha256(), hashlib.sha256(), []

        def send():
            try:
                for block in self.blocks(size):
                    sent.update(block)
                    client.sock.sendall(b"%x\r\n" % len(block) if chunked else b"")
                    client.sock.sendall(block)
                    client.sock.sendall(b"\r\n" if chunked else b"")
                client.sock.sendall(b"0\r\n\r\n" if chunked else b"")
            except OSError as problem:
                problems.append(problem)

        sender = threading.Thread(target=send)
        sender.start()
        response = client.getresponse()
        count = 0
        for piece in iter(lambda: response.read(MIB), b""):
            received.update(piece)
            count += len(piece)
        sender.join()
        self.assertEqual(problems, [])
        self.assertEqual((response.status, count), (200, size))
        self.assertEqual(response.getheader("content-type"), "application/x-noise")
        self.assertEqual(response.getheader("content-length"), None if chunked else str(size))
        self.assertEqual(received.hexdigest(), sent.hexdigest())

    def test_large_bodies_in_constant_memory(self):
        for chunked in [False, True]:
            with self.subTest(chunked=chunked):
                echo = serve(self, "echo")
                self.through(echo.port, 4 * MIB, chunked)
                before = echo.peak_kib()
                self.through(echo.port, self.SIZE, chunked)
                if not programs.SANITIZED:  # sanitizers hold freed memory back
                    self.assertLess(echo.peak_kib() - before, 8 * 1024)
                    self.assertLess(echo.peak_kib(), 32 * 1024)
                self.assertEqual(echo.stop(), 0)

    def test_sizes_at_the_edges(self):
        echo = serve(self, "echo")
        for size in [0, 1, 2, 4095, 4096, 4097, 16383, 16384, 16385, 65535, 65536, 65537, 300001]:
            for chunked in [False, True]:
                with self.subTest(size=size, chunked=chunked):
                    self.through(echo.port, size, chunked)

    def test_client_that_does_not_read_is_not_read_from(self):
        echo = serve(self, "echo")
        self.through(echo.port, 4 * MIB, False)
        before = echo.peak_kib()
        peer = connect(self, echo.port)
        peer.setblocking(False)
        block = self.block[:65536]
        head = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % self.SIZE
        peer.send(head)
        sent = 0
        while select.select([], [peer], [], 1)[1]:  # a second without room: it has stalled, or is slow
            sent += peer.send(block[sent % len(block):])
            self.assertLess(sent, self.SIZE, "the engine took everything without being read")
        if not programs.SANITIZED:
            self.assertLess(echo.peak_kib() - before, 4 * 1024)
        # Read what there is: the rest of what was sent comes back, then the engine waits for more.
        peer.setblocking(True)
        peer.settimeout(DEADLINE)
        answer = peer.makefile("rb")
        for _ in iter(answer.readline, b"\r\n"):
            pass
        received = answer.read(sent)
        expected = (block * (sent // len(block) + 1))[:sent]
        self.assertTrue(received == expected, "the bytes differ")
        self.assertEqual(echo.stop(signal.SIGKILL), -signal.SIGKILL)

    def test_clients_that_leave(self):
        echo = serve(self, "echo")
        for leave in [socket.socket.close, programs.reset]:
            for _ in range(20):
                peer = connect(self, echo.port)
                peer.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\nabc")
                self.assertTrue(peer.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n"))
                leave(peer)
        self.through(echo.port, 1000, True)
        self.assertEqual(echo.stop(), 0)
        self.assertEqual(echo.errors, [])


class Upload(unittest.TestCase):
    def test_digest(self):
        upload = serve(self, "upload")
        noise = random.Random(2)
        for size in [0, 1, 55, 56, 64, 4096, 65536, 1000003, 8 * MIB]:
            body = noise.randbytes(size)
            expected = f"{hashlib.sha256(body).hexdigest()}  {size} bytes\n".encode()
            for method in ["POST", "PUT"]:
                response, content = get(upload.port, "/", method, body)
                self.assertEqual((response.status, content), (200, expected))
            pieces = (body[i:i + 50000] for i in range(0, size, 50000))
            response, content = get(upload.port, "/", "POST", pieces)  # chunked
            self.assertEqual((response.status, content), (200, expected))
        self.assertEqual(upload.stop(), 0)

    def test_byte_by_byte_and_together(self):
        upload = serve(self, "upload")
        body = b"carom" * 20
        expected = hashlib.sha256(body).hexdigest().encode()
        peers = [connect(self, upload.port) for _ in range(4)]
        for peer in peers:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100\r\n\r\n")
        for i in range(len(body)):
            for peer in peers:
                peer.sendall(body[i:i + 1])
        for peer in peers:
            self.assertIn(b"\r\n\r\n" + expected, programs.read_all(peer))

    def test_other_methods(self):
        upload = serve(self, "upload")
        for method, body in [("GET", None), ("DELETE", b"y" * 300000)]:
            response, content = get(upload.port, "/", method, body)
            self.assertEqual((response.status, response.getheader("allow")), (405, "POST, PUT"))
            self.assertIn(b"curl -T", content)

    def test_clients_that_leave(self):
        upload = serve(self, "upload")
        for leave in [socket.socket.close, programs.reset]:
            peer = connect(self, upload.port)
            peer.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                         b"Content-Length: 99999\r\n\r\n")
            self.assertEqual(peer.recv(4096), b"HTTP/1.1 100 Continue\r\n\r\n")
            peer.sendall(b"abc")
            leave(peer)
            upload.wait_line(r"a client left after [03] bytes")
            del upload.lines[:]
        self.assertEqual(upload.stop(), 0)
        self.assertEqual(upload.errors, [])


class Embed(unittest.TestCase):
    def ticks(self, client):
        client.request("GET", "/")
        return int(re.fullmatch(rb"(\d+) ticks\n", client.getresponse().read()).group(1))

    def test_the_programs_own_timer_runs_while_serving(self):
        embed = serve(self, "embed")
        client = http.client.HTTPConnection("127.0.0.1", embed.port, timeout=DEADLINE)
        self.addCleanup(client.close)
        first = latest = self.ticks(client)
        requests, until = 1, time.monotonic() + DEADLINE
        while latest < first + 5 and time.monotonic() < until:  # asking all the time
            latest = self.ticks(client)
            requests += 1
        self.assertGreaterEqual(latest, first + 5)
        self.assertGreater(requests, 5, "the service was served less than the timer")

    def test_engine_timers_and_shutdown_work_inside_the_loop(self):
        embed = serve(self, "embed")
        client = http.client.HTTPConnection("127.0.0.1", embed.port, timeout=DEADLINE)
        self.addCleanup(client.close)
        self.ticks(client)
        self.assertEqual(embed.stop(), 0)
        self.assertEqual(embed.errors, [])
        self.assertEqual(client.sock.recv(1), b"")

    def test_idle_program_sleeps(self):
        embed = serve(self, "embed")
        with connect(self, embed.port) as peer:
            ask(peer, "/")
            self.assertIn(b" ticks\n", peer.recv(4096))
            before = self.processor_seconds(embed)
            select.select([peer], [], [], 2)  # nothing will come
            self.assertLess(self.processor_seconds(embed) - before, 0.5, "it does not sleep")

    def processor_seconds(self, program):
        with open(f"/proc/{program.process.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    unittest.main(verbosity=2 if "-v" in sys.argv else 1)
