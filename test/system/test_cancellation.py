"""Clients that leave at every byte and in every state: each record is recycled exactly once, every end
has its reason, and the server drains clean."""

import unittest

import harness

LENGTH = (b"POST /echo?x=1 HTTP/1.1\r\nHost: t\r\nContent-Length: 26\r\n\r\nabcdefghijklmnopqrstuvwxyz")
CHUNKED = (b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
           b"5\r\nabcde\r\n10;q=\"a\"\r\nfghijklmnopqrstu\r\n0\r\nX-T: 1\r\n\r\n")
HELLO = b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"


def request(target, fields=b""):
    return b"GET " + target + b" HTTP/1.1\r\nHost: t\r\n" + fields + b"\r\n"


class Cancellation(harness.SystemTest):
    def leave(self, client, how):
        if how == "reset":
            client.reset()
        elif how == "close":
            client.close()
        else:
            client.finish()
            client.gone()
            client.close()

    def settle(self, server):
        server.wait_stats(lambda s: s["records_in_flight"] == 1 and s["connections_open"] == 1,
                          "everybody has left")
        return self.finish(server)

    def every_byte(self, data, how, **options):
        server = self.serve(**options)
        step = 1 if harness.SCALE >= 0.1 else 7
        for cut in range(0, len(data) + 1, step):
            client = server.connect()
            client.send(data[:cut])
            if how == "reset":
                server.stats()  # answered by the same thread: it has taken what was sent before
            self.leave(client, how)
        final = self.settle(server)
        self.assertGreaterEqual(final["requests"], (len(data) - data.index(b"\r\n\r\n") - 4) // step)

    def test_every_byte_length_reset(self):
        self.every_byte(LENGTH, "reset")

    def test_every_byte_length_fin(self):
        self.every_byte(LENGTH, "fin")

    def test_every_byte_chunked_reset(self):
        self.every_byte(CHUNKED, "reset")

    def test_every_byte_chunked_fin(self):
        self.every_byte(CHUNKED, "fin")

    def test_every_byte_chunked_close(self):
        self.every_byte(CHUNKED, "close")

    def test_every_byte_half_close(self):
        self.every_byte(CHUNKED, "fin", half_close=True)

    def test_every_byte_pipelined(self):
        self.every_byte(HELLO + request(b"/later?ms=1") + LENGTH + HELLO, "reset")

    def each_state(self, target, until, how, rounds=20):
        """Leave when `until` has been seen of the answer (None: at once)."""
        server = self.serve(write_buffer=16384)
        for number in range(harness.scaled(rounds, 3)):
            client = server.connect(receive_buffer=4096)
            client.send(request(target))
            if until is not None:
                client.until(until)
            else:
                # The request is in before the client leaves, in every second round.
                if number % 2:
                    server.wait_stats(lambda s, n=number: s["requests"] > n, "the request is in")
            self.leave(client, how)
        if b"/hold" in target:
            server.get("/release")
        return self.settle(server)

    def test_waiting_for_release(self):
        for how in ("reset", "close", "fin"):
            final = self.each_state(b"/hold", None, how)
            self.assertGreater(final["cancellations"], 0)

    def test_head_sent(self):
        for how in ("reset", "close", "fin"):
            final = self.each_state(b"/hold?begin=1", b"begun\n", how)
            self.assertGreater(final["cancellations"], 0)

    def test_timer_pending(self):
        for how in ("reset", "fin"):
            self.each_state(b"/later?ms=20", None, how)

    def test_another_thread_before_during_after(self):
        for milliseconds in (b"0", b"1", b"20"):
            for how in ("reset", "fin"):
                self.each_state(b"/thread?ms=" + milliseconds, None, how)

    def test_after_the_answer(self):
        for how in ("reset", "close", "fin"):
            final = self.each_state(b"/hello", b"hello\n", how)
            self.assertEqual(final["cancellations"], 0)

    def test_streaming(self):
        """The client stops reading in the middle of a response that never fits."""
        for how in ("reset", "close"):
            final = self.each_state(b"/stream?size=50000000&piece=65536", b"\r\n\r\n", how)
            self.assertGreater(final["cancellations"], 0)

    def test_streaming_with_pauses(self):
        for how in ("reset", "close", "fin"):
            self.each_state(b"/stream?size=100000&piece=10&ms=2", b"abcdefg", how)

    def test_ended_but_not_flushed(self):
        """The whole response is written, the handler waits for its end, and the kernel has not taken
        it when the client leaves."""
        server = self.serve(write_buffer=8 << 20)
        for _ in range(harness.scaled(10, 2)):
            client = server.connect(receive_buffer=4096)
            client.send(request(b"/stream?size=8000000&piece=65536&ended=1"))
            client.until(b"\r\n\r\n")
            client.reset()
        final = self.settle(server)
        self.assertEqual(final["ended"]["complete"] + final["ended"]["client-reset"]
                         + final["ended"]["client-closed"], final["requests"])
        self.assertGreater(final["ended"]["client-reset"], 0)

    def test_pipelined_answers_parked(self):
        """Answers that wait behind one that does not come."""
        server = self.serve()
        for how in ("reset", "close", "fin"):
            client = server.connect()
            client.send(request(b"/hold") + HELLO * 5 + request(b"/thread?ms=1") + LENGTH)
            server.wait_stats(lambda s: s["records_in_flight"] >= 8, "all are in")
            self.leave(client, how)
            server.wait_stats(lambda s: s["records_in_flight"] == 1, "all are gone")
        self.settle(server)

    def test_tunnels(self):
        server = self.serve()
        for how in ("reset", "close", "fin"):
            for opening in (request(b"/tunnel", b"Connection: upgrade\r\nUpgrade: echo\r\n"),
                            b"CONNECT t:1 HTTP/1.1\r\nHost: t:1\r\n\r\n"):
                client = server.connect()
                client.send(opening)
                client.head()
                client.send(b"some bytes")
                self.assertEqual(client.take(10), b"some bytes")
                self.leave(client, how)
        self.settle(server)

    def test_random_aborts(self):
        for seed in (1, 2, 3):
            for workers in (1, 2):
                server = self.serve(workers=workers)
                harness.load(server, "abort", "mixed", harness.scaled(5000), seed=seed)
                self.settle(server)

    def test_drain_among_aborts(self):
        """Shut down with records in every state: all are cancelled at the deadline."""
        server = self.serve()
        clients = []
        for data in (request(b"/hold"), request(b"/hold?begin=1"), request(b"/thread?ms=50"),
                     request(b"/later?ms=100000"), request(b"/stream?size=50000000"), LENGTH[:-3],
                     CHUNKED[:-20], request(b"/hold") + HELLO * 3,
                     request(b"/tunnel", b"Connection: upgrade\r\nUpgrade: echo\r\n")):
            client = server.connect(receive_buffer=4096)
            client.send(data)
            clients.append(client)
        server.wait_stats(lambda s: s["requests"] >= 12, "all are in")
        final = self.finish(server)
        self.assertGreaterEqual(final["ended"]["shutdown"], 6)
        for client in clients:
            client.close()


if __name__ == "__main__":
    unittest.main()
