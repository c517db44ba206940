"""A strict WebSocket client of raw bytes (RFC 6455, 7692, 8441): what it sends may be as wrong as a test wants, what it
receives must be right to the letter. It knows nothing of the engine and shares nothing with it.
"""
import base64
import hashlib
import os
import re
import socket
import ssl
import struct
import zlib

from programs import DEADLINE

CONTINUATION, TEXT, BINARY = 0, 1, 2
CLOSE, PING, PONG = 8, 9, 10
FIN, RSV1, RSV2, RSV3 = 128, 64, 32, 16
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TAIL = b"\0\0\xff\xff"


class Wrong(AssertionError):
    """The server has sent what it may not."""


def masked(data, mask):
    if mask == bytes(4):  # of what is long, since this takes its time
        return data
    key = (mask * (len(data) // 4 + 1))[:len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(len(data), "big")


def head(first, length, mask=b"\x12\x34\x56\x78", bytes_of_length=None):
    """The head of a frame. `mask` None: none; bytes_of_length 0, 2 or 8: not as short as it may be."""
    if bytes_of_length is None:
        bytes_of_length = 0 if length < 126 else 2 if length < 65536 else 8
    short = {0: length, 2: 126, 8: 127}[bytes_of_length]
    bit = 0 if mask is None else 128
    return bytes([first, bit | short]) + length.to_bytes(8, "big")[8 - bytes_of_length:] + (mask or b"")


def frame(opcode, payload=b"", fin=True, rsv=0, mask=b"\x12\x34\x56\x78"):
    """A whole frame, as a client should send it."""
    data = payload if mask is None else masked(payload, mask)
    return head(opcode | rsv | (FIN if fin else 0), len(payload), mask) + data


def close_frame(code, reason=b""):
    return frame(CLOSE, struct.pack(">H", code) + reason)


def compressed(data, level=6):
    """A message that stands for itself, as it lies in frames."""
    stream = zlib.compressobj(level, zlib.DEFLATED, -15)
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-len(TAIL)]


class Http1:
    """The handshake by Upgrade, and bytes both ways."""

    def __init__(self, test, port):
        self.peer = self.connect(port)
        test.addCleanup(self.peer.close)

    def connect(self, port):
        peer = socket.create_connection(("127.0.0.1", port), DEADLINE)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return peer

    def ask(self, path, fields, key, version="13", method="GET", protocol="HTTP/1.1", connection="Upgrade", behind=b""):
        lines = [f"{method} {path} {protocol}", "Host: localhost", "Upgrade: websocket", f"Connection: {connection}"]
        lines += [f"Sec-WebSocket-Key: {key}"] if key is not None else []
        lines += [f"Sec-WebSocket-Version: {version}"] if version is not None else []
        lines += [f"{name}: {value}" for name, value in fields]
        self.peer.sendall("\r\n".join(lines + ["", ""]).encode() + behind)
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            piece = self.peer.recv(65536)
            if not piece:
                raise Wrong(f"no answer to the handshake, only {self.buffer!r}")
            self.buffer += piece
        text, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *rest = text.decode().split("\r\n")
        found = {}
        for line in rest:
            name, value = line.split(":", 1)
            found.setdefault(name.lower(), []).append(value.strip())
        status = int(re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", first).group(1))
        if status == 101:
            accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
            if found.get("sec-websocket-accept") != [accept] or found.get("upgrade", [""])[0].lower() != "websocket":
                raise Wrong(f"a 101 with {found}")
            if "upgrade" not in found.get("connection", [""])[0].lower():
                raise Wrong("a 101 without Connection: Upgrade")
        self.upgraded = status == 101
        return status, found

    def send(self, data):
        self.peer.sendall(data)

    def receive(self):
        """More bytes; b"" at the end, where a reset counts as None."""
        if self.buffer:
            piece, self.buffer = self.buffer, b""
            return piece
        try:
            return self.peer.recv(65536)
        except ConnectionResetError:
            return None

    def end(self):
        self.peer.shutdown(socket.SHUT_WR)


class Https1(Http1):
    """The same over TLS. Its end is that of TLS: without a close_notify what came before may have been cut."""

    def connect(self, port):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(super().connect(port), suppress_ragged_eofs=False)


class Http2:
    """The handshake by an extended CONNECT on stream 1; DATA both ways. Field lines are literals, and of the answer only the
    status and whether it names a field are looked at, so no table is needed."""
    HEADERS, DATA, RST, SETTINGS, PING, GOAWAY, WINDOW = 1, 0, 3, 4, 6, 7, 8
    STATUSES = {0x88: 200, 0x8b: 304, 0x8c: 400, 0x8d: 404, 0x8e: 500}

    def __init__(self, test, port):
        self.peer = socket.create_connection(("127.0.0.1", port), DEADLINE)
        self.peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        test.addCleanup(self.peer.close)
        self.peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.frame(self.SETTINGS, 0, 0, struct.pack(">HI", 4, 1 << 30))
                          + self.frame(self.WINDOW, 0, 0, struct.pack(">I", 1 << 30)))
        self.connect_protocol = False
        self.window = {0: 65535, 1: 65535}
        self.buffer, self.ended, self.bytes = b"", False, b""
        while not self.connect_protocol:
            self.step()

    @staticmethod
    def frame(kind, flags, stream, payload=b""):
        return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload

    @staticmethod
    def literal(name, value):
        return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()

    def take(self, size):
        while len(self.buffer) < size:
            piece = self.peer.recv(65536)
            if not piece:
                raise Wrong("the connection of HTTP/2 has ended")
            self.buffer += piece
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def step(self):
        """Take one frame, and answer it as a client must."""
        header = self.take(9)
        payload = self.take(int.from_bytes(header[:3], "big"))
        kind, flags, stream = header[3], header[4], int.from_bytes(header[5:], "big")
        if kind == self.SETTINGS and not flags & 1:
            for at in range(0, len(payload), 6):
                name, value = struct.unpack(">HI", payload[at:at + 6])
                self.connect_protocol |= name == 8 and value == 1
                if name == 4:
                    self.window[1] += value - 65535
            self.peer.sendall(self.frame(self.SETTINGS, 1, 0))
        elif kind == self.WINDOW:
            self.window[stream] = self.window.get(stream, 0) + int.from_bytes(payload, "big")
        elif kind == self.DATA and stream == 1:
            self.bytes += payload
            self.ended |= flags & 1 == 1
        elif kind == self.RST and stream == 1:
            self.ended = None
        elif kind == self.GOAWAY:
            raise Wrong(f"GOAWAY {payload!r}")
        return kind, flags, stream, payload

    def ask(self, path, fields, key=None, version="13", behind=b""):
        pseudo = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", path),
                  (":authority", "localhost")]
        if version is not None:
            fields = [("sec-websocket-version", version), *fields]
        section = b"".join(self.literal(name.lower(), value) for name, value in pseudo + list(fields))
        data = self.frame(self.DATA, 0, 1, behind) if behind else b""
        self.window[0] -= len(behind)
        self.window[1] -= len(behind)
        self.peer.sendall(self.frame(self.HEADERS, 4, 1, section) + data)  # in one, so that it comes in one
        while True:
            kind, flags, stream, payload = self.step()
            if kind == self.HEADERS and stream == 1:
                break
        while payload[0] & 0xe0 == 0x20:  # the size of the table
            payload = payload[1:]
        status = self.STATUSES.get(payload[0]) or 0  # 0: another one, which is written in full
        self.upgraded = status == 200 and not flags & 1
        return (101 if self.upgraded else status), {}

    def send(self, data):
        while data and self.ended is False:  # what the server takes no more is not sent
            size = min(len(data), 16384, self.window[0], self.window[1])
            if size == 0:
                self.step()
                continue
            self.peer.sendall(self.frame(self.DATA, 0, 1, data[:size]))
            self.window[0] -= size
            self.window[1] -= size
            data = data[size:]

    def receive(self):
        while not self.bytes and self.ended is False:
            self.step()
        data, self.bytes = self.bytes, b""
        return data if data or self.ended is not None else None

    def end(self):
        self.peer.sendall(self.frame(self.DATA, 1, 1))


class Client:
    """A socket: `status` and `fields` of the handshake, then frames both ways."""

    def __init__(self, test, port, path="/echo", transport=Http1, fields=(), deflate=None, key="dGhlIHNhbXBsZSBub25jZQ==",
                 **options):
        self.test = test
        self.transport = transport(test, port)
        if deflate is not None:
            fields = [*fields, ("Sec-WebSocket-Extensions", deflate)]
        self.status, self.fields = self.transport.ask(path, fields, key, **options)
        self.buffer = bytearray()
        self.ended = False
        self.agreed = self.fields.get("sec-websocket-extensions", [""])[0]
        if self.agreed and (deflate is None or not self.agreed.startswith("permessage-deflate")):
            raise Wrong(f"an extension that was not offered: {self.agreed}")
        window = re.search(r"server_max_window_bits=(\d+)", self.agreed)
        self.window = int(window.group(1)) if window else 15  # no more is inflated than what refers that far back
        self.inflater = zlib.decompressobj(-self.window)
        if "sec-websocket-protocol" in self.fields:
            offered = [name.strip() for field, value in fields if field.lower() == "sec-websocket-protocol"
                       for name in value.split(",")]
            if self.fields["sec-websocket-protocol"][0] not in offered:
                raise Wrong("a subprotocol that was not offered")

    def send(self, data):
        self.transport.send(data)

    def take(self, size):
        """So many bytes, or None when the stream ends before the first of them."""
        while len(self.buffer) < size and not self.ended:
            piece = self.transport.receive()
            if not piece:
                self.ended = "reset" if piece is None else "end"
            else:
                self.buffer += piece
        if len(self.buffer) < size:
            if self.buffer:
                raise Wrong(f"ended in the midst of a frame, behind {bytes(self.buffer[:100])!r}")
            return None
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def frame(self):
        """The next frame: (first byte, payload), or None at the end."""
        start = self.take(2)
        if start is None:
            return None
        first, length = start
        opcode = first & 15
        if length & 128:
            raise Wrong("a mask")
        if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG) or first & (RSV2 | RSV3):
            raise Wrong(f"a frame that begins with {first:#x}")
        if first & RSV1 and not (self.agreed or isinstance(self.transport, Http2)):
            raise Wrong("RSV1, and no extension")
        if opcode >= CLOSE and (length > 125 or not first & FIN or first & RSV1):
            raise Wrong("a control frame that is long, in fragments or compressed")
        if length > 125:
            least = 126 if length == 126 else 65536
            length = int.from_bytes(self.take(2 if length == 126 else 8), "big")
            if length < least:
                raise Wrong(f"a length of {length}, not written as short as can be")
        return first, self.take(length) if length else b""

    def message(self):
        """The next message, or control frame: (opcode, payload), inflated; None at the end."""
        got = self.frame()
        if got is None or got[0] & 15 >= CLOSE:
            return got if got is None else (got[0] & 15, got[1])
        opcode, compress, pieces = got[0] & 15, got[0] & RSV1, [got[1]]
        if opcode == CONTINUATION:
            raise Wrong("a continuation of nothing")
        while not got[0] & FIN:
            got = self.frame()
            if got is None or got[0] & 127 not in (CONTINUATION, PING, PONG):
                raise Wrong("a message that does not go on")
            if got[0] & 15 == CONTINUATION:
                pieces.append(got[1])
        data = b"".join(pieces)
        if compress:
            if data.endswith(TAIL) and len(data) > 5:
                raise Wrong("a message with the tail that is left out")
            if "server_no_context_takeover" in self.agreed:
                self.inflater = zlib.decompressobj(-self.window)
            data = self.inflater.decompress(data + TAIL)
            if self.inflater.eof:
                raise Wrong("a final block")
        if opcode == TEXT:
            data.decode()
        return opcode, data

    def expect(self, opcode, data):
        self.test.assertEqual(self.message(), (opcode, data))

    def expect_close(self, code):
        """A Close with this code (None: without one), answered unless we have sent ours, and the end in order."""
        got = self.frame()
        self.test.assertIsNotNone(got, f"ended ({self.ended}) without Close {code}")
        self.test.assertEqual(got[0], FIN | CLOSE)
        said = struct.unpack(">H", got[1][:2])[0] if got[1] else None
        self.test.assertEqual(said, code)
        got[1][2:].decode()
        return got[1][2:]

    def expect_end(self):
        self.test.assertIsNone(self.frame())
        self.test.assertEqual(self.ended, "end")
