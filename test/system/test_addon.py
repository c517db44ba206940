"""carom.node beside the OpenSSL that Node has: it shows no symbol but those of Node-API, needs none of OpenSSL from outside,
and Node's TLS works in a process that has loaded it."""

import os
import shutil
import subprocess
import unittest

import harness

ADDON = os.path.join(os.path.abspath(harness.BUILD), "carom.node")
SCRIPT = """
require(process.argv[1])
const https = require('node:https')
const pem = require('node:fs').readFileSync(process.argv[2])
const server = https.createServer({ key: pem, cert: pem }, (request, response) => response.end('x'.repeat(50000)))
server.listen(0, '127.0.0.1', async () => {
  const { port } = server.address()
  const get = () => new Promise((resolve, reject) => https.get({ port, host: '127.0.0.1', rejectUnauthorized: false }, response => {
    let length = 0
    response.on('data', piece => { length += piece.length })
    response.on('end', () => resolve(length))
  }).on('error', reject))
  let total = 0
  for (let i = 0; i < 20; i++) for (const length of await Promise.all(Array.from({ length: 20 }, get))) total += length
  console.log(total)
  server.close()
})
"""


@unittest.skipUnless(os.path.exists(ADDON), "the addon is not built")
class Addon(unittest.TestCase):
    def symbols(self, *options):
        listed = subprocess.run(["nm", "-D", *options, ADDON], check=True, capture_output=True, text=True).stdout
        return [line.split()[-1].split("@")[0] for line in listed.splitlines()]

    def test_it_shows_what_a_runtime_asks_for(self):
        self.assertEqual(self.symbols("--defined-only"), ["napi_register_module_v1", "node_api_module_get_api_version_v1"])

    def test_openssl_is_inside(self):
        needed = [name for name in self.symbols("--undefined-only")
                  if name.startswith(("SSL_", "EVP_", "BIO_", "X509", "OPENSSL", "CRYPTO_", "ERR_"))]
        self.assertEqual(needed, [])

    @unittest.skipUnless(harness.PLAIN and shutil.which("node"), "sanitizers are not for Node")
    def test_node_speaks_tls_beside_it(self):
        done = subprocess.run(["node", "-e", SCRIPT, ADDON, harness.own_certificate()], capture_output=True, text=True,
                              timeout=harness.DEADLINE, check=False)
        self.assertEqual((done.stdout, done.returncode), ("20000000\n", 0), done.stderr)


if __name__ == "__main__":
    unittest.main()
