"""Mixed load against the test server for some minutes: memory, descriptors and records must be flat.

    CAROM_BUILD=build soak.py [MINUTES]      (or MINUTES in the environment; 30)
"""

import os
import sys
import time

import harness

ROUNDS = (("keep", "mixed", 20000, {}), ("new", "hello", 10000, {}), ("pipeline", "hello", 40000, {}),
          ("keep", "echo", 5000, {"size": 40000}), ("abort", "mixed", 10000, {}),
          ("swing", "later", 20000, {"connections": 256}))


WORKERS = 2
FLOOR = 64  # options.pool_floor


def sample(server):
    """Once the connections of a round are gone and the pools are at their floors."""
    stats = server.wait_stats(
        lambda s: s["connections_open"] == 1 and
        s["records_in_flight"] + s["records_pooled"] <= WORKERS * FLOOR,
        "the load has gone")
    return {"requests": stats["requests"], "KiB": harness.resident_kib(server.pid),
            "engine": stats["memory"], "fds": len(os.listdir(f"/proc/{server.pid}/fd")),
            "records": stats["records_in_flight"] + stats["records_pooled"],
            "cancelled": stats["cancellations"]}


def main():
    minutes = float(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("MINUTES", "30"))
    server = harness.Server(workers=WORKERS)
    end = time.monotonic() + minutes * 60
    samples = []
    seed = 0
    print("{:>10} {:>8} {:>9} {:>5} {:>8} {:>10}".format("requests", "KiB", "engine", "fds", "records",
                                                       "cancelled"))
    try:
        while len(samples) < 3 or time.monotonic() < end:
            seed += 1
            for mode, kind, requests, options in ROUNDS:
                harness.load(server, mode, kind, harness.scaled(requests), seed=seed, **options)
            row = sample(server)
            samples.append(row)
            print("{requests:>10} {KiB:>8} {engine:>9} {fds:>5} {records:>8} {cancelled:>10}".format(**row),
                  flush=True)
        server.signal()
        final = server.ended()
    finally:
        server.kill()
    first, last = samples[1], samples[-1]
    wrong = [name for name, slack in (("KiB", 4096), ("engine", 4 << 20), ("fds", 1), ("records", 16))
             if last[name] > first[name] + slack]
    if sum(final["ended"].values()) != final["records_recycled"]:
        wrong.append("records recycled")
    print("flat" if not wrong else f"NOT FLAT: {', '.join(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
