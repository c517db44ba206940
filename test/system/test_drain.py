"""Graceful shutdown, over raw sockets."""

import unittest

import harness

LATE = b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"


class Drain(harness.SystemTest):
    def held(self, server, target="/hold"):
        """A client whose exchange the server holds."""
        client = server.connect()
        before = server.stats()["requests"]
        client.send(f"GET {target} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
        server.wait_stats(lambda s: s["requests"] >= before + 2, "the request is in")
        return client

    def test_idle_connections_are_closed_at_once(self):
        server = self.serve()
        idle = [server.connect() for _ in range(10)]
        for client in idle:
            self.assertEqual(client.get("/hello").body, b"hello\n")
        server.signal()
        for client in idle:
            self.assertEqual(client.gone(), ("fin", b""))
        harness.assert_balanced(self, server.ended())

    def test_never_sent_a_request_does_not_hang(self):
        server = self.serve()
        silent = server.connect()
        server.wait_stats(lambda s: s["connections_open"] == 2, "it is accepted")
        server.signal()
        self.assertEqual(silent.gone(), ("fin", b""))
        harness.assert_balanced(self, server.ended())

    def test_in_flight_is_answered_and_closed(self):
        server = self.serve()
        control = server.connect()  # busy with its own exchange when the drain begins
        client = self.held(server)
        control.send(b"POST /count HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\na")
        server.wait_stats(lambda s: s["records_in_flight"] == 3, "both are in")
        server.signal()
        with self.assertRaises((ConnectionError, OSError)):
            while True:  # until the listener is closed
                server.connect().close()
        control.send(b"b")
        answer = control.answer()
        self.assertEqual((answer.status, answer.body), (200, b"2 195\n"))
        self.assertEqual(answer.field("Connection"), "close")
        self.assertEqual(control.gone(), ("fin", b""))
        client.finish()  # the client leaves: its exchange is cancelled, and the drain is complete
        client.gone()
        harness.assert_balanced(self, server.ended())

    def test_an_answer_after_the_drain_began_says_close(self):
        server = self.serve()
        client = self.held(server, "/later?ms=200")
        server.signal()
        answer = client.answer()
        self.assertEqual(answer.body, b"later\n")
        self.assertEqual(answer.field("Connection"), "close")
        self.assertEqual(answer.field("Keep-Alive"), None)
        self.assertEqual(client.gone(), ("fin", b""))
        final = server.ended()
        harness.assert_balanced(self, final)
        self.assertEqual(final["ended"]["shutdown"], 0)

    def test_a_stream_runs_to_its_end(self):
        server = self.serve()
        client = self.held(server, "/stream?size=400000&piece=1000&ms=1")
        server.signal()
        self.assertEqual(len(client.answer().body), 400000)
        client.gone()
        harness.assert_balanced(self, server.ended())

    def test_pipelined_are_answered_then_closed(self):
        server = self.serve()
        client = server.connect()
        client.send(b"GET /later?ms=200 HTTP/1.1\r\nHost: t\r\n\r\n" + LATE * 3)
        server.wait_stats(lambda s: s["requests"] >= 5, "all are in")
        server.signal()
        bodies = [client.answer().body for _ in range(4)]
        self.assertEqual(bodies, [b"later\n"] + [b"hello\n"] * 3)
        self.assertEqual(client.gone(), ("fin", b""))
        harness.assert_balanced(self, server.ended())

    def test_deadline_cancels_the_rest(self):
        server = self.serve(deadline=100)
        clients = [self.held(server) for _ in range(3)]
        begun = self.held(server, "/hold?begin=1")
        server.signal()
        final = server.ended()
        harness.assert_balanced(self, final)
        self.assertEqual(final["ended"]["shutdown"], 4)
        for client in [*clients, begun]:
            client.gone()
            client.close()

    def test_without_a_deadline_the_last_client_ends_it(self):
        server = self.serve(deadline="off")
        first, second = self.held(server), self.held(server, "/later?ms=100000")
        server.signal()
        first.close()
        self.assertIsNone(server.process.poll())
        second.close()
        final = server.ended()
        harness.assert_balanced(self, final)
        self.assertEqual(final["ended"]["shutdown"], 0)

    def test_calling_again_brings_the_deadline_nearer(self):
        server = self.serve(deadline="off")
        client = server.connect()
        client.send(b"GET /hold HTTP/1.1\r\nHost: t\r\n\r\n")
        server.wait_stats(lambda s: s["records_in_flight"] == 2, "it is held")
        later = server.connect()
        later.send(b"POST /shutdown?deadline=0 HTTP/1.1\r\nHost: t\r\nExpect: 100-contin")
        server.wait_stats(lambda s: s["connections_open"] == 3, "all are connected")
        server.get("/shutdown?deadline=1000000")
        server.process.terminate()  # off: must not take the deadline away
        try:
            later.send(b"ue\r\n\r\n")
        except ConnectionError:
            pass  # a head that is not complete need not be waited for
        client.close()
        harness.assert_balanced(self, server.ended())
        later.close()

    def test_tunnel_is_counted(self):
        server = self.serve()
        client = server.connect()
        client.send(b"GET /tunnel HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        self.assertEqual(client.head().status, 101)
        server.signal()
        client.send(b"still here")
        self.assertEqual(client.take(10), b"still here")
        client.finish()
        self.assertEqual(client.gone(), ("fin", b""))
        harness.assert_balanced(self, server.ended())

    def test_by_the_api_and_embedded(self):
        for options in ({}, {"embedded": True}, {"workers": 3}):
            with self.subTest(options):
                server = self.serve(**options)
                idle = [server.connect() for _ in range(6)]
                for client in idle:
                    client.get("/hello")
                answer = server.get("/shutdown")
                self.assertEqual(answer.body, b"hello\n")
                for client in idle:
                    self.assertEqual(client.gone(), ("fin", b""))
                harness.assert_balanced(self, server.ended())

    def test_embedded_serves(self):
        server = self.serve(embedded=True)
        for mode, kind in (("keep", "mixed"), ("abort", "mixed"), ("swing", "later")):
            harness.load(server, mode, kind, harness.scaled(3000))
        self.finish(server)


if __name__ == "__main__":
    unittest.main()
