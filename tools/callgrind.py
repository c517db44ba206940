"""Reads what valgrind's callgrind has counted."""

import re


def by_object(path):
    """The instructions of each object file's own code. In a profile `ob=` says whose the lines of cost are that
    follow, but for the one behind `calls=`, which is what was called. What was inlined counts where it runs:
    callgrind_annotate names no object for it."""
    names, sums, current, called = {}, {}, None, False
    with open(path, encoding="utf-8", errors="replace") as profile:
        for line in profile:
            if found := re.match(r"(c?ob)=\((\d+)\)(?: (.*))?$", line):
                if found[3]:
                    names[found[2]] = found[3]
                if found[1] == "ob":
                    current = found[2]
            elif line.startswith("calls="):
                called = True
            elif re.match(r"[\d+*-]", line):
                if not called:
                    sums[current] = sums.get(current, 0) + int(line.split()[1])
                called = False
    return {names[number]: cost for number, cost in sums.items()}
