"""Mixed load for some minutes against the engine under C and under JavaScript: memory, descriptors
and records must be flat.

    CAROM_BUILD=build soak.py [MINUTES]      (or MINUTES in the environment; 30)

With SOCKETS=1 the load is that of sockets.py alone, at least eight cycles of it, and no server of JavaScript is started again.

It prints a line for each server and cycle and, where matplotlib is there, draws them: soak.svg in the
build directory.
"""

import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "system"))
import harness  # noqa: E402
import sockets  # noqa: E402

# Of the load driver: mode, kind, requests, options.
ROUNDS = (("keep", "mixed", 12000, {}), ("new", "hello", 6000, {}), ("pipeline", "hello", 24000, {}),
          ("keep", "echo", 2000, {"size": 40000}), ("abort", "mixed", 6000, {}),
          ("swing", "later", 8000, {"connections": 256}))
# What is refused, and what is answered by an error.
BAD = (b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\nHost: t\r\n\r\n", b"GET /\r\n\r\n", b"\0\1\2\3\r\n\r\n",
       b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
       b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
       b"GET / HTTP/1.1\r\nHost: t\r\nX: " + b"x" * 40000 + b"\r\n\r\n", b"GET /nowhere HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
WORKERS = 2
FLOOR = 64  # options.pool_floor
WINDOW = 2.2  # seconds: within two of them the pools give back what nobody has used
SOCKETS = os.environ.get("SOCKETS") == "1"
CYCLES = 8 if SOCKETS else 3  # at least; fewer than eight are not judged


class InC:
    def __init__(self, backend):
        self.name, self.backend = f"C, {backend}", backend
        self.start()

    def start(self):
        self.server = harness.Server(workers=WORKERS, backend=self.backend)
        assert harness.has_uring(self.server.pid) == (self.backend == "uring")
        self.address, self.pid = self.server.addresses[0], self.server.pid

    def stats(self):
        return {**self.server.stats(), "heap": 0}

    def restart(self):
        """Drain with requests in flight; they are answered. Then another process."""
        clients = [self.server.connect() for _ in range(20)]
        for client in clients:
            client.send(b"GET /later?ms=100 HTTP/1.1\r\nHost: t\r\n\r\n")
        self.server.wait_stats(lambda s: s["records_in_flight"] > 20, "twenty requests in flight")
        self.server.signal()
        for client in clients:
            assert client.answer().body == b"later\n"
            client.close()
        final = self.stop()
        assert sum(final["ended"].values()) == final["records_recycled"], final
        self.start()

    def stop(self):
        self.server.signal()
        return self.server.ended()


class InJavaScript:
    def __init__(self, io, backend):
        self.name = f"JavaScript, {io}, {backend}"
        self.process = subprocess.Popen(
            ["node", "--expose-gc", os.path.join(HERE, "app.mjs"), io, backend], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "CAROM_NODE": os.path.abspath(os.path.join(harness.BUILD, "carom.node"))})
        self.pid = self.process.pid
        self.address = harness.read_line(self.process.stdout, "app.mjs")

    def ask(self, target):
        with harness.Client(self.address) as client:
            client.send(f"GET {target} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".encode())
            return client.answer().body

    def stats(self):
        return json.loads(self.ask("/stats"))

    def restart(self):
        """Another server in the same process takes the port while this one drains."""
        assert self.ask("/restart") == b"again\n"

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(harness.DEADLINE) == 0


def send_bad(address):
    for data in BAD * 20:
        with harness.Client(address) as client:
            client.send(data)
            assert client.head().status >= 400


def settled(subject, stats):
    """Once the pools of sockets give back nothing more: they have no floor."""
    while True:
        time.sleep(WINDOW)
        before, stats = stats, subject.stats()
        if stats["memory"] >= before["memory"]:
            return stats


def sample(subject):
    """Once the connections of a cycle are gone and the pools are at their floors."""
    end = time.monotonic() + harness.DEADLINE
    while True:
        stats = subject.stats()
        records = stats["records_in_flight"] + stats["records_pooled"]
        if stats["connections_open"] == 1 and stats["websockets_open"] == 0 and records <= WORKERS * FLOOR:
            break
        assert time.monotonic() < end, f"the load has not gone: {stats}"
        time.sleep(0.02)
    if SOCKETS:
        stats = settled(subject, stats)
    return {"KiB": harness.resident_kib(subject.pid), "engine KiB": stats["memory"] // 1024,
            "heap KiB": stats["heap"] // 1024, "fds": len(os.listdir(f"/proc/{subject.pid}/fd")), "records": records,
            "requests": stats["requests"], "cancelled": stats["cancellations"], "messages": stats["websocket_messages_sent"]}


def load_requests(subject, seed):
    for mode, kind, requests, options in ROUNDS:
        harness.load(subject, mode, kind, harness.scaled(requests), seed=seed, address=subject.address, **options)
    send_bad(subject.address)


def cycle(subject, seed):
    if not SOCKETS:
        load_requests(subject, seed)
    sockets.load(int(subject.address.rsplit(":", 1)[1]), seed)
    return sample(subject)


def grown(samples):
    """What is higher in the last quarter than it was in the second, beyond what is noise. The first
    is for warming up."""
    if len(samples) < 8:
        return []
    quarter = len(samples) // 4
    second, last = samples[quarter:2 * quarter], samples[-quarter:]
    # In one process of Node long copies are kept for the next ones, 16 MiB at most, and V8 keeps pages.
    slack = {"KiB": 24576 if SOCKETS else 8192, "engine KiB": 1024, "heap KiB": 2048, "fds": 1, "records": 16}
    least = {name: (min(row[name] for row in second), min(row[name] for row in last)) for name in slack}
    return [f"{name} {before} -> {after}" for name, (before, after) in least.items() if after > before + slack[name]]


def draw(file, samples):
    try:
        import matplotlib
        matplotlib.use("svg")
        from matplotlib import pyplot
    except ImportError:
        return
    pyplot.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "carom"})
    height = len(samples) // 3  # a row for each backend
    figure, all_axes = pyplot.subplots(height, 3, figsize=(12, 3.4 * height), squeeze=False)
    for axes, (name, rows) in zip(all_axes.flat, samples.items()):
        minutes = [row["minutes"] for row in rows]
        for key, label, colour in (("KiB", "resident", "#1d4ed8"), ("heap KiB", "heap", "#b45309"),
                                   ("engine KiB", "engine", "#047857")):
            if any(row[key] for row in rows):
                axes.plot(minutes, [row[key] / 1024 for row in rows], label=label, color=colour)
        axes.set(title=f"{name}: {sum(row['served'] for row in rows):,} requests", xlabel="minutes", ylabel="MiB")
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", color="#e2e8f0")
        axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None, "Creator": None})
    print(f"drawn: {file}")


def main():
    minutes = float(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("MINUTES", "30"))
    begin = time.monotonic()
    backends = ["epoll"] if harness.why_refused() else ["epoll", "uring"]
    subjects = [kind(*how, backend) for backend in backends
                for kind, how in ((InC, ()), (InJavaScript, ("inline",)), (InJavaScript, ("thread",)))]
    samples = {subject.name: [] for subject in subjects}
    seed, half = 0, False
    while min(map(len, samples.values())) < CYCLES or time.monotonic() < begin + minutes * 60:
        seed += 1
        half_now = not half and time.monotonic() > begin + minutes * 30
        for subject in subjects:
            before = subject.stats()
            row = cycle(subject, seed)
            row["served"], row["minutes"] = row["requests"] - before["requests"], (time.monotonic() - begin) / 60
            row["messages"] -= before["websocket_messages_sent"]
            samples[subject.name].append(row)
            print(f"{row['minutes']:7.2f} min  {subject.name:25}" + "".join(
                f"  {name} {row[name]}" for name in ("served", "messages", "KiB", "engine KiB", "heap KiB", "fds", "records", "cancelled")), flush=True)
            if half_now or not (SOCKETS or isinstance(subject, InC)):  # a new process begins from nothing: once is enough
                subject.restart()
        half = half or half_now
    for subject in subjects:
        subject.stop()
    draw(os.path.join(harness.BUILD, "soak.svg"), samples)
    wrong = {name: found for name, rows in samples.items() if (found := grown(rows))}
    print("flat" if not wrong else f"NOT FLAT: {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
