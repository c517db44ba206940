"""The choice of the backend: what the log says, and that a service runs where io_uring is refused."""

import ctypes
import os
import signal
import struct
import subprocess
import unittest

import harness
from programs import end_with_parent

EPERM, EINVAL, ENOSYS = 1, 22, 38
SETUP, ENTER, REGISTER = 425, 426, 427


def refuse_io_uring(call, error):
    """From now on this process and its children are without one call of io_uring, as in a container:
    a seccomp filter answers with `error`."""
    load, equal, answer = 0x20, 0x15, 0x06
    allow, errno = 0x7FFF0000, 0x00050000
    program = b"".join(struct.pack("HBBI", *line) for line in [
        (load, 0, 0, 0), (equal, 0, 1, call), (answer, 0, 0, errno | error), (answer, 0, 0, allow)])
    code = ctypes.create_string_buffer(program)
    libc = ctypes.CDLL(None, use_errno=True)
    filters = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(code)))
    no_new_privileges, seccomp, by_filter = 38, 22, 2
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) or libc.prctl(seccomp, by_filter, filters, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


class Backend(unittest.TestCase):
    def serve(self, backend, refused=0, call=SETUP):
        """Serve one request; returns what was logged."""
        def prepare():
            end_with_parent()
            if refused:
                refuse_io_uring(call, refused)

        server = subprocess.Popen([harness.SERVE, "--backend", backend, "--log", "1"], bufsize=0,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=prepare)
        try:
            address = harness.read_line(server.stdout, "serve").removeprefix("listening ")
            self.assertEqual(harness.read_line(server.stdout, "serve"), "ready")
            self.assertEqual(harness.has_uring(server.pid), backend == "uring" and not refused
                             and not harness.why_refused())
            with harness.Client(address) as client:
                self.assertEqual(client.get("/hello").status, 200)
            server.send_signal(signal.SIGTERM)
            lines = server.communicate(timeout=harness.DEADLINE)[1].decode().splitlines()
            self.assertEqual(server.returncode, 0)
        finally:
            server.kill()
            server.communicate()
        return [line for line in lines if "backend" in line]

    def test_epoll_says_nothing(self):
        self.assertEqual(self.serve("epoll"), [])

    def test_io_uring_says_so(self):
        if harness.why_refused():
            self.skipTest(f"io_uring is refused here: {harness.why_refused()}")
        self.assertEqual(self.serve("uring"), ["log info backend: io_uring"])

    def test_a_refusal_falls_back(self):
        for call in [SETUP] if harness.why_refused() else [SETUP, ENTER, REGISTER]:
            for error in EPERM, EINVAL, ENOSYS:
                text = f"log warning backend: epoll, because io_uring is refused: {os.strerror(error)}"
                self.assertEqual(self.serve("uring", refused=error, call=call), [text])

    def test_hello_takes_it_too(self):
        hello = os.path.join(harness.BUILD, "examples", "hello")
        server = subprocess.Popen([hello, "0", "--backend", "uring"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, bufsize=0, preexec_fn=end_with_parent)
        try:
            self.assertRegex(harness.read_line(server.stderr, "hello"), r"^hello: backend: ")
            port = harness.read_line(server.stdout, "hello").split("/ in")[0].rsplit(":", 1)[1]
            with harness.Client(f"127.0.0.1:{port}") as client:
                self.assertEqual(client.get("/").body, b"Hello, World!")
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=harness.DEADLINE)
            self.assertEqual(server.returncode, 0)
        finally:
            server.kill()
            server.communicate()


if __name__ == "__main__":
    unittest.main()
