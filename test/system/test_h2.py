"""HTTP/2 by prior knowledge, with the clients that people use: curl, nghttp, h2load; and that nghttp2 is
hidden inside the addon, which loads beside Node's own.
"""
import hashlib
import os
import re
import shutil
import subprocess
import unittest

import harness
from programs import DEADLINE, serve

MIB = 1 << 20


def need(command):
    return unittest.skipUnless(shutil.which(command), f"{command} is not installed")


class Case(unittest.TestCase):
    def run_client(self, *command, data=b""):
        run = subprocess.run(command, capture_output=True, timeout=DEADLINE, input=data)
        self.assertEqual(run.returncode, 0, (command, run.stdout[-2000:], run.stderr[-2000:]))
        return run.stdout

    def start(self, name):
        self.program = serve(self, name)
        return f"http://127.0.0.1:{self.program.port}/"


class Clients(Case):
    @need("curl")
    def test_curl_on_the_port_of_http_1(self):
        url = self.start("hello")
        for version, option in (("2", "--http2-prior-knowledge"), ("1.1", "--http1.1")):
            said = self.run_client("curl", "-q", "-sS", option, "-w", " %{http_version}", url)
            self.assertEqual(said.decode(), f"Hello, World! {version}")

    @need("curl")
    def test_curl_content_both_ways(self):
        url = self.start("echo")
        content = os.urandom(8 * MIB)
        back = self.run_client("curl", "-q", "-sS", "--http2-prior-knowledge", "--data-binary", "@-", url, data=content)
        self.assertEqual(hashlib.sha256(back).digest(), hashlib.sha256(content).digest())

    @need("nghttp")
    def test_nghttp(self):
        url = self.start("hello")
        said = self.run_client("nghttp", "-nv", "-m", "5", url).decode()
        self.assertEqual(len(re.findall(r":status: 200", said)), 5)

    @need("h2load")
    def test_h2load(self):
        url = self.start("hello")
        said = self.run_client("h2load", "-n", "20000", "-c", "20", "-m", "50", url).decode()
        self.assertIn("20000 succeeded, 0 failed, 0 errored, 0 timeout", said)
        self.assertIn("20000 2xx", said)


class Addon(Case):
    def test_its_nghttp2_is_hidden(self):
        addon = os.path.abspath(os.path.join(harness.BUILD, "carom.node"))
        if not os.path.exists(addon):
            self.skipTest("carom.node is not built")
        for file in (addon, os.path.join(harness.BUILD, "libcarom.so")):
            symbols = self.run_client("nm", "-D", file).decode()
            self.assertNotIn("nghttp2", symbols, file)
        if not harness.PLAIN:
            return  # a sanitizer's runtime must be the first that a program loads
        for host in ("node", "bun", "deno"):
            if not shutil.which(host):
                continue
            code = f"require('node:http2'); require('{addon}').version"
            flags = ["eval", "--no-config"] if host == "deno" else ["-e"]
            if host == "deno":
                code = "import { createRequire } from 'node:module'; " \
                       f"createRequire('file:///')('{addon}').version"
            self.run_client(host, *flags, code)


if __name__ == "__main__":
    unittest.main()
