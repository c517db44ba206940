"""Start a program under test, wait for what it prints, end it by its process id.

Used by the system tests. A wait is for an event and has a deadline that ends what hangs; nothing sleeps.
"""
import ctypes
import os
import re
import select
import socket
import subprocess
import threading
import time
from signal import SIGINT, SIGKILL

BUILD = os.environ.get("CAROM_BUILD", "build")
THREAD_SANITIZED = os.environ.get("CAROM_SANITIZE") == "thread"
WAITS = {"232", "281", "22", "426"}  # epoll_wait and epoll_pwait on x86-64, epoll_pwait on arm64, io_uring_enter
SANITIZED = os.environ.get("CAROM_SANITIZE", "") not in ("", "OFF", "none")
DEADLINE = 600  # seconds: it ends what hangs, and nothing that is only slow


LIBC = ctypes.CDLL(None)


def end_with_parent():
    """In a child, before it runs the program: be killed when the test is (PR_SET_PDEATHSIG), so that no
    time-out of the test runner leaves a server behind."""
    LIBC.prctl(1, SIGKILL)


def path_of(name, folder="examples"):
    return os.path.join(os.path.abspath(BUILD), folder, name)


def send_signal(process, number):
    """When a signal comes while a thread computes, the thread sanitizer calls the handler behind that thread's next system call,
    which for an idle worker never ends. So it is sent while the first thread waits for events in the kernel."""
    end = time.monotonic() + DEADLINE
    while THREAD_SANITIZED and process.poll() is None and not waits_for_events(process.pid) and time.monotonic() < end:
        time.sleep(0.001)
    process.send_signal(number)


def waits_for_events(pid):
    try:
        with open(f"/proc/{pid}/syscall") as file:
            return file.read().split(" ")[0] in WAITS
    except OSError:  # it has ended
        return True


class Program:
    """A child whose lines of output are collected while it runs."""

    def __init__(self, test, command, **options):
        self.test = test
        self.lines = []
        self.errors = []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, errors="replace", preexec_fn=end_with_parent, **options)
        self.readers = [
            threading.Thread(target=self._collect, args=(self.process.stdout, self.lines)),
            threading.Thread(target=self._collect, args=(self.process.stderr, self.errors))]
        for reader in self.readers:
            reader.start()
        test.addCleanup(self.end)

    def _collect(self, stream, lines):
        for line in stream:
            with self.changed:
                lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def _state(self):
        return f"output {self.lines}, errors {self.errors}, exit {self.process.poll()}"

    def wait_line(self, pattern, deadline=DEADLINE):
        """The match of the first line of output that has `pattern`, as soon as there is one."""
        def found():
            for line in list(self.lines):
                match = re.search(pattern, line)
                if match:
                    return match
            return None

        with self.changed:
            ended = lambda: not any(reader.is_alive() for reader in self.readers)
            until = time.monotonic() + deadline
            while not found() and not ended() and time.monotonic() < until:
                self.changed.wait(0.5)
            match = found()
        if not match:
            self.test.fail(f"no line like {pattern!r}: {self._state()}")
        return match

    def signal(self, number=SIGINT):
        send_signal(self.process, number)

    def wait_exit(self, deadline=DEADLINE):
        """The exit status, after all output has been collected."""
        try:
            status = self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.test.fail(f"still running after {deadline} s: {self._state()}")
        for reader in self.readers:
            reader.join(deadline)
        return status

    def stop(self, number=SIGINT):
        self.signal(number)
        return self.wait_exit()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for reader in self.readers:
            reader.join()
        self.process.stdout.close()
        self.process.stderr.close()

    def peak_kib(self):
        """The most memory the process has had resident (VmHWM), in KiB."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1))


def serve(test, name, *arguments, folder="examples", ready=r"localhost:(\d+)"):
    """Start an example on a free port; it has .port when this returns."""
    program = Program(test, [path_of(name, folder), "0", *arguments])
    program.port = int(program.wait_line(ready).group(1))
    return program


def connect(test, port):
    """A TCP connection to a program under test, closed when the test ends."""
    peer = socket.create_connection(("127.0.0.1", port), DEADLINE)
    test.addCleanup(peer.close)
    return peer


def reset(peer):
    """Close a connection with RST."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()


def read_all(peer):
    """All bytes to the end of the stream; a reset counts as the end."""
    pieces = []
    while True:
        try:
            piece = peer.recv(65536)
        except ConnectionResetError:
            piece = b""
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def pause():
    """A hundredth of a second, for what can only be asked again and tells nobody when it happens."""
    select.select([], [], [], 0.01)


def wait_refused(test, port):
    """Return when nobody accepts on `port` any more."""
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), DEADLINE).close()
        except OSError:
            return
        pause()
    test.fail(f"port {port} is still accepting")
