"""The documentation is true: its C compiles, its links lead somewhere, and nothing public is
missing from the guide."""

import os
import re
import subprocess
import unittest
from pathlib import Path

ROOT = Path(os.environ.get("CAROM_SOURCE", Path(__file__).resolve().parents[2]))
SKIPPED = re.compile(r"^(build.*|\..*|node_modules)$")
PAGES = sorted(p for p in ROOT.rglob("*.md") if not any(SKIPPED.match(part) for part in p.relative_to(ROOT).parts[:-1]))
HEADER = (ROOT / "include/carom.h").read_text()
GUIDE = (ROOT / "docs/c/guide.md").read_text()
TABLES = (ROOT / "docs/c/options.md").read_text()
PRELUDE = "#include <carom.h>\n#include <signal.h>\n#include <stdio.h>\n#include <stddef.h>\n"
FLAGS = "-std=c11 -fsyntax-only -Wall -Wextra -Werror -Wno-unused-function -x c -".split()


def table(name):
    return re.findall(r"X\((\w+)", HEADER.split(f"#define {name}(X)")[1].split("\n\n")[0])


def prose(page):
    """A page without its blocks and pieces of code, in which brackets are no links."""
    return re.sub(r"^```.*?^```|`[^`\n]*`(?!\])", "", page.read_text(), flags=re.S | re.M)


def anchors(page):
    """The names that a page's headings have in links to them, as the usual viewers make them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


class Docs(unittest.TestCase):
    def test_the_c_of_every_page_compiles(self):
        blocks = [(page, block) for page in PAGES
                  for block in re.findall(r"^```c\n(.*?)^```", page.read_text(), re.S | re.M)]
        self.assertGreater(len(blocks), 4)
        for page, block in blocks:
            result = subprocess.run([os.environ.get("CC", "cc"), f"-I{ROOT}/include", *FLAGS],
                                    input=PRELUDE + block, text=True, capture_output=True)
            self.assertEqual(result.returncode, 0, f"{page.name}:\n{block}\n{result.stderr}")

    def test_links_lead_somewhere(self):
        found = 0
        for page in PAGES:
            for link, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", prose(page)):
                if re.match(r"[a-z]+:", link):
                    continue
                found += 1
                target = page if link == "" else page.parent / link
                where = f"{page.relative_to(ROOT)}: {link}#{anchor}"
                self.assertTrue(target.exists(), where)
                if anchor:
                    self.assertIn(anchor, anchors(target), where)
        self.assertGreater(found, 50)

    def test_every_example_is_explained(self):
        page = prose(ROOT / "examples/README.md")
        for example in [*ROOT.glob("examples/c/*.c"), *ROOT.glob("examples/js/*.mjs")]:
            self.assertIn(f"[{example.name}]({example.parent.name}/{example.name})", page)
        page = prose(ROOT / "examples/bindings/README.md")
        for example in ROOT.glob("examples/bindings/*.*"):
            if example.suffix != ".md":
                self.assertIn(f"[{example.name}]({example.name})", page)

    def test_every_word_of_the_ring_is_explained(self):
        page, header = (ROOT / "docs/bindings/words.md").read_text(), (ROOT / "include/carom_ring.h").read_text()
        rows = re.findall(r"^\| (\d+) \| `([A-Z_]+)` \|", page, re.M)
        enums = "".join(re.findall(r"^enum carom_ring_\w+ \{(.*?)^\};", header, re.S | re.M))
        names = re.findall(r"\bCAROM_(\w+)\s*=", re.sub(r"/\*.*?\*/", "", enums, flags=re.S))
        self.assertGreater(len(names), 80)
        self.assertEqual(sorted(names), sorted(name for _, name in rows))
        members = re.findall(r"^\| (\d+) \| `([a-z]+)` \| (\d) \|$", page, re.M)
        checks = [f"_Static_assert(CAROM_{name} == {number}, \"{name}\");" for number, name in rows]
        for offset, name, size in members:
            checks.append(f"_Static_assert(offsetof(carom_ring_options, {name}) == {offset}, \"{name}\");")
            checks.append(f"_Static_assert(sizeof((carom_ring_options *)0)->{name} == {size}, \"{name}\");")
        whole = re.search(r"has 8 bytes, (\d+) bytes in all", page).group(1)
        checks.append(f"_Static_assert(sizeof(carom_ring_options) == {whole}, \"size\");")
        struct = header.split("typedef struct carom_ring_options {")[1].split("} carom_ring_options;")[0]
        struct = re.sub(r"/\*.*?\*/", "", struct, flags=re.S)
        self.assertEqual(re.findall(r"(\w+)\)?(?:\([^;]*\))?;", struct), [name for _, name, _ in members])
        result = subprocess.run([os.environ.get("CC", "cc"), f"-I{ROOT}/include", *FLAGS], text=True, capture_output=True,
                                input="#include <carom_ring.h>\n#include <stddef.h>\n" + "\n".join(checks) + "\nint unused;")
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_what_a_binding_fails_in_is_explained(self):
        sections = re.findall(r"^@check\(\".*\", \"([^\"]+)\"", (ROOT / "examples/bindings/conformance.py").read_text(), re.M)
        self.assertGreater(len(sections), 20)
        guide = (ROOT / "docs/bindings/guide.md").read_text()
        self.assertEqual([], [name for name in sections if f"\n## {name}\n" not in guide])

    def test_what_is_said_of_mistakes_is_tested(self):
        tests = "".join(page.read_text() for folder in ("service", "websocket")
                        for page in ROOT.glob(f"test/unit/{folder}/test_*.c"))
        table = re.findall(r"^\| (\d+) \| .* \| (.*) \| .* \| (`.*`) \|$", (ROOT / "docs/c/mistakes.md").read_text(), re.M)
        self.assertGreaterEqual(len(table), 36)
        self.assertEqual([int(number) for number, _, _ in table], list(range(1, len(table) + 1)))
        named = {name: says for _, says, names in table for name in re.findall(r"`(\w+)`", names)}
        cases = set(re.findall(r"\bcmocka_unit_test(?:_\w+)?\((\w+)", tests))
        calls = dict(re.findall(r"^    MISUSE\((\w+), (?:-(CAROM_\w+)|0)\)", tests, re.M))
        self.assertEqual([], [name for name in named if name not in cases and name not in calls])
        self.assertEqual([], [name for name, error in calls.items() if name not in named or error not in named[name]])

    def test_what_is_said_of_strictness_is_tested(self):
        cases = set(re.findall(r"\bcmocka_unit_test(?:_\w+)?\(\s*(\w+)",
                               "".join(page.read_text() for page in ROOT.glob("test/unit/w*/test_*.c"))))
        table = (ROOT / "docs/c/websocket.md").read_text().split("## Strictness")[1]
        rows = re.findall(r"^\| (?!what comes|---)(.*) \| (.*) \| (.*) \|$", table, re.M)
        self.assertGreater(len(rows), 15)
        for what, _, names in rows:
            found = re.findall(r"`(\w+)`", names)
            self.assertTrue(found, what)
            self.assertEqual([], [name for name in found if name not in cases], what)

    def test_every_call_of_websocket_is_explained(self):
        page, header = (ROOT / "docs/c/websocket.md").read_text(), (ROOT / "include/carom_websocket.h").read_text()
        calls = re.findall(r"^CAROM_API [^;]*?(carom_\w+)\(", header, re.M)
        self.assertGreater(len(calls), 20)
        self.assertEqual([], [call for call in calls if not re.search(rf"\b{call}\b", page)])
        body = header.split("typedef struct carom_websocket_options {")[1].split("} carom_websocket_options;")[0]
        options = re.findall(r"(\w+);", re.sub(r"/\*.*?\*/", "", body, flags=re.S))
        self.assertEqual([], [name for name in options if name != "size" and f"`{name}`" not in page])

    def test_every_call_is_explained(self):
        calls = re.findall(r"^CAROM_API [^;]*?(carom_\w+)\(", HEADER, re.M)
        self.assertGreater(len(calls), 40)
        self.assertEqual([], [call for call in calls if call not in GUIDE + TABLES])

    def test_the_tables_have_every_option(self):
        body = HEADER.split("typedef struct carom_options {")[1].split("} carom_options;")[0]
        body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
        options = [name for name in re.findall(r"(\w+);", body) if name != "size"]
        self.assertGreater(len(options), 25)
        self.assertEqual([], [name for name in options if f"`{name}`" not in TABLES])

    def test_the_tables_have_every_error_and_reason(self):
        errors, reasons = table("CAROM_ERROR_TABLE"), table("CAROM_REASON_TABLE")
        self.assertGreater(len(errors), 10)
        self.assertEqual([], [name for name in errors if f"`CAROM_{name}`" not in TABLES])
        names = [name.lower().replace("_", "-") for name in reasons]
        self.assertEqual([], [name for name in names if f"`{name}`" not in TABLES])


if __name__ == "__main__":
    unittest.main()
