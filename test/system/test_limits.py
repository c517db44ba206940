"""Limits and time-outs end to end: what the client gets when one is reached."""

import os
import resource
import unittest

import harness

HOLD = b"GET /hold HTTP/1.1\r\nHost: t\r\n\r\n"
HELLO = b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"


class Refusals(harness.SystemTest):
    def refused(self, server, data, status, reason=None):
        """The request is refused with the status, the connection is closed, and nothing behind the
        request is taken as another one."""
        before = server.stats()
        client = server.connect()
        client.send(data + HELLO)
        answer = client.answer()
        self.assertEqual(answer.status, status)
        self.assertEqual(answer.field("Connection"), "close")
        self.assertEqual(client.gone()[1], b"")
        after = server.stats()
        # The first reading was answered, too; whether the head of the refused one was whole varies.
        self.assertLessEqual(after["requests"] - before["requests"], 2)
        self.assertEqual(after["responses"] - before["responses"], 2)
        if reason is not None:
            self.assertEqual(after["ended"][reason] - before["ended"][reason], 1)
        return answer

    def test_413_declared(self):
        server = self.serve(max_content=100)
        self.refused(server, b"POST /count HTTP/1.1\r\nHost: t\r\nContent-Length: 101\r\n\r\n", 413)
        client = server.connect()
        client.send(b"POST /count HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n" + b"a" * 100)
        self.assertEqual(client.answer().body, b"100 9700\n")
        client.close()
        self.finish(server, balanced=False)

    def test_413_chunked(self):
        server = self.serve(max_content=100)
        client = server.connect()
        client.send(b"POST /count HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"64\r\n" + b"a" * 100 + b"\r\n1\r\nb\r\n0\r\n\r\n")
        answer = client.answer()
        self.assertEqual((answer.status, answer.field("Connection")), (413, "close"))
        client.gone()
        self.finish(server, balanced=False)

    def test_413_by_collect(self):
        server = self.serve()
        client = server.connect()
        client.send(b"POST /collect?limit=10 HTTP/1.1\r\nHost: t\r\nContent-Length: 11\r\n\r\n" + b"a" * 11)
        self.assertEqual(client.answer().body, b"over the limit\n")
        client.send(b"POST /collect?limit=11 HTTP/1.1\r\nHost: t\r\nContent-Length: 11\r\n\r\n" + b"a" * 11)
        self.assertEqual(client.answer().body, b"11 1067\n")
        client.close()
        self.finish(server)

    def test_414(self):
        server = self.serve(max_target=64)
        self.refused(server, b"GET /" + b"a" * 64 + b" HTTP/1.1\r\nHost: t\r\n\r\n", 414)
        with server.connect() as client:
            self.assertEqual(client.get("/" + "a" * 63).status, 404)
        self.finish(server, balanced=False)

    def test_431_section(self):
        server = self.serve(max_header_section=256)
        self.refused(server, b"GET / HTTP/1.1\r\nHost: t\r\nX: " + b"a" * 256 + b"\r\n\r\n", 431)
        self.finish(server, balanced=False)

    def test_431_fields(self):
        server = self.serve(max_fields=10)
        self.refused(server, b"GET / HTTP/1.1\r\nHost: t\r\n" + b"X: a\r\n" * 10 + b"\r\n", 431)
        with server.connect() as client:
            self.assertEqual(client.get("/hello", "X: a\r\n" * 9).status, 200)
        self.finish(server, balanced=False)

    def test_400_takes_nothing_further(self):
        server = self.serve()
        for bad in (b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost : t\r\n\r\n",
                    b"POST /count HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n",
                    b"POST /count HTTP/1.1\r\nHost: t\r\nContent-Length: 5, 6\r\n\r\n",
                    b"GET / HTTP/1.1\nHost: t\x00\r\n\r\n"):
            with self.subTest(bad):
                self.refused(server, bad, 400)
        self.finish(server, balanced=False)

    def test_bad_chunk_takes_nothing_further(self):
        server = self.serve()
        client = server.connect()
        client.send(b"POST /count HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + HELLO)
        self.assertEqual(client.answer().status, 400)
        self.assertEqual(client.gone()[1], b"")
        final = self.finish(server, balanced=False)
        self.assertEqual(final["requests"], 2)

    def test_503_with_retry_after(self):
        server = self.serve(max_in_flight=2)
        held = [server.connect() for _ in range(2)]
        for client in held:
            client.send(HOLD)
        third = server.connect()
        # The records come into flight in the order of the connections' bytes: ask until both are in.
        while (answer := third.get("/hello")).status == 200:
            pass
        self.assertEqual(answer.status, 503)
        self.assertTrue(answer.field("Retry-After").isdigit())
        third.close()
        for client in held:
            client.reset()
        while True:
            with server.connect() as client:
                if client.get("/hello").status == 200:
                    break
        self.finish(server, balanced=False)

    def test_max_connection_requests(self):
        server = self.serve(max_connection_requests=3)
        client = server.connect()
        client.send(HELLO * 5)
        answers = [client.answer() for _ in range(3)]
        self.assertEqual([a.field("Connection") for a in answers], ["keep-alive", "keep-alive", "close"])
        self.assertEqual(client.gone()[1], b"")
        self.finish(server)

    def test_max_connections_refuse(self):
        server = self.serve(max_connections=2, refuse_connections=True)
        clients = [server.connect() for _ in range(2)]
        for client in clients:
            client.get("/hello")
        third = server.connect()
        self.assertEqual(third.answer().status, 503)
        third.gone()
        clients[0].close()
        while True:  # until the close is seen
            with server.connect() as client:
                try:
                    if client.get("/hello").status == 200:
                        break
                except ConnectionError:
                    pass  # it was refused before its request was there
        clients[1].close()
        server.signal()
        self.assertGreaterEqual(server.ended()["connections_refused"], 1)

    def test_max_connections_queue(self):
        server = self.serve(max_connections=2)
        clients = [server.connect() for _ in range(3)]
        for client in clients[:2]:
            client.get("/hello")
        clients[2].send(HELLO)
        for _ in range(50):  # the others are served, the third waits in the kernel's queue
            self.assertEqual(clients[1].get("/hello").status, 200)
        clients[2].socket.setblocking(False)
        with self.assertRaises(BlockingIOError):
            clients[2].socket.recv(1)
        clients[2].socket.settimeout(harness.DEADLINE)
        clients[0].close()
        self.assertEqual(clients[2].answer().body, b"hello\n")
        clients[1].close()
        clients[2].close()
        server.signal()
        harness.assert_balanced(self, server.ended())

    def test_max_pipeline_stops_reading(self):
        server = self.serve(max_pipeline=4)
        client = server.connect()
        client.send(HOLD * 10)
        for expected in (4, 4, 2):
            server.wait_stats(lambda s, n=expected: s["records_in_flight"] == n + 1, "a batch is in")
            self.assertEqual(int(server.get("/release").body), expected)
            for _ in range(expected):
                self.assertEqual(client.answer().body, b"held\n")
        client.close()
        self.finish(server)

    def test_unread_content_small_keeps_the_connection(self):
        server = self.serve(drain_content=1000)
        client = server.connect()
        client.send(b"POST /hello HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n" + b"a" * 1000 + HELLO)
        first = client.answer()
        self.assertEqual((first.status, first.field("Connection")), (200, "keep-alive"))
        self.assertEqual(client.answer().body, b"hello\n")
        client.close()
        self.finish(server)

    def test_unread_content_large_closes(self):
        server = self.serve(drain_content=1000)
        client = server.connect()
        client.send(b"POST /hello HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n")
        answer = client.answer()
        self.assertEqual((answer.status, answer.body), (200, b"hello\n"))
        self.assertEqual(client.gone()[1], b"")
        self.finish(server)


class TimeOuts(harness.SystemTest):
    """The times are short; that nothing fires early is a unit test's matter."""

    def test_header_408(self):
        server = self.serve(header_timeout=50)
        client = server.connect()
        client.send(b"GET /hello HT")
        answer = client.answer()
        self.assertEqual((answer.status, answer.field("Connection")), (408, "close"))
        client.gone()
        self.assertGreaterEqual(self.finish(server, balanced=False)["timeouts"], 1)

    def test_first_byte_closes(self):
        server = self.serve(first_byte_timeout=50)
        self.assertEqual(server.connect().gone(), ("fin", b""))
        self.finish(server)

    def test_keep_alive_closes_and_is_advertised(self):
        server = self.serve(keep_alive=1000, keep_alive_grace=50)
        client = server.connect()
        answer = client.get("/hello")
        self.assertEqual(answer.field("Keep-Alive"), "timeout=1")
        self.assertEqual(client.gone(), ("fin", b""))
        self.finish(server)

    def test_keep_alive_grace_serves(self):
        """A connection is kept through its advertised time: within the grace it is still served."""
        server = self.serve(keep_alive=1, keep_alive_grace=20_000)
        client = server.connect()
        client.get("/hello")
        server.get("/later?ms=50")
        self.assertEqual(client.get("/hello").body, b"hello\n")
        client.close()
        self.finish(server)

    def test_body_rate_408(self):
        server = self.serve(content_rate=1000, content_window=50)
        client = server.connect()
        client.send(b"POST /count HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\na")
        answer = client.answer()
        self.assertEqual((answer.status, answer.field("Connection")), (408, "close"))
        client.gone()
        self.assertEqual(self.finish(server)["ended"]["body-timeout"], 1)

    def test_write_stall_resets(self):
        server = self.serve(write_timeout=100)
        client = server.connect(receive_buffer=4096)
        client.send(b"GET /stream?size=50000000&piece=65536 HTTP/1.1\r\nHost: t\r\n\r\n")
        server.wait_stats(lambda s: s["ended"]["write-timeout"] == 1, "the stall is seen")
        self.assertEqual(client.gone()[0], "reset")
        self.finish(server)

    def test_handler_503(self):
        server = self.serve(handler_timeout=50)
        client = server.connect()
        client.send(HOLD)
        self.assertEqual(client.answer().status, 503)
        client.close()
        self.assertEqual(self.finish(server)["ended"]["handler-timeout"], 1)


class Descriptors(harness.SystemTest):
    def test_out_of_descriptors_pauses_without_spinning(self):
        """With no descriptor left, those connected are served, new ones wait, and no time is burnt;
        when one is free again, they are accepted."""
        server = self.serve()
        first = server.connect()
        first.get("/hello")
        open_now = len(os.listdir(f"/proc/{server.pid}/fd"))
        limit = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (open_now + 2, limit[1]))
        clients = [server.connect() for _ in range(6)]
        for client in clients:
            client.send(HELLO)
        for client in clients[:2]:
            self.assertEqual(client.answer().status, 200)
        before = harness.processor_ticks(server.pid)
        self.assertEqual(first.get("/later?ms=1000").body, b"later\n")
        burnt = harness.processor_ticks(server.pid) - before
        if harness.PLAIN:
            self.assertLess(burnt, 20)  # of 100 ticks: a loop that spins takes them all
        for client in clients[:2]:
            client.close()
        for client in clients[2:4]:
            self.assertEqual(client.answer().status, 200)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, limit)
        for client in clients[2:]:
            if client in clients[4:]:
                self.assertEqual(client.answer().status, 200)
            client.close()
        first.close()
        self.finish(server)


if __name__ == "__main__":
    unittest.main()
