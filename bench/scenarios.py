"""What is measured: the servers, and the loads that each of them is put under. One line, one row."""
import os
from dataclasses import dataclass
from pathlib import Path

from servers import POSTGRES, Database, H2o, Nginx, Server

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = ROOT / os.environ.get("BUILD", "build")
BIN = ROOT / "js/node_modules/.bin"
NODE, BUN, DENO = ["node"], [BIN / "bun"], [BIN / "deno", "run", "--quiet", "--no-check", "--allow-all"]


def native(*command):
    """A program of ours, which says where it listens."""
    return lambda core, tls: Server([BUILD / command[0], 0, *command[1:], *tls_options(tls)], core)


def tls_options(tls):
    return ["--tls", tls.certificate, tls.key] if tls else []


def asks_postgres(program):
    return lambda core, tls: Database(BUILD / program, core)


def script(runtime, file, *words):
    """A server in JavaScript, which is told where to listen."""
    return lambda core, tls: Server([*runtime, HERE / "js" / file, "PORT", *words], core, choose_port=True, tls=tls)


@dataclass
class Kind:
    start: object      # (core, tls): the server, running
    label: str
    needs: object      # what must be there: a path, or a command
    ours: bool = False
    javascript: bool = False
    quick: bool = False  # in QUICK runs, too
    written: bool = False  # as people write it: the first example of a README


def written(runtime, *words):
    """The first example of js/README.md, with Carom's Response, `globals`, or the `runtime`'s."""
    return script(runtime, "written.mjs", *words)


def command_line(runtime):
    """The same under `carom serve`."""
    return lambda core, tls: Server([*runtime, ROOT / "js/bin/carom.mjs", "serve", HERE / "js/written-app.mjs", "--hostname", "127.0.0.1",
                                     "--port", "PORT"], core, choose_port=True)


SERVERS = {
    "floor": Kind(native("bench/floor"), "floor, epoll", BUILD / "bench/floor", quick=True),
    "floor-uring": Kind(native("bench/floor_uring"), "floor, io_uring", BUILD / "bench/floor_uring"),
    "hello": Kind(native("examples/hello"), "Carom", BUILD / "examples/hello", ours=True, quick=True),
    "uring": Kind(native("examples/hello", "--backend", "uring"), "Carom, io_uring", BUILD / "examples/hello",
                  ours=True, quick=True),
    "app": Kind(native("bench/app"), "Carom", BUILD / "bench/app", ours=True, quick=True),
    "database": Kind(asks_postgres("examples/database"), "Carom, libpq on the worker", POSTGRES, ours=True),
    "database-threads": Kind(asks_postgres("bench/database_threads"), "Carom, handed to threads", POSTGRES, ours=True),
    "nginx": Kind(Nginx, "nginx", "nginx", quick=True),
    "nginx-h2c": Kind(lambda core, tls: Nginx(core, http2=True), "nginx", "nginx"),
    "h2o": Kind(H2o, "h2o", "h2o"),
    "microhttpd": Kind(native("bench/peers/microhttpd"), "libmicrohttpd", BUILD / "bench/peers/microhttpd"),
    "evhttp": Kind(native("bench/peers/evhttp"), "libevent evhttp", BUILD / "bench/peers/evhttp"),
    "hyper": Kind(native("hyper/release/hyper-peer"), "hyper", BUILD / "hyper/release/hyper-peer"),
    "inline": Kind(script(NODE, "carom.mjs", "inline"), "Carom inline, Node", "node", True, True, True),
    "thread": Kind(script(NODE, "carom.mjs", "thread"), "Carom threads, Node", "node", True, True),
    "bun-thread": Kind(script(BUN, "carom.mjs", "thread"), "Carom threads, Bun", BIN / "bun", True, True),
    "deno-thread": Kind(script(DENO, "carom.mjs", "thread"), "Carom threads, Deno", BIN / "deno", True, True),
    "portable": Kind(script(["env", "CAROM_ENGINE=portable", *NODE], "carom.mjs", "thread"), "Carom, portable engine, Node", "node", True),
    "uws": Kind(script(NODE, "uws.mjs"), "uWebSockets.js", BIN, javascript=True, quick=True),
    "bun": Kind(script(BUN, "bun.mjs"), "Bun.serve", BIN / "bun", javascript=True),
    "deno": Kind(script(DENO, "deno.mjs"), "Deno.serve", BIN / "deno", javascript=True),
    "hono": Kind(script(NODE, "hono.mjs"), "@hono/node-server", BIN, javascript=True),
    "fastify": Kind(script(NODE, "fastify.mjs"), "fastify", BIN, javascript=True),
    "node": Kind(script(NODE, "node.mjs"), "node:http", "node", javascript=True, quick=True),
}
WRITTEN = []
OTHER_NODES = [(name, os.environ.get(variable, command)) for name, variable, command in (
    ("Node 22", "NODE22", "node22"), ("Node 24", "NODE24", "node24"))]
for runtime, name, needs in ((NODE, "Node", "node"), *(([command], name, command) for name, command in OTHER_NODES),
                             (BUN, "Bun", BIN / "bun"), (DENO, "Deno", BIN / "deno")):
    for way, start, label in (("ours", written(runtime, "ours"), "Carom's Response"),
                              ("globals", written(runtime, "globals"), "carom/globals"),
                              ("serve", command_line(runtime), "carom serve"),
                              ("runtime", written(runtime, "runtime"), f"{name}'s Response")):
        WRITTEN.append(f"{name.lower().replace(' ', '')}-{way}")
        SERVERS[WRITTEN[-1]] = Kind(start, f"{label}, {name}", needs, True, True, name == "Node", True)

# WebSockets: each server, also with messages compressed each by itself ("shared"), and after what came before ("own").
COMPRESSIONS = ("plain", "shared", "own")


def over_websocket(name, compression):
    return name if compression == "plain" else f"{name}-{compression}"


COLLECTING_NODE, COLLECTING_DENO = [*NODE, "--expose-gc"], [*DENO, "--v8-flags=--expose-gc"]
SERVERS["ws-floor"] = Kind(native("bench/ws_floor"), "floor, epoll", BUILD / "bench/ws_floor", quick=True)
for compression in COMPRESSIONS:
    words = [] if compression == "plain" else ["--deflate", compression]
    SERVERS[over_websocket("ws-c", compression)] = Kind(
        native("examples/websocket", *words), "Carom", BUILD / "examples/websocket", ours=True, quick=True)
    for name, start, label, needs, ours in (
            ("ws-handlers", script(COLLECTING_NODE, "ws-carom.mjs", compression), "Carom, handlers, Node", "node", True),
            ("ws-object", script(COLLECTING_NODE, "ws-carom.mjs", compression, "object"), "Carom, WebSocket object, Node", "node", True),
            ("ws-uws", script(COLLECTING_NODE, "ws-uws.mjs", compression), "uWebSockets.js", BIN, False),
            ("ws-bun", script(BUN, "ws-bun.mjs", compression), "Bun.serve", BIN / "bun", False),
            ("ws-deno", script(COLLECTING_DENO, "ws-deno.mjs", compression), "Deno.upgradeWebSocket", BIN / "deno", False),
            ("ws-node", script(COLLECTING_NODE, "ws-node.mjs", compression), "ws on node:http", "node", False)):
        SERVERS[over_websocket(name, compression)] = Kind(start, label, needs, ours, javascript=True, quick=name == "ws-handlers")
WS_NAMES = ["ws-c", "ws-handlers", "ws-object", "ws-uws", "ws-bun", "ws-deno", "ws-node"]
OVER_WS, OVER_WS_SHARED, OVER_WS_OWN = (["ws-floor", *(over_websocket(name, compression) for name in WS_NAMES)]
                                        for compression in COMPRESSIONS)

IN_C = ["floor", "floor-uring", "hello", "uring", "nginx", "h2o", "microhttpd", "evhttp", "hyper"]
IN_JS = [name for name, kind in SERVERS.items() if kind.javascript and not kind.written and not name.startswith("ws-")]
SERVERS["inline-streams"] = Kind(script(NODE, "carom.mjs", "inline", "ours"), "Carom inline, its ReadableStream, Node", "node", True, True)
LARGE_OVER_TLS = ["app", "nginx", "h2o", "inline", "thread", "node", "bun", "deno"]
OVER_TLS = ["hello", "nginx", "h2o", "inline", "thread", "node", "bun", "deno"]


@dataclass
class Load:
    title: str
    servers: list
    connections: int = 64
    depth: int = 1       # requests at once on a connection; 0: a connection for each
    target: str = "/hello"
    kind: str = ""       # of load.lua
    tool: str = "wrk"    # pace: open loop; h2load: `depth` streams at once; full, resumed: handshakes, one after the other;
                         # ws: messages of WebSocket; idle: bytes that idle sockets take
    rate: int = 0        # of pace: requests per second
    tls: bool = False
    quick: bool = False
    size: int = 0        # of ws: bytes of a message
    unit: str = "request"


def sockets(title, servers, connections, depth, size, *, target="/echo", kind="", quick=False):
    unit = "delivery" if target == "/room" else "message"
    return Load(f"WebSocket: {title}", servers, connections, depth, target, kind, "ws", quick=quick, size=size, unit=unit)


LOADS = {
    "single": Load("1 connection, keep-alive", IN_C, 1),
    "keepalive": Load("64 connections, keep-alive", IN_C + IN_JS, quick=True),
    "portable": Load("64 connections, keep-alive: the engine in JavaScript", ["inline", "portable", "node"]),
    "many": Load("512 connections, keep-alive", IN_C, 512, quick=True),
    "crowd": Load("4,096 connections, keep-alive", IN_C, 4096),
    "pipelined": Load("64 connections, 16 requests pipelined", IN_C + IN_JS, depth=16, quick=True),
    "fresh": Load("A connection for each request, 64 at once", IN_C, depth=0, quick=True),
    "post": Load("1 KiB of JSON comes, is parsed and sent back", ["floor", "app", *IN_JS], target="/echo", kind="post",
                 quick=True),
    "now": Load("1,000 connections, answered at once", ["app", *IN_JS], 1000),
    "later": Load("1,000 in flight, each answered after 1 ms", ["app", *IN_JS], 1000, target="/later", quick=True),
    "mixed": Load("256 connections, of twenty requests one is answered after 10 ms", ["app", *IN_JS], 256, kind="mixed"),
    "database": Load("PostgreSQL is asked for each request, 64 connections", ["database", "database-threads"]),
    "database-pace": Load("The same, 4,000 requests per second, open loop", ["database", "database-threads"], tool="pace", rate=4000),
    "64k": Load("64 KiB", ["app", "nginx", "h2o", *IN_JS], target="/64k"),
    "upload-64k": Load("64 KiB come and are read whole", IN_JS, target="/whole", kind="64k"),
    "upload-1m": Load("1 MiB comes and is read whole, 8 connections", IN_JS, 8, target="/whole", kind="1m"),
    "upload-1m-stream": Load("1 MiB comes and is read piece by piece, 8 connections", IN_JS, 8, target="/count", kind="1m"),
    "json": Load("A small object as JSON", IN_JS, target="/json"),
    "written": Load("As people write it: the first example of a README", [*WRITTEN, "uws", "bun", "deno", "node"], quick=True),
    "read": Load("Three fields and the URL are read", IN_JS, target="/read"),
    "await": Load("The handler awaits once", IN_JS, target="/await"),
    "events": Load("An event stream of ten events", [*IN_JS, "inline-streams"], target="/sse"),
    "event-text": Load("An event stream of ten events, in strings", ["inline", "inline-streams", "uws"], target="/sse-strings"),
    "event-generator": Load("An event stream of ten events, in strings of an async generator", ["inline", "uws"], target="/sse-generator"),
    "pace": Load("20,000 requests per second, open loop, 64 connections", IN_C + IN_JS, tool="pace", rate=20000, quick=True),
    "h2c-1": Load("HTTP/2 in the clear, 64 connections", ["hello", "h2o", "nginx-h2c"], tool="h2load"),
    "h2c-10": Load("HTTP/2 in the clear, 10 streams on each", ["hello", "h2o", "nginx-h2c"], depth=10, tool="h2load"),
    "h2c-100": Load("HTTP/2 in the clear, 100 streams on each", ["hello", "h2o", "nginx-h2c"], depth=100, tool="h2load"),
    "h2-1": Load("HTTP/2 over TLS, 64 connections", OVER_TLS, tool="h2load", tls=True),
    "h2-10": Load("HTTP/2 over TLS, 10 streams on each", OVER_TLS, depth=10, tool="h2load", tls=True, quick=True),
    "h2-100": Load("HTTP/2 over TLS, 100 streams on each", OVER_TLS, depth=100, tool="h2load", tls=True),
    "tls": Load("HTTP/1.1 over TLS, 64 connections, keep-alive", [*OVER_TLS, "uws"], tls=True, quick=True),
    "tls-1m": Load("1 MiB over TLS, HTTP/1.1, 8 connections", LARGE_OVER_TLS, 8, target="/1m", tls=True),
    "h2-1m": Load("1 MiB over TLS, HTTP/2, 8 connections", LARGE_OVER_TLS, 8, target="/1m", tool="h2load", tls=True),
    "tls-full": Load("TLS handshakes, full", OVER_TLS, tool="full", tls=True),
    "tls-resumed": Load("TLS handshakes, resumed", OVER_TLS, tool="resumed", tls=True),
    "ws-echo": sockets("echo of 20 bytes, 64 connections", OVER_WS, 64, 1, 20, quick=True),
    "ws-echo-16": sockets("echo of 20 bytes, 64 connections, 16 at once on each", OVER_WS, 64, 16, 20, quick=True),
    "ws-echo-64k": sockets("echo of 64 KiB, 64 connections", OVER_WS, 64, 1, 65536),
    "ws-publish": sockets("20 bytes published to 1,000", OVER_WS, 1000, 1, 20, target="/room"),
    "ws-publish-16": sockets("20 bytes published to 1,000, 16 at once", OVER_WS, 1000, 16, 20, target="/room", quick=True),
    "ws-shared": sockets("echo of 1 KiB, each compressed by itself", OVER_WS_SHARED, 64, 1, 1024, kind="shared"),
    "ws-own": sockets("echo of 1 KiB, compressed with context takeover", OVER_WS_OWN, 64, 1, 1024, kind="own"),
    "ws-idle": Load("WebSocket: bytes that an idle socket takes", OVER_WS, 2000, 0, "/echo", tool="idle", unit="socket"),
}

@dataclass
class Goal:
    """Of a load: a server is to take at most so many times the CPU per request that another takes. Without `base`: bytes."""
    load: str
    server: str
    base: str
    most: float


GOALS = [Goal("written", f"{runtime}-{way}", f"{runtime}-ours", 1.1)
         for runtime in ("node", "node22", "node24", "bun", "deno") for way in ("globals", "serve")]
GOALS += [Goal("written", "deno-runtime", "deno-ours", 1.35), Goal("keepalive", "inline", "hello", 1.05),
          Goal("keepalive", "inline", "uws", 1.0), Goal("upload-64k", "inline", "node", 0.7), Goal("upload-64k", "inline", "bun", 1.0),
          Goal("upload-1m", "inline", "node", 0.8), Goal("upload-1m-stream", "inline", "node", 1.0),
          Goal("events", "inline-streams", "uws", 1.7), Goal("event-text", "inline-streams", "uws", 1.1)]
for load, most_in_c, most_by_handlers, most_by_object in (
        ("ws-echo", 1.05, 1.15, 1.5), ("ws-echo-16", 1.15, 1.5, 4), ("ws-echo-64k", 1.1, 1.15, 2), ("ws-publish", 1.03, 1.1, None),
        ("ws-publish-16", 1.05, 1.1, None), ("ws-shared", 0.85, 0.9, None), ("ws-own", 1.2, 1.3, None), ("ws-idle", 400, 1000, 2500)):
    for name, most in (("ws-c", most_in_c), ("ws-handlers", most_by_handlers), ("ws-object", most_by_object)):
        if most:
            GOALS.append(Goal(load, over_websocket(name, LOADS[load].kind or "plain"), "" if load == "ws-idle" else "ws-floor", most))

# way: label: server ("large" is bench/large.c), bulk's method and target
BULK = {
    "response": {
        "Carom": ("large", "get", "/1m"), "Carom, from a file": ("large", "get", "/file"), "nginx, from a file": ("nginx", "get", "/1m"),
        "h2o, from a file": ("h2o", "get", "/1m"), "Carom inline, Node": ("inline", "get", "/1m"),
        "Carom threads, Node": ("thread", "get", "/1m"), "uWebSockets.js": ("uws", "get", "/1m"), "Bun.serve": ("bun", "get", "/1m"),
        "Deno.serve": ("deno", "get", "/1m"), "node:http": ("node", "get", "/1m")},
    "upload": {
        "Carom": ("large", "post", "/"), "Carom, stored in a file": ("large", "post", "/file"),
        "nginx, kept in memory": ("nginx", "post", "/read"), "nginx, dropped": ("nginx", "post", "/hello"),
        "Carom inline, Node": ("inline", "post", "/count"), "Carom threads, Node": ("thread", "post", "/count"),
        "uWebSockets.js": ("uws", "post", "/count"), "Bun.serve": ("bun", "post", "/count"), "Deno.serve": ("deno", "post", "/count"),
        "node:http": ("node", "post", "/count")},
}
