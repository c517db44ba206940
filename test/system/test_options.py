"""An option is the same wherever it stands. The struct carom_options of include/carom.h is compared with the table of the
engine, read by carom_option_at as a language without the header does; the addon, JavaScript's options, its types and the
documents with both."""

import ctypes
import os
import re
import unittest
from pathlib import Path

ROOT = Path(os.environ.get("CAROM_SOURCE", Path(__file__).resolve().parents[2]))
OFF = "off"
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "s": 1000}
KINDS = {"uint32_t": "WORD", "uint64_t": "LONG", "bool": "BOOL"}

# What JavaScript says otherwise, or not at all.
OF_C_ONLY = {
    "handler", "handler_data",  # the argument of serve
    "log", "log_data",          # the console
    "on_start", "on_stop", "on_connection_end", "worker_data",  # the addon's workers are its own
    "record_state", "connection_state",  # the addon's own
    "held_warning",             # the log, of which the addon keeps what is said in its own calls
    "backend", "workers",       # arguments of the addon's `create`
}
OTHERWISE = {"noHttp2": "http2", "h2ConnectProtocol": "websocket"}  # name in the addon: name of the option that sets it
OF_THE_RING = {"maxRingMemory"}  # memory of struct carom_ring_options, which JavaScript gives itself
NO_LIMIT = {"http2", "reusePort", "websocket"}  # an option of ServeOptions, where it needs no default in its types


def read(name):
    return (ROOT / name).read_text()


def value(text):
    """The default at the start of a text: a number in bytes, milliseconds or pieces, "off", or None."""
    if text.startswith(("off", "false")):
        return OFF if text.startswith("off") else 0
    found = re.match(r"([\d,]+)(?: (KiB|MiB|GiB|s)\b)?", text)
    return found and int(found[1].replace(",", "")) * UNITS.get(found[2], 1)


def camel(name):
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def of_header():
    """Of each option of carom.h: (type, default in its comment)."""
    body = read("include/carom.h").split("typedef struct carom_options {")[1].split("} carom_options;")[0]
    fields = re.findall(r"^    (?:const )?(\w+)\s+\*?(\w+);[ \n]*(?:/\* *(.*?)\*/)?", body, re.M | re.S)
    return {name: (kind, value(re.sub(r"\s+", " ", text))) for kind, name, text in fields if name != "size"}


class Option(ctypes.Structure):
    """carom_option"""
    _fields_ = [("name", ctypes.c_char_p), ("type", ctypes.c_int), ("unit", ctypes.c_char_p),
                ("usual", ctypes.c_uint64), ("least", ctypes.c_uint64), ("most", ctypes.c_uint64)]


FLAG, NUMBER, TEXT = range(3)


def library():
    carom = ctypes.CDLL(Path(os.environ.get("CAROM_BUILD", ROOT / "build")) / "libcarom.so")
    carom.carom_option_at.restype = ctypes.POINTER(Option)
    carom.carom_option_at.argtypes = [ctypes.c_size_t]
    carom.carom_options_size.restype = ctypes.c_size_t
    carom.carom_options_set.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
    return carom


def of_engine():
    """Of each option that has a name in text: (type, unit, default)."""
    carom, found = library(), {}
    while option := carom.carom_option_at(len(found)):
        told = option.contents
        usual = OFF if told.usual == 0xFFFFFFFF else told.usual
        found[told.name.decode()] = (told.type, told.unit.decode(), usual)
    return found


def of_addon():
    found = re.findall(r'SETTING\("(\w+)",\s*(\w+),\s*(\w+)\)', read("bindings/node/settings.c"))
    return {name: (option, kind) for name, option, kind in found}


def of_javascript():
    lists = [re.findall(r"'(\w+)'", re.search(rf"const {name} = (?:new Set\()?\[(.*?)\]", read("js/src/engine/options.js"), re.S)[1])
             for name in ("LIMITS", "SWITCHES")]
    return set(lists[0]), set(lists[1])


def of_types():
    """Of each option of index.d.ts: the default that its comment says, or None."""
    found = re.findall(r"/\*\*((?:(?!\*/).)*)\*/\s+(\w+)\?:", read("js/index.d.ts"), re.S)
    defaults = {}
    for text, name in found:
        said = re.search(r"Default (.*)", re.sub(r"\s+", " ", text))
        defaults[name] = value(said[1]) if said else None
    return defaults


def of_document():
    """Of each option in the table of docs/c/options.md: its default. A line may have two, with their defaults in a row."""
    defaults = {}
    for names, texts in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|([^|]*)\|", read("docs/c/options.md"), re.M):
        names = re.findall(r"`(\w+)`", names)
        texts = texts.strip().split(", ") if len(names) > 1 else [texts.strip()]
        defaults.update({name: value(text) for name, text in zip(names, texts + [""] * len(names))})
    return defaults


class Options(unittest.TestCase):
    def setUp(self):
        self.options = of_header()
        self.numbers = {name: default for name, (kind, default) in self.options.items() if kind.startswith("uint")}
        self.assertGreater(len(self.numbers), 25)

    def test_comments_and_engine_agree(self):
        self.assertNotIn(None, self.numbers.values(), "carom.h: a comment does not begin with the default")
        engine = of_engine()
        self.assertEqual(self.numbers, {name: usual for name, (kind, _, usual) in engine.items() if kind == NUMBER},
                         "include/carom.h and src/service/options.c")
        self.assertEqual([name for name, (kind, _) in self.options.items() if kind == "bool"],
                         [name for name, (kind, _, _) in engine.items() if kind == FLAG])
        self.assertEqual(list(engine), [name for name in self.options if name in engine], "the order of carom_options")

    def test_each_is_set_by_its_name_from_another_language(self):
        carom, said = library(), []
        size = carom.carom_options_size()
        options = (ctypes.c_char * size)()
        note = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p)(lambda _, level, line: said.append(line.decode()))
        pointer = ctypes.sizeof(ctypes.c_void_p)
        options[:pointer] = size.to_bytes(pointer, "little")
        options[3 * pointer:4 * pointer] = ctypes.cast(note, ctypes.c_void_p).value.to_bytes(pointer, "little")
        for name, (kind, unit, _) in of_engine().items():
            good = {FLAG: "true", TEXT: "epoll", NUMBER: {"ms": "2 s", "bytes": "4 KiB", "": "7"}[unit]}[kind]
            self.assertEqual(0, carom.carom_options_set(options, name.encode(), good.encode()), said)
            self.assertEqual(-3, carom.carom_options_set(options, name.encode(), b"no value at all"))
            self.assertIn(name, said.pop())
        self.assertEqual(-12, carom.carom_options_set(options, b"keep_alife", b"1"))
        self.assertEqual(["options: there is no keep_alife; docs/c/options.md and carom_option_at say which there are"], said)

    def test_the_document_has_each_with_its_default(self):
        table = of_document()
        self.assertEqual([], [name for name in self.options if name not in table], "docs/c/options.md lacks")
        self.assertEqual(self.numbers, {name: table[name] for name in self.numbers}, "carom.h and docs/c/options.md")

    def test_the_operator_is_told_the_same(self):
        rows = re.findall(r"\| `(\w+)` \| ([^|]+) \|", read("docs/operating.md"))
        told = {name: value(text) for name, text in rows if name in self.numbers}
        self.assertGreater(len(told), 10)
        self.assertEqual({name: self.numbers[name] for name in told}, told, "carom.h and docs/operating.md")

    def test_the_addon_takes_each(self):
        wanted = {camel(name): (name, KINDS[kind]) for name, (kind, _) in self.options.items() if name not in OF_C_ONLY}
        self.assertEqual(wanted, of_addon(), "include/carom.h and SETTING in bindings/node/settings.c")

    def test_javascript_takes_each(self):
        limits, switches = of_javascript()
        addon = {name: kind for name, (_, kind) in of_addon().items() if name not in OTHERWISE}
        self.assertEqual(set(addon) | OF_THE_RING, limits, "bindings/node/settings.c and LIMITS of js/src/engine/options.js")
        self.assertEqual({name for name, kind in addon.items() if kind == "BOOL"}, switches, "SWITCHES of js/src/engine/options.js")

    def test_types_and_readme_have_each(self):
        types, page = of_types(), read("js/README.md")
        for name in OF_THE_RING:
            self.assertIn(name, types, "js/index.d.ts lacks it, or a comment above it")
            self.assertIn(f"`{name}`", page, f"js/README.md lacks {name}")
        for name, (option, _) in of_addon().items():
            name = OTHERWISE.get(name, name)
            self.assertIn(name, types, "js/index.d.ts lacks it, or a comment above it")
            if name not in NO_LIMIT:
                self.assertEqual(self.numbers.get(option, 0), types[name], f"the default of {name} in js/index.d.ts")
            if not name.startswith("h2"):  # "those that begin with h2"
                self.assertTrue(f"`{name}`" in page, f"js/README.md lacks {name}")


if __name__ == "__main__":
    unittest.main()
