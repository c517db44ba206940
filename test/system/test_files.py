#!/usr/bin/python3
"""Answers from files: the example `files` over sockets, what a client may ask of it and what it must
not reach, and how the library moves the bytes: calls, memory, clients that leave or read slowly."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import programs
from programs import DEADLINE, connect, serve  # noqa: E402

MIB = 1 << 20
TEXT = b"0123456789abcdefghij"
SECRET = b"nobody may read this"


def pattern(length):
    return (b"".join(b"%08d" % number for number in range(min(length, MIB) // 8 + 1)) *
            (length // MIB + 1))[:length]


class Folder(unittest.TestCase):
    """A folder with a tree to serve, and beside it what must not be reached."""

    def setUp(self):
        outside = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, outside)
        self.outside = outside
        self.root = os.path.join(outside, "tree")
        os.makedirs(os.path.join(self.root, "sub"))
        os.makedirs(os.path.join(self.root, "empty"))
        for path, content in (("../secret", SECRET), ("text.txt", TEXT), ("index.html", b"<p>root"), ("sub/index.html", b"<p>sub"),
                              ("sub/a b%.js", b"js"), (".hidden", SECRET), ("sub/.hidden", SECRET), ("none", b""),
                              ("large.bin", pattern(5 * MIB + 77))):
            with open(os.path.join(self.root, path), "wb") as file:
                file.write(content)
        os.symlink("../secret", os.path.join(self.root, "out"))
        os.symlink(os.path.join(outside, "secret"), os.path.join(self.root, "absolute"))
        os.symlink("..", os.path.join(self.root, "up"))
        os.symlink("/proc/self/root", os.path.join(self.root, "magic"))
        os.symlink("text.txt", os.path.join(self.root, "inside"))
        os.symlink("loop", os.path.join(self.root, "loop"))
        os.mkfifo(os.path.join(self.root, "pipe"))
        local = socket.socket(socket.AF_UNIX)
        self.addCleanup(local.close)
        local.bind(os.path.join(self.root, "socket"))
        self.server = serve(self, "files", self.root)

    def say(self, peer, target, method="GET", fields=()):
        lines = [f"{method} {target} HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in fields)]
        peer.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def hear(self, peer, method="GET"):
        """(status, fields, content) of one answer."""
        bytes_ = b""
        while b"\r\n\r\n" not in bytes_:
            more = peer.recv(65536)
            self.assertTrue(more, bytes_)
            bytes_ += more
        head, _, content = bytes_.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        status = int(lines[0].split()[1])
        fields = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
        length = 0 if method == "HEAD" or status == 304 else int(fields["content-length"])
        while len(content) < length:
            more = peer.recv(1 << 18)
            self.assertTrue(more, "cut off")
            content += more
        self.assertEqual(len(content), length)
        return status, fields, content

    def ask(self, target, method="GET", **fields):
        peer = connect(self, self.server.port)
        self.say(peer, target, method, [(name.replace("_", "-"), value) for name, value in fields.items()])
        answer = self.hear(peer, method)
        peer.close()
        return answer


class Files(Folder):
    def test_what_is_there(self):
        for target, content, kind in (("/text.txt", TEXT, "text/plain; charset=utf-8"), ("/", b"<p>root", "text/html; charset=utf-8"),
                                      ("/sub/", b"<p>sub", "text/html; charset=utf-8"), ("/sub/a%20b%25.js?v=2", b"js", "text/javascript; charset=utf-8"),
                                      ("/%74ext.txt", TEXT, "text/plain; charset=utf-8"), ("/inside", TEXT, "application/octet-stream"),
                                      ("/none", b"", "application/octet-stream"), ("/large.bin", pattern(5 * MIB + 77), "application/octet-stream")):
            with self.subTest(target=target):
                status, fields, got = self.ask(target)
                self.assertEqual((status, fields["content-type"]), (200, kind))
                self.assertTrue(got == content)
                status, head, got = self.ask(target, "HEAD")
                self.assertEqual((status, got), (200, b""))
                for name in ("content-length", "etag", "last-modified", "content-type", "accept-ranges"):
                    self.assertEqual(head[name], fields[name])

    def test_what_is_not_there(self):
        for target in ("/nothing", "/text.txt/", "/text.txt/x", "/empty/", "/sub/nothing", "/" + "a" * 300, "/loop", "/pipe", "/socket"):
            with self.subTest(target=target):
                self.assertEqual(self.ask(target)[0], 404)
        status, fields, _ = self.ask("/sub?x=1")
        self.assertEqual((status, fields["location"]), (301, "/sub/"))
        status, fields, _ = self.ask("/text.txt", "DELETE")
        self.assertEqual((status, fields["allow"]), (405, "GET, HEAD"))

    def test_nothing_outside_is_reached(self):
        """Path traversal, by each of its known forms."""
        ups = ["..", ".%2e", "%2e%2e", "%2E.", "..%00", "%c0%ae%c0%ae", "%252e%252e", "..;", ". .", "...", "..%5c", "..\\"]
        targets = [f"/{up}/secret" for up in ups] + [f"/sub/{up}/{up}/secret" for up in ups]
        targets += ["/..%2fsecret", "/%2e%2e%2fsecret", "/..%252fsecret", "/sub/..%2f..%2fsecret", "//secret", "///etc/passwd", "//etc/passwd",
                    "/./text.txt", "/sub/../text.txt", "/sub//index.html", "/.", "/..", "/.hidden", "/%2ehidden", "/sub/.hidden",
                    "/out", "/absolute", "/up/secret", "/up/tree/text.txt", "/magic/etc/passwd", "/text.txt%00.html", "/text.txt%0a",
                    "/text.txt%", "/text.txt%2", "/text.txt%zz", "/%2e", "/%2f", "/%2fetc/passwd", "/C:%5csecret", "/file:///etc/passwd"]
        for target in targets:
            with self.subTest(target=target):
                status, fields, content = self.ask(target)
                self.assertIn(status, (400, 404))
                self.assertNotIn(SECRET, content)
                self.assertNotIn(b"root:", content)
                self.assertNotIn("etag", fields)
        for target in ("http://x/../secret", "http://x/%2e%2e/secret", "*"):
            peer = connect(self, self.server.port)
            self.say(peer, target)
            self.assertIn(self.hear(peer)[0], (400, 404, 405))

    def test_a_tree_that_changes_under_the_walk(self):
        """A folder that becomes a link to the outside and back, over and over."""
        swap, away = os.path.join(self.root, "swap"), os.path.join(self.root, "away")
        os.mkdir(swap)
        with open(os.path.join(swap, "secret"), "wb") as file:
            file.write(TEXT)
        os.symlink("..", away)
        mover = subprocess.Popen([sys.executable, "-c", "import ctypes, sys\nc = ctypes.CDLL(None)\nwhile True: c.renameat2(-100, sys.argv[1].encode(), "
                                  "-100, sys.argv[2].encode(), 2)", swap, away])
        try:
            peer = connect(self, self.server.port)
            seen = set()
            for _ in range(2000):
                self.say(peer, "/swap/secret")
                status, _, content = self.hear(peer)
                self.assertIn((status, content), ((200, TEXT), (404, b"no such file\n")))
                seen.add(status)
            self.assertTrue(seen)
        finally:
            mover.kill()
            mover.wait()

    def test_one_range(self):
        for value, first, last in (("bytes=0-0", 0, 0), ("bytes=5-9", 5, 9), ("bytes=5-", 5, 19), ("bytes=-5", 15, 19), ("bytes=-50", 0, 19),
                                   ("bytes=19-99", 19, 19), ("BYTES=0-18446744073709551616", 0, 19), ("bytes=-99999999999999999999999", 0, 19)):
            with self.subTest(value=value):
                status, fields, content = self.ask("/text.txt", Range=value)
                self.assertEqual((status, fields["content-range"], content), (206, f"bytes {first}-{last}/20", TEXT[first:last + 1]))
        status, _, content = self.ask("/text.txt", "HEAD", Range="bytes=0-0")
        self.assertEqual((status, content), (200, b""))
        status, fields, content = self.ask("/large.bin", Range="bytes=1048571-4194309")
        self.assertEqual(status, 206)
        self.assertTrue(content == pattern(5 * MIB + 77)[1048571:4194310])

    def test_ranges_that_cannot_be(self):
        for target, value in (("/text.txt", "bytes=20-"), ("/text.txt", "bytes=-0"), ("/text.txt", "bytes=99999999999999999999-"),
                              ("/none", "bytes=0-"), ("/none", "bytes=-1")):
            with self.subTest(target=target, value=value):
                status, fields, _ = self.ask(target, Range=value)
                size = 20 if target == "/text.txt" else 0
                self.assertEqual((status, fields["content-range"]), (416, f"bytes */{size}"))

    def test_what_is_no_single_range_gets_the_whole(self):
        """Several ranges are not answered as such, so no bomb of them costs more than the file."""
        bomb = "bytes=" + ",".join(f"{number}-" for number in range(1500))
        for value in ("bytes=0-1,3-4", "bytes=0-,0-,0-", bomb, "bytes=5-4", "bytes=", "bytes", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=1-2x",
                      "bytes=1 - 2", "bytes=--1", "bytes=+1-2", "bytes=0x1-2", ""):
            with self.subTest(value=value[:40]):
                status, fields, content = self.ask("/text.txt", Range=value)
                self.assertEqual((status, content), (200, TEXT))
                self.assertNotIn("content-range", fields)
        peer = connect(self, self.server.port)
        self.say(peer, "/text.txt", fields=[("Range", "bytes=0-1"), ("Range", "bytes=3-4")])
        self.assertEqual(self.hear(peer)[::2], (200, TEXT))

    def test_conditions(self):
        path = os.path.join(self.root, "text.txt")
        os.utime(path, (1000000000, 1000000000))
        _, fields, _ = self.ask("/text.txt")
        tag, date = fields["etag"], fields["last-modified"]
        self.assertEqual(date, "Sun, 09 Sep 2001 01:46:40 GMT")
        before, after = "Sun, 09 Sep 2001 01:46:39 GMT", "Sun, 09 Sep 2001 01:46:41 GMT"
        for given, expected in (({"If_None_Match": tag}, 304), ({"If_None_Match": "W/" + tag}, 304), ({"If_None_Match": f'"a,b", {tag}'}, 304),
                                ({"If_None_Match": "*"}, 304), ({"If_None_Match": '"other"'}, 200), ({"If_None_Match": '"'}, 200),
                                ({"If_None_Match": tag[1:-1]}, 200), ({"If_None_Match": '"other"', "If_Modified_Since": date}, 200),
                                ({"If_Modified_Since": date}, 304), ({"If_Modified_Since": after}, 304), ({"If_Modified_Since": before}, 200),
                                ({"If_Modified_Since": "Sunday, 09-Sep-01 01:46:40 GMT"}, 304), ({"If_Modified_Since": "Sun Sep  9 01:46:40 2001"}, 304),
                                ({"If_Modified_Since": "yesterday"}, 200), ({"If_Match": tag}, 200), ({"If_Match": "W/" + tag}, 412),
                                ({"If_Match": '"other"'}, 412), ({"If_Match": "*"}, 200), ({"If_Unmodified_Since": before}, 412),
                                ({"If_Unmodified_Since": date}, 200), ({"If_Match": tag, "If_Unmodified_Since": before}, 200),
                                ({"If_None_Match": tag, "Range": "bytes=0-1"}, 304),
                                ({"If_Range": tag, "Range": "bytes=0-1"}, 206), ({"If_Range": "W/" + tag, "Range": "bytes=0-1"}, 200),
                                ({"If_Range": '"other"', "Range": "bytes=0-1"}, 200), ({"If_Range": date, "Range": "bytes=0-1"}, 206),
                                ({"If_Range": before, "Range": "bytes=0-1"}, 200), ({"If_Range": after, "Range": "bytes=0-1"}, 200),
                                ({"If_Range": '"other"', "Range": "bytes=50-"}, 200)):
            with self.subTest(given=given):
                status, fields, content = self.ask("/text.txt", **given)
                self.assertEqual(status, expected)
                if status == 304:
                    self.assertEqual((fields["etag"], content), (tag, b""))
        with open(path, "ab") as file:
            file.write(b"!")
        self.assertNotEqual(self.ask("/text.txt")[1]["etag"], tag)
        os.utime(path, (time.time() + 9999, time.time() + 9999))
        self.assertEqual(self.ask("/text.txt", If_Range=self.ask("/text.txt")[1]["last-modified"], Range="bytes=0-1")[0], 200)

    def test_pipelined_in_order(self):
        peer = connect(self, self.server.port)
        targets = ["/large.bin", "/nothing", "/text.txt", "/none", "/large.bin", "/sub/"]
        peer.sendall(b"".join(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for target in targets))
        stream = peer.makefile("rb")
        for target, status, length in zip(targets, (200, 404, 200, 200, 200, 200), (5 * MIB + 77, 13, 20, 0, 5 * MIB + 77, 6)):
            self.assertEqual(int(stream.readline().split()[1]), status, target)
            while stream.readline() != b"\r\n":
                pass
            content = stream.read(length)
            self.assertTrue(length < MIB or content == pattern(length))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Moving(Folder):
    """How it is done, from outside."""

    def test_descriptors_come_back(self):
        peer = connect(self, self.server.port)
        self.say(peer, "/nothing")  # a file may still be open when its answer has come
        self.hear(peer)
        before = descriptors(self.server.process.pid)
        for target in ("/text.txt", "/large.bin", "/sub", "/pipe", "/none", "/nothing", "/out") * 5:
            for fields in ((), (("Range", "bytes=0-1"),), (("Range", "bytes=99999999-"),), (("If-None-Match", "*"),), (("If-Match", '"x"'),)):
                for method in ("GET", "HEAD"):
                    self.say(peer, target, method, fields)
                    self.hear(peer, method)
        for _ in range(20):  # they leave in the middle
            other = connect(self, self.server.port)
            self.say(other, "/large.bin")
            other.recv(1000)
            other.close()
        deadline = time.monotonic() + DEADLINE
        while descriptors(self.server.process.pid) > before and time.monotonic() < deadline:
            self.say(peer, "/nothing")
            self.hear(peer)
        self.assertEqual(descriptors(self.server.process.pid), before)

    def test_a_file_that_is_cut_short_ends_with_a_reset(self):
        path = os.path.join(self.root, "sparse")
        with open(path, "wb") as file:
            file.truncate(100 * MIB)
        peer = connect(self, self.server.port)
        self.say(peer, "/sparse")
        length = len(peer.recv(1000))
        os.truncate(path, MIB)
        with self.assertRaises(ConnectionResetError):
            while True:
                more = peer.recv(1 << 18)
                self.assertTrue(more, "ended as if it were whole")
                length += len(more)
        self.assertLess(length, 100 * MIB)
        self.assertEqual(self.ask("/text.txt")[2], TEXT)

    @unittest.skipIf(os.environ.get("CAROM_SANITIZE"), "a sanitizer needs memory of its own")
    def test_memory_does_not_grow_with_files(self):
        with open(os.path.join(self.root, "sparse"), "wb") as file:
            file.truncate(6 << 30)
        peaks = []
        for length in (1024, MIB, 256 * MIB):
            first = (6 << 30) - length  # an offset beyond 32 bits
            peer = connect(self, self.server.port)
            self.say(peer, "/sparse", fields=[("Range", f"bytes={first}-")])
            buffer, got = bytearray(1 << 20), 0
            while got < length + 100:
                count = peer.recv_into(buffer)
                self.assertGreater(count, 0)
                got += count
            peer.close()
            with open(f"/proc/{self.server.process.pid}/status", encoding="ascii") as status:
                peaks.append(int(re.search(r"VmHWM:\s+(\d+)", status.read())[1]))
        print("highest resident memory after 1 KiB, 1 MiB, 256 MiB, in KiB:", peaks, flush=True)
        self.assertLess(peaks[-1] - peaks[0], 1024)

    @unittest.skipUnless(shutil.which("strace"), "strace is not installed")
    @unittest.skipIf(os.environ.get("CAROM_SANITIZE"), "a sanitizer makes calls of its own")
    def test_a_small_file_costs_one_send_and_one_sendfile(self):
        peer = connect(self, self.server.port)
        self.say(peer, "/text.txt")
        self.hear(peer)
        path = os.path.join(self.outside, "calls")
        tracer = subprocess.Popen(["strace", "-f", "-o", path, "-p", str(self.server.process.pid)], stderr=subprocess.PIPE)
        try:
            line = tracer.stderr.readline()
            if b"attached" not in line:
                self.skipTest(f"strace cannot attach here: {line}")
            for _ in range(50):
                self.say(peer, "/text.txt")
                self.hear(peer)
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(DEADLINE)
            tracer.stderr.close()
        with open(path, encoding="utf-8") as file:
            names = re.findall(r"^\d+\s+(\w+)\(", file.read(), re.M)
        counts = {name: names.count(name) for name in sorted(set(names))}
        print("calls of 50 small files:", counts, flush=True)
        self.assertEqual(counts["sendfile"], 50)
        self.assertEqual(counts["sendto"], 50)
        self.assertLessEqual(len(names), 50 * 8 + 60)  # receive, open, two times fstat, close, wait
        with open(path, encoding="utf-8") as file:
            self.assertIn("MSG_MORE", file.read())


if __name__ == "__main__":
    unittest.main()
