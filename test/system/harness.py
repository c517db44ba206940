"""What the system tests share: the test server as a child, raw clients, and answers taken apart.

Every wait is for an event and has a deadline that fails (DEADLINE): it ends what hangs, so it is far beyond what any
machine needs, however busy; nothing sleeps until it passes.
The test server is test/tool/serve of the build that CAROM_BUILD names.
"""

import ctypes
import json
import os
import re
import resource
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

from programs import DEADLINE, end_with_parent, send_signal
from secured import Authority, Secured, client_context

BUILD = os.environ.get("CAROM_BUILD", os.path.join(os.getcwd(), "build"))
SERVE = os.path.join(BUILD, "test", "tool", "serve")
LOAD = os.path.join(BUILD, "test", "tool", "load")
WRAPPER = os.environ.get("CAROM_WRAPPER", "").split()  # such as valgrind and its options
BACKEND = os.environ.get("CAROM_BACKEND", "epoll")
TLS = bool(os.environ.get("CAROM_TLS"))  # servers and clients speak TLS

KIND = subprocess.run([SERVE, "--build"], check=True, capture_output=True, text=True,
                      timeout=DEADLINE).stdout.strip()
PLAIN = KIND == "plain" and not WRAPPER
# How much of the full size a test runs at: all of it in the plain build.
SCALE = float(os.environ.get("CAROM_TEST_SCALE", "1" if PLAIN else "0.1" if not WRAPPER else "0.01"))


def scaled(number, least=1):
    """`number`, scaled down in slow builds."""
    return max(least, int(number * SCALE))


def own_certificate():
    """A certificate for localhost, made once, with its key in the same file."""
    path = os.path.join(BUILD, "test", "localhost.pem")
    if not os.path.exists(path):
        with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as folder:
            os.rename(Authority(folder).issue("localhost", "DNS:localhost"), path)
    return path


def raise_descriptors():
    """As many descriptors as the hard limit allows; returns how many."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def read_line(pipe, what):
    """One line of a child's output, before the deadline."""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        line = b""
        while not line.endswith(b"\n"):
            if not selector.select(DEADLINE):
                raise AssertionError(f"{what}: no line within {DEADLINE} s, only {line!r}")
            byte = os.read(pipe.fileno(), 1)
            if not byte:
                raise AssertionError(f"{what}: ended after {line!r}")
            line += byte
        return line.decode().rstrip("\n")


def why_refused():
    """Why the kernel refuses io_uring (flags of Linux 6.1 that the engine needs), or None."""
    libc = ctypes.CDLL(None, use_errno=True)
    setup, parameters = 425, (ctypes.c_uint32 * 30)()
    parameters[2] = 1 << 12 | 1 << 13  # SINGLE_ISSUER, DEFER_TASKRUN
    fd = libc.syscall(setup, 1, parameters)
    if fd < 0:
        return os.strerror(ctypes.get_errno())
    os.close(fd)
    return None


if BACKEND == "uring" and why_refused():
    print(f"skipped: io_uring is refused here: {why_refused()}", flush=True)
    sys.exit(77)  # ctest calls it skipped


def has_uring(pid):
    """Whether a process has a ring open."""
    folder = f"/proc/{pid}/fd"
    return any(os.readlink(f"{folder}/{fd}") == "anon_inode:[io_uring]" for fd in os.listdir(folder))


class Server:
    """The test server, started and listening. Options by name: Server(keep_alive=100)."""

    def __init__(self, listen=("127.0.0.1:0",), command=(), environment=None, pass_fds=(),
                 preexec=None, **options):
        def prepare():
            end_with_parent()
            if preexec:
                preexec()

        arguments = [*WRAPPER, SERVE, "--backend", BACKEND]
        if TLS:
            # Without tickets: a client that leaves has read all there is, as over plain sockets.
            arguments += ["--certificate", own_certificate(), "--ticket_lifetime", "off"]
            listen = [address if address.startswith("fd:") else "tls:" + address for address in listen]
        for address in listen:
            arguments += ["--listen", address]
        for name, values in options.items():
            for value in values if isinstance(values, list) else [values]:
                arguments += ["--" + name, str(int(value) if isinstance(value, bool) else value)]
        self.process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, bufsize=0,
                                        pass_fds=pass_fds, preexec_fn=prepare,
                                        env={**os.environ, **(environment or {})})
        self.addresses = []
        self.final = None
        try:
            while True:
                line = read_line(self.process.stdout, "serve")
                if line == "ready":
                    break
                self.addresses.append(line.removeprefix("listening "))
            if BACKEND == "uring" and not has_uring(self.pid):
                raise AssertionError("the server has fallen back to epoll")
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self):
        return self.process.pid

    def connect(self, index=0, **options):
        return Client(self.addresses[index], **options)

    def stats(self, index=0):
        """The statistics; the exchange that asks is one of them."""
        with self.connect(index) as client:
            client.send(b"GET /stats HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            return json.loads(client.answer().body)

    def wait_stats(self, condition, what, deadline=None):
        """Ask until the condition holds: for what has no event of its own to wait for."""
        end = time.monotonic() + (deadline or DEADLINE)
        while True:
            stats = self.stats()
            if condition(stats):
                return stats
            if time.monotonic() > end:
                raise AssertionError(f"{what}: not within {deadline or DEADLINE} s: {stats}")
            time.sleep(0.005)

    def get(self, target):
        with self.connect() as client:
            client.send(f"GET {target} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".encode())
            return client.answer()

    def signal(self):
        """Ask for a shutdown, with the deadline that --deadline gave."""
        send_signal(self.process, signal.SIGTERM)

    def ended(self):
        """Wait for its end and return the last statistics. The exit status must be 0."""
        line = read_line(self.process.stdout, "serve at its end")
        status = self.process.wait(DEADLINE)
        self.process.stdout.close()
        if status != 0:
            raise AssertionError(f"serve ended with {status}")
        self.final = json.loads(line)
        return self.final

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE)
        if not self.process.stdout.closed:
            self.process.stdout.close()


def assert_balanced(test, final):
    """What must hold of the statistics of a server that has drained."""
    test.assertEqual(final["records_in_flight"], 0, final)
    test.assertEqual(final["connections_open"], 0, final)
    test.assertEqual(final["refused"], 0, final)
    test.assertEqual(final["ended"]["none"], 0, final)
    # A record begins with the first byte: heads that never came whole are recycled too.
    test.assertGreaterEqual(final["records_recycled"], final["requests"], final)
    test.assertEqual(final["records_recycled"], sum(final["ended"].values()), final)


class Answer:
    """One response, taken apart: status, fields in order, body, trailers, and the raw head."""

    def __init__(self, head):
        self.head = head
        lines = head.decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.status = int(self.line.split(" ")[1])
        self.fields = [tuple(line.split(": ", 1)) for line in lines[1:] if line]
        self.body = b""
        self.raw = b""
        self.trailers = []

    def field(self, name):
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        return values[0] if len(values) == 1 else values or None

    @property
    def masked(self):
        """The head, its date blanked."""
        return mask_date(self.head)


def mask_date(data):
    return re.sub(rb"Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n",
                  b"Date: *\r\n", data)


class Client:
    """A raw client socket with a deadline on everything."""

    def __init__(self, address, receive_buffer=None, tls=TLS):
        if address.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            path = address[5:]
            to = "\0" + path[1:] if path.startswith("@") else path
        else:
            host, port = address.rsplit(":", 1)
            self.socket = socket.socket(socket.AF_INET6 if host[0] == "[" else socket.AF_INET)
            to = (host.strip("[]"), int(port))
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(to)
        if tls:
            self.socket = Secured(self.socket, client_context())
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Leave by a reset (on a Unix socket: by closing)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def finish(self):
        self.socket.shutdown(socket.SHUT_WR)

    def send(self, data):
        self.socket.sendall(data)

    def get(self, target, fields=""):
        self.send(f"GET {target} HTTP/1.1\r\nHost: t\r\n{fields}\r\n".encode())
        return self.answer()

    def more(self):
        """More bytes into the buffer; False at the peer's end."""
        data = self.socket.recv(262144)
        self.buffer += data
        return bool(data)

    def take(self, length):
        while len(self.buffer) < length:
            if not self.more():
                raise AssertionError(f"the server closed; {length} bytes wanted: {self.buffer!r}")
        data, self.buffer = self.buffer[:length], self.buffer[length:]
        return data

    def until(self, mark):
        while mark not in self.buffer:
            if not self.more():
                raise AssertionError(f"the server closed before {mark!r}: {self.buffer!r}")
        return self.take(self.buffer.index(mark) + len(mark))

    def head(self):
        return Answer(self.until(b"\r\n\r\n"))

    def answer(self, method="GET"):
        """A whole final response; its framing must be exact."""
        answer = self.head()
        if method == "HEAD" or answer.status in (204, 304) or answer.status < 200:
            return answer
        if answer.field("Transfer-Encoding") == "chunked":
            while True:
                size = int(self.until(b"\r\n")[:-2], 16)
                if size == 0:
                    break
                answer.body += self.take(size)
                assert self.take(2) == b"\r\n"
            while (line := self.until(b"\r\n")) != b"\r\n":
                answer.trailers.append(tuple(line.decode()[:-2].split(": ", 1)))
        elif answer.field("Content-Length") is not None:
            answer.body = self.take(int(answer.field("Content-Length")))
        else:
            answer.body = self.rest()
        return answer

    def rest(self):
        """All bytes to the peer's FIN. A reset is an error here."""
        while self.more():
            pass
        return self.take(len(self.buffer))

    def gone(self):
        """Wait until the peer has closed, in order or by a reset; returns which, and the bytes."""
        try:
            while self.more():
                pass
            return "fin", self.take(len(self.buffer))
        except ConnectionResetError:
            return "reset", self.take(len(self.buffer))


class SystemTest(unittest.TestCase):
    """A test with servers of its own, all of which must end well."""

    def setUp(self):
        self.servers = []
        self.addCleanup(self.stop_servers)

    def serve(self, **options):
        server = Server(**options)
        self.servers.append(server)
        return server

    def stop_servers(self):
        for server in self.servers:
            server.kill()

    def finish(self, server, balanced=True):
        """Shut down with what is left cancelled at once; returns the last statistics."""
        with server.connect() as client:
            client.send(b"GET /shutdown?deadline=0 HTTP/1.1\r\nHost: t\r\n\r\n")
            client.gone()
        final = server.ended()
        if balanced:
            assert_balanced(self, final)
        return final


def load(server, mode, kind="hello", requests=1000, warmup=0, address=None, **options):
    """Run the load driver against a server; returns its numbers. It checks every byte."""
    if TLS:
        raise unittest.SkipTest("the load driver speaks no TLS")
    arguments = [LOAD, "--address", address or server.addresses[0], "--mode", mode, "--kind", kind,
                 "--requests", str(requests), "--warmup", str(warmup)]
    for name, value in options.items():
        arguments += ["--" + name, str(value)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=DEADLINE,
                          check=False)
    if done.returncode != 0:
        raise AssertionError(f"load failed: {done.stderr or done.stdout}")
    return json.loads(done.stdout)


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))


def processor_ticks(pid):
    """User and system time of a process, in clock ticks."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])
