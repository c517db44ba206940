"""After warm-up the serving process asks for no memory: not one malloc, calloc, realloc, aligned
allocation, mmap or brk over 5,000 requests of each kind of load."""

import unittest

import harness
import ws_client

REQUESTS = harness.scaled(5_000)
WARMUP = harness.scaled(2_000)


class Allocation(harness.SystemTest):
    # A floor above all that is ever in flight: how much overlaps is up to the kernel, and a machine that stands still
    # for two seconds would see its pools trimmed; how they follow a load is a unit test's matter (service/pools). No
    # keep-alive time either: the load's idle connection, which asks for the count, is to last.
    def check(self, mode, kind, **options):
        server = self.serve(pool_floor=512, keep_alive="off")
        numbers = harness.load(server, mode, kind, REQUESTS, WARMUP, **options)
        print(f"{self.id().split('.')[-1]}: {numbers}", flush=True)
        self.assertGreaterEqual(numbers["measured"], REQUESTS)
        self.finish(server)
        if numbers["allocations"] == -1 or harness.WRAPPER:
            self.skipTest(f"answers were right; not counted: build {harness.KIND} has its own allocator")
        self.assertEqual(numbers["allocations"], 0)

    def test_keep_alive(self):
        self.check("keep", "hello")

    def test_new_connections(self):
        self.check("new", "hello")

    def test_pipelined(self):
        self.check("pipeline", "hello", depth=16)

    def test_asynchronous(self):
        self.check("keep", "later")

    def test_another_thread(self):
        self.check("keep", "thread")

    def test_streamed_response(self):
        self.check("keep", "stream", size=16384)

    def test_streamed_request(self):
        self.check("keep", "count", size=16384)

    def test_chunked_both_ways(self):
        self.check("keep", "echo", size=8192)

    def test_files(self):
        self.check("keep", "file", size=16384)

    def test_aborts(self):
        self.check("abort", "mixed", seed=20)


class Sockets(harness.SystemTest):
    """The same of messages of WebSockets: echoed plain, compressed alone or with what came before, published, over HTTP/2. How many
    are under way at once is up to the kernel, so the most that ever were may come late: one window of some must ask for nothing."""
    WINDOWS = 10
    MESSAGES = harness.scaled(2_000)
    TOGETHER = 20

    def rounds(self, clients, messages, heard_by):
        for _ in range(messages // self.TOGETHER):
            for client in clients:
                client.send(b"".join(client.said))
            for client, count in zip(clients, heard_by):
                for _ in range(count * self.TOGETHER):
                    client.frame()

    def check(self, target="/sockets", transport=ws_client.Http1, deflate=None, publishes=False, count=3):
        if harness.TLS:
            self.skipTest("the client speaks no TLS")
        server = self.serve(pool_floor=512, keep_alive="off", h2_connect_protocol=True, workers=2 if publishes else 1)
        port = int(server.addresses[0].rsplit(":", 1)[1])
        clients = [ws_client.Client(self, port, target, transport, deflate=deflate) for _ in range(count)]
        for number, client in enumerate(clients):
            texts = [f"{number} {i} ".encode() * (10 + i) for i in range(self.TOGETHER)]
            client.said = [ws_client.frame(ws_client.TEXT, ws_client.compressed(text), rsv=ws_client.RSV1) if deflate else
                           ws_client.frame(ws_client.TEXT, text) for text in texts]
        if publishes:  # a client hears all when its worker knows it, and it may not be the last to come
            server.wait_stats(lambda stats: stats["websockets_open"] == count, "all are in the room")
        heard_by = [count if publishes else 1] * count
        asking = server.connect()
        counts = []
        while len(counts) < 2 or (counts[-1] != counts[-2] and len(counts) <= self.WINDOWS):
            self.rounds(clients, self.MESSAGES, heard_by)
            asking.send(b"GET /allocations HTTP/1.1\r\nHost: t\r\n\r\n")
            counts.append(int(asking.answer().body))
        asking.close()
        for client in clients:
            client.transport.peer.close()
        self.finish(server)
        if counts[0] == -1 or harness.WRAPPER:
            self.skipTest(f"answers were right; not counted: build {harness.KIND} has its own allocator")
        self.assertEqual(counts[-1], counts[-2], counts)

    def test_plain(self):
        self.check()

    def test_compressed_alone(self):
        self.check("/sockets?deflate=1", deflate="permessage-deflate")

    def test_compressed_with_takeover(self):
        self.check("/sockets?deflate=2", deflate="permessage-deflate; client_no_context_takeover")

    def test_published(self):
        self.check("/room", publishes=True)

    def test_http2(self):
        self.check(transport=ws_client.Http2)


if __name__ == "__main__":
    unittest.main()
