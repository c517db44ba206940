"""Instructions of the server for each request, counted by callgrind: those of our code must not grow.

instructions.json has what was counted last; when they fall, or rise for a good reason:
    CAROM_BUILD=build test_instructions.py --update
What is counted lies between two dumps that callgrind is asked for while the server runs. The libraries' share is
printed and not compared: it depends on the processor. So does that of JavaScript, which also depends
on when it is compiled.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

import harness

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from callgrind import by_object  # noqa: E402

HELLO = os.path.join(harness.BUILD, "examples", "hello")
ADDON = os.path.abspath(os.path.join(harness.BUILD, "carom.node"))
COMMAND_LINE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "js", "bin", "carom.mjs")
APP = "export default () => new Response('Hello, World!', { headers: { 'content-type': 'text/plain' } });\n"
RECORDED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "instructions.json")
ROUND_TRIPS = 500
RISE = 1.03
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: count\r\nAccept: */*\r\n\r\n"
C, URING, JAVASCRIPT = "C", "C, io_uring", "JavaScript, inline"
COUNTED = {"hello": (C, 1), "hello, 16 pipelined": (C, 16), "io_uring, hello": (URING, 1),
           "io_uring, hello, 16 pipelined": (URING, 16), "JavaScript, hello": (JAVASCRIPT, 1)}


class Refused(Exception):
    """The kernel, or callgrind, has no io_uring."""


def command(kind, folder):
    if kind == JAVASCRIPT:
        app = os.path.join(folder, "app.mjs")
        with open(app, "w", encoding="ascii") as file:
            file.write(APP)
        return ["node", COMMAND_LINE, "serve", app, "--port", "0", "--io", "inline", "--log", "off"]
    return [HELLO, "0", "--backend", "uring" if kind == URING else "epoll"]


def port_of(server, kind):
    """Where it listens; both say so in their first lines."""
    said = ""
    while not (found := re.search(r"http://localhost:(\d+)", said)) or (kind == URING and "backend: " not in said):
        said += harness.read_line(server.stdout, kind)
    if kind == URING and "backend: io_uring" not in said:
        raise Refused(said.strip())
    return found[1]


def ask(client, depth):
    """ROUND_TRIPS times `depth` requests at once."""
    for _ in range(ROUND_TRIPS):
        client.send(REQUEST * depth)
        for _ in range(depth):
            assert client.answer().status == 200


def count(kind, depth):
    """Instructions by object file of a warm server that answers `depth` requests at once, so many times."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        server = subprocess.Popen(["valgrind", "--tool=callgrind", "-q", f"--callgrind-out-file={out}", f"--vgdb-prefix={folder}/vgdb",
                                   *command(kind, folder)],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0, env={**os.environ, "CAROM_NODE": ADDON})
        try:
            with harness.Client(f"127.0.0.1:{port_of(server, kind)}") as client:
                for _ in ("warm", "counted"):
                    ask(client, depth)
                    subprocess.run(["vgdb", f"--vgdb-prefix={folder}/vgdb", f"--pid={server.pid}", "dump"],
                                   check=True, capture_output=True, timeout=harness.DEADLINE)
        finally:
            server.kill()
            server.stdout.close()
            server.wait()
        return by_object(f"{out}.2")


def per_request(kind, depth):
    """Ours and the libraries'."""
    counted = count(kind, depth)
    ours = sum(number for file, number in counted.items() if file.endswith(("/hello", "/carom.node")))
    return round(ours / (ROUND_TRIPS * depth)), round((sum(counted.values()) - ours) / (ROUND_TRIPS * depth))


@unittest.skipUnless(harness.PLAIN, "counts belong to the plain build")
@unittest.skipUnless(harness.BACKEND == "epoll", "both backends are counted at once")
class Instructions(unittest.TestCase):
    def test_ours_do_not_grow(self):
        with open(RECORDED, encoding="ascii") as file:
            recorded = json.load(file)
        for name, (kind, depth) in COUNTED.items():
            with self.subTest(name):
                try:
                    ours, libraries = per_request(kind, depth)
                except Refused as refused:
                    self.skipTest(f"no io_uring under callgrind: {refused}")
                print(f"{name}: {ours} instructions a request (recorded {recorded[name]}), and {libraries} of libraries", flush=True)
                self.assertLessEqual(ours, recorded[name] * RISE)


if __name__ == "__main__":
    if sys.argv[1:] == ["--update"]:
        counted = {name: per_request(kind, depth)[0] for name, (kind, depth) in COUNTED.items()}
        with open(RECORDED, "w", encoding="ascii") as file:
            json.dump(counted, file, indent=2)
            file.write("\n")
    else:
        unittest.main()
