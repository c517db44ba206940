"""After warm-up the serving process asks for no memory: not one malloc, calloc, realloc, aligned
allocation, mmap or brk over 5,000 requests of each kind of load."""

import unittest

import harness

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


if __name__ == "__main__":
    unittest.main()
