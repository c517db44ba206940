"""Floods over real sockets: storms, silent crowds, pipelines without end, readers who do not read. The
server goes on answering, what it keeps for each attacker has a bound, and when they have gone it has let
go of everything. Attacks that take time are in test/unit/http/test_slow_peers.c."""

import os
import re
import resource
import socket
import struct
import threading
import unittest

import harness

KIB = 1024
MIB = 1024 * KIB
HELLO = b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"


def descriptors(wanted):
    """Make room for so many descriptors in this process and its children; returns how many there are."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        except (OSError, ValueError):
            pass
    return harness.raise_descriptors()


def peak_kib(pid):
    """The most that has ever been resident of a process."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1))


class Attack(harness.SystemTest):
    def begin(self, **options):
        """A server that is warm, and what it has before the attack."""
        self.server = self.serve(**options)
        for _ in range(3):
            self.assertEqual(self.server.get("/hello").body, b"hello\n")
        self.before = self.server.stats()
        self.resident = harness.resident_kib(self.server.pid)
        self.descriptors = len(os.listdir(f"/proc/{self.server.pid}/fd"))
        _, port = self.server.addresses[0].rsplit(":", 1)
        self.port = int(port)

    def connect(self, number=0):
        """A plain socket from 127.0.1.x: one address alone could run out of ports."""
        client = socket.socket()
        client.settimeout(harness.DEADLINE)
        client.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        client.bind((f"127.0.1.{number % 8 + 1}", 0))
        client.connect(("127.0.0.1", self.port))
        return client

    def bounded(self, what, count, each, rest=2 * MIB):
        """The engine has taken at most `each` bytes for each of `count` and `rest` for all, and the process
        has never had more than twice that."""
        stats = self.server.stats()
        taken = stats["memory"] - self.before["memory"]
        grown = (peak_kib(self.server.pid) - self.resident) * KIB
        print(f"{what}: {count} times {max(0, taken) / count:.0f} bytes of the engine's; at most "
              f"{grown / MIB:.1f} MiB resident", flush=True)
        self.assertLess(taken, count * each + rest)
        if harness.PLAIN:
            self.assertLess(grown, 2 * (count * each + rest) + 4 * MIB)
        return stats

    def over(self, clients=()):
        """The attackers go; everything comes back, and the server is as before."""
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        self.server.wait_stats(lambda s: s["connections_open"] == 1 and s["records_in_flight"] == 1,
                               "all have gone")
        self.assertEqual(self.server.get("/hello").body, b"hello\n")
        self.server.wait_stats(
            lambda s: len(os.listdir(f"/proc/{self.server.pid}/fd")) <= self.descriptors,
            "the descriptors are closed")
        return self.finish(self.server, balanced=False)


class Crowds(Attack):
    def test_silent_connections(self):
        """20,000 who say nothing cost a struct each, and others are served meanwhile."""
        count = harness.scaled(20_000)
        room = descriptors(count + 500) - 500
        if room < count:
            print(f"only {room} silent connections: no more descriptors are allowed", flush=True)
            count = room
        self.begin(max_connections=count + 100)
        clients = [self.connect(i) for i in range(count)]
        self.server.wait_stats(lambda s: s["connections_open"] == count + 1, "all are accepted")
        self.assertEqual(self.server.get("/hello").body, b"hello\n")
        stats = self.bounded("silent connections", count, 256)
        self.assertEqual(stats["records_in_flight"], 1)
        self.over(clients)

    def test_storm_of_resets(self):
        """Connections that are reset at once, some with half a request before it."""
        self.begin()
        count = harness.scaled(10_000)
        reset = struct.pack("ii", 1, 0)
        for i in range(count):
            client = self.connect(i)
            if i % 2:
                client.send((HELLO[:20], HELLO, b"POST /count HTTP/1.1\r\nHost: t\r\n"
                             b"Content-Length: 1000\r\n\r\nx")[i // 2 % 3])
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            client.close()
        self.bounded("resets", count, 0)
        self.over()

    def test_heads_without_end(self):
        """16 KiB of a head each, and no more."""
        count = harness.scaled(400)
        self.begin()
        clients = [self.connect(i) for i in range(count)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: t\r\nX: " + b"a" * (16 * KIB - 100))
        self.server.wait_stats(lambda s: s["bytes_received"] > count * (16 * KIB - 200), "all is received")
        self.bounded("heads without end", count, 36 * KIB)
        self.over(clients)

    def test_announced_and_never_sent(self):
        """A gigabyte is announced to handlers that wait for it: nothing is set aside."""
        count = harness.scaled(2000)
        self.begin()
        clients = [self.connect(i) for i in range(count)]
        for i, client in enumerate(clients):
            target = (b"/count", b"/collect?limit=1073741824", b"/echo")[i % 3]
            client.sendall(b"POST " + target + b" HTTP/1.1\r\nHost: t\r\nContent-Length: 1073741824\r\n\r\n")
        self.server.wait_stats(lambda s: s["records_in_flight"] == count + 1, "all are in")
        self.bounded("contents that never come", count, 4 * KIB)
        self.over(clients)

    def test_readers_who_do_not_read(self):
        """A large answer to each; what waits is the write buffer and one piece."""
        count = harness.scaled(100)
        self.begin()
        clients = []
        for _ in range(count):
            client = self.server.connect(receive_buffer=4096)
            client.send(b"GET /stream?size=100000000&piece=65536&copy=1 HTTP/1.1\r\nHost: t\r\n\r\n")
            clients.append(client)
        for client in clients:
            client.until(b"\r\n\r\n")
        self.server.get("/later?ms=200")
        self.bounded("answers that nobody reads", count, 160 * KIB)
        self.over([client.socket for client in clients])


class Pipelines(Attack):
    COUNT = 10_000

    def pipeline(self, count, size):
        """Answers are told apart by their length."""
        return [size + i % 97 for i in range(count)]

    def requests(self, sizes):
        return b"".join(b"GET /stream?size=%d&piece=65536&length=1 HTTP/1.1\r\nHost: t\r\n\r\n" % size
                        for size in sizes)

    def wait_until_not_read(self):
        """No request is taken but those that ask for the statistics. At most 32 are in flight, fewer
        when the answers of fewer fill the write buffer."""
        taken = []

        def stands(stats):
            self.assertLessEqual(stats["records_in_flight"], 33)
            taken.append(stats["requests"] - len(taken))
            return stats["records_in_flight"] > 1 and len(taken) > 20 and taken[-1] == taken[-20]

        self.server.wait_stats(stands, "the server does not read on")

    def test_10000_at_once(self):
        """All are answered, in order, however far the client is ahead."""
        self.begin()
        sizes = self.pipeline(harness.scaled(self.COUNT), 0)
        client = self.server.connect()
        sender = threading.Thread(target=client.send, args=(self.requests(sizes),))
        sender.start()
        for size in sizes:
            self.assertEqual(len(client.answer().body), size)
        sender.join()
        self.bounded("pipelined requests", len(sizes), 0)
        client.close()
        self.over()

    def test_10000_and_nothing_read(self):
        """The client sends on and reads nothing: the server stops reading, keeps what is in flight, and
        goes on where it was when the client reads at last."""
        self.begin()
        sizes = self.pipeline(harness.scaled(self.COUNT), 4000)
        client = self.server.connect(receive_buffer=4096)
        sender = threading.Thread(target=client.send, args=(self.requests(sizes),))
        sender.start()
        self.wait_until_not_read()
        self.bounded("requests in flight", 32, 80 * KIB)
        for size in sizes:
            self.assertEqual(len(client.answer().body), size)
        sender.join()
        client.close()
        self.over()


class Contents(Attack):
    def test_chunks_of_one_byte(self):
        """Content that is collected costs about what it has, also when each byte comes as a chunk."""
        self.begin()
        size = harness.scaled(200_000)
        client = self.connect()
        client.sendall(b"POST /collect?limit=1000000 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                       + b"1\r\na\r\n" * size)
        self.server.wait_stats(lambda s: s["bytes_received"] - self.before["bytes_received"] > 6 * size,
                               "all is received")
        self.bounded("chunks of a byte", size, 2, MIB)
        client.sendall(b"0\r\n\r\n")
        answer = client.recv(1000)
        self.assertTrue(answer.endswith(b"\r\n\r\n%d %d\n" % (size, size * ord("a"))), answer)
        self.over([client])

    def test_a_slow_collector_among_others(self):
        """A byte now and then that is collected, among large contents of others that are not kept."""
        self.begin()
        rounds = harness.scaled(300)
        client = self.connect()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(b"POST /collect?limit=1000000 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        with self.server.connect() as other:
            upload = b"POST /count HTTP/1.1\r\nHost: t\r\nContent-Length: 131072\r\n\r\n" + b"a" * 131072
            for _ in range(rounds):
                client.send(b"1\r\na\r\n")
                other.send(upload)
                self.assertEqual(other.answer().status, 200)
        self.bounded("bytes that are collected among others", rounds, 64, MIB)
        client.sendall(b"0\r\n\r\n")
        self.assertIn(b"\r\n\r\n%d " % rounds, client.recv(1000))
        self.over([client])


if __name__ == "__main__":
    unittest.main()
