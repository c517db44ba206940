"""One exchange and one connection, byte by byte over raw sockets."""

import unittest

import harness

HELLO = b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"
HELLO_ANSWER = (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\nDate: *\r\n"
                b"Connection: keep-alive\r\nKeep-Alive: timeout=75\r\n\r\nhello\n")


def sorted_head(data):
    """A head with its field lines in order of name: their order is the engine's affair."""
    lines = harness.mask_date(data).split(b"\r\n\r\n")[0].split(b"\r\n")
    return [lines[0], *sorted(lines[1:])]


class Exchange(harness.SystemTest):
    """One server is asked everything: under valgrind it takes longer to begin than to answer."""

    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server()
        cls.addClassCleanup(cls.server.kill)

    @classmethod
    def tearDownClass(cls):
        cls().finish(cls.server)

    def setUp(self):
        super().setUp()
        self.before = self.server.stats()

    def ended(self, reason):
        """How many exchanges of this test ended for `reason`, when none is left but the one that asks."""
        now = self.server.wait_stats(lambda stats: stats["records_in_flight"] == 1, "an exchange is left")
        return now["ended"][reason] - self.before["ended"][reason]

    def test_hello(self):
        with self.server.connect() as client:
            client.send(HELLO)
            answer = client.answer()
        self.assertEqual(sorted_head(answer.head), sorted_head(HELLO_ANSWER))
        self.assertEqual(answer.body, b"hello\n")

    def test_head_has_no_content(self):
        with self.server.connect() as client:
            client.send(HELLO.replace(b"GET", b"HEAD") + HELLO)
            head = client.answer("HEAD")
            self.assertEqual(sorted_head(head.head), sorted_head(HELLO_ANSWER))
            self.assertEqual(client.answer().body, b"hello\n")

    def test_head_of_a_stream(self):
        with self.server.connect() as client:
            client.send(b"HEAD /stream?size=1000 HTTP/1.1\r\nHost: t\r\n\r\n" + HELLO)
            self.assertEqual(client.answer("HEAD").field("Transfer-Encoding"), "chunked")
            self.assertEqual(client.answer().body, b"hello\n")

    def test_head_may_set_a_length(self):
        with self.server.connect() as client:
            client.send(b"HEAD /status?code=200&length=1&content=0 HTTP/1.1\r\nHost: t\r\n\r\n" + HELLO)
            self.assertEqual(client.answer("HEAD").field("Content-Length"), "1234")
            self.assertEqual(client.answer().body, b"hello\n")

    def test_204_and_304_have_no_content(self):
        with self.server.connect() as client:
            for status in (204, 304):
                client.send(f"GET /status?code={status} HTTP/1.1\r\nHost: t\r\n\r\n".encode() + HELLO)
                answer = client.answer()
                self.assertEqual(answer.status, status)
                self.assertIsNone(answer.field("Transfer-Encoding"))
                if status == 204:
                    self.assertIsNone(answer.field("Content-Length"))
                self.assertEqual(client.answer().body, b"hello\n")
            client.send(b"GET /status?code=304&length=1&content=0 HTTP/1.1\r\nHost: t\r\n\r\n" + HELLO)
            self.assertEqual(client.answer().field("Content-Length"), "1234")
            self.assertEqual(client.answer().body, b"hello\n")

    def continue_request(self, target, length=5):
        return (b"POST " + target + b" HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
                b"Content-Length: " + str(length).encode() + b"\r\n\r\n")

    def test_continue_is_sent_on_the_first_read(self):
        with self.server.connect() as client:
            client.send(self.continue_request(b"/count"))
            self.assertEqual(client.until(b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n")
            client.send(b"aaaaa")
            self.assertEqual(client.answer().body, b"5 485\n")

    def test_continue_is_not_sent_when_content_is_there(self):
        with self.server.connect() as client:
            client.send(self.continue_request(b"/count") + b"aaaaa")
            answer = client.answer()
            if answer.status == 100:  # allowed (RFC 9110, 10.1.1), not needed
                answer = client.answer()
            self.assertEqual(answer.body, b"5 485\n")
            client.send(HELLO)
            self.assertEqual(client.answer().body, b"hello\n")

    def test_empty_chunked_content_that_did_not_wait_for_continue(self):
        """The request is whole: nothing is in doubt, and the next one on the connection is served."""
        with self.server.connect() as client:
            client.send(b"POST /hello HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HELLO)
            self.assertNotEqual(client.answer().field("Connection"), "close")
            self.assertEqual(client.answer().body, b"hello\n")

    def test_continue_is_not_sent_when_answered_unread(self):
        """A final answer takes the place of 100; what follows then cannot be told from content, so
        that the connection closes or the content is still read as content."""
        with self.server.connect() as client:
            client.send(self.continue_request(b"/hello"))
            answer = client.answer()
            self.assertEqual(answer.body, b"hello\n")
            closes = answer.field("Connection") == "close"
            try:
                client.send(b"aaaaa" + HELLO)
            except ConnectionError:
                self.assertTrue(closes)
            if closes:
                self.assertEqual(client.gone()[1], b"")
            else:
                self.assertEqual(client.answer().body, b"hello\n")

    def test_continue_is_not_sent_after_the_head(self):
        with self.server.connect() as client:
            client.send(self.continue_request(b"/echo?early=1"))
            self.assertEqual(client.head().status, 200)
            client.send(b"abcde")
            self.assertEqual(client.until(b"0\r\n\r\n"), b"5\r\nabcde\r\n0\r\n\r\n")

    def test_continue_is_not_sent_to_http_1_0(self):
        with self.server.connect() as client:
            client.send(self.continue_request(b"/count").replace(b"HTTP/1.1", b"HTTP/1.0") + b"aaaaa")
            self.assertEqual(client.answer().body, b"5 485\n")

    def test_early_hints(self):
        with self.server.connect() as client:
            client.send(b"GET /inform HTTP/1.1\r\nHost: t\r\n\r\n")
            self.assertEqual(client.until(b"\r\n\r\n"),
                             b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
            self.assertEqual(client.answer().body, b"hello\n")
            client.send(b"GET /inform HTTP/1.0\r\n\r\n")
            self.assertEqual(client.answer().status, 200)

    def test_upgrade(self):
        with self.server.connect() as client:
            client.send(b"GET /tunnel HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
                        b"early bytes")
            answer = client.head()
            self.assertEqual(answer.status, 101)
            self.assertEqual(answer.field("Connection").lower(), "upgrade")
            self.assertEqual(answer.field("Upgrade"), "echo")
            self.assertIsNone(answer.field("Transfer-Encoding"))
            self.assertIsNone(answer.field("Content-Length"))
            self.assertEqual(client.take(11), b"early bytes")
            data = bytes(range(256)) * 2000
            client.socket.setblocking(True)
            received = echo_through(client, data)
            self.assertEqual(received, data)
            client.finish()
            self.assertEqual(client.gone(), ("fin", b""))

    def test_connect(self):
        with self.server.connect() as client:
            client.send(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\nGET / HTTP")
            answer = client.head()
            self.assertEqual(answer.status, 200)
            self.assertIsNone(answer.field("Content-Length"))
            self.assertIsNone(answer.field("Transfer-Encoding"))
            self.assertEqual(client.take(10), b"GET / HTTP")
            client.finish()
            self.assertEqual(client.gone(), ("fin", b""))

    def test_upgrade_that_was_not_asked_for(self):
        with self.server.connect() as client:
            self.assertEqual(client.get("/tunnel").status, 426)
            self.assertEqual(client.get("/hello").status, 200)

    def test_http_1_0(self):
        with self.server.connect() as client:
            client.send(b"GET /hello HTTP/1.0\r\n\r\n")
            answer = client.answer()
            self.assertEqual((answer.status, answer.body), (200, b"hello\n"))
            self.assertEqual(client.gone(), ("fin", b""))
        with self.server.connect() as client:
            for _ in range(2):
                client.send(b"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                answer = client.answer()
                self.assertEqual(answer.field("Connection"), "keep-alive")
        with self.server.connect() as client:
            client.send(b"GET /stream?size=10000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            answer = client.answer()
            self.assertIsNone(answer.field("Transfer-Encoding"))
            self.assertEqual(len(answer.body), 10000)

    def test_connection_close_is_obeyed(self):
        with self.server.connect() as client:
            answer = client.get("/hello", "Connection: close\r\n")
            self.assertEqual(answer.field("Connection"), "close")
            self.assertEqual(client.gone(), ("fin", b""))

    def test_trailers_both_ways(self):
        with self.server.connect() as client:
            client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                        b"3\r\nabc\r\n0\r\nX-A: 1\r\nX-B: two words\r\n\r\n")
            answer = client.answer()
            self.assertEqual(answer.body, b"abc")
            self.assertEqual(answer.trailers, [("X-A", "1"), ("X-B", "two words")])
            answer = client.get("/stream?size=100&trailer=1")
            self.assertEqual(answer.trailers, [("X-Sum", "done")])
            answer = client.get("/stream?size=100&trailer=1&length=1")
            self.assertEqual((len(answer.body), answer.trailers), (100, []))

    def test_files_leave_in_order_among_others(self):
        """Lent and given descriptors, small and larger than a page, over and over."""
        whole = bytes(b"a"[0] + i % 26 for i in range(64 * 1024 + 26))
        wanted = [("/hello", b"hello\n"), ("/file?size=100", whole[:100]), ("/file?given=1", whole), ("/later?ms=1", b"later\n"),
                  ("/file?size=0&given=1", b""), ("/file", whole), ("/hello", b"hello\n"), ("/file?size=40000&given=1", whole[:40000])]
        with self.server.connect() as client:
            for _ in range(20):
                client.send(b"".join(f"GET {target} HTTP/1.1\r\nHost: t\r\n\r\n".encode() for target, _ in wanted))
                for target, content in wanted:
                    self.assertTrue(client.answer().body == content, target)

    def test_pipelined_answers_leave_in_order(self):
        with self.server.connect() as client:
            targets = ["/later?ms=20", "/hello", "/thread?ms=10", "/stream?size=5000", "/hello",
                       "/later?ms=1", "/inform", "/thread"]
            client.send(b"".join(f"GET {t} HTTP/1.1\r\nHost: t\r\n\r\n".encode() for t in targets))
            bodies = []
            for _ in targets:
                answer = client.answer()
                if answer.status == 103:
                    answer = client.answer()
                bodies.append(answer.body)
            self.assertEqual([len(b) if len(b) > 10 else b for b in bodies],
                             [b"later\n", b"hello\n", b"thread\n", 5000, b"hello\n", b"later\n",
                              b"hello\n", b"thread\n"])

    def test_a_post_keeps_the_connection(self):
        with self.server.connect() as client:
            for _ in range(3):
                client.send(b"POST /count HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc")
                answer = client.answer()
                self.assertEqual((answer.body, answer.field("Connection")), (b"3 294\n", "keep-alive"))

    def test_response_splitting_is_refused(self):
        self.assertEqual(self.server.get("/split").body, b"22 of 22 refused\n")

    def test_abandoned_is_500(self):
        with self.server.connect() as client:
            self.assertEqual(client.get("/abandon").status, 500)
            self.assertEqual(client.get("/hello").status, 200)
        self.assertEqual(self.ended("abandoned"), 1)

    @unittest.skipIf(harness.TLS, "it is not in the clear")
    def test_https_is_not_answered_in_the_clear(self):
        for target, status in ((b"https://t/hello", 421), (b"HTTPS://t/hello", 421), (b"http://t/hello", 404),
                               (b"HTTP://t/hello", 404),  # the handler's, which knows no such page
                               (b"ws://t/", 400), (b"httpss://t/", 400), (b"htt://t/", 400)):
            with self.server.connect() as client:
                client.send(b"GET " + target + b" HTTP/1.1\r\nHost: t\r\n\r\n")
                self.assertEqual((target, client.answer().status), (target, status))

    def test_cut_is_seen_as_truncated(self):
        for target in (b"/cut", b"/cut?cancel=1"):
            client = self.server.connect()
            client.send(b"GET " + target + b" HTTP/1.1\r\nHost: t\r\n\r\n")
            kind, data = client.gone()
            self.assertTrue(kind == "reset" or len(data.split(b"\r\n\r\n", 1)[1]) < 100)
            client.close()
        self.assertEqual((self.ended("abandoned"), self.ended("canceled")), (1, 1))

    def test_streams_have_the_exact_bytes(self):
        want = (b"abcdefghijklmnopqrstuvwxyz" * 40000)[:1_000_003]
        with self.server.connect() as client:
            for options in ("", "&length=1", "&copy=1", "&ended=1", "&piece=65536", "&piece=65536&copy=1"):
                with self.subTest(options):
                    answer = client.get("/stream?size=1000003&piece=10007" + options)
                    self.assertEqual(answer.body, want)

    def test_slow_reader_holds_the_sender_back(self):
        """What the server keeps for a client that does not read is bounded by write_buffer."""
        client = self.server.connect(receive_buffer=4096)
        client.send(b"GET /stream?size=200000000&piece=65536 HTTP/1.1\r\nHost: t\r\n\r\n")
        client.until(b"\r\n\r\n")
        stats = self.server.stats()
        self.assertLess(stats["memory"], 40 << 20)
        self.assertLess(stats["bytes_sent"] - self.before["bytes_sent"], 50_000_000)
        client.reset()


class HalfClose(harness.SystemTest):
    REQUEST = b"GET /later?ms=20 HTTP/1.1\r\nHost: t\r\n\r\n"

    def test_fin_cancels_by_default(self):
        server = self.serve()
        client = server.connect()
        client.send(b"GET /hold HTTP/1.1\r\nHost: t\r\n\r\n")
        client.finish()
        self.assertEqual(client.gone()[1], b"")
        self.assertEqual(self.finish(server)["ended"]["client-closed"], 1)

    def test_half_close_is_answered(self):
        server = self.serve(half_close=True)
        client = server.connect()
        client.send(self.REQUEST * 2)
        client.finish()
        self.assertEqual([client.answer().body, client.answer().body], [b"later\n"] * 2)
        self.assertEqual(client.gone(), ("fin", b""))
        self.assertEqual(self.finish(server)["cancellations"], 0)


class Workers(harness.SystemTest):
    def test_many_workers(self):
        server = self.serve(workers=4)
        clients = [server.connect() for _ in range(64)]
        for client in clients:
            self.assertEqual(client.get("/hello").body, b"hello\n")
        for mode, kind in (("keep", "mixed"), ("pipeline", "later"), ("new", "hello"), ("abort", "mixed")):
            harness.load(server, mode, kind, harness.scaled(5000))
        held = clients[0]
        held.send(b"GET /hold HTTP/1.1\r\nHost: t\r\n\r\n")
        released = 0
        while released == 0:  # it arrives on whichever worker, the release on another
            released = int(server.get("/release").body)
        self.assertEqual(held.answer().body, b"held\n")
        for client in clients:
            client.close()
        self.finish(server)


def echo_through(client, data):
    """Send data through a tunnel and take it back, a window at a time."""
    received = b""
    window = 16384
    for offset in range(0, len(data), window):
        piece = data[offset:offset + window]
        client.send(piece)
        received += client.take(len(piece))
    return received


if __name__ == "__main__":
    unittest.main()
