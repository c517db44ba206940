"""Tables from the figures of a run: for the terminal, and in Markdown for docs/benchmarks.md."""
import statistics

BEGIN, END = "<!-- bench/run --markdown: begin -->", "<!-- bench/run --markdown: end -->"
NAMES = {"floor": "floor", "hello": "Carom (`hello`)", "uring": "Carom, io_uring", "nginx": "nginx", "h2o": "h2o",
         "microhttpd": "libmicrohttpd", "evhttp": "libevent evhttp"}
RED, BACK = "\033[31m", "\033[0m"
FOREIGN = 0.05  # more than this share of the server's core for others disturbs a measurement


def figures(results, *path):
    """What lies at `path`, in each round."""
    values = []
    for part in results["rounds"]:
        for key in path:
            part = part[key]
        values.append(part)
    return values


def median(results, *path):
    """The median over the rounds of what lies at `path`."""
    return statistics.median(figures(results, *path))


def ratios(results, load, server, figure="cpu_us", base="floor"):
    """A server's figure over the base's, round by round: (median, least, greatest)."""
    loads = [part["loads"][load] for part in results["rounds"]]
    values = [part[server][figure] / part[base][figure] for part in loads]
    return statistics.median(values), min(values), max(values)


def disturbed(rounds):
    """How many measurements lost more than FOREIGN of the server's core to others, and of how many."""
    shares = [m["foreign"] for part in rounds
              for group in (*part["loads"].values(), *part["bulk"].values()) for m in group.values()]
    return sum(share > FOREIGN for share in shares), len(shares)


def throughput(results, load):
    rows = []
    for server in results["rounds"][0]["loads"][load]:
        middle, least, greatest = ratios(results, load, server)
        at = ("loads", load, server)
        rows.append([NAMES[server], f"{median(results, *at, 'per_second'):,.0f}",
                     f"{median(results, *at, 'cpu_us'):.2f}", f"{middle:.2f}",
                     "" if server == "floor" else f"{least:.2f} to {greatest:.2f}",
                     f"{100 * median(results, *at, 'user_share'):.0f} %",
                     f"{100 * median(results, *at, 'busy'):.0f} %"])
    return ["", "requests/s", "CPU µs/request", "× floor", "of the rounds", "in user space", "core busy"], in_order(rows)


def latency(results, load):
    rows = [[NAMES[server], *(f"{median(results, 'loads', load, server, p):,.0f}"
                              for p in ("p50", "p90", "p99", "p999"))]
            for server in results["rounds"][0]["loads"][load]]
    return ["", "50 %", "90 %", "99 %", "99.9 %"], in_order(rows)


def memory(results):
    rows = [[NAMES[server], *(f"{median(results, 'memory', server, kind) / 2**20:.1f}" for kind in ("rss", "pss")),
             str(results["response_bytes"][server])] for server in results["rounds"][0]["memory"]]
    return ["", "RSS, MiB", "PSS, MiB", "bytes of a response"], in_order(rows)


def bulk(results):
    rows = []
    for way, servers in results["rounds"][0]["bulk"].items():
        for server in servers:
            at = ("bulk", way, server)
            ours = {"carom": "Carom (`large`)", "carom file": "Carom (`large`), from a file"}
            rows.append([f"{way}: {ours.get(server, server)}",
                         f"{median(results, *at, 'gb_per_second'):.2f}",
                         f"{median(results, *at, 'cpu_ms_per_gb'):.0f}",
                         f"{100 * median(results, *at, 'busy'):.0f} %"])
    return ["", "GB/s", "CPU ms/GB", "core busy"], rows


def in_order(rows):
    return sorted(rows, key=lambda row: list(NAMES.values()).index(row[0]))


def sections(results):
    """(title, table) of everything that is told."""
    yield "64 connections, keep-alive", throughput(results, "keepalive")
    yield "512 connections, keep-alive", throughput(results, "many")
    yield "64 connections, 16 requests pipelined", throughput(results, "pipelined")
    yield "A connection for each request, 64 at once", throughput(results, "fresh")
    yield "Time to the response in µs, 1 connection", latency(results, "single")
    yield "Time to the response in µs, 64 connections, keep-alive", latency(results, "keepalive")
    yield "Memory after these loads", memory(results)
    yield f"1 MiB contents, {results['bulk_connections']} connections", bulk(results)


def conditions(results):
    m = results["machine"]
    seconds = results["loads"]["keepalive"][2]
    count, total = disturbed(results["rounds"])
    return (f"Measured {results['date']}: {len(results['rounds'])} rounds of {seconds} s"
            f"{' (QUICK)' if results['quick'] else ''}, {m['cpu']}, {m['cores']} cores, Linux {m['linux']}, "
            f"Carom {m['carom']}, nginx {m['nginx']}, wrk {m['wrk']}. Medians. "
            f"Others took over {100 * FOREIGN:.0f} % of the server's core in {count} of {total} measurements; "
            f"{results['thrown_away']} rounds were measured again because of that.")


def plain(table):
    head, rows = table
    rows = [[cell.replace("`", "") for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))])
                     for row in rows)


def beaten(results):
    """In words: where a peer takes less of the processor than Carom."""
    for load in results["loads"]:
        ours = median(results, "loads", load, "hello", "cpu_us")
        for peer in results["rounds"][0]["loads"][load]:
            theirs = median(results, "loads", load, peer, "cpu_us")
            if peer not in ("floor", "hello", "uring") and theirs < ours:
                yield f"{NAMES[peer]} takes less than Carom under the load {load}: {theirs:.2f} against {ours:.2f} µs"


def text(results):
    parts = [f"{title}\n{plain(table)}\n" for title, table in sections(results)]
    parts.append(conditions(results))
    if disturbed(results["rounds"])[0]:
        parts.append("Others were at work on the server's core: measure again on a quiet machine.")
    parts += [f"{RED}{line}{BACK}" for line in beaten(results)]
    return "\n".join(parts)


PICTURES = {"benchmarks-cpu.svg": "Server's CPU time per request, keep-alive and pipelined",
            "benchmarks-large.svg": "1 MiB responses and uploads in GB/s"}


def markdown(results, folder):
    parts = [conditions(results)]
    parts += [f"![{words}]({name})" for name, words in PICTURES.items() if (folder / name).exists()]
    for title, (head, rows) in sections(results):
        lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
        parts.append(f"### {title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines))
    parts += [f"**{line}.**" for line in beaten(results)]
    return "\n\n".join(parts)


def into_document(results, file):
    """Replace what stands between the marks in a Markdown file."""
    before, _, rest = file.read_text().partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"bench/run: {file} has no lines {BEGIN} and {END}")
    file.write_text(f"{before}{BEGIN}\n\n{markdown(results, file.parent)}\n\n{END}{after}")
