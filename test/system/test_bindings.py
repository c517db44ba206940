#!/usr/bin/python3
"""Each binding in examples/bindings passes examples/bindings/conformance.py, and ends in order; one that is wrong does not pass."""
import ctypes
import os
import re
import select
import socket
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from programs import BUILD, DEADLINE, SANITIZED, Program, path_of  # noqa: E402

FOLDER = Path(os.environ.get("CAROM_SOURCE", Path(__file__).resolve().parents[2])) / "examples/bindings"
DOCS = FOLDER.parents[1] / "docs/bindings"


def serve(test, *command):
    """Start a binding on a free port; it has .port when this returns."""
    library = os.path.join(os.path.abspath(BUILD), "libcarom.so.0")
    program = Program(test, [str(word) for word in command], env={**os.environ, "CAROM_LIBRARY": library})
    program.port = int(program.wait_line(r"localhost:(\d+)").group(1))
    return program


def ask(program, *words):
    """What the conformance program says of a binding that runs."""
    return subprocess.run([sys.executable, FOLDER / "conformance.py", f"127.0.0.1:{program.port}", *words],
                          capture_output=True, text=True, timeout=DEADLINE)


class Conformance(unittest.TestCase):
    def conforms(self, *command, skipped=("pieces, each in a message of its own, come in order",)):
        program = serve(self, *command)
        found = ask(program)
        self.assertEqual((found.returncode, found.stderr), (0, ""), found.stdout + "\n".join(program.errors))
        self.assertRegex(found.stdout, r"\A1\.\.(\d+)\n(ok \d+ - .+\n)+\Z")
        self.assertEqual(re.findall(r" - (.*) # SKIP", found.stdout), list(skipped))
        self.assertEqual(program.stop(), 0)
        self.assertEqual(program.errors, [])

    def test_vm(self):
        self.conforms(path_of("vm"), "0")

    def test_duk(self):
        self.conforms(path_of("duk"), "0", FOLDER / "duk.js", skipped=())

    # These load the library, which knows nothing of them in a build that is examined.
    @unittest.skipIf(SANITIZED, "the library needs its sanitizer in the program")
    def test_python(self):
        self.conforms(sys.executable, FOLDER / "python.py", "0")

    @unittest.skipIf(SANITIZED, "the library needs its sanitizer in the program")
    def test_lua(self):
        self.conforms("luajit", FOLDER / "lua.lua", "0")


@unittest.skipIf(SANITIZED, "the library needs its sanitizer in the program")
class FirstAnswer(unittest.TestCase):
    """From create to the first answer, as docs/bindings/guide.md has it, by the numbers of docs/bindings/words.md."""

    def setUp(self):
        self.at = {name: int(number) for number, name in re.findall(r"^\| (\d+) \| `([A-Z_]+)` \|", (DOCS / "words.md").read_text(), re.M)}
        self.carom = ctypes.CDLL(os.path.join(os.path.abspath(BUILD), "libcarom.so.0"))
        self.carom.carom_ring_control_size.restype = self.carom.carom_options_size.restype = ctypes.c_size_t
        self.seen, self.slots, self.fault = [], None, None

    def memory(self, size):
        return (ctypes.c_uint64 * (size // 8))()

    def words(self, memory, offset=0):
        return memoryview(memory).cast("B").cast("I")[offset:]

    def wake(self, _):
        try:
            self.answer()
        except BaseException as fault:  # ctypes would print it, and go on
            self.fault = fault

    def answer(self):
        at, control = self.at, self.words(self.control)
        self.seen.append([control[at[name]] for name in ("RING_VM_ASLEEP", "RING_SLOTS_WANTED", "RING_SLOTS", "RING_EVENT_TAIL")])
        if control[at["RING_SLOTS_WANTED"]] > 0:  # step 8
            self.slots = self.memory(at["RING_BLOCK_SLOTS"] * at["RING_SLOT_SIZE"])
            self.assertEqual(self.carom.carom_ring_add_block(self.ring, 0, self.slots), 0)
            self.assertEqual(control[control[at["RING_BLOCKS_WORD"]]], 1)
        elif control[at["RING_EVENT_TAIL"]] == 1 and control[at["RING_EVENT_HEAD"]] == 0:
            self.assertEqual(control[control[at["RING_EVENTS_WORD"]]], 0)
            slot, place = self.words(self.slots), memoryview(self.slots).cast("B")
            self.first = {name: slot[number] for name, number in at.items() if name.startswith("SLOT_") and number < 48}
            self.entry, self.head = list(place[192:200].cast("H")), bytes(place[200:223])
            slot[at["SLOT_NEWS"]] = 0
            fields = struct.pack("=HH", 12, 10) + b"content-typetext/plain"
            place[2048:2048 + len(fields) + 5] = fields + b"Hello"
            for name, value in [("ECHO", 1), ("STATUS", 200), ("FIELDS_LENGTH", 26), ("DATA_LENGTH", 5), ("WHOLE_LOW", 0xffffffff),
                                ("WHOLE_HIGH", 0xffffffff), ("FLAGS", 624)]:
                slot[at["SLOT_" + name]] = value
            control[control[at["RING_COMMANDS_WORD"]]] = 0
            control[at["RING_COMMAND_TAIL"]] = control[at["RING_EVENT_HEAD"]] = 1
        control[at["RING_VM_ASLEEP"]] = 1

    def test_it_is_as_the_guide_says(self):
        at, carom, service, self.ring = self.at, self.carom, ctypes.c_void_p(), ctypes.c_void_p()
        size = carom.carom_ring_control_size(16)
        self.control, ring_options = self.memory(size), self.memory(56)
        wake = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.wake)
        ring_options[0], ring_options[1], ring_options[4] = 56, 16, ctypes.cast(wake, ctypes.c_void_p).value
        self.assertEqual(carom.carom_ring_create(ctypes.byref(self.ring), ring_options, self.control, ctypes.c_size_t(size)), 0)
        control = self.words(self.control)
        written = [number for number in range(at["RING_CONTROL_WORDS"]) if control[number] != 0]
        self.assertEqual(written, [0, 1, 2, 3, 4, 5, 7, at["RING_VM_ASLEEP"]])
        self.assertEqual([control[0], control[1], control[2], control[3]], [16, 144, 160, 176])
        options = self.memory(carom.carom_options_size())
        options[0], options[1] = carom.carom_options_size(), ctypes.cast(carom.carom_ring_handle, ctypes.c_void_p).value
        carom.carom_options_set(options, b"record_state", b"8")
        self.assertEqual(carom.carom_service_create(ctypes.byref(service), options), 0)
        self.assertEqual(carom.carom_ring_attach(self.ring, service, 0), 0)
        self.assertEqual(carom.carom_service_listen(service, b"127.0.0.1:0"), 0)
        address = (ctypes.c_uint16 * 60)()
        carom.carom_service_listener(service, ctypes.c_size_t(0), address)
        with socket.create_connection(("127.0.0.1", address[2]), DEADLINE) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = b""
            while not answer.endswith(b"Hello"):
                select.select([carom.carom_service_descriptor(service)], [], [], DEADLINE)
                self.assertEqual(carom.carom_service_turn(service), 1)
                if self.fault is not None:
                    raise self.fault
                while select.select([client], [], [], 0)[0]:
                    piece = client.recv(65536)
                    self.assertTrue(piece, answer)
                    answer += piece
        self.assertRegex(answer, rb"(?s)\AHTTP/1.1 200 OK\r\n.*content-type: text/plain\r\n.*\r\n\r\nHello\Z")
        self.assertEqual(self.seen[:2], [[0, 1, 0, 0], [0, 0, 16, 1]])  # steps 7 and 9
        self.assertEqual((self.entry, self.head), ([16, 4, 22, 1], b"GET / HTTP/1.1\r\nHost: a"))
        wanted = {"NEWS": 1, "GENERATION": 1, "HEAD_PAGE": 0, "METHOD_LENGTH": 3, "VERSION": 11, "TARGET": 4, "TARGET_LENGTH": 1,
                  "FIELD_COUNT": 1, "HEAD_LENGTH": 23, "LENGTH_LOW": 0, "LENGTH_HIGH": 0, "CONTENT_HERE": 0, "FLAGS": 0, "NOTIFY": 0}
        self.assertEqual({name: self.first["SLOT_" + name] for name in wanted}, wanted)
        self.assertEqual((self.words(self.slots)[at["SLOT_FLAGS"]], control[at["RING_BAD_COMMANDS"]]), (0, 0))
        carom.carom_shutdown(service, 0)
        while carom.carom_service_turn(service) == 1:
            pass
        self.assertEqual(carom.carom_service_destroy(service), 0)
        carom.carom_ring_destroy(self.ring)


@unittest.skipIf(SANITIZED, "the same there")
class Wrong(unittest.TestCase):
    def is_told(self, name, right, wrong, section):
        """A binding with `wrong` in the place of `right` does not pass the check of that name."""
        source = (FOLDER / "duk.js").read_text()
        self.assertEqual(source.count(right), 1, right)
        with tempfile.NamedTemporaryFile("w", suffix=".js") as script:
            script.write(source.replace(right, wrong))
            script.flush()
            program = serve(self, path_of("duk"), "0", script.name)
            found = ask(program, "--only", name)
        self.assertEqual(found.returncode, 1, found.stdout)
        self.assertRegex(found.stdout, rf'not ok 1 - .*{name}.*\n  .*\n  see docs/bindings/guide.md, "{section}"\n')

    def test_a_head_before_the_content_is_asked_for(self):
        self.is_told("Expect", "send(this, FLAG.READ, 0);", "send(this, FLAG.HEAD | FLAG.READ, 200), this.head = 0;", "Content")

    def test_trailers_that_are_lost(self):
        self.is_told("trailers come", ", piece, trailers);\n  this.head", ", piece);\n  this.head", "Content")

    def test_pieces_that_are_lost(self):
        self.is_told("chunked content", "piece.length > 0 ?", "piece.length < 0 ?", "Content")

    def test_messages_that_do_not_wait_for_room(self):
        self.is_told("message of its own", "null, piece)) return;", "null, piece) && this.sent === 25) return;", "An answer")

    def test_nobody_who_answers(self):
        with socket.socket() as unheard:  # its port is taken, and nobody listens
            unheard.bind(("127.0.0.1", 0))
            found = ask(SimpleNamespace(port=unheard.getsockname()[1]))
        self.assertEqual((found.returncode, found.stdout), (1, ""))
        self.assertRegex(found.stderr, r"\Anobody answers at 127\.0\.0\.1:\d+: .*\n\Z")

    def test_fields_in_another_order(self):
        self.is_told("fields come in order", "this.fields.map", "this.fields.reverse().map", "The head")


if __name__ == "__main__":
    unittest.main()
