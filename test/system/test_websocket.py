"""What a WebSocket server must do with each byte that it may be sent, right or wrong (RFC 6455, 7692, 8441), over HTTP/1.1 and
HTTP/2. The server is the example `websocket`, an echo, and a room on several workers.
"""
import asyncio
import os
import re
import struct
import unittest
import zlib

try:
    import websockets
except ImportError:  # script/bootstrap test brings it
    websockets = None

import harness
from programs import serve
from ws_client import (BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, RSV1, RSV2, RSV3, TEXT, Client, Http1, Http2, Https1,
                       close_frame, compressed, frame, head)

MIB = 1 << 20
MOST = 16 * MIB  # what the example takes
EURO = "€".encode()
DEFLATE = "permessage-deflate; client_max_window_bits"

# what is sent, and the code that must come, after these bytes and no more
REFUSED = [
    ("no mask, by two bytes", bytes([FIN | TEXT, 5]), 1002),
    ("no mask, a long frame by two bytes", bytes([FIN | BINARY, 126]), 1002),
    ("no mask on a control frame", bytes([FIN | PING, 0]), 1002),
    *[(f"reserved bits {bits:#x}", bytes([FIN | TEXT | bits]), 1002)
      for bits in (RSV1, RSV2, RSV3, RSV1 | RSV2, RSV2 | RSV3, RSV1 | RSV2 | RSV3)],
    *[(f"reserved bits {bits:#x} on a ping", bytes([FIN | PING | bits]), 1002) for bits in (RSV1, RSV2, RSV3)],
    *[(f"opcode {opcode}", bytes([FIN | opcode]), 1002) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)],
    *[(f"opcode {opcode} in fragments", bytes([opcode]), 1002) for opcode in (3, 7, 8, 9, 10, 11, 15)],
    *[(f"control frame {opcode} over 125", bytes([FIN | opcode, 128 | length]), 1002)
      for opcode in (CLOSE, PING, PONG) for length in (126, 127)],
    *[(f"{length} written in 2 bytes", head(FIN | BINARY, length, b"", 2), 1002) for length in (0, 125)],
    *[(f"{length} written in 8 bytes", head(FIN | BINARY, length, b"", 8), 1002) for length in (0, 125, 126, 65535)],
    ("a length of 2^63", head(FIN | BINARY, 1 << 63, b"", 8), 1002),
    ("a length of 2^64 - 1", head(FIN | BINARY, (1 << 64) - 1, b"", 8), 1002),
    ("a continuation of nothing", frame(CONTINUATION, b"x"), 1002),
    ("a continuation of nothing, not the last", frame(CONTINUATION, b"x", fin=False), 1002),
    ("a text within a message", frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
    ("binary within a message", frame(TEXT, b"x", fin=False) + frame(BINARY, b"y"), 1002),
    ("more than is taken, by its length", head(FIN | BINARY, MOST + 1), 1009),
    ("more than is taken, in fragments",
     frame(BINARY, bytes(1000), fin=False) + head(FIN | CONTINUATION, MOST - 999), 1009),
    *[(f"text with {data!r}, before the frame is whole", head(FIN | TEXT, 1000, bytes(4)) + data, 1007)
      for data in (b"\x80", b"a\xff", b"\xc0", b"\xc1", b"\xe0\x80", b"\xe0\x9f", b"\xed\xa0", b"\xf0\x80", b"\xf0\x8f",
                   b"\xf4\x90", b"\xf5", b"\xc3A", b"\xe2\x82A", b"\xf0\x9f\x98A", b"a" * 40 + b"\xed\xbf", b"\xc3\xa9" * 30 + b"\x80")],
    ("text that ends within a character", frame(TEXT, EURO[:2]), 1007),
    ("in two frames", frame(TEXT, EURO[:1], fin=False) + frame(CONTINUATION, EURO[1:2]), 1007),
    ("text that goes wrong in its second frame", frame(TEXT, EURO[:2], fin=False) + head(FIN | CONTINUATION, 9, bytes(4)) + b"A", 1007),
    ("Close of one byte", frame(CLOSE, b"\x03"), 1002),
    *[(f"Close {code}", close_frame(code), 1002)
      for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)],
    ("Close with a reason that is no UTF-8", close_frame(1000, b"\xff"), 1007),
    ("Close with a reason that ends within a character", close_frame(1000, EURO[:2]), 1007),
]

# what is sent, and what must come
TAKEN = [
    *[(f"{length} bytes", frame(BINARY, bytes(length)), [(BINARY, bytes(length))])
      for length in (0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 125, 126, 127, 128, 65535, 65536, 65537)],
    *[(f"a text of {length}", frame(TEXT, b"*" * length), [(TEXT, b"*" * length)]) for length in (0, 1, 125, 126, 65535, 65536)],
    ("every character", frame(TEXT, "\0 \x7f\x80߿ࠀ퟿￿\U00010000\U0010ffff".encode()),
     [(TEXT, "\0 \x7f\x80߿ࠀ퟿￿\U00010000\U0010ffff".encode())]),
    ("fragments", frame(TEXT, b"Hel", fin=False) + frame(CONTINUATION, b"lo"), [(TEXT, b"Hello")]),
    ("fragments without end", frame(BINARY, b"x" * 64, fin=False) + frame(CONTINUATION, b"x" * 64, fin=False) * 65534
     + frame(CONTINUATION, b"x" * 64), [(BINARY, b"x" * 4 * MIB)]),
    ("fragments of nothing", frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) + frame(CONTINUATION), [(TEXT, b"")]),
    ("a character in three frames", frame(TEXT, EURO[:1], fin=False) + frame(CONTINUATION, EURO[1:2], fin=False)
     + frame(CONTINUATION, EURO[2:]), [(TEXT, EURO)]),
    ("a ping within a message", frame(TEXT, b"a", fin=False) + frame(PING, b"p") + frame(CONTINUATION, b"b"),
     [(PONG, b"p"), (TEXT, b"ab")]),
    ("a ping within a character", frame(TEXT, EURO[:1], fin=False) + frame(PING) + frame(CONTINUATION, EURO[1:]),
     [(PONG, b""), (TEXT, EURO)]),
    ("a pong that nobody asked for", frame(PONG, b"x") + frame(TEXT, b"y"), [(TEXT, b"y")]),
    ("pings", b"".join(frame(PING, bytes([i]) * i) for i in (0, 1, 124, 125)), [(PONG, bytes([i]) * i) for i in (0, 1, 124, 125)]),
    ("two masks", frame(TEXT, b"a", mask=b"\0\0\0\0") + frame(TEXT, b"abcdefgh", mask=b"\xff\xfe\xfd\xfc"),
     [(TEXT, b"a"), (TEXT, b"abcdefgh")]),
]


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = serve(_Cleanup(cls), "websocket")
        cls.compressing = serve(_Cleanup(cls), "websocket", "--deflate", "shared")
        cls.keeping = serve(_Cleanup(cls), "websocket", "--deflate", "own")
        # Level 1 is ISA-L's where it is there, all others are zlib's.
        cls.by_zlib = serve(_Cleanup(cls), "websocket", "--deflate", "shared", "--deflate-level", "6")
        cls.keeping_by_zlib = serve(_Cleanup(cls), "websocket", "--deflate", "own", "--deflate-level", "6")

    def open(self, transport=Http1, server=None, **options):
        client = Client(self, (server or self.server).port, transport=transport, **options)
        self.assertEqual(client.status, 101)
        return client


class _Cleanup:
    """What a program wants of a test, for a whole class."""

    def __init__(self, case):
        self.addCleanup = case.addClassCleanup

    def fail(self, message):
        raise AssertionError(message)


class Frames(Case):
    def each(self, cases, check):
        for transport in (Http1, Http2):
            for name, sent, expected in cases:
                with self.subTest(name, transport=transport.__name__):
                    check(self.open(transport), sent, expected)

    def refused(self, client, sent, code):
        client.send(sent)
        client.expect_close(code)
        client.expect_end()

    def test_what_is_wrong_is_refused_at_once_by_its_code(self):
        self.each(REFUSED, self.refused)

    def test_a_continuation_behind_a_whole_message(self):
        client = self.open()
        client.send(frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"y") + frame(CONTINUATION))
        client.expect(TEXT, b"xy")
        client.expect_close(1002)
        client.expect_end()

    def taken(self, client, sent, expected):
        client.send(sent + close_frame(1000))
        for message in expected:
            client.expect(*message)
        client.expect_close(1000)
        client.expect_end()

    def test_what_is_right_comes_back(self):
        self.each(TAKEN, self.taken)

    def taken_by_bytes(self, client, sent, expected):
        for at in range(len(sent)):
            client.send(sent[at:at + 1])
        for message in expected:
            client.expect(*message)

    def test_byte_by_byte(self):
        self.each([case for case in TAKEN if len(case[1]) < 300], self.taken_by_bytes)

    def test_codes_that_a_client_may_close_with(self):
        for transport in (Http1, Http2):
            for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999):
                client = self.open(transport)
                client.send(close_frame(code, "grüße".encode()))
                client.expect_close(code)
                client.expect_end()

    def test_a_close_without_a_code(self):
        for transport in (Http1, Http2):
            client = self.open(transport)
            client.send(frame(CLOSE))
            got = client.frame()
            self.assertIn(got, [(FIN | CLOSE, b""), (FIN | CLOSE, struct.pack(">H", 1000))])
            client.expect_end()

    def test_what_came_before_what_is_wrong_is_answered(self):
        for transport in (Http1, Http2):
            for name, sent, code in REFUSED:
                with self.subTest(name, transport=transport.__name__):
                    client = self.open(transport)
                    client.send(frame(TEXT, b"before") + frame(PING, b"p") + sent)
                    client.expect(TEXT, b"before")
                    client.expect(PONG, b"p")
                    client.expect_close(code)
                    client.expect_end()

    def test_a_close_with_the_longest_reason(self):
        for transport in (Http1, Http2):
            client = self.open(transport)
            client.send(close_frame(4000, "ü".encode() * 61 + b"."))  # 123 bytes
            client.expect_close(4000)
            client.expect_end()

    def test_a_close_within_a_message_ends_it(self):
        for transport in (Http1, Http2):
            client = self.open(transport)
            client.send(frame(TEXT, b"begun", fin=False) + close_frame(1000) + frame(CONTINUATION, b"and done"))
            client.expect_close(1000)
            client.expect_end()

    def test_nothing_is_answered_behind_a_close(self):
        for transport in (Http1, Http2):
            client = self.open(transport)
            client.send(close_frame(1000) + frame(PING, b"x") + frame(TEXT, b"y") + b"\xff" * 20)
            client.expect_close(1000)
            client.expect_end()

    def test_pieces_of_the_network_are_no_limits(self):
        text = "aé€😀".encode() * 20000
        sent = frame(TEXT, text) + frame(TEXT, text[:77777], fin=False) + frame(CONTINUATION, text[77777:])
        for transport in (Http1, Http2):
            for size in (61, 997, 2048, 16385):
                client = self.open(transport)
                for at in range(0, len(sent), size):
                    client.send(sent[at:at + size])
                client.expect(TEXT, text)
                client.expect(TEXT, text)

    def test_the_longest_message(self):
        data = os.urandom(MIB) * (MOST // MIB)
        for transport in (Http1, Http2):
            client = self.open(transport)
            client.send(frame(BINARY, data, mask=bytes(4)))
            client.expect(BINARY, data)

    def test_a_large_message(self):
        data = os.urandom(MIB) * 2
        for transport in (Http1, Http2):
            client = self.open(transport)
            client.send(frame(BINARY, data[:MIB], fin=False, mask=bytes(4)) + frame(CONTINUATION, data[MIB:], mask=bytes(4)))
            client.expect(BINARY, data)


class Handshake(Case):
    def status(self, server=None, **options):
        client = Client(self, (server or self.server).port, **options)
        return client.status, client.fields

    def test_another_version(self):
        for version in ("12", "14", "8", "0", "13, 8", "x", ""):
            status, fields = self.status(version=version)
            self.assertEqual((status, fields.get("sec-websocket-version")), (426, ["13"]), version)

    def test_no_version_and_no_key(self):
        self.assertIn(self.status(version=None)[0], (400, 426))
        self.assertEqual(self.status(key=None)[0], 400)

    def test_keys_that_are_not_sixteen_bytes(self):
        for key in ("", "x", "dGhlIHNhbXBsZSBub25j", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ==A",
                    "dGhlIHNhbXBsZSBub25jZQA=", "dGhlIHNhbXBsZSBub25jZQ$=", "dGhlIHNhbXBsZSBub25jZSBub25jZQ=="):
            self.assertEqual(self.status(key=key)[0], 400, key)

    def test_connection_may_say_more(self):
        self.assertEqual(self.status(connection="keep-alive, Upgrade")[0], 101)
        self.assertEqual(self.status(connection="upgrade")[0], 101)

    def test_version_1_0_has_no_upgrade(self):
        self.assertEqual(self.status(protocol="HTTP/1.0")[0], 200)

    def test_other_methods_have_none(self):
        for method in ("POST", "HEAD", "PUT"):
            self.assertNotEqual(self.status(method=method)[0], 101, method)

    def test_origins(self):
        for origin, status in (("http://localhost", 101), ("https://localhost", 101), ("http://LOCALHOST:80", 101),
                               ("http://localhost:81", 403), ("http://example.com", 403), ("null", 403), ("", 403),
                               ("http://localhost.example.com", 403)):
            self.assertEqual(self.status(fields=[("Origin", origin)])[0], status, origin)

    def test_lists_that_are_none(self):
        for name in ("Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"):
            for value in ("a b", ";", "\"a\"", "a, b c"):
                self.assertEqual(self.status(self.compressing, fields=[(name, value)])[0], 400, (name, value))
        self.assertEqual(self.status(fields=[("Sec-WebSocket-Protocol", "a, b, a")])[0], 400)
        self.assertEqual(self.status(fields=[("Sec-WebSocket-Protocol", "a"), ("Sec-WebSocket-Protocol", "a")])[0], 400)

    def test_what_the_server_has_not_is_not_agreed(self):
        status, fields = self.status(fields=[("Sec-WebSocket-Protocol", "chat"), ("Sec-WebSocket-Extensions", "x-new; a=1")])
        self.assertEqual(status, 101)
        self.assertNotIn("sec-websocket-protocol", fields)
        self.assertNotIn("sec-websocket-extensions", fields)

    def test_bytes_behind_the_handshake(self):
        for transport in (Http1, Http2):
            client = self.open(transport, behind=frame(TEXT, b"early") + frame(PING))
            client.expect(TEXT, b"early")
            client.expect(PONG, b"")


class Deflate(Case):
    OFFERS = [  # what is offered, and answered without takeover
        ("permessage-deflate", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        ("x-new, permessage-deflate; unknown, permessage-deflate; server_max_window_bits=10",
         "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10"),
        ("permessage-deflate; server_max_window_bits=7", None),
        ("permessage-deflate; client_max_window_bits=16", None),
        ("permessage-deflate; server_no_context_takeover=1", None),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits", None),
    ]

    def test_offers(self):
        for offer, answer in self.OFFERS:
            client = self.open(server=self.compressing, deflate=offer)
            self.assertEqual(client.agreed, answer or "", offer)

    def test_a_server_that_compresses_nothing_agrees_on_nothing(self):
        self.assertEqual(self.open(deflate=DEFLATE).agreed, "")

    def test_messages_come_back(self):
        texts = [b"x" * 5, b"Hello, Hello, Hello" * 20, b'{"id":1,"name":"a"}' * 5000, bytes(200000).replace(b"\0", b"z")]
        for server in (self.compressing, self.keeping):
            for transport in (Http1, Http2):
                client = self.open(transport, server=server, deflate=DEFLATE)
                if transport is Http2 and server is self.compressing:
                    client.agreed = "server_no_context_takeover"  # its fields are not read
                for text in texts:
                    data = compressed(text)
                    half = len(data) // 2
                    client.send(frame(TEXT, data, rsv=RSV1)
                                + frame(TEXT, data[:half], fin=False, rsv=RSV1) + frame(PING) + frame(CONTINUATION, data[half:])
                                + frame(TEXT, text))
                    for _ in range(3):
                        got = client.message()
                        got = client.message() if got == (PONG, b"") else got
                        self.assertEqual(got, (TEXT, text))

    def test_takeover_both_ways(self):
        client = self.open(server=self.keeping, deflate=DEFLATE)
        self.assertEqual(client.agreed, "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12")
        stream = zlib.compressobj(6, zlib.DEFLATED, -12)
        text = os.urandom(300).hex().encode()
        sizes = []
        for _ in range(3):
            client.send(frame(TEXT, (stream.compress(text) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4], rsv=RSV1))
            first, payload = client.frame()
            self.assertEqual(first, FIN | TEXT | RSV1)
            self.assertEqual(client.inflater.decompress(payload + b"\0\0\xff\xff"), text)
            sizes.append(len(payload))
        self.assertLess(max(sizes[1:]), 30)

    # what may be offered, as browsers, Autobahn's suite and others do, and the windows that it asks for
    ASKED = ["permessage-deflate", DEFLATE, "permessage-deflate; client_max_window_bits=9",
             *[f"{DEFLATE}; server_max_window_bits={bits}" for bits in range(9, 16)],
             *[f"{DEFLATE}; server_no_context_takeover; server_max_window_bits={bits}" for bits in (9, 15)],
             f"{DEFLATE}; server_no_context_takeover", f"{DEFLATE}; client_no_context_takeover",
             f"permessage-deflate; server_no_context_takeover; server_max_window_bits=9, {DEFLATE}; server_no_context_takeover, {DEFLATE}"]

    def test_what_is_agreed_on_is_kept(self):
        lines = [f'{{"id": {i}, "name": "{os.urandom(4).hex()}"}}'.encode() for i in range(6000)]
        text = b"".join(lines)
        for server in (self.compressing, self.keeping, self.by_zlib, self.keeping_by_zlib):
            for offer in self.ASKED:
                with self.subTest(offer):
                    client = self.open(server=server, deflate=offer)
                    for name, value in re.findall(r"(server_\w+)(=\d+)?", offer.split(",")[0]):
                        self.assertIn(name, client.agreed)
                        if value:
                            self.assertLessEqual(client.window, int(value[1:]))
                    bits = re.search(r"client_max_window_bits=(\d+)", client.agreed)
                    forgets = "client_no_context_takeover" in client.agreed
                    stream = zlib.compressobj(6, zlib.DEFLATED, -int(bits.group(1)) if bits else -15)
                    for length in (16, 1000, 8192, 65536, len(text), 300):
                        data = (stream.compress(text[:length]) + stream.flush(zlib.Z_FULL_FLUSH if forgets else zlib.Z_SYNC_FLUSH))[:-4]
                        pieces = [data[at:at + 256] for at in range(0, len(data), 256)]
                        client.send(b"".join(frame(CONTINUATION if i else TEXT, piece, i == len(pieces) - 1, 0 if i else RSV1)
                                             for i, piece in enumerate(pieces)))
                        self.assertEqual(client.message(), (TEXT, text[:length]))

    def test_blocks_of_every_kind(self):
        for payload in (b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"\x00\x05\x00\xfa\xffHello\x00", b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
                        b"\xf3\x48\xcd\xc9\xc9\x07\x00", b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"):
            client = self.open(server=self.compressing, deflate=DEFLATE)
            client.send(frame(TEXT, payload, rsv=RSV1) * 2)
            client.expect(TEXT, b"Hello")
            client.expect(TEXT, b"Hello")

    def test_what_is_wrong_is_refused(self):
        hello = compressed(b"Hello")
        for server in (self.compressing, self.keeping):
            for name, sent, code in (
                    ("RSV1 on a continuation", frame(TEXT, hello[:3], fin=False, rsv=RSV1) + bytes([FIN | RSV1]), 1002),
                    ("RSV1 on a ping", bytes([FIN | PING | RSV1]), 1002),
                    ("RSV1 on Close", bytes([FIN | CLOSE | RSV1]), 1002),
                    ("no deflate", frame(TEXT, b"\x06", rsv=RSV1), 1007),
                    ("cut short", frame(TEXT, compressed(os.urandom(100))[:50], rsv=RSV1), 1007),
                    ("inflated it is no UTF-8", frame(TEXT, compressed(b"a\xff"), rsv=RSV1), 1007),
                    ("it ends within a character", frame(TEXT, compressed(EURO[:2]), rsv=RSV1), 1007)):
                with self.subTest(name):
                    client = self.open(server=server, deflate=DEFLATE)
                    client.send(sent)
                    client.expect_close(code)
                    client.expect_end()

    def test_more_is_inflated_than_is_taken(self):
        client = self.open(server=self.compressing, deflate=DEFLATE)
        client.send(frame(BINARY, compressed(bytes(MOST + 1), 1), rsv=RSV1))
        client.expect_close(1009)
        client.expect_end()


@unittest.skipIf(websockets is None, "python3-websockets is not installed")
class Others(Case):
    """A client that others have written: Python's websockets."""
    MESSAGES = ["", "a", "grüße €" * 100, b"", b"\0\xff" * 70, bytes(range(256)) * 4096]

    async def talk(self, port):
        async with websockets.connect(f"ws://localhost:{port}/echo", max_size=None) as client:
            for message in self.MESSAGES:
                await client.send(message)
                self.assertEqual(await client.recv(), message)
            await client.send(["in ", "three ", "pieces"])
            self.assertEqual(await client.recv(), "in three pieces")
            await (await client.ping(b"there?"))
            await client.close(4000, "bye")
            self.assertEqual((client.close_code, client.close_reason), (4000, "bye"))

    def test_talks(self):
        for server in (self.server, self.compressing, self.keeping):
            asyncio.run(self.talk(server.port))


class LastWords(harness.SystemTest):
    """A server that says much and closes at once: all arrives, over TLS too, whose end is no reset and is not cut."""
    BYTES = harness.scaled(16) * MIB

    def test_all_arrives(self):
        for transport, address in ((Http1, "127.0.0.1:0"), (Https1, "tls:127.0.0.1:0"), (Http2, "127.0.0.1:0")):
            with self.subTest(transport=transport.__name__):
                server = self.serve(listen=[address], certificate=harness.own_certificate(), ticket_lifetime="off",
                                    h2_connect_protocol=True)
                port = int(server.addresses[0].rsplit(":", 1)[1])
                client = Client(self, port, f"/last?bytes={self.BYTES}", transport)
                client.send(frame(TEXT, b"all of it"))
                got = 0
                while (piece := client.frame())[0] == FIN | BINARY:
                    got += len(piece[1])
                self.assertEqual(got, self.BYTES)
                self.assertEqual(piece, (FIN | CLOSE, struct.pack(">H", 4001) + b"that was all"))
                client.send(frame(CLOSE, piece[1]))
                client.expect_end()
                client.transport.peer.close()


class Room(unittest.TestCase):
    """A topic over several workers: what one says is heard by all, in the order in which that one said it."""
    CLIENTS, MESSAGES = 6, 20

    def heard(self, client, count):
        """How many messages of each the client hears, until they are so many in all; a greeting is none."""
        heard = dict.fromkeys(range(self.CLIENTS), 0)
        while sum(heard.values()) < count:
            said = client.message()[1].decode()
            if said != "here":
                sender, number = map(int, said.split())
                self.assertEqual(number, heard[sender])
                heard[sender] += 1
        return heard

    def test_all_hear_all_in_order(self):
        for deflate in ((), ("--deflate", "shared")):
            server = serve(self, "websocket", "--workers", "3", *deflate)
            clients = [Client(self, server.port, "/room", deflate=DEFLATE if deflate else None) for _ in range(self.CLIENTS)]
            for client in clients:
                client.send(frame(TEXT, b"here"))  # which only its own answer follows: it is alone, or the last to come
                self.assertEqual(client.message(), (TEXT, b"here"))
            for number in range(self.MESSAGES):
                for sender, client in enumerate(clients):
                    client.send(frame(TEXT, f"{sender} {number}".encode() + b" " * 100))
            for client in clients:
                self.assertEqual(self.heard(client, self.CLIENTS * self.MESSAGES), dict.fromkeys(range(self.CLIENTS), self.MESSAGES))


if __name__ == "__main__":
    unittest.main()
