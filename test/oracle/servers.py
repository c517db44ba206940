"""The servers that are asked, each on a Unix socket of its own, and how they are asked.

Nothing here waits for time to pass: the client sends its bytes and FIN, and reads to the end of the
stream, which every server must reach. What a server saw stands in its answers (field Saw)."""

import functools
import os
import re
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "system"))
from harness import BUILD, DEADLINE, read_line  # noqa: E402
from programs import end_with_parent, pause  # noqa: E402

NAMES = ("carom", "node", "nginx", "chain")  # chain: nginx in front of Carom


def missing():
    """The programs that are not there."""
    return [name for name in ("node", "nginx") if find(name) is None]


@functools.cache
def node_version():
    """The major version of Node here, as "20"."""
    version = subprocess.run([find("node"), "--version"], capture_output=True, text=True, timeout=DEADLINE, check=True)
    return version.stdout.removeprefix("v").partition(".")[0]


def find(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


class Request(NamedTuple):
    """One request as somebody saw it."""
    method: bytes
    target: bytes
    content: bytes
    fields: tuple
    trailers: tuple


class View(NamedTuple):
    """What somebody saw on a connection: requests, and then the status it refused the next with, or 0
    when it only closed; 101 when it switched protocols."""
    requests: tuple
    refused: int


ANSWER = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n")
SAW = re.compile(rb"^Saw: ([^\r\n]*)\r\n", re.M)
PAGE = re.compile(rb"(?:<html>\r\n<head><title>)?(\d{3}) ")  # a refusal without a head
SEEN = b"seen\n"  # the content of every answer that has a Saw
WITHOUT_HEAD = Request(b"GET", b"(HTTP/0.9)", b"", (), ())


def parse_saw(text):
    items = text.split(b" ")
    pairs = {b":": [], b"+": []}
    for item in items[3:]:
        name, value = item[1:].split(b"=")
        pairs[item[:1]].append((unquote_to_bytes(name), unquote_to_bytes(value)))
    return Request(unquote_to_bytes(items[0]), unquote_to_bytes(items[1]),
                   unquote_to_bytes(items[2][1:]), tuple(pairs[b":"]), tuple(pairs[b"+"]))


def parse_view(answers):
    requests = []
    while answers:
        match = ANSWER.match(answers)
        if not match:
            if answers == SEEN:  # no answer to HTTP/0.9 has a head
                return View((*requests, WITHOUT_HEAD), 0)
            page = PAGE.match(answers)
            if not page:
                raise AssertionError(f"no answer: {answers!r}")
            return View(tuple(requests), int(page[1]))
        answers = answers[match.end():]
        status = int(match[1])
        saw = SAW.search(match[2])
        if saw:
            requests.append(parse_saw(saw[1]))
            if requests[-1].method != b"HEAD":
                answers = answers.removeprefix(SEEN)
        elif status == 101 or status >= 200:
            return View(tuple(requests), status)
    return View(tuple(requests), 0)


class Connection:
    """One case on its way to one server."""

    def __init__(self, path, pieces):
        self.pieces = list(pieces)
        self.answers = b""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(path)
        self.socket.setblocking(False)

    def write(self):
        """One piece, so that others get their turn before the next; True when all are sent."""
        try:
            sent = self.socket.send(self.pieces[0])
            self.pieces[0] = self.pieces[0][sent:]
            if not self.pieces[0]:
                self.pieces.pop(0)
        except (BrokenPipeError, ConnectionResetError):
            self.pieces.clear()  # refused before all was sent
        if self.pieces:
            return False
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return True

    def read(self):
        """True at the end of the stream."""
        try:
            data = self.socket.recv(262144)
        except ConnectionResetError:
            data = b""
        self.answers += data
        if not data:
            self.socket.close()
        return not data


class Servers:
    """All of them, started together and ended together."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="carom-oracle-")
        self.home = Path(self.folder.name)
        self.children = []
        self.forwarded = 0  # answers that came from the Carom behind nginx
        witness = os.path.join(os.path.abspath(BUILD), "test", "tool", "witness")
        try:
            self.direct = self.start([witness, f"unix:{self.home}/carom.sock"])
            self.behind = self.start([witness, f"unix:{self.home}/behind.sock"])
            self.start([find("node"), HERE / "witness.mjs", self.home / "node.sock",
                        self.home / "raw.sock"])
            conf = (HERE / "nginx.conf").read_text().replace("@HOME@", str(self.home))
            (self.home / "conf").write_text(conf)
            self.start([find("nginx"), "-p", self.home, "-e", "error.log", "-c", self.home / "conf"],
                       ready=False)
            self.wait_nginx()
        except BaseException:
            self.stop()
            raise

    def start(self, command, ready=True):
        child = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE,
                                 preexec_fn=end_with_parent, bufsize=0)
        self.children.append(child)
        if ready and read_line(child.stdout, command[0]) != "ready":
            raise AssertionError(f"{command[0]} is not ready")
        return child

    def wait_nginx(self):
        """nginx says nothing when it listens; it can only be tried."""
        for _ in range(DEADLINE * 100):
            if self.children[-1].poll() is not None:
                raise AssertionError("nginx ended: " + (self.home / "error.log").read_text())
            with socket.socket(socket.AF_UNIX) as peer:
                if peer.connect_ex(str(self.home / "chain.sock")) == 0:
                    return
            pause()
        raise AssertionError("nginx does not listen")

    def ask(self, cases, names=NAMES):
        """Send every case (a list of pieces) to every server; for each a dict of views by name."""
        views = [{} for _ in cases]
        with selectors.DefaultSelector() as selector:
            for index, pieces in enumerate(cases):
                for name in names:
                    connection = Connection(str(self.home / f"{name}.sock"), pieces)
                    selector.register(connection.socket,
                                      selectors.EVENT_READ | selectors.EVENT_WRITE,
                                      (connection, index, name))
            while selector.get_map():
                ready = selector.select(DEADLINE)
                if not ready:
                    waiting = [key.data for key in selector.get_map().values()]
                    raise AssertionError("no end of the stream within the deadline: " + repr(
                        [(name, b"".join(cases[index])) for _, index, name in waiting[:4]]))
                for key, events in ready:
                    connection, index, name = key.data
                    if events & selectors.EVENT_WRITE and connection.write():
                        selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
                    if events & selectors.EVENT_READ and connection.read():
                        selector.unregister(key.fileobj)
                        view = parse_view(connection.answers)
                        views[index][name] = view
                        if name == "chain":
                            self.forwarded += connection.answers.count(b"\r\nSaw: ")
                            self.forwarded += WITHOUT_HEAD in view.requests
        return views

    def answered_behind(self):
        """End the Carom behind nginx; how many requests it has answered in all."""
        self.behind.terminate()
        line = read_line(self.behind.stdout, "witness")
        return int(line.removeprefix("answered "))

    def stop(self):
        for child in self.children:
            child.kill()
            child.wait()
            child.stdout.close()
        self.folder.cleanup()
