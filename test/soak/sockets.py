"""The WebSockets of the soak: echoes and a room, plain and compressed, with clients that do not read, and clients that leave
wherever one can leave.
"""
import os
import random
import socket
import struct
import subprocess

import harness
from ws_client import BINARY, CLOSE, RSV1, TEXT, Client, close_frame, compressed, frame

LOADS = (("/sockets", 32, 4, 200), ("/sockets", 4, 2, 100_000), ("/sockets?deflate=1", 16, 4, 1000, "shared"),
         ("/sockets?deflate=2", 16, 4, 1000, "own"), ("/room", 40, 2, 500))
SECONDS = 1
DEFLATE = "permessage-deflate; client_max_window_bits"


class Opened:
    """What clients want of a test."""

    def __init__(self):
        self.closes = []

    def addCleanup(self, close):
        self.closes.append(close)

    def close(self):
        for close in self.closes:
            close()


def drive(port, target, connections, depth, size, *compression):
    """bench/ws_load, which checks every byte."""
    driver = os.path.join(os.path.abspath(harness.BUILD), "bench", "ws_load")
    done = subprocess.run([driver, str(port), target, str(connections), str(depth), str(size), str(SECONDS), *compression],
                          input="\n", capture_output=True, text=True, timeout=harness.DEADLINE, check=False)
    if done.returncode != 0:
        raise AssertionError(f"ws_load {target}: {done.stderr}")


def reset(client):
    client.transport.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.transport.peer.close()


def push(client, data):
    """As much as the server takes at once; the rest."""
    peer = client.transport.peer
    peer.setblocking(False)
    try:
        while data:
            data = data[peer.send(data):]
    except BlockingIOError:
        pass
    peer.settimeout(harness.DEADLINE)
    return data


def leave(port, opened, chance):
    """In each state that a socket can be in: by FIN, by a reset, by a Close, by what is wrong."""
    half = frame(TEXT, b"x" * 3000)[:1000]
    beginnings = (b"", frame(TEXT, b"hello"), half, frame(TEXT, b"begun", fin=False), b"\x81", frame(BINARY, b"y" * 300_000)[:-1],
                  frame(TEXT, compressed(b"z" * 5000)[:9], rsv=RSV1), close_frame(1000), frame(CLOSE), b"\xff\xff", frame(TEXT, b"\xff"))
    for beginning in beginnings:
        for target in ("/sockets", "/sockets?deflate=1", "/sockets?deflate=2", "/room"):
            client = Client(opened, port, target, deflate=chance.choice([None, DEFLATE]))
            client.send(beginning)
            if chance.random() < 0.5:
                reset(client)
            else:
                client.transport.peer.close()


def read_late(port, opened, chance):
    """Clients that say much and read nothing, until the server reads them no more. Some then read all, some leave."""
    text = frame(BINARY, bytes(range(256)) * 64)
    for target in ("/sockets", "/sockets?deflate=1"):
        client = Client(opened, port, target)
        rest, heard, count = push(client, text * 200), 0, 200
        if chance.random() < 0.5:
            reset(client)
            continue
        while heard < count:
            if rest:
                rest = push(client, rest)
            assert client.message() == (BINARY, bytes(range(256)) * 64)
            heard += 1
        client.send(close_frame(1000))


def miss_messages(port, opened):
    """A room in which some do not read: they miss messages, and hold up nobody."""
    slow = [Client(opened, port, "/room") for _ in range(4)]
    speaker = Client(opened, port, "/room")
    for number in range(400):
        text = (f"{number} " * 2000).encode()
        speaker.send(frame(TEXT, text))
        while (heard := speaker.message()) != (TEXT, text):
            assert heard == (TEXT, b"hello"), heard  # of somebody who has left
    for client in slow[::2]:
        reset(client)


def load(port, seed):
    chance = random.Random(seed)
    for target, connections, depth, size, *compression in LOADS:
        drive(port, target, connections, depth, size, *compression)
    opened = Opened()
    leave(port, opened, chance)
    read_late(port, opened, chance)
    miss_messages(port, opened)
    opened.close()
