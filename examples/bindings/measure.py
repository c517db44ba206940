#!/usr/bin/python3
"""What a hello costs through each binding: `measure.py [ROUNDS] [SECONDS]` prints CPU per request over that of hello in C.

All servers run side by side and get the load in turn, round after round (wrk, 64 connections), so that what else the
machine does touches all alike; only the ratios of a round say something. It needs wrk, and a build in build/.
"""
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CAROM_BUILD", ROOT / "build"))
NODE = f"""import {{ serve, Response }} from '{ROOT}/js/index.mjs';
const onListen = ({{ port }}) => console.log(`http://localhost:${{port}}/`);
serve({{ port: 0, io: 'inline', onListen }}, () => new Response('Hello, World!'));"""
SERVERS = {
    "hello.c": [BUILD / "examples/hello", "0"],
    "vm.c": [BUILD / "examples/vm", "0"],
    "lua.lua": ["luajit", ROOT / "examples/bindings/lua.lua", "0"],
    "node, inline": ["node", "--input-type=module", "-e", NODE],
    "duk.js": [BUILD / "examples/duk", "0", ROOT / "examples/bindings/duk.js"],
    "python.py": [sys.executable, ROOT / "examples/bindings/python.py", "0"],
}
ENVIRONMENT = {**os.environ, "CAROM_LIBRARY": str(BUILD / "libcarom.so.0"), "CAROM_NODE": str(BUILD / "carom.node")}


class Server:
    def __init__(self, command):
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
        for line in self.process.stdout:
            if found := re.search(r"http://localhost:\d+/", line):
                self.url = found[0].replace("localhost", "127.0.0.1")
                return
        raise SystemExit(f"measure: {command[0]} did not say where it listens")

    def processor_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def cost(self, seconds):
        """Microseconds of CPU for a request."""
        before = self.processor_seconds()
        said = subprocess.run(["wrk", "-t1", "-c64", f"-d{seconds}s", self.url], capture_output=True, text=True, check=True).stdout
        return (self.processor_seconds() - before) * 1e6 / int(re.search(r"(\d+) requests in", said)[1])


def main(rounds=5, seconds=2):
    servers, costs = {}, {name: [] for name in SERVERS}
    try:
        for name, command in SERVERS.items():
            servers[name] = Server(command)
        for number in range(int(rounds) + 1):
            for name, server in servers.items():
                cost = server.cost(seconds)
                if number:  # the first only warms up
                    costs[name].append(cost)
    finally:
        for server in servers.values():
            server.process.kill()
            server.process.wait()
    base = costs["hello.c"]
    for name, values in costs.items():
        ratios = [value / one for value, one in zip(values, base)]
        print(f"{name:14} {statistics.median(ratios):6.2f} x hello.c ({min(ratios):.2f} to {max(ratios):.2f})")


main(*sys.argv[1:])
