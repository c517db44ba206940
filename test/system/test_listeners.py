"""Where the server listens: IPv4, IPv6, both, Unix sockets, inherited descriptors, and the errors."""

import os
import socket
import stat
import subprocess
import sys
import tempfile
import unittest

import harness

LAUNCH = ("import fcntl, os, sys; fds = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in sys.argv[1].split(',')]; "
          "[os.dup2(fd, 3 + i) for i, fd in enumerate(fds)]; os.environ['LISTEN_PID'] = str(os.getpid()); "
          "os.environ['LISTEN_FDS'] = str(len(fds)); os.execv(sys.argv[2], sys.argv[2:])")


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


class Listeners(harness.SystemTest):
    def hello(self, address):
        with harness.Client(address) as client:
            self.assertEqual(client.get("/hello").body, b"hello\n")
            peer = client.get("/peer").body.decode().split(" ")
            if peer[0] != "unix":
                self.assertEqual(int(peer[2]), client.socket.getsockname()[1])
            return peer

    def error(self, address, *words):
        run = subprocess.run([harness.SERVE, "--listen", address, *words], capture_output=True, text=True,
                             timeout=harness.DEADLINE, check=False)
        self.assertEqual(run.returncode, 1)
        return run.stderr.strip().rsplit(" ", 1)[1]

    def test_ipv4(self):
        server = self.serve()
        peer = self.hello(server.addresses[0])
        self.assertEqual(peer[:2], ["ipv4", "127.0.0.1"])
        self.assertEqual(f"{peer[4]}:{peer[5].strip()}", server.addresses[0])
        self.finish(server)

    @unittest.skipUnless(has_ipv6(), "this host has no IPv6")
    def test_ipv6(self):
        server = self.serve(listen=("[::1]:0",))
        self.assertEqual(self.hello(server.addresses[0])[:2], ["ipv6", "::1"])
        self.finish(server)

    def test_all_addresses(self):
        server = self.serve(listen=("*:0",))
        port = server.addresses[0].rsplit(":", 1)[1]
        self.hello("127.0.0.1:" + port)
        if has_ipv6():
            self.hello("[::1]:" + port)
        with harness.Client("127.0.0.1:" + port) as client:
            client.send(b"GET /shutdown?deadline=0 HTTP/1.1\r\nHost: t\r\n\r\n")
            client.gone()
        harness.assert_balanced(self, server.ended())

    def test_several(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "socket")
            server = self.serve(listen=("127.0.0.1:0", "unix:" + path, "127.0.0.2:0"), workers=2)
            self.assertEqual(len(server.addresses), 3)
            for address in server.addresses * 5:
                self.hello(address)
            self.finish(server)

    def test_unix_mode_and_removal(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "socket")
            server = self.serve(listen=(f"unix:{path}?mode=0620",))
            self.assertEqual(server.addresses, ["unix:" + path])
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o620)
            self.assertEqual(self.hello("unix:" + path)[0], "unix")
            self.finish(server)
            self.assertFalse(os.path.exists(path))

    def test_unix_stale_file_is_replaced(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "socket")
            with socket.socket(socket.AF_UNIX) as stale:
                stale.bind(path)
            self.assertTrue(os.path.exists(path))
            server = self.serve(listen=("unix:" + path,))
            self.hello("unix:" + path)
            self.assertEqual(self.error("unix:" + path), "CAROM_EADDRINUSE")  # it is in use, not stale
            self.hello("unix:" + path)
            self.finish(server)

    def test_unix_other_file_is_kept(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "precious")
            with open(path, "w", encoding="ascii") as file:
                file.write("data")
            self.assertEqual(self.error("unix:" + path), "CAROM_EADDRINUSE")
            with open(path, encoding="ascii") as file:
                self.assertEqual(file.read(), "data")

    def test_unix_abstract(self):
        name = f"unix:@carom-test-{os.getpid()}"
        server = self.serve(listen=(name,))
        self.assertEqual(server.addresses, [name])
        self.hello(name)
        self.finish(server)

    def test_unix_load_closes_in_order(self):
        """Clients that abort by a plain close: on a Unix socket no port is used up."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "socket")
            server = self.serve(listen=("unix:" + path,))
            for mode in ("keep", "new", "abort"):
                harness.load(server, mode, "mixed", harness.scaled(5000))
            self.finish(server)

    def test_inherited_descriptor(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            fd = listener.fileno()
            server = self.serve(listen=(f"fd:{fd}",), pass_fds=(fd,))
            self.assertEqual(server.addresses[0], "127.0.0.1:%d" % listener.getsockname()[1])
            self.hello(server.addresses[0])
            self.finish(server)

    def test_systemd(self):
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
            fds = (one.fileno(), other.fileno())
            server = self.serve(listen=("systemd:",), pass_fds=fds,
                                command=(sys.executable, "-c", LAUNCH, ",".join(map(str, fds))))
            self.assertEqual(server.addresses, ["127.0.0.1:%d" % listener.getsockname()[1] for listener in (one, other)])
            for address in server.addresses:
                self.hello(address)
            self.finish(server)

    def test_a_port_is_shared_only_by_who_asks_for_it(self):
        alone = self.serve(workers=2)
        for words in ((), ("--workers", "2")):
            self.assertEqual(self.error(alone.addresses[0], *words), "CAROM_EADDRINUSE")
        self.finish(alone)
        name = f"unix:@carom-test-{os.getpid()}"
        first = self.serve(reuse_port=1, listen=(name + "-1", "127.0.0.1:0"))
        port = first.addresses[1]
        second = self.serve(reuse_port=1, listen=(name + "-2", port))
        self.assertEqual(self.error(port), "CAROM_EADDRINUSE")
        asked, reached = 0, set()
        while len(reached) < 2:  # the kernel picks one for each connection
            self.hello(port)
            asked += 1
            reached = {server for server in (first, second) if server.stats()["requests"] > asked}
        self.finish(first)
        self.finish(second)

    def test_errors(self):
        server = self.serve()
        self.assertEqual(self.error(server.addresses[0]), "CAROM_EADDRINUSE")
        self.assertEqual(self.error("192.0.2.1:0"), "CAROM_EADDRNOTAVAIL")
        self.assertEqual(self.error("unix:/nonexistent/folder/socket"), "CAROM_ENOENT")
        self.assertIn(self.error("fd:999"), ("CAROM_ENOENT", "CAROM_EADDRESS"))
        for bad in ("", "hello", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536", "[::1:80", "unix:", "fd:x",
                    "unix:/tmp/x?mode=99", "unix:" + "/x" * 100):
            with self.subTest(bad):
                self.assertEqual(self.error(bad), "CAROM_EADDRESS")
        self.finish(server)


if __name__ == "__main__":
    unittest.main()
