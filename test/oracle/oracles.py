"""Compare what Carom, Node and nginx read from the same bytes.

    python3 test/oracle/oracles.py --cases 4000           about what the test suite does
    python3 test/oracle/oracles.py --seconds 600 --long   also: which known classes were never seen
    python3 test/oracle/oracles.py --case 17 --seed 5     one case, and every view of it

The seed (--seed or CAROM_SEED) gives the same cases again. A difference whose class is not in
differences.md fails, with the bytes and the views; of each class the shortest case is shown."""

import argparse
import collections
import os
import re
import sys
import time
from pathlib import Path

import compare
import generate
import rules
import servers

BATCH = 32
LIST = Path(__file__).with_name("differences.md")


def known():
    """The classes of differences.md: rows of | `class` | who | ... |. "node 18" is who only where that version runs."""
    rows = re.findall(r"^\| `([^`]+)` \| ([a-z0-9, ]+) \|", LIST.read_text(), re.M)
    classes = {f"{who.split()[0]} {name}" for name, all_who in rows for who in all_who.split(", ")
               if " " not in who or who == f"node {servers.node_version()}"}
    if any(name.startswith(compare.DANGER) for name in classes):
        raise SystemExit(f"{LIST.name}: a difference in boundaries cannot be listed")
    return classes


def classes_of(reading, views):
    carom = views["carom"]
    wrong = compare.against_rules(reading, carom)
    if wrong:  # the classes of the rest go by the rules
        return [wrong]
    found = [compare.difference("node", reading, carom, views["node"]),
             compare.difference("nginx", reading, carom, views["nginx"]),
             compare.chain_differs(views["nginx"], views["chain"])]
    return [name for name in found if name]


def short(text):
    return text if len(text) < 600 else f"{text[:500]} ... {text[-60:]}"


def show(number, pieces, views):
    reading = rules.read(b"".join(pieces))
    print(f"  case {number}, in {len(pieces)} pieces:")
    for line in b"".join(pieces).splitlines(keepends=True):
        print(f"    {short(repr(line))}")
    print(f"  rules   {'refuse: ' + reading.rule if reading.rule else 'accept'}")
    for name in servers.NAMES:
        view = views[name]
        print(f"  {name:7} {len(view.requests)} requests, then {view.refused or 'the end'}")
        for request in view.requests:
            print(f"          {short(repr(tuple(request)))}")


class Run:
    """A run over many cases: what was found, and the shortest case of each class."""

    def __init__(self, seed):
        self.seed = seed
        self.cases = self.requests = self.refused = 0
        self.classes = collections.Counter()
        self.shortest = {}

    def batch(self, asked):
        numbers = range(self.cases, self.cases + BATCH)
        cases = [generate.case(self.seed, number) for number in numbers]
        for number, pieces, views in zip(numbers, cases, asked.ask(cases)):
            data = b"".join(pieces)
            self.cases += 1
            self.requests += len(views["carom"].requests)
            self.refused += views["carom"].refused != 0
            for name in classes_of(rules.read(data), views):
                self.classes[name] += 1
                if name not in self.shortest or len(data) < len(b"".join(self.shortest[name][1])):
                    self.shortest[name] = (number, pieces, views)

    def go(self, cases, seconds):
        """So many cases, or as many as there is time for."""
        begin = time.monotonic()
        asked = servers.Servers()
        try:
            while self.cases < cases and time.monotonic() < begin + seconds:
                self.batch(asked)
            answered, forwarded = asked.answered_behind(), asked.forwarded
        finally:
            asked.stop()
        if answered != forwarded:  # one that nginx did not forward, or whose answer it did not want
            self.classes[f"{compare.DANGER}: Carom behind nginx answered {answered}, "
                         f"and {forwarded} answers came"] += 1
        return time.monotonic() - begin

    def unknown(self):
        return sorted(set(self.classes) - known())

    def report(self, seconds):
        print(f"seed {self.seed}: {self.cases} cases in {seconds:.0f} s; Carom took {self.requests} requests and "
              f"refused {self.refused}; {len(self.classes)} classes of differences")

    def show_unknown(self):
        for name in self.unknown():
            print(f"\nNOT LISTED: {name} ({self.classes[name]} times)")
            if name in self.shortest:
                show(*self.shortest[name])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", default=os.environ.get("CAROM_SEED") or str(time.time_ns() % 10**9))
    parser.add_argument("--cases", type=int, default=sys.maxsize)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--case", type=int)
    parser.add_argument("--long", action="store_true")
    options = parser.parse_args()
    if servers.missing():
        raise SystemExit(f"the oracles need {' and '.join(servers.missing())}: run script/bootstrap test")
    if options.case is not None:
        asked = servers.Servers()
        try:
            pieces = generate.case(options.seed, options.case)
            views = asked.ask([pieces])[0]
        finally:
            asked.stop()
        show(options.case, pieces, views)
        print("  " + "; ".join(classes_of(rules.read(b"".join(pieces)), views)))
        return 0
    run = Run(options.seed)
    run.report(run.go(options.cases, options.seconds))
    if options.long:
        for name, count in run.classes.most_common():
            print(f"{count:8} {name}")
        for name in sorted(known() - set(run.classes)):
            print(f"never seen: {name}")
    run.show_unknown()
    return 1 if run.unknown() else 0


if __name__ == "__main__":
    sys.exit(main())
