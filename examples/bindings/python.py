#!/usr/bin/python3
"""A binding for Python by ctypes: `python.py 8080` serves on http://localhost:8080/ what all examples here serve.

It reads and writes the words of the shared memory by hand (docs/bindings/words.md): slots are memoryviews, so nothing is
called for a request but the turn in which it came. Engine and Python share one thread: select() waits for the engine's
descriptor, and in its turn the engine calls wake(). Handlers that wait for news are generators. CAROM_LIBRARY names
libcarom.so, if it is not where the linker looks; the numbers are read from include/carom_ring.h.
"""
import ctypes
import os
import re
import select
import signal
import struct
import sys
from ctypes import byref, c_bool, c_char_p, c_size_t, c_uint16, c_uint32, c_void_p
from pathlib import Path
from types import SimpleNamespace

HEADER = Path(os.environ.get("CAROM_INCLUDE", Path(__file__).parents[2] / "include")) / "carom_ring.h"
N = SimpleNamespace(**{name: int(number) for name, number in re.findall(r"^ +CAROM_(\w+) =\s+(\d+)", HEADER.read_text(), re.M)})
ANSWER = N.FLAG_HEAD | N.FLAG_DATA | N.FLAG_END | N.FLAG_RELEASE
OVER = N.NEWS_ENDED | N.NEWS_ERROR | N.NEWS_CONTENT_LOST
WAKE = ctypes.CFUNCTYPE(None, c_void_p)
carom = ctypes.CDLL(os.environ.get("CAROM_LIBRARY", "libcarom.so.0"))
carom.carom_ring_control_size.restype = carom.carom_options_size.restype = c_size_t
carom.carom_error_text.restype = c_char_p


class RingOptions(ctypes.Structure):
    _fields_ = [*zip("size capacity memory unheard wake data watch".split(), (c_size_t, c_uint32, c_size_t, c_uint32, WAKE, c_void_p, c_bool))]


def call(name, *arguments):
    if (result := getattr(carom, "carom_" + name)(*arguments)) < 0:
        sys.exit(f"python: carom_{name}: {carom.carom_error_text(result).decode()}")
    return result


def memory(size):
    """Zeroed memory that Python keeps: its address, a multiple of 8, and a view of it."""
    buffer = ctypes.create_string_buffer(size + 8)
    offset = -ctypes.addressof(buffer) % 8
    return c_void_p(ctypes.addressof(buffer) + offset), memoryview(buffer).cast("B")[offset:offset + size]


def pack(fields):
    return b"".join(struct.pack("=2H", len(name), len(value)) + (name + value).encode("latin1") for name, value in fields)


def unpack(packed):
    fields = []
    while packed:
        name, value = struct.unpack_from("=2H", packed)
        text, packed = packed[4:4 + name + value].decode("latin1"), packed[4 + name + value:]
        fields.append((text[:name], text[name:]))
    return fields


class Request:
    """A slot, from REQUEST to RELEASE. Its memory is another request's then: what is kept is copied."""

    def __init__(self, ring, slot):
        self.ring, self.slot, self.handler = ring, slot, None  # a generator that waits for news
        self.words, self.bytes = words, memory = ring.slot(slot)
        self.generation, self.version = words[N.SLOT_GENERATION], words[N.SLOT_VERSION] & 255
        page, table = words[N.SLOT_HEAD_PAGE], words[N.SLOT_FIELD_COUNT] * 8
        length = table + words[N.SLOT_HEAD_LENGTH]
        head = bytes(ring.page(page)[:length] if page else memory[N.SLOT_IN:N.SLOT_IN + length])
        ring.give_page(page)
        text, target = head[table:].decode("latin1"), words[N.SLOT_TARGET]
        self.method, self.target = text[:words[N.SLOT_METHOD_LENGTH]], text[target:target + words[N.SLOT_TARGET_LENGTH]]
        self.fields = [(text[a:a + b], text[c:c + d]) for a, b, c, d in struct.iter_unpack("=4H", head[:table])]
        here, start = words[N.SLOT_CONTENT_HERE], N.SLOT_IN + (0 if page else length)
        self.content = bytes(memory[start:start + here]) if here else None
        self.empty = words[N.SLOT_LENGTH_LOW] == words[N.SLOT_LENGTH_HIGH] == 0

    def send(self, flags, status=0, fields=(), data=b"", trailers=()):
        """Write a message. The one before has been taken: nobody here writes two without news or a turn between them."""
        words, head, tail = self.words, pack(fields), pack(trailers)
        lent = N.SLOT_OUT + len(head) + len(data) + len(tail) > N.RING_SLOT_SIZE
        words[N.SLOT_DATA_LOAN] = self.ring.lend(data) + 1 if lent else 0
        out = head + (b"" if lent else data) + tail
        self.bytes[N.SLOT_OUT:N.SLOT_OUT + len(out)] = out
        words[N.SLOT_ECHO], words[N.SLOT_STATUS] = self.generation, status
        words[N.SLOT_FIELDS_LENGTH], words[N.SLOT_FIELDS_LOAN] = len(head), 0
        words[N.SLOT_DATA_LENGTH], words[N.SLOT_OUT_TRAILERS] = len(data), len(tail)
        words[N.SLOT_WHOLE_LOW] = words[N.SLOT_WHOLE_HIGH] = 0xFFFFFFFF
        words[N.SLOT_FLAGS] = flags
        self.ring.put_command(self.slot)

    def respond(self, status, data=b""):
        self.send(ANSWER, status, [("content-type", "text/plain")] if data else (), data)

    def run(self, handler, news=None):
        """Let a handler go on until it waits for news, or ends. What it throws, others do not feel."""
        self.handler = None
        try:
            if handler is not None:
                handler.send(news)
                self.handler = handler
        except StopIteration:
            pass
        except Exception as error:
            print(f"python: {self.method} {self.target}: {error!r}", file=sys.stderr)
            self.send(N.FLAG_RELEASE)  # unanswered it is a 500, begun a reset

    def hear(self, news):
        """News, with a piece of content, which lies in a page, and trailers behind it."""
        words, piece, trailers = self.words, b"", []
        if news & (N.NEWS_CONTENT | N.NEWS_CONTENT_END) and (page := words[N.SLOT_PIECE_PAGE]):
            length, end = words[N.SLOT_PIECE_LENGTH], words[N.SLOT_PIECE_LENGTH] + words[N.SLOT_TRAILERS_LENGTH]
            piece, trailers = bytes(self.ring.page(page)[:length]), unpack(bytes(self.ring.page(page)[length:end]))
            self.ring.give_page(page)
        if self.handler is not None:
            self.run(self.handler, (news, piece, trailers))
        elif news & N.NEWS_ERROR:
            self.send(N.FLAG_CANCEL | N.FLAG_RELEASE)  # of a message that was refused RELEASE was not done, either


class Ring:
    def __init__(self, handler, capacity=1024):
        self.handler, self.mask = handler, capacity - 1
        address, self.bytes = memory(size := carom.carom_ring_control_size(capacity))
        self.words = self.bytes.cast("I")
        self.options = RingOptions(size=ctypes.sizeof(RingOptions), capacity=capacity, wake=WAKE(self.wake))  # kept: the engine calls it
        self.pointer = c_void_p()
        call("ring_create", byref(self.pointer), byref(self.options), address, c_size_t(size))
        assert self.words[N.RING_PROTOCOL] < 100, "this binding knows the ring up to version 99"
        self.events, self.commands = self.words[N.RING_EVENTS_WORD], self.words[N.RING_COMMANDS_WORD]
        self.returns, self.owners = self.words[N.RING_RETURNS_WORD], self.words[N.RING_BLOCKS_WORD]
        self.event_head = self.command_tail = self.return_head = 0
        self.blocks, self.requests, self.loans, self.free_loans = {}, {}, {}, []

    def slot(self, index):
        at = index % N.RING_BLOCK_SLOTS * N.RING_SLOT_SIZE
        view = self.blocks[index // N.RING_BLOCK_SLOTS][at:at + N.RING_SLOT_SIZE]
        return view.cast("I"), view

    def page(self, number):
        return self.bytes[self.words[N.RING_PAGES_BYTE] + (number - 1) * N.RING_PAGE_SIZE:][:N.RING_PAGE_SIZE]

    def give_page(self, number):
        if number:
            self.words[N.RING_PAGES_HELD + number - 1] = 0

    def put_command(self, slot):
        self.words[self.commands + (self.command_tail & self.mask)] = slot
        self.command_tail = (self.command_tail + 1) & 0xFFFFFFFF
        self.words[N.RING_COMMAND_TAIL] = self.command_tail

    def lend(self, data):
        loan = self.free_loans.pop() if self.free_loans else len(self.loans)
        self.loans[loan] = data  # kept, and bytes stay where they are
        call("ring_lend", self.pointer, loan, data, c_size_t(len(data)))
        return loan

    def take_returns(self):
        while self.return_head != self.words[N.RING_RETURN_TAIL]:
            loan = self.words[self.returns + (self.return_head & (N.RING_LOANS - 1))]
            self.return_head = (self.return_head + 1) & 0xFFFFFFFF
            del self.loans[loan]
            self.free_loans.append(loan)

    def change_blocks(self):
        """Those that a burst has left are ours again; as many are given as are wanted."""
        for number in [number for number in self.blocks if self.words[self.owners + number] == 0]:
            del self.blocks[number]
        while self.words[N.RING_SLOTS_WANTED] > len(self.blocks) * N.RING_BLOCK_SLOTS - self.words[N.RING_SLOTS]:
            number = next(number for number in range(self.mask) if number not in self.blocks)
            address, self.blocks[number] = memory(N.RING_BLOCK_SLOTS * N.RING_SLOT_SIZE)
            call("ring_add_block", self.pointer, number, address)

    def wake(self, _):
        """In the engine's turn: take all that there is. The engine goes on when this returns: nothing need be atomic."""
        self.take_returns()
        self.change_blocks()
        while self.event_head != self.words[N.RING_EVENT_TAIL]:
            slot = self.words[self.events + (self.event_head & self.mask)]
            self.event_head = (self.event_head + 1) & 0xFFFFFFFF
            words = self.slot(slot)[0]
            news, words[N.SLOT_NEWS] = words[N.SLOT_NEWS], 0
            if news & N.NEWS_REQUEST:
                request = self.requests[slot] = Request(self, slot)
                request.run(self.handler(request))
            if news & ~N.NEWS_REQUEST:
                self.requests[slot].hear(news & ~N.NEWS_REQUEST)
        self.words[N.RING_EVENT_HEAD], self.words[N.RING_VM_ASLEEP] = self.event_head, 1


def hold(request, left=[0]):  # cancellation: it hears of it when its client leaves
    request.send(N.FLAG_HEAD, 200)
    news, _, _ = yield
    left[0] += news & N.NEWS_ENDED != 0
    request.send(N.FLAG_RELEASE)


def late(request):
    request.words[N.SLOT_TIME] = 10  # milliseconds
    request.send(N.FLAG_TIMER)
    news, _, _ = yield
    request.respond(200, b"late") if news & N.NEWS_TIME else request.send(N.FLAG_RELEASE)


def echo(request):
    """A piece goes back, and the next one is read when the engine has taken it: backpressure both ways."""
    if request.empty or request.content is not None:
        return request.respond(200, request.content or b"")
    request.send(N.FLAG_READ)  # before the head: the client may wait for its 100
    head = N.FLAG_HEAD
    while True:
        news, piece, trailers = yield
        if news & OVER:
            return request.send(N.FLAG_CANCEL | N.FLAG_RELEASE)
        then = N.FLAG_END | N.FLAG_RELEASE if news & N.NEWS_CONTENT_END else N.FLAG_READ
        request.send(head | then | (N.FLAG_DATA if piece else 0), 200, data=piece, trailers=trailers)
        head = 0


def handle(request):
    if stream := {"/echo": echo, "/hold": hold, "/late": late}.get(request.target):
        return stream(request)
    if request.target == "/fields":
        lines = [f"{request.method} {request.target} {request.version}", *map(": ".join, request.fields), ""]
        return request.respond(200, "\n".join(lines).encode("latin1"))
    answers = {"/": (200, b"Hello, World!"), "/left": (200, str(hold.__defaults__[0][0]).encode()),
               "/large": (200, b"x" * 2**20), "/none": (204,)}
    return request.respond(*answers.get(request.target, (404, b"nothing is here\n")))


def main(port="8080"):
    service, address, ring = c_void_p(), (c_uint16 * 60)(), Ring(handle)
    options = (c_void_p * (carom.carom_options_size() // 8))(carom.carom_options_size())
    options[1] = ctypes.cast(carom.carom_ring_handle, c_void_p)
    call("options_set", options, b"record_state", b"8")
    call("service_create", byref(service), options)
    call("ring_attach", ring.pointer, service, 0)
    call("service_listen", service, f"localhost:{port}".encode())
    call("service_listener", service, c_size_t(0), address)
    signal.signal(signal.SIGINT, lambda *_: carom.carom_shutdown(service, 1000))
    print(f"http://localhost:{address[2]}/", flush=True)
    descriptor = call("service_descriptor", service)
    while call("service_turn", service):
        select.select([descriptor], [], [])
    call("service_destroy", service)
    carom.carom_ring_destroy(ring.pointer)


main(*sys.argv[1:])
