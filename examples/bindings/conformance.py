#!/usr/bin/python3
"""What a binding must get right, asked of one that runs: `conformance.py 127.0.0.1:8080` prints ok or not ok for each.

The binding serves what the examples here serve:

    /        "Hello, World!" as text/plain
    /fields  METHOD TARGET VERSION (11), then a line "name: value" for each field; a line feed ends each
    /echo    the content of the request, as it comes, and its trailers
    /large   1 MiB of "x"              /none  204
    /late    "late", after 10 ms       /left  how many clients of /hold have left, as a number
    /hold    a head, and then nothing: the handler waits until its client leaves
    /pieces  4,000 times "a", then "b", to "z": each in a message of its own, without news of the client between them

What is answered 404 is skipped, and who cannot be reached is asked nothing. Behind what is not ok stands where docs/bindings/guide.md tells how it should be. The exit
status is 1 when something was not ok. `--only trailers` runs the checks with that word in their names; `--without
trailers,names` skips what a binding does not have: a Request of fetch has no trailers, and its names of fields are in
lower case.
"""
import argparse
import random
import select
import socket
import struct
import sys

DEADLINE = 600  # seconds: it ends what hangs, and nothing that is only slow
CHECKS = []


def check(what, section, needs=()):
    def keep(function):
        CHECKS.append((what, section, needs, function))
        return function
    return keep


class Skip(Exception):
    pass


class Client:
    """A connection, and a reader of HTTP/1.1 that takes nothing that is not exact."""

    def __init__(self):
        self.socket = socket.create_connection(ADDRESS, DEADLINE)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, target, method="GET", fields="", content=b""):
        head = f"{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"
        self.socket.sendall(head.encode("latin1") + content)

    def more(self):
        data = self.socket.recv(1 << 18)
        assert data, f"the server closed, with {self.buffer[-80:]!r}"
        self.buffer += data

    def take(self, length):
        pieces, rest = [], length
        while len(self.buffer) < rest:  # what is long is not copied at each piece
            rest -= len(self.buffer)
            pieces.append(self.buffer)
            self.buffer = b""
            self.more()
        pieces.append(self.buffer[:rest])
        self.buffer = self.buffer[rest:]
        return b"".join(pieces)

    def line(self):
        while b"\r\n" not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def head(self):
        status, fields = int(self.line()[9:12]), {}
        while line := self.line():
            name, value = line.decode("latin1").split(": ", 1)
            fields[name.lower()] = value
        if status == 404:
            raise Skip("it answers 404")
        return status, fields

    def content(self, fields):
        """(content, trailers)"""
        if "content-length" in fields:
            return self.take(int(fields["content-length"])), []
        assert fields.get("transfer-encoding") == "chunked", fields
        pieces, trailers = [], []
        while size := int(self.line(), 16):
            pieces.append(self.take(size))
            assert self.line() == b"", "a chunk does not end where it says"
        while line := self.line():
            trailers.append(line.decode("latin1"))
        return b"".join(pieces), trailers

    def ask(self, target, **request):
        """(status, fields, content, trailers)"""
        self.send(target, **request)
        status, fields = self.head()
        assert status >= 200, f"a {status}, which nobody asked for"
        if request.get("method") == "HEAD" or status in (204, 304):
            return status, fields, b"", []
        return status, fields, *self.content(fields)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def same(got, wanted):
    assert got == wanted, f"{got[:100] if isinstance(got, bytes) else got!r} in the place of " \
                          f"{wanted[:100] if isinstance(wanted, bytes) else wanted!r}"


def chunked(*pieces, trailers=""):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + f"0\r\n{trailers}\r\n".encode()


CHUNKED = "Transfer-Encoding: chunked\r\n"


@check("a request is answered, whole, with its length", "An answer")
def _(client):
    status, fields, content, _ = client.ask("/")
    same((status, content, fields.get("content-length")), (200, b"Hello, World!", "13"))
    assert fields.get("content-type", "").startswith("text/plain"), fields


@check("a connection serves one request after the other", "Slots")
def _(client):
    for _ in range(100):
        same(client.ask("/")[2], b"Hello, World!")


@check("HEAD gets the fields of GET, and no content", "HEAD")
def _(client):
    fields = client.ask("/", method="HEAD")[1]
    same(fields.get("content-length"), "13")
    same(client.ask("/")[2], b"Hello, World!")


@check("204 has neither content nor a length", "An answer")
def _(client):
    status, fields, _, _ = client.ask("/none")
    same((status, fields.get("content-length"), fields.get("transfer-encoding")), (204, None, None))
    same(client.ask("/")[2], b"Hello, World!")


def fields_of(client, fields):
    return client.ask("/fields", fields=fields)[2].decode("latin1").split("\n")


@check("method, target and version", "The head")
def _(client):
    method, target, _ = fields_of(client, "")[0].split(" ")
    same((method, target), ("GET", "/fields"))


@check("fields come in order, with their names as sent", "The head", ["names"])
def _(client):
    same(fields_of(client, "B: 1\r\na: 2\r\nX-Case: mIxEd\r\n")[1:], ["Host: a", "B: 1", "a: 2", "X-Case: mIxEd", ""])


@check("a value may be empty, or have bytes beyond ASCII", "The head", ["names"])
def _(client):
    same(fields_of(client, "X:\r\nY: \xe4\xff\r\n")[2:], ["X: ", "Y: \xe4\xff", ""])


@check("a long head, which lies in a page, comes whole", "Pages")
def _(client):
    value = "c" * 12000
    for _ in range(40):  # more often than there are pages
        lines = fields_of(client, f"X-Long: {value}\r\n")
        assert any(line.lower() == f"x-long: {value}" for line in lines), "it is not among the fields"


@check("content behind a long head", "Pages")
def _(client):
    same(client.ask("/echo", method="POST", fields=f"X: {'c' * 3000}\r\nContent-Length: 3\r\n", content=b"abc")[2], b"abc")


@check("small content, which comes with the head", "Content")
def _(client):
    for length in (0, 1, 7, 500, 1700, 1800, 1900):
        content = bytes(random.Random(length).randbytes(length))
        same(client.ask("/echo", method="POST", fields=f"Content-Length: {length}\r\n", content=content)[2], content)


@check("content of 3 MB goes back byte for byte", "Content")
def _(client):
    content = random.Random(1).randbytes(3_000_000)
    client.send("/echo", "POST", f"Content-Length: {len(content)}\r\n")
    same(both_ways(client, content), content)


@check("chunked content goes back byte for byte", "Content")
def _(client):
    pieces = [random.Random(size).randbytes(size) for size in (1, 100, 10_000, 70_000, 3)]
    client.send("/echo", "POST", CHUNKED)
    same(both_ways(client, chunked(*pieces)), b"".join(pieces))


def both_ways(client, content):
    """Send while the answer is read: neither side need hold all of it. The content that came back."""
    client.socket.setblocking(False)
    view = memoryview(content)
    while view:
        readable, writable, _ = select.select([client.socket], [client.socket], [], DEADLINE)
        assert readable or writable, "nothing goes on"
        if readable:
            client.more()
        if writable:
            view = view[client.socket.send(view[:1 << 16]):]
    client.socket.settimeout(DEADLINE)
    status, fields = client.head()
    same(status, 200)
    return client.content(fields)[0]


@check("trailers come with the end of the content", "Content", ["trailers"])
def _(client):
    content = chunked(b"abc", trailers="X-One: 1\r\nX-Two: 2\r\n")
    _, _, back, trailers = client.ask("/echo", method="POST", fields=CHUNKED, content=content)
    same((back, trailers), (b"abc", ["X-One: 1", "X-Two: 2"]))


@check("trailers without content", "Content", ["trailers"])
def _(client):
    same(client.ask("/echo", method="POST", fields=CHUNKED, content=chunked(trailers="X: 1\r\n"))[3], ["X: 1"])


@check("Expect: 100-continue is answered when content is wanted", "Content")
def _(client):
    client.send("/echo", "POST", "Content-Length: 5\r\nExpect: 100-continue\r\n")
    same(client.head()[0], 100)  # behind the head of an answer none can come: READ is to be sent before HEAD
    client.socket.sendall(b"hello")
    status, fields = client.head()
    same((status, client.content(fields)[0]), (200, b"hello"))


@check("a client that does not read is not read from", "Backpressure")
def _(client):
    size = 64 << 20
    client.send("/echo", "POST", f"Content-Length: {size}\r\n")
    client.socket.setblocking(False)
    piece, sent = b"x" * (1 << 16), 0
    with Client() as other:
        while sent < size:
            if not select.select([], [client.socket], [], 0.3)[1]:
                for _ in range(20):  # it has stalled, or is slow: now it has had its turns
                    same(other.ask("/")[2], b"Hello, World!")
                if not select.select([], [client.socket], [], 0)[1]:
                    break
            sent += client.socket.send(piece[:size - sent])
    assert sent < size, f"all {size} bytes were taken, though nothing was read: they are held somewhere"
    client.reset()  # and who has sent no more is not waited for


@check("a large answer comes whole to a client that begins to read late", "Loans")
def _(client):
    with Client() as other:
        client.send("/large")
        for _ in range(20):
            same(other.ask("/")[2], b"Hello, World!")
    status, fields = client.head()
    same((status, client.content(fields)[0]), (200, b"x" * (1 << 20)))


@check("many large answers come whole, one after the other", "Loans")
def _(client):
    for _ in range(30):
        same(len(client.ask("/large")[2]), 1 << 20)


@check("loans come back, and their numbers are used again", "Loans")
def _(client):
    for _ in range(300):  # more often than a binding should have numbers; HEAD, so that no content goes
        same(client.ask("/large", method="HEAD")[1].get("content-length"), str(1 << 20))


@check("pipelined requests are answered in order", "An answer")
def _(client):
    client.socket.sendall(b"".join(f"GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for path in ("late", "", "none", "")))
    got = []
    for _ in range(4):
        status, fields = client.head()
        got.append((status, client.content(fields)[0] if status == 200 else b""))
    same(got, [(200, b"late"), (200, b"Hello, World!"), (204, b""), (200, b"Hello, World!")])


@check("pieces, each in a message of its own, come in order", "An answer")
def _(client):
    for _ in range(20):  # more often than a block has slots
        same(client.ask("/pieces")[2], b"".join(bytes([letter]) * 4000 for letter in range(97, 123)))


def left():
    with Client() as client:
        return int(client.ask("/left")[2])


def until_left(count):
    while left() < count:  # what does not come in 600 s is ended by who runs this
        select.select([], [], [], 0.01)
    same(left(), count)


@check("two hundred at once, more than there are slots at first", "Slots")
def _(client):
    before, clients = left(), []
    for _ in range(200):
        clients.append(Client())
        clients[-1].send("/hold")  # each takes a slot, and no time-out ends its wait
        same(clients[-1].head()[0], 200)
    with Client() as other:
        same(other.ask("/")[2], b"Hello, World!")
    for one in clients:
        one.socket.close()
    until_left(before + len(clients))


@check("an answer that comes later", "Timers")
def _(client):
    same(client.ask("/late")[2], b"late")


@check("a handler hears that its client has left", "Cancellation")
def _(client):
    before, waiting = left(), [Client() for _ in range(5)]
    for number, one in enumerate(waiting):
        one.send("/hold")
        same(one.head()[0], 200)
        one.reset() if number % 2 else one.socket.close()
    until_left(before + len(waiting))


@check("a client that leaves in the middle of its content", "Cancellation")
def _(client):
    for _ in range(40):  # more often than a block has slots
        with Client() as other:
            other.send("/echo", "POST", "Content-Length: 100000\r\n", b"y" * 5000)
            other.reset()
    with Client() as after:  # the time for this one's first byte may be over
        same(after.ask("/")[2], b"Hello, World!")


@check("a client that leaves in the middle of its answer", "Cancellation")
def _(client):
    for _ in range(40):
        with Client() as other:
            other.send("/large")
            other.socket.recv(100)
            other.reset()
    with Client() as after:  # the time for this one's first byte may be over
        same(len(after.ask("/large")[2]), 1 << 20)


@check("Connection: close is obeyed, and HTTP/1.0 too", "An answer")
def _(client):
    client.send("/", fields="Connection: close\r\n")
    same(client.content(client.head()[1])[0], b"Hello, World!")
    same(client.buffer + client.socket.recv(1), b"")
    with Client() as old:
        old.socket.sendall(b"GET / HTTP/1.0\r\n\r\n")
        same(old.content(old.head()[1])[0], b"Hello, World!")
        same(old.buffer + old.socket.recv(1), b"")


def main():
    global ADDRESS
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("address", help="of the binding, as 127.0.0.1:8080")
    arguments.add_argument("--without", default="", help="trailers, names")
    arguments.add_argument("--only", default="", help="a word of the names of the checks to run")
    given = arguments.parse_args()
    checks = [check for check in CHECKS if given.only in check[0]]
    host, _, port = given.address.rpartition(":")
    ADDRESS = host, int(port)
    without, wrong = given.without.split(","), 0
    try:
        Client().socket.close()
    except OSError as fault:
        sys.exit(f"nobody answers at {given.address}: {fault}")
    print(f"1..{len(checks)}")
    for number, (what, section, needs, function) in enumerate(checks, 1):
        try:
            if set(needs) & set(without):
                raise Skip(f"without {needs[0]}")
            with Client() as client:
                function(client)
            print(f"ok {number} - {what}")
        except Skip as why:
            print(f"ok {number} - {what} # SKIP {why}")
        except (AssertionError, OSError, ValueError) as fault:
            wrong += 1
            print(f"not ok {number} - {what}\n  {type(fault).__name__}: {fault}\n  see docs/bindings/guide.md, \"{section}\"")
        sys.stdout.flush()
    sys.exit(wrong > 0)


main()
