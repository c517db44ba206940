"""System calls of steady keep-alive: one receive (none with io_uring) and one send a request at most,
and nothing else that grows with requests but the waiting."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

import harness

RECEIVE = {"recvfrom", "recvmsg", "read", "readv"}
SEND = {"sendto", "sendmsg", "write", "writev"}
WAIT = {"epoll_wait", "epoll_pwait", "epoll_pwait2", "io_uring_enter"}
URING = harness.BACKEND == "uring"


@unittest.skipUnless(harness.PLAIN, "a sanitizer or valgrind makes calls of its own")
@unittest.skipUnless(shutil.which("strace"), "strace is not installed")
class Calls(harness.SystemTest):
    def trace(self, server, run):
        """The system calls of the server while `run` runs: how many by name."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "calls")
            tracer = subprocess.Popen(["strace", "-c", "-f", "-o", path, "-p", str(server.pid)],
                                      stderr=subprocess.PIPE, bufsize=0)
            try:
                line = harness.read_line(tracer.stderr, "strace")
                if "attached" not in line:
                    self.skipTest(f"strace cannot attach here: {line}")
                run()
            finally:
                if tracer.poll() is None:
                    tracer.send_signal(signal.SIGINT)
                tracer.wait(harness.DEADLINE)
                tracer.stderr.close()
            with open(path, encoding="utf-8") as table:
                rows = [line.split() for line in table]
        return {row[-1]: int(row[3]) for row in rows
                if len(row) >= 5 and re.match(r"^\d+\.\d+$", row[0]) and row[-1] != "total"}

    def check(self, mode, requests, each, **options):
        server = self.serve(threads=0)
        harness.load(server, mode, "hello", 2000, connections=64, **options)
        calls = self.trace(server, lambda: harness.load(server, mode, "hello", requests,
                                                        connections=64, **options))
        receives = sum(calls.get(name, 0) for name in RECEIVE)
        sends = sum(calls.get(name, 0) for name in SEND)
        waits = sum(calls.get(name, 0) for name in WAIT)
        others = {name: number for name, number in calls.items()
                  if name not in RECEIVE | SEND | WAIT}
        print(f"{mode}: {requests} requests: {receives} receives, {sends} sends, {waits} waits, "
              f"others {others}", flush=True)
        # 65 connections come and go in the measured time: each end costs a receive that finds it.
        self.assertLessEqual(receives, 0 if URING else requests * each + 3 * 65)
        self.assertLessEqual(sends, requests * each + 65)
        self.assertLessEqual(waits, requests * each + 65 * 4 + 100)
        self.assertLessEqual(sum(others.values()), 65 * 8 + 100)
        self.finish(server)

    def test_keep_alive(self):
        self.check("keep", 20_000, 1)

    def test_pipelined_share_calls(self):
        self.check("pipeline", 32_000, 1 / 8, depth=16)


if __name__ == "__main__":
    unittest.main()
