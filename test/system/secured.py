"""TLS for the system tests: certificates made by openssl(1), and a socket whose every byte is ours.

The socket drives OpenSSL through memory, so that it can send close_notify without waiting for one, end
without it, and cut what it sends into pieces.
"""

import os
import socket
import ssl
import subprocess

from programs import DEADLINE


def openssl(*arguments, **options):
    """Run openssl(1); returns its output."""
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=DEADLINE,
                          **options).stdout


class Authority:
    """A certificate authority in a folder; its certificates are files of key and certificate together."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = folder, name
        self.key, self.certificate = self.path("key"), self.path("pem")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 2,
                "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.certificate)

    def path(self, ending):
        return os.path.join(self.folder, f"{self.name}.{ending}")

    def issue(self, name, names, usage="serverAuth", key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), days=2):
        """A certificate for `names`, with its key in the same file; returns the file's path."""
        path = os.path.join(self.folder, f"{name}.pem")
        private, request, extensions = path + ".key", path + ".csr", path + ".ext"
        openssl("req", "-newkey", *key, "-nodes", "-subj", f"/CN={name}", "-keyout", private, "-out", request)
        with open(extensions, "w", encoding="ascii") as file:
            file.write(f"subjectAltName={names}\nextendedKeyUsage={usage}\n")
        certificate = openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key,
                              "-CAcreateserial", "-days", days, "-extfile", extensions)
        with open(private, "rb") as file:
            content = certificate + file.read()
        with open(path + ".new", "wb") as file:
            file.write(content)
        os.rename(path + ".new", path)  # as a tool that renews certificates does
        return path


def client_context(authority=None, certificate=None, least=None, most=None, protocols=None):
    """What a client of these tests wants; without an authority it trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if authority:
        context.load_verify_locations(authority.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
        context.check_hostname = True
    if certificate:
        context.load_cert_chain(certificate)
    if least:
        context.minimum_version = least
    if most:
        context.maximum_version = most
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


class Secured:
    """A connected socket with TLS upon it; as far as the tests use it, a socket."""

    def __init__(self, plain, context, name="localhost", session=None, piece=None, shake=True):
        self.socket, self.piece, self.kept = plain, piece, b""
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name, session=session)
        if plain.family != socket.AF_UNIX:  # or the first request waits until the handshake's end is acknowledged
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if shake:
            self.run(self.tls.do_handshake)

    def flush(self):
        data = self.outgoing.read()
        step = self.piece or len(data) or 1
        for at in range(0, len(data), step):
            self.socket.sendall(data[at:at + step])

    def run(self, function, *arguments):
        """Call it until it does not want more bytes."""
        while True:
            try:
                result = function(*arguments)
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                self.fill()
            except ssl.SSLError:
                self.flush()  # the alert
                raise

    def fill(self):
        data = self.socket.recv(65536)
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()

    def sendall(self, data):
        view = memoryview(data)
        while view:
            view = view[self.run(self.tls.write, view):]

    def recv(self, size):
        """Empty at close_notify. FIN without it is an ssl.SSLEOFError."""
        if self.kept:
            data, self.kept = self.kept[:size], self.kept[size:]
            return data
        try:
            return self.run(self.tls.read, size)
        except ssl.SSLZeroReturnError:
            return b""

    def done(self):
        """Say close_notify, and do not wait for the other one. What has come is read before: to OpenSSL
        content that it finds there while it shuts down is a breach of the protocol."""
        try:
            while data := self.tls.read(65536):
                self.kept += data
        except ssl.SSLError:
            pass  # no more has come, or no more will
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            pass  # said already, or it cannot be said
        self.flush()

    def shutdown(self, how):
        if how != socket.SHUT_RD:
            self.done()
        self.socket.shutdown(how)

    def close(self):
        try:
            self.done()
        except OSError:
            pass  # the server was faster
        self.socket.close()

    def setblocking(self, on):
        self.socket.setblocking(on)

    def settimeout(self, seconds):
        self.socket.settimeout(seconds)

    def setsockopt(self, *arguments):
        self.socket.setsockopt(*arguments)
