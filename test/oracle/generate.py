"""Cases: pipelines of requests made from a grammar, some of them then damaged where readers of HTTP
are known to differ, some anywhere. The same seed and number give the same case."""

import random

END = b"GET /end HTTP/1.1\r\nHost: end\r\nConnection: close\r\n\r\n"
MOST = 10_000  # bytes; three times that fits in a field of an answer

METHODS = [b"GET"] * 6 + [b"POST"] * 6 + [b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"HEAD", b"PROPFIND"]
TARGETS = [b"/", b"/a/b?c=d&e=%20", b"/%7Euser/", b"//x//y", b"/a;b=c?d?e", b"/" + b"p" * 200]
FIELDS = [(b"Accept", b"*/*"), (b"User-Agent", b"oracle/1.0 (x; y)"), (b"X-Empty", b""),
          (b"Cookie", b"a=b; c=\"d\""), (b"X-Odd.Name!#$%&'*+-^_`|~9", b"v"), (b"accept-encoding", b"gzip, br"),
          (b"X-Twice", b"1"), (b"X-Twice", b"2"), (b"x_low", b"u"), (b"X-High", b"caf\xc3\xa9 \xff"),
          (b"Keep-Alive", b"timeout=5"), (b"Trailer", b"X-Sum"), (b"TE", b"trailers")]
CONNECTIONS = [b"keep-alive", b"Keep-Alive, X-Twice", b"close", b"upgrade", b"keep-alive, close", b", ,", b"x"]
LENGTHS = [b"+5", b"-1", b"0x5", b"5,5", b"5, 5", b"5,6", b"05", b"0000000000000000000000005", b"5 ", b"5 5",
           b"5;x", b"", b"5.0", b"5e0", b"\t5", b"18446744073709551616", b"9223372036854775807",
           b"4294967301", b"18446744073709551621", b"99999999999999999999999999", b"5\x0b", b"\xb5", b"five",
           b"1073741824", b"1073741825", b"_5", b"5_0", b"\"5\""]
CODINGS = [b"Chunked", b"CHUNKED", b"chunked ", b"\tchunked", b"chunked, chunked", b"gzip, chunked", b"chunked, gzip",
           b"identity", b"chunked, identity", b"identity, chunked", b"xchunked", b"chunkedx", b"\"chunked\"",
           b"chunked;q=1", b"chunked\x0b", b"\x0bchunked", b"chunked\0", b",chunked", b"chunked,", b"", b" ",
           b"chun ked", b"c\xc4\xa7unked", b"gzip", b"chunked\r", b"x=\"chunked\"", b"chunked;", b"trailers"]
SIZES = [b"+%s", b"-%s", b"0x%s", b" %s", b"%s ", b"%s\t", b"00%s", b"000000000000000000000%s", b"%s;", b"%s;a", b"%s;a=b",
         b"%s ; a = b", b"%s;a=\"q;\\\"\\\\\"", b"%s;a=\"\r\n\"", b"%s;a=\xff", b"%s;\n", b"%s;a\nb", b"%s;a\rb",
         b"%s;;a", b"%s,1", b"%sg", b"%s\0", b"%s.0", b"1000000000000000%s", b"f000000000000000%s", b"%s;" + b"e" * 300,
         b"%s=1", b"\r\n%s", b"%s\r", b"_%s", b"%s;a=", b"%s;a b", b"%s;\x01"]
VERSIONS = [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/1.9", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/3.0", b"http/1.1", b"Http/1.1", b"HTTP/1.10",
            b"HTTP/01.1", b"HTTP/1.", b"HTTP/1", b"HTTP/.1", b"HTTP/1.1 ", b"HTTP /1.1", b"HTTP/1,1", b"ICE/1.0",
            b"RTSP/1.0", b"HTTPS/1.1", b"HTTP/11", b"", b"HTTP/1.1\t", b"HTTP/1.1\x0b", b"HTTP/+1.1"]
BAD_TARGETS = [b"*", b"http://h/", b"http://h", b"http://h?q", b"http://other/x", b"http://user@h/", b"http:///x", b"HTTP://H:80/",
               b"h:80", b"h", b"https://h/x", b"http:/x", b"http://h:99999/", b"http://[::1]:80/", b"?q", b"a/b",
               b"/a#b", b"/a b", b"/a\tb", b"/\0", b"/\x01", b"/\x7f", b"/\xff", b"/caf\xc3\xa9", b"/a\rb", b"", b"/%00",
               b"/%", b"/%zz", b"/../x", b"/a/../../b", b"/./x", b"\\x", b"/\\x", b"/<>\"{}|^`", b"/" + b"l" * 4095,
               b"/" + b"l" * 4096, b"/" + b"l" * 9000, b"ftp://h/", b"1a://h/", b"a+b-1.c://h/", b"//h/x", b"http://h\\x/", b"http://h /"]
HOSTS = [b"", b"h:", b"h:80", b"h:0", b"h:65536", b"h:99999", b"h:8x", b"[::1]", b"[::1]:80", b"[::1", b"h@i", b"u@h:80", b"h/i",
         b"h i", b"h,i", b"h?q", b"h#f", b"h\\i", b":80", b"..", b".h", b"h.", b"h..i", b"%68", b"h\xc3\xa9", b"h\0", b"h\t",
         b"h:80:80", b"http://h", b"other", b"-", b"a" * 300, b"h;", b"[]", b"[h]", b"'h'", b"h<"]
ENDS = [b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\r", b" \r\n", b"\0\r\n", b"\x0b\r\n", b"\r\n ", b"\n\n", b"\r\n\t"]
COLONS = [b" : ", b"\t: ", b" :", b":", b":\t", b":  \t ", b"", b" ", b"=", b"::", b"\0: ", b"\x0b: ", b":\x0b", b": \0", b"\r: ",
          b":\r\n ", b":\n ", b":\r ", b"\xff: ", b"(): "]
ODD_LINES = [b": x", b" folded", b"\tfolded", b"no colon", b"X: a\rb", b"X: a\0b", b"X: a\x01b", b"X: a\x7fb", b"X: a\x80b", b"X: a\tb",
             b"X\x00: a", b"X\r: a", b"X: a\nY: b", b"X\xe9: a", b"X@: a", b"\"X\": a", b"X: a\x1b[0m", b"\r", b"Content-Length : 5",
             b"Content-Length\t: 5", b" Content-Length: 5", b"Transfer-Encoding : chunked", b"\x0bTransfer-Encoding: chunked",
             b"Transfer-Encoding:\x0bchunked", b"X: a\r\n Transfer-Encoding: chunked", b"Transfer_Encoding: chunked",
             b"Content_Length: 5", b"Content-Length: 5\rX: y", b"X: y\rContent-Length: 5", b"X: y\nContent-Length: 5",
             b"Transfer\0-Encoding: chunked", b"{X}: a", b"X/Y: a", b"X;Y: a", b"X, Y: a", b"[: a", b":"]
EXPECTS = [b"100-continue", b"100-Continue", b"200-ok", b"100-continue, x", b"", b"100-continue,100-continue"]
WORDS = [b"\r\n", b"\n", b"\r", b"\0", b":", b" ", b"\t", b"0", b"\r\n\r\n", b"HTTP/1.1", b"Content-Length: 3\r\n",
         b"Transfer-Encoding: chunked\r\n", b",", b";", b"\xff", b"\x0b", b"\x85", b"\xa0", b"GET /w HTTP/1.1\r\nHost: w\r\n\r\n", b"0\r\n\r\n"]


class Draft:
    """A request that can still be changed part by part."""

    def __init__(self, rng, number):
        self.before = b""
        self.method = rng.choice(METHODS)
        self.blanks = [b" ", b" "]
        self.target = rng.choice(TARGETS)
        self.version = b"HTTP/1.1" if rng.random() < 0.9 else b"HTTP/1.0"
        self.line_end = b"\r\n"
        self.fields = [[b"Host", b": ", b"h%d" % number, b"\r\n"]]
        for name, value in rng.sample(FIELDS, rng.choice((0, 1, 2, 4))):
            self.add(name, value)
        if rng.random() < 0.15 or (self.version == b"HTTP/1.0" and rng.random() < 0.7):
            self.add(b"Connection", rng.choice(CONNECTIONS))
        rng.shuffle(self.fields)
        self.head_end = b"\r\n"
        self.content = b""
        self.chunks = []  # size line, end of it, data, end of it
        self.trailers = []
        body = rng.random()
        if body < 0.3:
            self.content = random_content(rng)
            self.add(b"Content-Length", b"%d" % len(self.content))
        elif body < 0.6 and self.version == b"HTTP/1.1":
            self.add(rng.choice((b"Transfer-Encoding", b"transfer-encoding")), b"chunked")
            for _ in range(rng.choice((0, 1, 1, 2, 5))):
                self.chunk(random_content(rng) or b"x")
            self.chunk(b"")
            if rng.random() < 0.3:
                self.trailers.append([b"X-Sum", b": ", b"ok", b"\r\n"])

    def add(self, name, value):
        self.fields.append([name, b": ", value, b"\r\n"])

    def chunk(self, data):
        self.chunks.append([b"%x" % len(data), b"\r\n", data, b"\r\n"])

    def find(self, name):
        return [field for field in self.fields if field[0].lower() == name]

    def bytes(self):
        head = self.before + self.method + self.blanks[0] + self.target + self.blanks[1] + self.version
        content = self.content
        if self.chunks:
            content = b"".join(b"".join(chunk) for chunk in self.chunks[:-1]) + b"".join(self.chunks[-1][:2])
            content += b"".join(b"".join(trailer) for trailer in self.trailers) + self.chunks[-1][3]
        return (head + self.line_end + b"".join(b"".join(field) for field in self.fields) + self.head_end
                + content)


def random_content(rng):
    return rng.choice((b"", b"x", b"hello", b"\r\n", b"0\r\n\r\n", b"a" * 40, b"5\r\nhello\r\n0\r\n\r\n",
                       b"GET /inner HTTP/1.1\r\nHost: i\r\n\r\n", bytes(rng.randrange(256) for _ in range(9)),
                       b"x=" + b"y" * rng.randrange(300)))


# ---------------------------------------------------------------- damage with a meaning

def length(rng, draft):
    """Content-Length: another value, another one, or beside Transfer-Encoding."""
    present = draft.find(b"content-length")
    value = rng.choice(LENGTHS)
    if present and rng.random() < 0.6:
        digits = present[0][2]
        present[0][2] = rng.choice((value, b"+" + digits, digits + b"," + digits, b"0" + digits, b" " + digits))
    elif present and rng.random() < 0.5:
        draft.add(b"Content-Length", rng.choice((present[0][2], value)))
        rng.shuffle(draft.fields)
    else:
        draft.add(rng.choice((b"Content-Length", b"content-length")), rng.choice((b"5", b"0", value)))


def coding(rng, draft):
    """Transfer-Encoding: another value, another one, or a second name for it."""
    present = draft.find(b"transfer-encoding")
    value = rng.choice(CODINGS)
    if present and rng.random() < 0.7:
        present[0][2] = value
    else:
        draft.add(b"Transfer-Encoding", rng.choice((b"chunked", value)))
    if rng.random() < 0.2:
        draft.version = b"HTTP/1.0"


def chunks(rng, draft):
    """A chunk's size line, its end, its data's end, or the trailers."""
    if not draft.chunks:
        if not draft.find(b"content-length"):
            draft.add(b"Transfer-Encoding", b"chunked")
        draft.chunk(b"hello")
        draft.chunk(b"")
    chunk = rng.choice(draft.chunks)
    kind = rng.randrange(6)
    if kind <= 2:
        chunk[0] = rng.choice(SIZES) % chunk[0]
    elif kind == 3:
        chunk[1] = rng.choice(ENDS)
    elif kind == 4:
        chunk[3] = rng.choice(ENDS + [b"", b"xx", b"\rx"])
    else:
        name = rng.choice((b"Host", b"Content-Length", b"Transfer-Encoding", b"X", b"X Y", b"Connection", b"Trailer"))
        draft.trailers.append([name, rng.choice([b": "] * 4 + COLONS), b"5", rng.choice([b"\r\n"] * 3 + ENDS)])


def version(rng, draft):
    draft.version = rng.choice(VERSIONS)


def target(rng, draft):
    draft.target = rng.choice(BAD_TARGETS)
    if draft.target == b"*" and rng.random() < 0.5:
        draft.method = b"OPTIONS"
    elif draft.target in (b"h:80", b"h", b"/", b"http://h/") and rng.random() < 0.5:
        draft.method = b"CONNECT"


def method(rng, draft):
    draft.method = rng.choice((b"get", b"Get", b"G(T", b"", b"GET\0", b"G\tT", b"X" * 32, b"X" * 33, b"QUERY", b"SEARCH", b"CONNECT",
                               b"TRACE", b"M-SEARCH", b"PURGE", b"\xc7ET", b" GET", b"GET,", b"BREW", b"PRI", b"SOURCE", b"X_Y", b"1"))


def blanks(rng, draft):
    draft.blanks[rng.randrange(2)] = rng.choice((b"  ", b"\t", b" \t", b"", b"\x0b", b"\x0c", b"\r", b"\0", b"\xa0", b" \r", b"\n"))


def line_end(rng, draft):
    if rng.random() < 0.4 or not draft.fields:
        draft.line_end = rng.choice(ENDS)
    elif rng.random() < 0.6:
        rng.choice(draft.fields)[3] = rng.choice(ENDS)
    else:
        draft.head_end = rng.choice(ENDS)


def colon(rng, draft):
    if draft.fields:
        rng.choice(draft.fields)[1] = rng.choice(COLONS)


def odd_line(rng, draft):
    draft.fields.insert(rng.randrange(len(draft.fields) + 1), [rng.choice(ODD_LINES), b"", b"", b"\r\n"])


def host(rng, draft):
    present = draft.find(b"host")
    kind = rng.random()
    if not present or kind < 0.2:
        draft.add(b"Host", rng.choice((b"h", b"other", rng.choice(HOSTS))))
    elif kind < 0.35:
        draft.fields.remove(present[0])
    else:
        present[0][2] = rng.choice(HOSTS)


def before(rng, draft):
    draft.before = rng.choice((b"\r\n", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\n\n", b" ", b"\t", b"\0", b"\r\n" * 5, b"\xef\xbb\xbf",
                               b"\r\n \r\n", b"\x16\x03\x01"))


def connection(rng, draft):
    for present in draft.find(b"connection"):
        draft.fields.remove(present)
    draft.add(b"Connection", rng.choice(CONNECTIONS + [b"close\x0b", b"Close", b"close;", b"content-length", b"host",
                                                       b"transfer-encoding", b"cl ose", b"\tclose\t", b"keep-alive\t", b"closed"]))
    if rng.random() < 0.4:
        draft.add(b"Upgrade", rng.choice((b"websocket", b"h2c", b"", b"HTTP/2.0, x")))
    if rng.random() < 0.3:
        draft.add(b"Connection", rng.choice(CONNECTIONS))


def expect(rng, draft):
    draft.add(b"Expect", rng.choice(EXPECTS))


def long(rng, draft):
    size = rng.choice((1000, 5000, 8100, 8192, 9000))
    kind = rng.randrange(4)
    if kind == 0:
        draft.add(b"X" * min(size, 9000), b"v")
    elif kind == 1:
        draft.add(b"X", b"v" * size)
    elif kind == 2:
        for i in range(rng.choice((90, 99, 110))):
            draft.add(b"X-%d" % i, b"v")
    else:
        draft.trailers.append([b"X", b": ", b"v" * size, b"\r\n"])


DAMAGE = ([length] * 4 + [coding] * 4 + [chunks] * 4 + [line_end] * 2 + [colon] * 2 + [odd_line] * 2 +
          [version, target, target, method, blanks, host, host, before, connection, expect, long])


# ---------------------------------------------------------------- damage anywhere

def bytes_anywhere(rng, data):
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(data))
        to = min(len(data), at + rng.choice((1, 1, 2, 8, 40)))
        kind = rng.randrange(6)
        if kind == 0:
            data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:]
        elif kind == 1:
            data = data[:at] + rng.choice(WORDS) + data[at:]
        elif kind == 2:
            data = data[:at] + data[to:]
        elif kind == 3:
            data = data[:to] + data[at:]
        elif kind == 4:
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1:]
        else:
            other = rng.randrange(len(data))
            data = data[:other] + data[at:to] + data[other:]
        data = data or b"\r\n"
    return data


def case(seed, number):
    """The pieces of case `number`: what they say as a whole, and how they are cut, hang on the seed
    alone."""
    rng = random.Random(f"{seed}/{number}")
    drafts = [Draft(rng, i) for i in range(rng.choice((1, 1, 1, 2, 3)))]
    kind = rng.random()
    if kind < 0.6:
        draft = rng.choice(drafts)
        for _ in range(rng.choice((1, 1, 1, 2))):
            rng.choice(DAMAGE)(rng, draft)
    data = b"".join(draft.bytes() for draft in drafts)
    if 0.55 < kind < 0.85:
        data = bytes_anywhere(rng, data)
    return cut(rng, data[:MOST] + END)


def cut(rng, data):
    """Whole, mostly; otherwise in a few pieces, or byte by byte where that is not long."""
    kind = rng.random()
    if kind < 0.5:
        return [data]
    if kind < 0.55 and len(data) < 300:
        return [data[i:i + 1] for i in range(len(data))]
    places = sorted({rng.randrange(1, len(data)) for _ in range(rng.choice((1, 2, 4)))})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)])]
