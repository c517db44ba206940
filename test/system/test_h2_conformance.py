"""HTTP/2 frame by frame: what RFC 9113 and RFC 7541 say that a server must do with each frame that it may
be sent, right or wrong. A case is bytes behind the prefaces, and the answers that are allowed.
"""
import struct
import unittest

import harness

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
PRIORITY_UPDATE = 16
END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY, ACK = 1, 4, 8, 32, 1
PROTOCOL, FLOW, CLOSED, SIZE, REFUSED, COMPRESSION = 1, 3, 5, 6, 7, 9
MAGIC = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags=0, stream=0, payload=b"", reserved=0):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream | reserved << 31) + payload


def literal(name, value):
    """A field line that changes no table (RFC 7541, 6.2.2)."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def section(*fields):
    return b"".join(literal(*field) for field in fields)


def settings(*pairs):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", *pair) for pair in pairs))


def window(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def rst(stream):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", 8))


def get(stream=1, path=b"/hello", extra=b"", flags=END_STREAM | END_HEADERS, **options):
    return frame(HEADERS, flags, stream, PSEUDO + literal(b":path", path) + extra, **options)


def post(stream=1, extra=b"", path=b"/collect"):
    pseudo = section((b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"t"), (b":path", path))
    return frame(HEADERS, END_HEADERS, stream, pseudo + extra)


def whole(fields, flags=END_STREAM | END_HEADERS):
    return frame(HEADERS, flags, 1, section(*fields))


PSEUDO = section((b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"t"))
FIELDS = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"t"), (b":path", b"/hello")]
TICK = frame(PING, payload=b"conforms")
HELD = get(path=b"/hold")  # answered never: the stream stays half-closed
OPEN = post(path=b"/hold")
EARLY = post(path=b"/hello")  # answered before its content has come
LATER = b"later"  # what follows is sent when there was an answer


def answered(stream=1):
    return ("answer", stream)


def stream_error(*codes):
    """Of the stream; to end the connection for it is allowed, too (RFC 9113, 5.4.1)."""
    return ("stream", codes)


def connection_error(*codes):
    return ("connection", codes)


def ping_comes_back():
    return ("ping",)


def without(name, *more):
    return [field for field in FIELDS if field[0] != name] + list(more)


# section of RFC 9113 (or 7541), what is sent, bytes, what must come of it
CASES = [
    ("3.4", "a frame before SETTINGS is wrong", None, connection_error(PROTOCOL)),
    ("4.1", "frames of unknown types are ignored", frame(22, 0, 0, b"new") + TICK, ping_comes_back()),
    ("4.1", "flags without a meaning are ignored", frame(PING, 0x16, 0, b"conforms"), ping_comes_back()),
    ("4.1", "the reserved bit is ignored", get(reserved=1), answered()),
    ("4.2", "DATA of the greatest size is taken", post() + frame(DATA, END_STREAM, 1, bytes(16384)), answered()),
    ("4.2", "DATA over it is not", post() + frame(DATA, END_STREAM, 1, bytes(16385)), connection_error(SIZE)),
    ("4.2", "HEADERS over it", get(extra=literal(b"a", b"b") * 3300), connection_error(SIZE)),
    ("4.3", "a section that cannot be decoded", frame(HEADERS, 5, 1, b"\x40"), connection_error(COMPRESSION)),
    ("4.3", "a frame in the middle of a section", get(flags=END_STREAM) + TICK, connection_error(PROTOCOL)),
    ("4.3", "a section of another stream in its middle", get(flags=END_STREAM) + get(3), connection_error(PROTOCOL)),
    ("5.1", "DATA on an idle stream", frame(DATA, 0, 1, b"x"), connection_error(PROTOCOL)),
    ("5.1", "RST_STREAM on an idle stream", rst(1), connection_error(PROTOCOL)),
    ("5.1", "WINDOW_UPDATE on an idle stream", window(1, 1), connection_error(PROTOCOL)),
    ("5.1", "CONTINUATION on an idle stream", frame(CONTINUATION, 4, 1, PSEUDO), connection_error(PROTOCOL)),
    ("5.1", "DATA behind the end", HELD + frame(DATA, 0, 1, b"x"), stream_error(CLOSED)),
    ("5.1", "HEADERS behind the end", HELD + get(1), stream_error(CLOSED)),
    ("5.1", "CONTINUATION behind the end", HELD + frame(CONTINUATION, 4, 1, b""), connection_error(PROTOCOL, CLOSED)),
    ("5.1", "DATA behind RST_STREAM is not taken", OPEN + rst(1) + frame(DATA, 0, 1, b"x") + TICK,
     ("stream or ping", (CLOSED,))),
    ("5.1", "HEADERS behind RST_STREAM", HELD + rst(1) + get(1), stream_error(CLOSED, PROTOCOL)),
    ("5.1", "CONTINUATION behind RST_STREAM", OPEN + rst(1) + frame(CONTINUATION, 4, 1), connection_error(PROTOCOL, CLOSED)),
    ("5.1", "DATA behind both ends", get() + LATER + frame(DATA, 0, 1, b"x"), connection_error(CLOSED)),
    ("5.1", "HEADERS behind both ends", get() + LATER + get(), connection_error(CLOSED)),
    ("5.1", "WINDOW_UPDATE behind RST_STREAM", HELD + rst(1) + window(1, 9) + TICK, ping_comes_back()),
    ("5.1", "RST_STREAM behind RST_STREAM", HELD + rst(1) + rst(1) + TICK, ping_comes_back()),
    ("5.1", "PRIORITY on an idle stream", frame(PRIORITY, 0, 7, bytes(5)) + get(), answered()),
    ("5.1", "DATA behind RST_STREAM, behind the answer", EARLY + LATER + rst(1) + frame(DATA, 0, 1, b"x"),
     stream_error(CLOSED)),
    ("5.1", "HEADERS behind RST_STREAM, behind the answer", EARLY + LATER + rst(1) + get(1), stream_error(CLOSED)),
    ("5.1.1", "an even stream", get(2), connection_error(PROTOCOL)),
    ("5.1.1", "a stream that goes backwards", HELD.replace(b"\0\0\0\1", b"\0\0\0\5", 1) + get(3),
     connection_error(PROTOCOL)),
    ("RFC 7540, 5.3.1", "HEADERS of a stream that depends on itself",
     frame(HEADERS, 5 | WITH_PRIORITY, 1, b"\0\0\0\1\xff" + PSEUDO + literal(b":path", b"/hello")), stream_error(PROTOCOL)),
    ("RFC 7540, 5.3.1", "PRIORITY of a stream that depends on itself", frame(PRIORITY, 0, 1, b"\0\0\0\1\xff"),
     stream_error(PROTOCOL)),
    ("RFC 7540, 5.3.1", "and exclusively", frame(PRIORITY, 0, 1, b"\x80\0\0\1\xff"), stream_error(PROTOCOL)),
    ("RFC 7540, 5.3.1", "one that depends on another", frame(PRIORITY, 0, 3, b"\0\0\0\1\xff") + get(), answered()),
    ("RFC 9218, 7.1", "PRIORITY_UPDATE", frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\1u=1") + get(), answered()),
    ("RFC 9218, 7.1", "PRIORITY_UPDATE of stream 0", frame(PRIORITY_UPDATE, 0, 0, bytes(4) + b"u=1"), connection_error(PROTOCOL)),
    ("RFC 9218, 7.1", "PRIORITY_UPDATE on a stream", frame(PRIORITY_UPDATE, 0, 1, b"\0\0\0\1u=1"), connection_error(PROTOCOL)),
    ("RFC 9218, 7.1", "PRIORITY_UPDATE of no stream", frame(PRIORITY_UPDATE, 0, 0, bytes(3)), connection_error(SIZE)),
    ("5.5", "an unknown frame in a section", get(flags=END_STREAM) + frame(22), connection_error(PROTOCOL)),
    ("6.1", "DATA on stream 0", frame(DATA, 0, 0, b"x"), connection_error(PROTOCOL)),
    ("6.1", "padding longer than DATA", post() + frame(DATA, PADDED, 1, b"\x06hello"), connection_error(PROTOCOL)),
    ("6.1", "padding longer than DATA, behind the answer", EARLY + LATER + frame(DATA, PADDED, 1, b"\x06hello"),
     connection_error(PROTOCOL)),
    ("6.1", "padding is left out", post() + frame(DATA, PADDED | END_STREAM, 1, b"\x02hello\0\0"), answered()),
    ("6.2", "HEADERS on stream 0", get(0), connection_error(PROTOCOL)),
    ("6.2", "padding longer than HEADERS", frame(HEADERS, 13, 1, b"\xff" + PSEUDO), connection_error(PROTOCOL)),
    ("6.2", "HEADERS too short for its flags", frame(HEADERS, 5 | WITH_PRIORITY, 1, b"\0"),
     connection_error(SIZE, PROTOCOL)),
    ("6.3", "PRIORITY on stream 0", frame(PRIORITY, 0, 0, bytes(5)), connection_error(PROTOCOL)),
    ("6.3", "PRIORITY of another length", HELD + frame(PRIORITY, 0, 1, bytes(4)), stream_error(SIZE)),
    ("6.4", "RST_STREAM on stream 0", rst(0), connection_error(PROTOCOL)),
    ("6.4", "RST_STREAM of another length", HELD + frame(RST_STREAM, 0, 1, bytes(3)), connection_error(SIZE)),
    ("6.5", "an ACK with something in it", frame(SETTINGS, ACK, 0, bytes(6)), connection_error(SIZE)),
    ("6.5", "SETTINGS on a stream", frame(SETTINGS, 0, 1), connection_error(PROTOCOL)),
    ("6.5", "SETTINGS of another length", frame(SETTINGS, 0, 0, bytes(5)), connection_error(SIZE)),
    ("6.5.2", "ENABLE_PUSH is 0 or 1", settings((2, 2)), connection_error(PROTOCOL)),
    ("6.5.2", "too great a window", settings((4, 1 << 31)), connection_error(FLOW)),
    ("6.5.2", "too small a frame", settings((5, 16383)), connection_error(PROTOCOL)),
    ("6.5.2", "too great a frame", settings((5, 1 << 24)), connection_error(PROTOCOL)),
    ("6.5.2", "unknown settings are ignored", settings((0xff, 1)) + TICK, ping_comes_back()),
    ("6.5.3", "SETTINGS are acknowledged", settings(), ("acknowledged", 2)),
    ("6.6", "PUSH_PROMISE from a client", HELD + frame(PUSH_PROMISE, 4, 1, b"\0\0\0\2" + PSEUDO), connection_error(PROTOCOL)),
    ("6.7", "PING is answered", TICK, ping_comes_back()),
    ("6.7", "an ACK is not", frame(PING, ACK, 0, b"answered") + TICK, ping_comes_back()),
    ("6.7", "PING on a stream", frame(PING, 0, 1, bytes(8)), connection_error(PROTOCOL)),
    ("6.7", "PING of another length", frame(PING, 0, 0, bytes(6)), connection_error(SIZE)),
    ("6.8", "GOAWAY on a stream", frame(GOAWAY, 0, 1, bytes(8)), connection_error(PROTOCOL)),
    ("6.8", "what is under way is answered behind GOAWAY", get() + frame(GOAWAY, 0, 0, bytes(8)), answered()),
    ("6.9", "an increment of 0", window(0, 0), connection_error(PROTOCOL)),
    ("6.9", "an increment of 0 for a stream", HELD + window(1, 0), stream_error(PROTOCOL)),
    ("6.9", "an increment of 0, behind the answer", EARLY + LATER + window(1, 0), stream_error(PROTOCOL)),
    ("6.9", "WINDOW_UPDATE of another length", frame(WINDOW_UPDATE, 0, 0, bytes(3)), connection_error(SIZE)),
    ("6.9.1", "a window that overflows", window(0, 0x7fffffff), connection_error(FLOW)),
    ("6.9.1", "a stream's window that overflows", HELD + window(1, 0x7fffffff), stream_error(FLOW)),
    ("6.9.1", "a stream's window that overflows behind the answer", EARLY + LATER + window(1, 0x7fffffff),
     stream_error(FLOW)),
    ("6.9.2", "SETTINGS that make a window overflow", HELD + window(1, 0x7fff0000 - 65535) + settings((4, 0x7fffffff)),
     connection_error(FLOW)),
    ("6.9.2", "by one", HELD + window(1, 0x7fff0000 - 65535) + settings((4, 2 * 65535 + 1)), connection_error(FLOW)),
    ("6.9.2", "SETTINGS that nearly do", HELD + window(1, 0x7fff0000 - 65535) + settings((4, 2 * 65535)) + TICK,
     ping_comes_back()),
    ("6.10", "a section in three frames",
     get(flags=END_STREAM) + frame(CONTINUATION, 0, 1, literal(b"a", b"1")) + frame(CONTINUATION, 4, 1, literal(b"b", b"2")),
     answered()),
    ("6.10", "CONTINUATION on stream 0", get(flags=END_STREAM) + frame(CONTINUATION, 4, 0), connection_error(PROTOCOL)),
    ("6.10", "CONTINUATION behind a whole section", OPEN + frame(CONTINUATION, 4, 1), connection_error(PROTOCOL)),
    ("6.10", "CONTINUATION behind DATA", OPEN + frame(DATA, 0, 1, b"x") + frame(CONTINUATION, 4, 1), connection_error(PROTOCOL)),
    ("8.1", "a second section that does not end the stream", post() + frame(HEADERS, 4, 1, literal(b"a", b"b")), stream_error(PROTOCOL)),
    ("8.1", "it comes behind the answer", EARLY + LATER + frame(DATA, 0, 1, b"x") + frame(HEADERS, 4, 1, literal(b"a", b"b")),
     stream_error(PROTOCOL)),
    ("8.1", "content behind the answer", EARLY + LATER + frame(DATA, 1, 1, b"x") + TICK, ping_comes_back()),
    ("8.1", "trailers", post() + frame(DATA, 0, 1, b"x") + frame(HEADERS, 5, 1, literal(b"a", b"b")), answered()),
    ("8.1", "a pseudo-field in trailers", post() + frame(HEADERS, 5, 1, literal(b":method", b"GET")), stream_error(PROTOCOL)),
    ("8.1", "a pseudo-field in trailers, behind the answer",
     EARLY + LATER + frame(DATA, 0, 1, b"x") + frame(HEADERS, 5, 1, literal(b":method", b"POST")), stream_error(PROTOCOL)),
    ("8.1.1", "more content than its length", post(extra=literal(b"content-length", b"1")) + frame(DATA, 1, 1, b"xy"),
     stream_error(PROTOCOL)),
    ("8.1.1", "less", post(extra=literal(b"content-length", b"3")) + frame(DATA, 0, 1, b"x") + frame(DATA, 1, 1, b"y"),
     stream_error(PROTOCOL)),
    ("8.1.1", "more than its length, behind the answer",
     post(path=b"/hello", extra=literal(b"content-length", b"1")) + LATER + frame(DATA, 1, 1, b"xy"), stream_error(PROTOCOL)),
    ("8.1.1", "less, behind the answer",
     post(path=b"/hello", extra=literal(b"content-length", b"3")) + LATER + frame(DATA, 1, 1, b"xy"), stream_error(PROTOCOL)),
    ("8.2.1", "a name in upper case", get(extra=literal(b"A", b"b")), stream_error(PROTOCOL)),
    ("8.2.1", "a name with a colon", get(extra=literal(b"a:b", b"c")), stream_error(PROTOCOL)),
    ("8.2.1", "a value with a line end", get(extra=literal(b"a", b"b\r\nc: d")), stream_error(PROTOCOL)),
    ("8.2.1", "a value with NUL", get(extra=literal(b"a", b"b\0")), stream_error(PROTOCOL)),
    ("8.2.2", "Connection", get(extra=literal(b"connection", b"close")), stream_error(PROTOCOL)),
    ("8.2.2", "Transfer-Encoding", get(extra=literal(b"transfer-encoding", b"chunked")), stream_error(PROTOCOL)),
    ("8.2.2", "TE says trailers", get(extra=literal(b"te", b"trailers")), answered()),
    ("8.2.2", "and nothing else", get(extra=literal(b"te", b"gzip")), stream_error(PROTOCOL)),
    ("8.3", "an unknown pseudo-field", get(extra=literal(b":new", b"1")), stream_error(PROTOCOL)),
    ("8.3", "a pseudo-field of responses", get(extra=literal(b":status", b"200")), stream_error(PROTOCOL)),
    ("8.3", "a pseudo-field behind others", whole([(b"a", b"b"), *FIELDS]), stream_error(PROTOCOL)),
    ("8.3.1", "no method", whole(without(b":method")), stream_error(PROTOCOL)),
    ("8.3.1", "no scheme", whole(without(b":scheme")), stream_error(PROTOCOL)),
    ("8.3.1", "no path", whole(without(b":path")), stream_error(PROTOCOL)),
    ("8.3.1", "an empty path", whole(without(b":path", (b":path", b""))), stream_error(PROTOCOL)),
    ("8.3.1", "two of one", whole([*FIELDS, (b":path", b"/hello")]), stream_error(PROTOCOL)),
    ("8.5", "CONNECT with a path", whole([(b":method", b"CONNECT"), (b":authority", b"t:1"), (b":path", b"/")]),
     stream_error(PROTOCOL)),
    ("HPACK 2.3.3", "an index beyond the tables", get(extra=b"\xff\x00"), connection_error(COMPRESSION)),
    ("HPACK 6.1", "index 0", get(extra=b"\x80"), connection_error(COMPRESSION)),
    ("HPACK 4.2", "a change of size in the middle", get(extra=b"\x20"), connection_error(COMPRESSION)),
    ("HPACK 6.3", "a size over the limit", frame(HEADERS, 5, 1, b"\x3f\xe1\xff\x03" + PSEUDO), connection_error(COMPRESSION)),
    ("HPACK 5.2", "padding of more than 7 bits", get(extra=b"\x00\x01a\x85" + b"\x1c\x64\xff\xff\xff"), connection_error(COMPRESSION)),
    ("HPACK 5.2", "padding with zeros", get(extra=b"\x00\x01a\x81" + b"\x18"), connection_error(COMPRESSION)),
    ("HPACK 5.2", "EOS in a string", get(extra=b"\x00\x01a\x84" + b"\xff\xff\xff\xfc"), connection_error(COMPRESSION)),
]


class Peer:
    """A client that reads frames."""

    def __init__(self, client):
        self.client = client

    def frames(self):
        """Until the server closes."""
        try:
            while True:
                length, kind, flags, stream = struct.unpack(">IBBI", b"\0" + self.client.take(9))
                yield kind, flags, stream, self.client.take(length)
        except (AssertionError, ConnectionError):
            return


class Conformance(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.server = self.serve()

    def speak(self, data, first=settings()):
        """Send it, and go through the frames that come back."""
        data, _, later = data.partition(LATER)
        client = self.server.connect()
        self.addCleanup(client.close)
        client.send(MAGIC + first + data)
        for seen in Peer(client).frames():
            if later and seen[0] in (HEADERS, DATA) and seen[1] & END_STREAM:
                client.send(later)
            yield seen

    def judge(self, data, expected):
        """What came of it: None, or what came instead."""
        kind, *rest = expected
        seen, acknowledged = [], 0
        for type_, flags, stream, payload in self.speak(data):
            code = struct.unpack(">I", payload[-4:])[0] if type_ == RST_STREAM else None
            if type_ == GOAWAY:
                code = struct.unpack(">I", payload[4:8])[0]
            seen.append((type_, flags, stream, code))
            acknowledged += type_ == SETTINGS and flags == ACK
            if kind == "answer" and type_ in (HEADERS, DATA) and stream == rest[0] and flags & END_STREAM:
                return None
            if "ping" in kind and type_ == PING and flags == ACK and payload == b"conforms":
                return None
            if kind == "acknowledged" and acknowledged == rest[0]:
                return None
            if kind.startswith("stream") and type_ in (RST_STREAM, GOAWAY) and code in rest[0]:
                return None
            if kind == "connection" and type_ == GOAWAY and code in rest[0]:
                return None
            if type_ in (RST_STREAM, GOAWAY) and code != 0:
                break
        return seen

    def test_cases(self):
        for where, what, data, expected in CASES:
            with self.subTest(f"{where}: {what}"):
                if data is None:
                    continue  # a test of its own
                self.assertIsNone(self.judge(data, expected))

    def test_settings_come_first(self):
        frames = self.speak(TICK, first=b"")
        goaways = [payload[4:8] for kind, _, _, payload in frames if kind == GOAWAY]
        self.assertEqual(goaways, [b"\0\0\0\1"])

    def test_the_connection_ends_behind_an_error(self):
        last = None
        for last in self.speak(frame(DATA, 0, 0, b"x")):
            pass
        self.assertEqual(last[0], GOAWAY)

    def test_a_window_of_one_byte(self):
        """6.9.1: each byte waits for its window."""
        content = b""
        client = self.server.connect()
        self.addCleanup(client.close)
        client.send(MAGIC + settings((4, 1)) + get())
        for kind, flags, _, payload in Peer(client).frames():
            if kind == DATA:
                self.assertLessEqual(len(payload), 1)
                content += payload
                if flags & END_STREAM:
                    break
                client.send(window(1, 1))
        self.assertEqual(content, b"hello\n")

    def test_a_window_below_zero(self):
        """6.9.2: it is waited for until it is above."""
        client = self.server.connect()
        self.addCleanup(client.close)
        client.send(MAGIC + settings((4, 3)) + get())
        frames = Peer(client).frames()
        self.assertEqual(next(payload for kind, _, _, payload in frames if kind == DATA), b"hel")
        client.send(settings((4, 1)) + window(1, 2) + TICK)  # -2, then 0
        for kind, flags, _, _ in frames:
            self.assertNotEqual(kind, DATA)
            if kind == PING and flags == ACK:
                break
        client.send(window(1, 1))
        self.assertEqual(next(payload for kind, _, _, payload in frames if kind == DATA), b"l")


if __name__ == "__main__":
    unittest.main()
