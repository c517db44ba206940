"""TLS over real sockets: versions, names, certificates and their reload, clients' certificates, resumption,
the end of connections, and what breaks the protocol. Clients are Python's OpenSSL, openssl(1) and curl."""

import json
import os
import re
import select
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

import harness
from secured import Authority, Secured, client_context, openssl

HELLO = b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"


class Tls(harness.SystemTest):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.authority = Authority(cls.folder)
        cls.local = cls.authority.issue("local", "DNS:localhost,IP:127.0.0.1")

    def serve_tls(self, certificate=None, **options):
        """Two listeners: TLS, and plain for statistics."""
        return self.serve(listen=("tls:127.0.0.1:0", "127.0.0.1:0"), certificate=certificate or self.local,
                          **options)

    def raw(self, server, **options):
        client = server.connect(0, tls=False, **options)
        self.addCleanup(client.close)
        return client

    def secure(self, server, context=None, **options):
        """A client that has shaken hands."""
        client = self.raw(server)
        client.socket = Secured(client.socket, context or client_context(self.authority), **options)
        return client

    def told(self, client):
        """What the server says of the connection."""
        return client.get("/tls").body.decode().strip()

    def refused(self, server, *alerts, context=None, **options):
        """The handshake fails, by an alert of the server with one of these names."""
        with self.assertRaises((ssl.SSLError, ConnectionResetError)) as caught:
            client = self.secure(server, context, **options)
            client.get("/hello")  # in TLS 1.3 a client's certificate is looked at when the client is done
        self.assertRegex(str(caught.exception).lower(), "|".join(alerts))

    def end(self, server):
        """All connections and records are back."""
        server.addresses.reverse()  # the plain one asks for the shutdown
        for client in getattr(self, "clients", []):
            client.close()
        self.finish(server)

    # ------------------------------------------------------------ what is agreed on

    def test_versions(self):
        server = self.serve_tls()
        for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            client = self.secure(server, client_context(self.authority, least=version, most=version))
            self.assertRegex(self.told(client), f"^{name} TLS_.*GCM")
            client.close()
        old = subprocess.run(["openssl", "s_client", "-connect", server.addresses[0], "-tls1_1", "-cipher",
                              "ALL:@SECLEVEL=0"], input=b"", capture_output=True, timeout=harness.DEADLINE, check=False)
        self.assertRegex(old.stderr + old.stdout, b"alert protocol version|no protocols available")
        self.end(server)

    def test_least_version_13(self):
        server = self.serve_tls(min_version=13)
        most = ssl.TLSVersion.TLSv1_2
        self.refused(server, "protocol version", context=client_context(self.authority, most=most))
        self.assertRegex(self.told(self.secure(server)), "^TLSv1.3")

    def test_only_good_ciphers(self):
        """Of TLS 1.2, what has forward secrecy and authenticates: each of the rest is refused."""
        server = self.serve_tls()
        for cipher in ("ECDHE-ECDSA-AES128-SHA256", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-SHA"):
            done = subprocess.run(["openssl", "s_client", "-connect", server.addresses[0], "-tls1_2", "-cipher",
                                   cipher], input=b"", capture_output=True, timeout=harness.DEADLINE, check=False)
            self.assertIn(b"handshake failure", done.stderr + done.stdout, cipher)

    def test_only_good_signatures(self):
        server = self.serve_tls()
        for algorithms, good in (("ECDSA+SHA1", False), ("ECDSA+SHA224", False), ("ECDSA+SHA256", True), ("ECDSA+SHA512", True)):
            done = subprocess.run(["openssl", "s_client", "-connect", server.addresses[0], "-tls1_2", "-cipher", "ALL:@SECLEVEL=0",
                                   "-sigalgs", algorithms], input=b"", capture_output=True, timeout=harness.DEADLINE, check=False)
            self.assertEqual(b"alert handshake failure" not in done.stderr + done.stdout, good, algorithms)

    def test_alpn(self):
        server = self.serve_tls()
        for offered, chosen in ((["h3", "http/1.1"], "http/1.1"), (None, ""), (["http/1.0"], "http/1.0")):
            client = self.secure(server, client_context(self.authority, protocols=offered))
            self.assertIn(f" alpn={chosen} ", self.told(client))
        self.refused(server, "no application protocol", context=client_context(self.authority, protocols=["x"]))

    def test_http2_wants_good_ciphers(self):
        """Of TLS 1.2 with ciphers that were asked for HTTP/2 gets those that it may have (RFC 9113, 9.2.2)."""
        good, bad = "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256"
        server = self.serve_tls(ciphers=f"{bad}:{good}")
        for ciphers, offered, chosen in ((good, ["h2", "http/1.1"], "h2"), (bad, ["h2", "http/1.1"], "http/1.1"), (bad, ["h2"], None)):
            context = client_context(self.authority, most=ssl.TLSVersion.TLSv1_2, protocols=offered)
            context.set_ciphers(ciphers)
            if chosen is None:
                self.refused(server, "no application protocol", context=context)
            else:
                self.assertEqual(self.secure(server, context).socket.tls.selected_alpn_protocol(), chosen)

    def test_ciphers_in_our_order(self):
        """But for ChaCha20, which a client puts first when it has no AES in hardware."""
        aes128, aes256, chacha = (f"ECDHE-ECDSA-{name}" for name in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"))
        server = self.serve_tls(ciphers=f"{aes256}:{aes128}:{chacha}")
        for offered, chosen in (((aes128, aes256), aes256), ((aes128, chacha, aes256), aes256), ((chacha, aes128, aes256), chacha)):
            context = client_context(self.authority, most=ssl.TLSVersion.TLSv1_2)
            context.set_ciphers(":".join(offered))
            self.assertEqual(self.secure(server, context).socket.tls.cipher()[0], chosen)

    def test_alpn_in_our_order(self):
        server = self.serve_tls(protocol="b")
        self.assertIn(" alpn=b ", self.told(self.secure(server, client_context(self.authority, protocols=["a", "b"]))))

    # ------------------------------------------------------------ names

    def test_names(self):
        """Exact before wildcard, one label for the wildcard, the first certificate for the rest."""
        wild = self.authority.issue("wild", "DNS:*.example.org,DNS:example.org")
        exact = self.authority.issue("exact", "DNS:Deep.example.org")
        server = self.serve(listen=("tls:127.0.0.1:0",), certificate=[self.local, wild, exact])
        context = client_context()
        context.load_verify_locations(self.authority.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
        for name, subject in (("a.example.org", "wild"), ("example.org", "wild"), ("deep.example.org", "exact"),
                              ("DEEP.EXAMPLE.ORG", "exact"), ("a.b.example.org", "local"), ("other.org", "local"),
                              (None, "local"), ("localhost", "local")):
            client = self.secure(server, context, name=name)
            self.assertEqual(client.socket.tls.getpeercert()["subject"], ((("commonName", subject),),), name)
            self.assertIn(f" name={(name or '').lower()} ", self.told(client).lower())

    def test_rsa_and_ecdsa_for_one_name(self):
        """Who can verify only one kind of signature gets that certificate."""
        rsa = self.authority.issue("rsa", "DNS:both.org", key=("rsa:2048",))
        ecdsa = self.authority.issue("ecdsa", "DNS:both.org,DNS:one.org")
        for first, second in ((ecdsa, rsa), (rsa, ecdsa)):
            server = self.serve(listen=("tls:127.0.0.1:0",), certificate=[self.local, first, second])
            for name, algorithms, subject in (("both.org", "RSA+SHA256:rsa_pss_rsae_sha256", "rsa"),
                                              ("both.org", "ECDSA+SHA256", "ecdsa"),
                                              ("one.org", "ECDSA+SHA256", "ecdsa")):
                for version in "-tls1_2", "-tls1_3":
                    shown = subprocess.run(["openssl", "s_client", "-connect", server.addresses[0], version, "-servername",
                                            name, "-sigalgs", algorithms], input=b"", capture_output=True, timeout=harness.DEADLINE,
                                           check=False).stdout.decode()
                    self.assertRegex(shown, rf"subject=CN = {subject}\n", (name, algorithms, version))

    def test_unknown_names_can_be_refused(self):
        server = self.serve_tls(refuse_unknown_names=True)
        self.secure(server, client_context(), name="localhost").get("/hello")
        self.secure(server, client_context(), name=None).get("/hello")
        self.refused(server, "unrecognized name", context=client_context(), name="other.org")

    # ------------------------------------------------------------ certificates

    def expect_no_start(self, arguments, *pattern):
        done = subprocess.run([harness.SERVE, "--log", "1", "--listen", "tls:127.0.0.1:0", *arguments],
                              capture_output=True, text=True, timeout=harness.DEADLINE, check=False)
        self.assertEqual(done.returncode, 1)
        for part in pattern:
            self.assertRegex(done.stderr, part)

    def test_bad_files_are_named(self):
        """The line of log has the file and the cause, the error its name."""
        empty, other = os.path.join(self.folder, "empty.pem"), self.authority.issue("other", "DNS:other")
        with open(empty, "wb"):
            pass
        locked = os.path.join(self.folder, "locked.pem")
        openssl("pkey", "-in", self.local, "-aes256", "-passout", "pass:secret", "-out", locked)
        rotten = os.path.join(self.folder, "rotten.pem")
        with open(rotten, "wb") as file:
            file.write(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        for arguments, pattern in (
                (["--certificate", "/nowhere/x.pem"], (r"/nowhere/x.pem: .*certificate: No such file", "CAROM_ECERTIFICATE")),
                (["--certificate", empty], (r"empty.pem: .*certificate: no start line", "CAROM_ECERTIFICATE")),
                (["--certificate", rotten], (r"rotten.pem: .*certificate: ", "CAROM_ECERTIFICATE")),
                (["--certificate", self.authority.certificate], (r"ca.pem: .*private key: ", "CAROM_EKEY")),
                (["--certificate", self.local, "--key", "/nowhere/k"], (r"/nowhere/k: .*key: No such file", "CAROM_EKEY")),
                (["--certificate", self.local, "--key", other], (r"other.pem: .*key: key values mismatch", "CAROM_EKEY")),
                (["--certificate", self.local, "--key", locked], (r"locked.pem: .*key: ", "CAROM_EKEY")),
                (["--certificate", self.local, "--ocsp", self.local], (r"local.pem: .*OCSP", "CAROM_ECERTIFICATE")),
                (["--certificate", self.local, "--client", "2", "--client_ca", empty], (r"empty.pem: .*authorities", "CAROM_ECERTIFICATE")),
                (["--certificate", self.local, "--client", "2"], ("CAROM_EINVAL",)),
                (["--certificate", self.local, "--ciphers", "NONSENSE"], ("ciphers", "CAROM_EINVAL")),
                ([], ("CAROM_EINVAL",))):
            with self.subTest(arguments):
                self.expect_no_start(arguments, *pattern)

    def test_reload(self):
        """New connections get the new certificate, those that are open go on; a bad file changes nothing."""
        path = self.authority.issue("changing", "DNS:localhost,DNS:first")
        server = self.serve_tls(path)
        serial = lambda client: client.socket.tls.getpeercert()["serialNumber"]
        first = self.secure(server)
        self.authority.issue("changing", "DNS:localhost,DNS:second")
        self.assertEqual(first.get("/reload").body, b"CAROM_OK")
        second = self.secure(server)
        self.assertNotEqual(serial(first), serial(second))
        self.assertEqual(first.get("/hello").status, 200)
        with open(path, "wb"):
            pass
        self.assertEqual(first.get("/reload").body, b"CAROM_ECERTIFICATE")
        self.assertEqual(serial(self.secure(server)), serial(second))
        self.assertEqual(first.get("/hello").status, 200)

    def test_watch(self):
        path = self.authority.issue("watched", "DNS:localhost")
        server = self.serve_tls(path, watch=20)
        serial = lambda: self.secure(server).socket.tls.getpeercert()["serialNumber"]
        first = serial()
        self.authority.issue("watched", "DNS:localhost")
        end = time.monotonic() + harness.DEADLINE
        while serial() == first:
            self.assertLess(time.monotonic(), end, "the change was not seen")

    def test_reload_under_load(self):
        """Handshakes while certificates change all the time, on two workers."""
        server = self.serve_tls(workers=2)
        control = self.raw_plain(server)
        for _ in range(harness.scaled(100)):
            self.assertEqual(control.get("/reload").body, b"CAROM_OK")
            client = self.secure(server)
            self.assertEqual(client.get("/hello").status, 200)
            client.close()

    def raw_plain(self, server):
        client = server.connect(1, tls=False)
        self.addCleanup(client.close)
        return client

    def test_hello_reloads_at_sighup(self):
        path = self.authority.issue("hangup", "DNS:localhost")
        command = [os.path.join(harness.BUILD, "examples", "hello"), "0", "--tls", path, path]
        hello = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        self.addCleanup(hello.stderr.close)
        self.addCleanup(hello.stdout.close)
        self.addCleanup(hello.wait)
        self.addCleanup(hello.kill)
        port = re.search(r"https://localhost:(\d+)", harness.read_line(hello.stdout, "hello"))[1]
        server = type("Hello", (), {"connect": lambda _, __, tls, **o: harness.Client(f"127.0.0.1:{port}", tls=tls)})()
        first = self.secure(server).socket.tls.getpeercert()["serialNumber"]
        self.authority.issue("hangup", "DNS:localhost")
        hello.send_signal(1)
        self.assertIn("loaded again", harness.read_line(hello.stderr, "hello"))
        self.assertNotEqual(self.secure(server).socket.tls.getpeercert()["serialNumber"], first)

    def test_ocsp(self):
        """What the file holds is stapled when a client asks for it, and gets the certificate that it is about."""
        issued, request, answer = (os.path.join(self.folder, name) for name in ("leaf.crt", "ocsp.req", "ocsp.der"))
        index = os.path.join(self.folder, "index.txt")
        with open(issued, "wb") as file:
            file.write(openssl("x509", "-in", self.local))
        serial = openssl("x509", "-in", self.local, "-noout", "-serial").decode().strip().split("=")[1]
        with open(index, "w", encoding="ascii") as file:
            file.write(f"V\t401231235959Z\t\t{serial}\tunknown\t/CN=local\n")
        openssl("ocsp", "-issuer", self.authority.certificate, "-cert", issued, "-reqout", request)
        openssl("ocsp", "-index", index, "-CA", self.authority.certificate, "-rsigner", self.authority.certificate,
                "-rkey", self.authority.key, "-reqin", request, "-respout", answer, "-ndays", 2)
        other = self.authority.issue("beside", "DNS:beside.example")
        server = self.serve_tls([other, self.local], ocsp=answer) # the last one's
        for name, has in (("localhost", True), ("beside.example", False)):
            shown = subprocess.run(["openssl", "s_client", "-connect", server.addresses[0], "-servername", name, "-status"], input=b"",
                                   capture_output=True, timeout=harness.DEADLINE, check=False).stdout
            self.assertEqual(b"OCSP Response Status: successful" in shown and b"Cert Status: good" in shown, has, name)
            self.assertEqual(b"OCSP response: no response sent" in shown, not has, name)

    # ------------------------------------------------------------ clients' certificates

    def test_clients_required(self):
        strangers = Authority(self.folder, "strangers")
        good, bad = (by.issue(name, "DNS:client", "clientAuth") for by, name in ((self.authority, "good"), (strangers, "bad")))
        server = self.serve_tls(client=2, client_ca=self.authority.certificate)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            client = self.secure(server, client_context(self.authority, good, most=version))
            size = len(ssl.PEM_cert_to_DER_cert(openssl("x509", "-in", good).decode()))
            self.assertIn(f" client=1 {size}", self.told(client))
            self.refused(server, "unknown ca", context=client_context(self.authority, bad, most=version))
            self.refused(server, "certificate required", "handshake failure",
                         context=client_context(self.authority, most=version))

    def test_clients_wanted(self):
        good = self.authority.issue("good2", "DNS:client", "clientAuth")
        server = self.serve_tls(client=1, client_ca=self.authority.certificate)
        self.assertIn(" client=0 0", self.told(self.secure(server)))
        self.assertIn(" client=1 ", self.told(self.secure(server, client_context(self.authority, good))))

    # ------------------------------------------------------------ resumption

    def resumed(self, server, again=None, names=("localhost", "localhost"), **versions):
        """Whether a second connection, to `again`, resumes the session of the first."""
        context = client_context(self.authority, **versions)
        context.check_hostname = False
        first = self.secure(server, context, name=names[0])
        first.get("/hello")  # tickets of TLS 1.3 come after the handshake
        before = json.loads(self.secure(again or server, context).get("/stats").body)
        second = self.secure(again or server, context, name=names[1], session=first.socket.tls.session)
        told = self.told(second)
        self.assertEqual(" resumed=1 " in told, second.socket.tls.session_reused)
        stats = json.loads(second.get("/stats").body)
        self.assertEqual(stats["tls_resumed"] - before["tls_resumed"], second.socket.tls.session_reused)
        self.assertEqual(stats["tls_handshakes"], before["tls_handshakes"] + 1)
        return second.socket.tls.session_reused

    def test_resumption(self):
        server = self.serve_tls()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.assertTrue(self.resumed(server, most=version), version)

    def test_resumption_is_of_one_name(self):
        """RFC 6066, 3: not under another name, whatever certificate that has."""
        server = self.serve_tls()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for first, second, resumed in (("a.org", "A.Org", True), ("a.org", "b.org", False), ("a.org", None, False),
                                           (None, "a.org", False), (None, None, True)):
                self.assertEqual(self.resumed(server, names=(first, second), most=version), resumed, (version, first, second))

    def test_resumption_off(self):
        server = self.serve_tls(ticket_lifetime="off")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.assertFalse(self.resumed(server, most=version), version)

    def test_ticket_keys_are_shared(self):
        keys = [os.path.join(self.folder, f"keys{number}") for number in range(3)]
        one, two = os.urandom(80), os.urandom(80)
        for path, content in zip(keys, (one, two + one, two)):
            with open(path, "wb") as file:
                file.write(content)
        first, second, third = (self.serve_tls(ticket_keys=path) for path in keys)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.assertTrue(self.resumed(first, second, most=version), "a former key opens")
            self.assertTrue(self.resumed(second, third, most=version), "the first key makes")
            self.assertFalse(self.resumed(first, third, most=version), "another key")

    def test_trust_is_not_resumed_elsewhere(self):
        """A ticket of a listener that asks for no certificate is none where one is required."""
        keys = os.path.join(self.folder, "keys")
        with open(keys, "wb") as file:
            file.write(os.urandom(80))
        open_to_all = self.serve_tls(ticket_keys=keys)
        strict = self.serve_tls(ticket_keys=keys, client=2, client_ca=self.authority.certificate)
        with self.assertRaises((ssl.SSLError, ConnectionResetError)):
            self.resumed(open_to_all, strict)

    # ------------------------------------------------------------ the end

    def test_we_say_that_we_are_done(self):
        server = self.serve_tls()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            client = self.secure(server, client_context(self.authority, most=version))
            client.send(HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            self.assertEqual(client.answer().body, b"hello\n")
            self.assertEqual(client.rest(), b"")  # close_notify; without it an SSLEOFError
        self.end(server)

    def test_idle_connections_end_with_close_notify(self):
        server = self.serve_tls(keep_alive=50, keep_alive_grace=1)
        client = self.secure(server)
        client.get("/hello")
        self.assertEqual(client.rest(), b"")

    def test_client_is_done(self):
        """close_notify without FIN: we say it too, and close."""
        server = self.serve_tls()
        client = self.secure(server)
        client.get("/hello")
        client.socket.done()
        self.assertEqual(client.rest(), b"")
        self.end(server)

    def tunnel(self, server):
        client = self.secure(server)
        client.send(b"GET /tunnel HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        self.assertEqual(client.head().status, 101)
        client.send(b"ping")
        self.assertEqual(client.take(4), b"ping")
        return client

    def test_end_of_a_tunnel(self):
        """Bytes without a length end with close_notify; a FIN without it is an attack (RFC 8446, 6.1)."""
        server = self.serve_tls()
        well = self.tunnel(server)
        well.finish()
        self.assertEqual(well.rest(), b"")
        cut = self.tunnel(server)
        cut.socket.socket.shutdown(socket.SHUT_WR)
        with self.assertRaises((ssl.SSLEOFError, ConnectionResetError)):
            cut.rest()
        stats = server.stats(1)
        self.assertEqual(stats["ended"]["client-reset"], 1)

    def test_large_response_to_a_slow_reader(self):
        """Encrypted as it is taken: 256 MiB for a client that reads late cost the server little."""
        server = self.serve_tls()
        client = self.secure(server)
        before = harness.resident_kib(server.pid)
        size = harness.scaled(256) << 20
        client.send(b"GET /stream?size=%d&piece=65536 HTTP/1.1\r\nHost: t\r\n\r\n" % size)
        head = client.head()
        select.select([client.socket.socket], [], [], harness.DEADLINE)
        if harness.PLAIN:
            self.assertLess(harness.resident_kib(server.pid) - before, 4096)
        self.assertEqual(head.status, 200)
        client.reset()
        self.end(server)

    def test_bytes_are_right(self):
        """Streams and uploads, whole, in records of any size."""
        server = self.serve_tls()
        client = self.secure(server)
        for size in (1, 255, 256, 1460, 16383, 16384, 16385, 65535, 65536):
            body = client.get(f"/stream?size={7 * size}&piece={size}").body
            pattern = bytes(ord("a") + o % 26 for o in range(7 * size))
            self.assertEqual(body, pattern, size)
            client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % len(pattern) + pattern)
            self.assertEqual(client.answer().body, pattern)

    def test_files(self):
        """Content that lies in a file is read, encrypted, and in its place among others."""
        server = self.serve_tls()
        client = self.secure(server)
        for size in (1, 16384, 40000, 65562):
            client.send(HELLO + b"GET /file?size=%d HTTP/1.1\r\nHost: t\r\n\r\n" % size + HELLO)
            self.assertEqual(client.answer().body, b"hello\n")
            self.assertEqual(client.answer().body, bytes(ord("a") + o % 26 for o in range(size)))
            self.assertEqual(client.answer().body, b"hello\n")
        self.end(server)

    # ------------------------------------------------------------ what breaks the protocol

    def test_plain_http(self):
        server = self.serve_tls()
        for request in (HELLO, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"G"):
            client = self.raw(server)
            client.send(request)
            answer = client.answer()
            self.assertEqual((answer.status, answer.field("Connection")), (400, "close"))
            self.assertIn(b"HTTPS", answer.body)
            self.assertEqual(client.rest(), b"")
        self.end(server)

    def test_garbage(self):
        server = self.serve_tls()
        for garbage in (b"\0" * 100, b"\x16\x03\x01\xff\xff" + b"x" * 100, b"\x16\x03\x01\0\x05hello", os.urandom(500),
                        b"\x80\x2e\x01\0\x02" + b"\0" * 60, b"\x15\x03\x03\0\x02\x02\x28"):
            client = self.raw(server)
            client.send(garbage)
            client.finish()
            client.gone()
        self.assertEqual(self.secure(server).get("/hello").status, 200)
        self.end(server)

    def test_slow_handshake(self):
        """No byte, half a hello, a byte now and then: closed when the time is over."""
        server = self.serve_tls(handshake_timeout=100)
        silent, half = self.raw(server), self.raw(server)
        half.send(b"\x16\x03\x01")
        for client in (silent, half):
            client.gone()
        slow = self.raw(server)
        with self.assertRaises((ConnectionResetError, BrokenPipeError)):
            end = time.monotonic() + harness.DEADLINE
            slow.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            while time.monotonic() < end:
                slow.send(b"\0")
                select.select([slow.socket], [], [], 0.01)
                if select.select([slow.socket], [], [], 0)[0] and not slow.more():
                    raise ConnectionResetError
        self.assertEqual(server.stats(1)["timeouts"], 3)

    def test_no_renegotiation(self):
        server = self.serve_tls()
        client = subprocess.Popen(["openssl", "s_client", "-connect", server.addresses[0], "-tls1_2"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        client.stdin.write(b"R\n")
        output = client.communicate(timeout=harness.DEADLINE)[0]
        self.assertIn(b"RENEGOTIATING", output)
        self.assertIn(b"no renegotiation", output)

    def test_no_early_data(self):
        """The server offers none: openssl(1) with a ticket has it refused."""
        server = self.serve_tls()
        ticket, request = os.path.join(self.folder, "ticket"), os.path.join(self.folder, "early")
        with open(request, "wb") as file:
            file.write(HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        with open(request, "rb") as file:
            openssl("s_client", "-connect", server.addresses[0], "-tls1_3", "-ign_eof", "-sess_out", ticket, stdin=file)
        shown = openssl("sess_id", "-in", ticket, "-noout", "-text")
        self.assertRegex(shown, rb"Max Early Data: 0")
        again = subprocess.run(["openssl", "s_client", "-connect", server.addresses[0], "-sess_in", ticket, "-early_data",
                                request], input=b"", capture_output=True, timeout=harness.DEADLINE, check=False)
        self.assertRegex(again.stdout + again.stderr, rb"Early data was not sent|Early data was rejected|not allow")

    def test_handshake_in_pieces(self):
        server = self.serve_tls()
        client = self.secure(server, piece=1)
        self.assertEqual(client.get("/hello").body, b"hello\n")

    def test_many_handshakes_at_once(self):
        """More than a turn takes: each gets its turn, also those that have sent all and FIN."""
        server = self.serve_tls(max_handshakes=1)
        clients = [self.raw(server) for _ in range(50)]
        secured = [Secured(client.socket, client_context(self.authority), shake=False) for client in clients]
        for tls in secured:
            with self.assertRaises(ssl.SSLWantReadError):
                tls.tls.do_handshake()
            tls.flush()
        for tls in secured:
            tls.run(tls.tls.do_handshake)
            tls.sendall(HELLO)
        for tls in secured:
            self.assertIn(b"200 OK", tls.recv(1000))

    # ------------------------------------------------------------ others

    def test_curl(self):
        server = self.serve_tls()
        port = server.addresses[0].rsplit(":", 1)[1]
        done = subprocess.run(["curl", "-sS", "--cacert", self.authority.certificate, "--http1.1",
                               f"https://localhost:{port}/hello", f"https://localhost:{port}/tls"],
                              capture_output=True, text=True, timeout=harness.DEADLINE, check=True)
        self.assertRegex(done.stdout, "hello\nTLSv1.3 TLS_.* alpn=http/1.1 name=localhost")

    def test_http2_by_alpn(self):
        server = self.serve_tls()
        port = server.addresses[0].rsplit(":", 1)[1]
        done = subprocess.run(["curl", "-sS", "--cacert", self.authority.certificate, "-w", " HTTP/%{http_version}\n",
                               "--data-binary", "@-", f"https://localhost:{port}/echo", "--next", "-sS", "--cacert",
                               self.authority.certificate, "-w", " HTTP/%{http_version}\n", f"https://localhost:{port}/tls"],
                              input="x" * 300_000, capture_output=True, text=True, timeout=harness.DEADLINE, check=True)
        content, rest = done.stdout.split(" ", 1)
        self.assertTrue(content == "x" * 300_000)
        self.assertRegex(rest, "^HTTP/2\nTLSv1.3 TLS_.* alpn=h2 name=localhost[^\n]*\n HTTP/2\n$")

    def test_what_was_agreed_on_is_spoken(self):
        server = self.serve_tls()
        agreed = self.secure(server, client_context(self.authority, protocols=["h2"]))
        agreed.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
        how, said = agreed.gone()
        self.assertNotIn(b"HTTP/1.1", said)
        self.assertEqual(how, "fin")  # and close_notify, without which the socket raises
        self.assertEqual(said[-17:], b"\0\0\x08\x07" + bytes(12) + b"\x01")  # GOAWAY, PROTOCOL_ERROR
        other = self.secure(server, client_context(self.authority, protocols=["http/1.1"]))
        other.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        self.assertEqual(other.answer().status, 505)

    def test_redirect(self):
        """From the plain port: host, path and query stay, the port becomes that of TLS."""
        server = self.serve()
        for host, port, location in (("a.example", 443, "https://a.example"), ("a.example:8080", 8443, "https://a.example:8443"),
                                     ("[::1]:80", 443, "https://[::1]"), ("", 443, None)):
            target = f"/redirect?port={port}&q=%2F"
            with self.subTest(host), server.connect() as client:
                client.send(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                answer = client.answer()
                self.assertEqual(answer.field("Location"), location and location + target)
                self.assertEqual(answer.status, 308 if location else 400)

    def test_idle_connection(self):
        """What an idle connection with TLS costs the process, OpenSSL's part included."""
        count = harness.scaled(1000)
        if harness.raise_descriptors() < 2 * count + 100:
            self.skipTest("too few descriptors")
        server = self.serve_tls()
        context = client_context()
        warm = [self.secure(server, context) for _ in range(200)]
        for client in warm:
            client.get("/hello")
        resident = harness.resident_kib(server.pid)
        before = server.stats(1)["memory"]
        for client in [self.secure(server, context) for _ in range(count)]:
            client.get("/hello")
        each = (harness.resident_kib(server.pid) - resident) * 1024 / count
        ours = (server.stats(1)["memory"] - before) / count
        print(f"{count} idle connections with TLS: {each:.0f} bytes each, {ours:.0f} of the engine", flush=True)
        if harness.PLAIN:
            self.assertLess(each, 24 * 1024)
            self.assertLess(ours, 600)

    def test_refused_connections_are_closed(self):
        server = self.serve_tls(max_connections=1, refuse_connections=True)
        first = self.secure(server)
        self.assertEqual(first.get("/hello").status, 200)
        self.raw(server).gone()


if __name__ == "__main__":
    unittest.main()
