#!/usr/bin/python3
"""Each binding in examples/bindings passes examples/bindings/conformance.py, and ends in order; one that is wrong does not pass."""
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from programs import BUILD, DEADLINE, SANITIZED, Program, path_of  # noqa: E402

FOLDER = Path(os.environ.get("CAROM_SOURCE", Path(__file__).resolve().parents[2])) / "examples/bindings"


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
    def conforms(self, *command):
        program = serve(self, *command)
        found = ask(program)
        self.assertEqual((found.returncode, found.stderr), (0, ""), found.stdout + "\n".join(program.errors))
        self.assertRegex(found.stdout, r"\A1\.\.(\d+)\n(ok \d+ - [^#\n]+\n)+\Z")  # nothing is skipped
        self.assertEqual(program.stop(), 0)
        self.assertEqual(program.errors, [])

    def test_vm(self):
        self.conforms(path_of("vm"), "0")

    def test_duk(self):
        self.conforms(path_of("duk"), "0", FOLDER / "duk.js")

    # These load the library, which knows nothing of them in a build that is examined.
    @unittest.skipIf(SANITIZED, "the library needs its sanitizer in the program")
    def test_python(self):
        self.conforms(sys.executable, FOLDER / "python.py", "0")

    @unittest.skipIf(SANITIZED, "the library needs its sanitizer in the program")
    def test_lua(self):
        self.conforms("luajit", FOLDER / "lua.lua", "0")


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
        self.is_told("chunked content", "piece.length > 0 ?", "piece.length > 100 ?", "Content")

    def test_fields_in_another_order(self):
        self.is_told("fields come in order", "this.fields.map", "this.fields.reverse().map", "The head")


if __name__ == "__main__":
    unittest.main()
