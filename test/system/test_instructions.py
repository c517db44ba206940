"""Instructions of the server for each request, counted by callgrind: those of our code must not grow.

instructions.json has what was counted last; when they fall, or rise for a good reason:
    CAROM_BUILD=build test_instructions.py --update
Two runs of different length are compared, so that start and end cancel out. The libraries' share is
printed and not compared: it depends on the processor.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

import harness

HELLO = os.path.join(harness.BUILD, "examples", "hello")
RECORDED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "instructions.json")
ROUND_TRIPS = 500
RISE = 1.03
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: count\r\nAccept: */*\r\n\r\n"


def count(depth, round_trips):
    """Instructions by object file of a server that answers `depth` requests at once, so many times."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        server = subprocess.Popen(["valgrind", "--tool=callgrind", "-q", f"--callgrind-out-file={out}", HELLO, "0"],
                                  stdout=subprocess.PIPE, bufsize=0)
        try:
            port = re.search(r"http://localhost:(\d+)", harness.read_line(server.stdout, "hello"))[1]
            with harness.Client(f"127.0.0.1:{port}") as client:
                for _ in range(round_trips):
                    client.send(REQUEST * depth)
                    for _ in range(depth):
                        assert client.answer().status == 200
            server.terminate()
            server.communicate(timeout=harness.DEADLINE)
        finally:
            server.kill()
            server.stdout.close()
        listed = subprocess.run(["callgrind_annotate", "--threshold=100", out], capture_output=True, text=True, check=True).stdout
    sums = {}
    for number, file in re.findall(r"^\s*([\d,]+) \([ \d.]+%\)  .*\[(.*)\]$", listed, re.M):
        sums[file] = sums.get(file, 0) + int(number.replace(",", ""))
    return sums


def per_request(depth):
    """Ours and the libraries'."""
    few, many = count(depth, ROUND_TRIPS), count(depth, 2 * ROUND_TRIPS)
    rise = {file: many[file] - few.get(file, 0) for file in many}
    ours = sum(number for file, number in rise.items() if file.endswith("/hello"))
    return round(ours / (ROUND_TRIPS * depth)), round((sum(rise.values()) - ours) / (ROUND_TRIPS * depth))


def measure():
    return {name: per_request(depth) for name, depth in (("hello", 1), ("hello, 16 pipelined", 16))}


@unittest.skipUnless(harness.PLAIN, "counts belong to the plain build")
class Instructions(unittest.TestCase):
    def test_ours_do_not_grow(self):
        with open(RECORDED, encoding="ascii") as file:
            recorded = json.load(file)
        for name, (ours, libraries) in measure().items():
            print(f"{name}: {ours} instructions a request (recorded {recorded[name]}), and {libraries} of libraries")
            self.assertLessEqual(ours, recorded[name] * RISE, name)


if __name__ == "__main__":
    if sys.argv[1:] == ["--update"]:
        with open(RECORDED, "w", encoding="ascii") as file:
            json.dump({name: ours for name, (ours, _) in measure().items()}, file, indent=2)
            file.write("\n")
    else:
        unittest.main()
