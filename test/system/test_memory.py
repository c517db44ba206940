"""What the engine keeps: the pool after a burst and under steady load, and the cost of a connection
that is idle."""

import os
import shutil
import socket
import subprocess
import unittest

import harness

ADDON = os.path.join(os.path.abspath(harness.BUILD), "carom.node")
JS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "js")
JS_HELLO = """
const { serve, Response } = require('./index.js');
const options = { port: 0, hostname: '127.0.0.1', io: process.argv[1], onListen: ({ port }) => console.log(port) };
serve(options, () => new Response('Hello, World!'));
process.stdin.on('end', () => process.exit()).resume();
"""

MIB = 1024
FLOOR = 64
# Pages of both sizes, the current ones, and those that io_uring receives into.
PAGES = 2 * FLOOR + 2 + (128 if harness.BACKEND == "uring" else 0)
HELLO = b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"
HOLD = b"GET /hold HTTP/1.1\r\nHost: t\r\n\r\n"


class Memory(harness.SystemTest):
    def test_burst_is_given_back(self):
        """10,000 in flight; 5 seconds after the last answer the pools are at their floors and the
        memory is the system's again."""
        connections, depth = 500, harness.scaled(20)
        burst = connections * depth
        server = self.serve()
        before = server.stats()
        resident_before = harness.resident_kib(server.pid)
        clients = [server.connect() for _ in range(connections)]
        for client in clients:
            client.send(HOLD * depth)
        server.wait_stats(lambda s: s["records_in_flight"] == burst + 1, "the burst is in flight")
        resident_peak = harness.resident_kib(server.pid)
        released = server.get("/release")
        self.assertEqual(int(released.body), burst)
        for client in clients:
            for _ in range(depth):
                self.assertEqual(client.answer().body, b"held\n")
            client.close()
        seconds = 5 if harness.PLAIN else harness.DEADLINE
        after = server.wait_stats(
            lambda s: s["records_in_flight"] + s["records_pooled"] <= FLOOR
            and s["pages_in_use"] + s["pages_pooled"] <= PAGES
            and s["memory"] <= before["memory"] + 4 * MIB * 1024,
            "the pools are at their floors", seconds)
        print(f"burst of {burst}: before {before['memory']}, after {after['memory']} bytes; resident "
              f"{resident_before}, {resident_peak}, {harness.resident_kib(server.pid)} KiB", flush=True)
        if harness.PLAIN:
            self.assertLess(harness.resident_kib(server.pid), resident_before + 6 * MIB)
        self.finish(server)

    @unittest.skipUnless(harness.PLAIN and shutil.which("node") and os.path.exists(ADDON), "Node, and no sanitizer")
    def test_javascript_beside_1000_connections(self):
        """A hello in Node, with 1,000 requests in flight again and again, grows by 40 MB at most."""
        if harness.raise_descriptors() < 1100:
            self.skipTest("too few descriptors")
        for io in ["inline", "thread"]:
            with self.subTest(io), subprocess.Popen(["node", "-e", JS_HELLO, io], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                                    cwd=JS,
                                                    env={**os.environ, "CAROM_NODE": ADDON}) as server:
                port = int(server.stdout.readline())
                before = harness.resident_kib(server.pid)
                clients = [socket.create_connection(("127.0.0.1", port), harness.DEADLINE) for _ in range(1000)]
                for _ in range(20):
                    for client in clients:
                        client.sendall(HELLO)
                    for client in clients:
                        self.assertIn(b"Hello, World!", client.recv(4096))
                grown = harness.resident_kib(server.pid) - before
                print(f"1,000 connections, {io}: {before} KiB, and {grown} more", flush=True)
                self.assertLess(grown, 40_000)
                for client in clients:
                    client.close()
                server.stdin.close()

    def test_steady_load_has_a_bound(self):
        """Records that exist are never more than the most that were in flight, or the floor."""
        server = self.serve()
        for _ in range(5):
            harness.load(server, "keep", "later", harness.scaled(10_000), connections=100)
            stats = server.stats()
            exist = stats["records_in_flight"] + stats["records_pooled"]
            self.assertLessEqual(stats["records_peak"], 100 + 2)
            self.assertLessEqual(exist, max(FLOOR, stats["records_peak"]))
        self.finish(server)

    def test_idle_connection(self):
        """An idle connection costs the engine at most 256 bytes."""
        count = harness.scaled(8000)
        if harness.raise_descriptors() < count + 100:
            self.skipTest("too few descriptors")
        server = self.serve()
        idle = 2 * FLOOR
        clients = [server.connect() for _ in range(idle)]  # beyond what the floors hold ready
        for client in clients:
            client.get("/hello")
        before = self.settled(server, idle)
        for _ in range(count):
            client = server.connect()
            client.send(HELLO)
            clients.append(client)
        for client in clients[idle:]:
            client.answer()
        after = self.settled(server, idle + count)
        each = (after["memory"] - before["memory"]) / count
        print(f"{count} idle connections: {each:.1f} bytes each", flush=True)
        if harness.KIND == "plain":
            self.assertLessEqual(each, 256)
        for client in clients:
            client.close()
        self.finish(server)

    def settled(self, server, connections):
        """The statistics when the pools of the past burst have been trimmed."""
        return server.wait_stats(
            lambda s: s["connections_open"] == connections + 1
            and s["records_in_flight"] + s["records_pooled"] <= FLOOR
            and s["pages_in_use"] + s["pages_pooled"] <= PAGES, "the pools are at their floors")


if __name__ == "__main__":
    unittest.main()
