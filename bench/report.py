"""Tables from the figures of a run: for the terminal, and in Markdown for docs/internals/benchmarks.md."""
import statistics

from scenarios import GOALS, LOADS, SERVERS

BEGIN, END = "<!-- bench/run --markdown: begin -->", "<!-- bench/run --markdown: end -->"
RED, BACK = "\033[31m", "\033[0m"
LATER_GOAL = 1.15
FOREIGN = 0.05  # more than this share of the server's core for others disturbs a measurement


def figures(results, *path):
    """What lies at `path`, in each round where there was a measurement."""
    values = []
    for part in results["rounds"]:
        for key in path:
            part = part.get(key, {})
        if not isinstance(part, dict):
            values.append(part)
    return values


def median(results, *path):
    """The median over the rounds of what lies at `path`; None without any."""
    values = figures(results, *path)
    return statistics.median(values) if values else None


def base_of(load):
    """With whom the others are compared: the first in the list."""
    return LOADS[load].servers[0]


def ratios(results, load, server, base=None):
    """A server's CPU per request over the base's, round by round: (median, least, greatest), or None."""
    loads = [part["loads"][load] for part in results["rounds"]]
    pairs = [(part.get(server, {}), part.get(base or base_of(load), {})) for part in loads]
    values = [a["cpu_us"] / b["cpu_us"] for a, b in pairs if "cpu_us" in a and b.get("cpu_us")]
    return (statistics.median(values), min(values), max(values)) if values else None


def disturbed(rounds):
    """How many measurements lost more than FOREIGN of the server's core to others, and of how many."""
    shares = [m["foreign"] for part in rounds for group in (*part["loads"].values(), *part["bulk"].values())
              for m in group.values() if "foreign" in m]
    return sum(share > FOREIGN for share in shares), len(shares)


def number(value, form):
    return "" if value is None else format(value, form)


def percent(value):
    return "" if value is None else f"{100 * value:.0f} %"


def row(results, load, server):
    at = ("loads", load, server)
    kind = SERVERS[server]
    if median(results, *at, "cpu_us") is None:
        why = next((part["loads"][load][server]["failed"] for part in results["rounds"]
                    if "failed" in part["loads"][load].get(server, {})), "not measured")
        return [kind.label, why] + [""] * 7
    ratio = ratios(results, load, server)
    cpu, peak = figures(results, *at, "cpu_us"), median(results, *at, "peak")
    times = [median(results, *at, name) for name in ("p50", "p99", "p999")]
    return [kind.label, number(median(results, *at, "per_second"), ",.0f"), f"{statistics.median(cpu):.2f} ({min(cpu):.2f} to {max(cpu):.2f})",
            number(median(results, *at, "main_us") if kind.javascript else None, ".2f"),
            f"{ratio[0]:.2f} ({ratio[1]:.2f} to {ratio[2]:.2f})" if ratio else "", percent(median(results, *at, "user_share")),
            percent(median(results, *at, "busy")), " / ".join(f"{t:,.0f}" for t in times if t is not None),
            number(peak and peak / 2**20, ".0f")]


def plural(unit):
    return unit[:-1] + "ies" if unit.endswith("y") else unit + "s"


def idle_table(results, load):
    rows = []
    for server in LOADS[load].servers:
        values = figures(results, "loads", load, server, "bytes")
        why = next(iter(figures(results, "loads", load, server, "failed")), "not measured")
        rows.append([SERVERS[server].label, f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})" if values else why])
    return ["", "bytes (rounds)"], rows


def table(results, load):
    if LOADS[load].tool == "idle":
        return idle_table(results, load)
    unit = LOADS[load].unit
    head = ["", f"{plural(unit)}/s", f"CPU µs/{unit} (rounds)", "on the JavaScript thread", f"× {SERVERS[base_of(load)].label} (rounds)",
            "in user space", "core busy", "50 / 99 / 99.9 %, µs", "peak MiB"]
    rows = [row(results, load, server) for server in LOADS[load].servers
            if any(server in part["loads"][load] for part in results["rounds"])]
    keep = [i for i in range(len(head)) if i < 2 or any(line[i] for line in rows)]
    return [head[i] for i in keep], [[line[i] for i in keep] for line in rows]


def memory(results):
    names = [name for name in SERVERS if median(results, "memory", name, "rss") is not None]
    return ["", "RSS, MiB", "PSS, MiB"], [
        [SERVERS[name].label, *(f"{median(results, 'memory', name, kind) / 2**20:.1f}" for kind in ("rss", "pss"))]
        for name in names]


def calls(results):
    return ["", "system calls for each request"], [
        [SERVERS[name].label, f"{count:.2f}"] for name, count in results["calls"].items() if count]


def bulk(results):
    rows = []
    for way, servers in results["rounds"][0]["bulk"].items():
        for server in servers:
            at = ("bulk", way, server)
            label = f"{way}: {server}"
            if median(results, *at, "gb_per_second") is None:
                rows.append([label, next(iter(figures(results, *at, "failed")), "not measured"), "", ""])
                continue
            rows.append([label, f"{median(results, *at, 'gb_per_second'):.2f}",
                         f"{median(results, *at, 'cpu_ms_per_gb'):.0f}", percent(median(results, *at, "busy"))])
    return ["", "GB/s", "CPU ms/GB", "core busy"], rows


def sections(results):
    """(title, table) of everything that is told."""
    for load in results["rounds"][0]["loads"]:
        yield LOADS[load].title, table(results, load)
    if results["rounds"][0]["bulk"]:
        yield f"1 MiB contents, {results['bulk_connections']} connections", bulk(results)
    if results["calls"]:
        yield "System calls, 64 connections", calls(results)
    yield "Memory after these loads", memory(results)


def conditions(results):
    m = results["machine"]
    count, total = disturbed(results["rounds"])
    return (f"Measured {results['date']}: {len(results['rounds'])} rounds of {results['seconds']} s"
            f"{' (QUICK)' if results['quick'] else ''}, {m['cpu']}, {m['cores']} cores, Linux {m['linux']}, "
            f"{', '.join(f'{name} {version}' for name, version in m['versions'].items())}. Medians. "
            f"Others took over {100 * FOREIGN:.0f} % of the server's core in {count} of {total} measurements.")


def price_of_waiting(results):
    """What an answer after 1 ms costs, against one at once at as many connections; None when one was not measured."""
    later, now = (median(results, "loads", load, "app", "cpu_us") for load in ("later", "now"))
    return later and now and (f"In C an answer after 1 ms takes {later / now:.2f} x the CPU time of one at once, "
                              f"with 1,000 connections; the goal is at most {LATER_GOAL} x.")


def plain(table_):
    head, rows = table_
    rows = [[cell.replace("`", "") for cell in line] for line in [head, *rows]]
    widths = [max(len(line[i]) for line in rows) for i in range(len(head))]
    return "\n".join("  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:]))])
                     for line in rows)


def best(results, load, javascript):
    """Carom's row with the least CPU per request: (µs, server); None when it has no row."""
    rows = [(median(results, "loads", load, name, "cpu_us"), name) for name in LOADS[load].servers
            if SERVERS[name].ours and SERVERS[name].javascript == javascript]
    return min((r for r in rows if r[0] is not None), default=None)


def beaten(results):
    """In words: where a peer takes less of the processor than the best row of Carom in its language, in each round: a
    difference that some rounds do not show is none."""
    for load in results["rounds"][0]["loads"]:
        for name in LOADS[load].servers:
            kind = SERVERS[name]
            ours = best(results, load, kind.javascript)
            ratio = ours and ratios(results, load, name, ours[1])
            if not kind.ours and "floor" not in name and ratio and ratio[2] < 1:
                yield (f"{LOADS[load].title}: {kind.label} takes {ratio[0]:.2f} ({ratio[1]:.2f} to {ratio[2]:.2f}) x the CPU of "
                       f"{SERVERS[ours[1]].label}")


def judge(ends, goal):
    """(missed, in a word) for the least and the greatest of the rounds."""
    missed = ends[0] > goal.most
    return missed, "missed" if missed else "reached" if ends[1] <= goal.most else "reached in some rounds, missed in others"


def bytes_goal(results, goal):
    values = figures(results, "loads", goal.load, goal.server, "bytes")
    if values:
        missed, verdict = judge((min(values), max(values)), goal)
        yield (f"{LOADS[goal.load].title}: {SERVERS[goal.server].label} takes {statistics.median(values):,.0f} ({min(values):,.0f} to "
               f"{max(values):,.0f}); the goal is {goal.most:,.0f}: {verdict}", missed)


def goals(results):
    """(in words, missed) of each goal whose servers were measured. It is missed when every round is above it, and reached when
    none is; between these nothing is decided."""
    for goal in GOALS:
        if goal.load not in results["rounds"][0]["loads"]:
            continue
        if not goal.base:
            yield from bytes_goal(results, goal)
            continue
        ratio = ratios(results, goal.load, goal.server, goal.base)
        if not ratio:
            continue
        missed, verdict = judge(ratio[1:], goal)
        yield (f"{LOADS[goal.load].title}: {SERVERS[goal.server].label} takes {ratio[0]:.2f} ({ratio[1]:.2f} to {ratio[2]:.2f}) x the CPU of "
               f"{SERVERS[goal.base].label}; the goal is {goal.most:.2f}: {verdict}", missed)


def line(result):
    """A round in short."""
    parts = []
    for load, rows in result["loads"].items():
        base = rows.get(base_of(load), {}).get("cpu_us")
        ours = next((rows[name]["cpu_us"] for name in rows if SERVERS[name].ours and "cpu_us" in rows[name]), None)
        if ours and base and ours != base:
            parts.append(f"{load} {ours / base:.2f}")
    return ", ".join(parts)


def text(results):
    parts = [f"{title}\n{plain(table_)}\n" for title, table_ in sections(results)]
    parts += filter(None, [conditions(results), price_of_waiting(results)])
    if disturbed(results["rounds"])[0]:
        parts.append("Others were at work on the server's core: measure again on a quiet machine.")
    parts += [f"{RED}{line_}{BACK}" if missed else line_ for line_, missed in goals(results)]
    parts += [f"{RED}{line_}{BACK}" for line_ in beaten(results)]
    return "\n".join(parts)


PICTURES = {"benchmarks/cpu.svg": "Server's CPU time per request in C, keep-alive and pipelined",
            "benchmarks/js.svg": "Server's CPU time per request in JavaScript",
            "benchmarks/tls.svg": "Server's CPU time per request over TLS and HTTP/2",
            "benchmarks/connections.svg": "CPU time per request, and memory, against connections",
            "benchmarks/pool.svg": "Records held and allocated over a burst",
            "benchmarks/large.svg": "1 MiB responses and uploads in GB/s"}


def markdown(results, folder):
    parts = [conditions(results)]
    parts += [f"![{words}]({name})" for name, words in PICTURES.items() if (folder / name).exists()]
    parts += filter(None, [price_of_waiting(results)])
    met = list(goals(results))
    if met:
        parts.append("Goals:\n\n" + "\n".join(f"- **{line_}**" if missed else f"- {line_}" for line_, missed in met))
    lost = list(beaten(results))
    if lost:
        parts.append("**Where a peer takes less than Carom:**\n\n" + "\n".join(f"- **{line_}**" for line_ in lost))
    for title, (head, rows) in sections(results):
        lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
        parts.append(f"### {title}\n\n" + "\n".join("| " + " | ".join(line_) + " |" for line_ in lines))
    return "\n\n".join(parts)


def into_document(results, file):
    """Replace what stands between the marks in a Markdown file."""
    before, _, rest = file.read_text().partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"bench/run: {file} has no lines {BEGIN} and {END}")
    file.write_text(f"{before}{BEGIN}\n\n{markdown(results, file.parent)}\n\n{END}{after}")
