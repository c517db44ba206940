"""Starts the servers that are measured, asks the kernel what they use, and ends them by their pids."""
import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

START_SECONDS, STOP_SECONDS = 10, 5
TICKS = os.sysconf("SC_CLK_TCK")
SIZE = 1 << 20

NGINX = """
daemon off;
worker_processes 1;
pid {home}/pid;
error_log stderr crit;
{user}
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {home}/temp;
    proxy_temp_path {home}/temp;
    fastcgi_temp_path {home}/temp;
    scgi_temp_path {home}/temp;
    uwsgi_temp_path {home}/temp;
    default_type text/plain;
    keepalive_requests 1000000000;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=16;
    client_max_body_size 2m;
    client_body_buffer_size 2m;
    root {home}/files;
    server {{
        listen 127.0.0.1:{port}{http2};
        {tls}
        location = /hello {{ return 200 "Hello, World!"; }}
        location = /1m {{ }}
        location = /64k {{ }}
        # Reads the whole content into its buffer, then answers (to mirror a request it must be read).
        location = /read {{ mirror /mirrored; error_page 405 =200 /answer; }}
        location = /mirrored {{ internal; return 204; }}
        location = /answer {{ internal; return 200 "ok"; }}
    }}
}}
"""


H2O = """
num-threads: 1
listen:
  host: 127.0.0.1
  port: {port}
{tls}max-connections: 8192
file.mime.setdefaulttype: text/plain
access-log: /dev/null
error-log: /dev/null
hosts:
  default:
    paths:
      "/": {{ file.dir: {home}/files }}
"""


POSTGRES = max(Path("/usr/lib/postgresql").glob("*/bin/postgres"), default=Path("/usr/lib/postgresql/bin/postgres"))


class Trouble(Exception):
    """What the person who runs this is told, in one line."""


def memory_folder():
    """Where files are in memory (tmpfs), if there is such a place."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def find_nginx():
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def stat_of(pid):
    """The fields of /proc/PID/stat behind the name: [0] is the state, [1] the parent."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def family(pid):
    """The pid and those of all its descendants."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                parents.setdefault(int(stat_of(entry)[1]), []).append(int(entry))
    found = [pid]
    for member in found:
        found += parents.get(member, [])
    return found


class Certificate:
    """A certificate for localhost, ECDSA as most are, and its key, in files."""

    def __init__(self, folder):
        self.certificate, self.key = Path(folder) / "cert.pem", Path(folder) / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "9", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", self.key, "-out", self.certificate], check=True, capture_output=True)


class Server:
    """A server on one core. Whoever makes one calls stop(). `choose_port`: it is told where to listen, in the
    place of the word PORT."""

    def __init__(self, command, core, port=None, choose_port=False, tls=None):
        self.pids = []
        if choose_port:
            port = free_port()
            command = [port if word == "PORT" else word for word in command]
        environment = {**os.environ, "CERT": str(tls.certificate), "KEY": str(tls.key)} if tls else None
        self.process = subprocess.Popen(["taskset", "-c", str(core), *map(str, command)], text=True,
                                        stdin=subprocess.DEVNULL, env=environment,
                                        stdout=subprocess.DEVNULL if port else subprocess.PIPE)
        try:
            self.port = port or self.announced()
            self.wait_until_open()
            self.pids = family(self.process.pid)
        except BaseException:
            self.stop()
            raise

    def announced(self):
        """The port in the first line that the server prints."""
        if not select.select([self.process.stdout], [], [], START_SECONDS)[0]:
            raise Trouble(f"{self.process.args[3]} printed no line within {START_SECONDS} s")
        line = self.process.stdout.readline()
        match = re.search(r":(\d+)\b", line)
        if not match:
            raise Trouble(f"{self.process.args[3]} did not start, it printed {line!r}")
        return int(match[1])

    def wait_until_open(self):
        end = time.monotonic() + START_SECONDS
        while True:
            if self.process.poll() is not None:
                raise Trouble(f"{self.process.args[3]} ended at once, with {self.process.returncode}")
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            if time.monotonic() > end:
                raise Trouble(f"{self.process.args[3]} does not listen after {START_SECONDS} s")
            time.sleep(0.01)

    def cpu_seconds(self):
        """User and system time of all its processes and their threads."""
        return sum(self.cpu_times())

    def cpu_times(self):
        """The same apart: (user, system)."""
        fields = [stat_of(pid) for pid in self.pids]
        return sum(int(f[11]) for f in fields) / TICKS, sum(int(f[12]) for f in fields) / TICKS

    def main_seconds(self):
        """Of its first thread, which runs JavaScript in a server that does."""
        pid = self.pids[-1]
        fields = Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self):
        """Resident, proportional, and its own written bytes of all its processes, and resident of the one that serves."""
        rss, pss, private = [], 0, 0
        for pid in self.pids:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            private += int(re.search(r"^Private_Dirty:\s+(\d+)", text, re.M)[1]) * 1024
            rss.append(int(re.search(r"^Rss:\s+(\d+)", text, re.M)[1]) * 1024)
            pss += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) * 1024
        return {"rss": max(rss), "pss": pss, "private": private}  # rss: of masters, workers and helpers the greatest

    def forget_peak(self):
        for pid in self.pids:
            with contextlib.suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak(self):
        """The most bytes that were resident since forget_peak, of the process that had most."""
        found = [re.search(r"^VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M) for pid in self.pids]
        if None in found:
            raise Trouble(f"it ended under the load, with {self.process.poll()}")
        return 1024 * max(int(match[1]) for match in found)

    def response(self):
        """The bytes of one response to what wrk asks."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as peer:
            peer.sendall(f"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode())
            data = b""
            while not data.endswith(b"Hello, World!"):
                more = peer.recv(4096)
                if not more:
                    raise Trouble(f"{self.process.args[3]} answered {data!r}")
                data += more
            return data

    def get(self, target):
        """Ask for it, and wait for the answer."""
        with socket.create_connection(("127.0.0.1", self.port), STOP_SECONDS) as peer:
            peer.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nConnection: close\r\n\r\n".encode())
            while peer.recv(4096):
                pass

    def stop(self):
        """Ask it to end, wait, and kill what is left of it."""
        if self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.pids = family(self.process.pid)
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                for pid in self.pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


class H2o(Server):
    """h2o with one thread. What is quickest in it is a file, which it keeps open."""

    def __init__(self, core, tls=None):
        self.folder = tempfile.TemporaryDirectory(prefix="carom-bench-")
        home = Path(self.folder.name)
        home.chmod(0o755)  # started by root, it serves as nobody
        (home / "files").mkdir()
        (home / "files/hello").write_text("Hello, World!")
        (home / "files/64k").write_bytes(b"x" * 65536)
        (home / "files/1m").write_bytes(b"x" * SIZE)
        port = free_port()
        ssl = f"  ssl:\n    certificate-file: {tls.certificate}\n    key-file: {tls.key}\n    ocsp-update-interval: 0\n" if tls else ""
        (home / "conf").write_text(H2O.format(home=home, port=port, tls=ssl))
        try:
            super().__init__(["h2o", "-c", home / "conf"], core, port)
        except BaseException:
            self.folder.cleanup()
            raise

    def stop(self):
        super().stop()
        self.folder.cleanup()


class Database(Server):
    """A program that asks PostgreSQL, which has a folder of its own and a core of the client's. It refuses to be root."""

    def __init__(self, program, core):
        user = "postgres" if os.geteuid() == 0 else None
        as_user = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"] if user else []
        others = ",".join(str(other) for other in sorted(os.sched_getaffinity(0) - {core}))
        self.folder = tempfile.TemporaryDirectory(prefix="carom-bench-", dir=memory_folder())
        home = self.folder.name
        self.postgres = None
        try:
            if user:
                shutil.chown(home, user, user)
            subprocess.run([*as_user, POSTGRES.parent / "initdb", "-D", f"{home}/data", "-U", "carom", "-A", "trust", "-N", "--no-locale",
                            "-E", "UTF8"], cwd=home, check=True, stdout=subprocess.DEVNULL)
            self.postgres = subprocess.Popen(["taskset", "-c", others, *as_user, POSTGRES, "-D", f"{home}/data", "-k", home, "-h", "",
                                              "-F"], cwd=home, stderr=subprocess.DEVNULL)
            self.wait_for_postgres(f"{home}/.s.PGSQL.5432")
            super().__init__([program, 0, f"host={home} user=carom dbname=postgres"], core)
        except BaseException:
            self.stop_postgres()
            raise

    def wait_for_postgres(self, path):
        end = time.monotonic() + START_SECONDS
        while subprocess.run([POSTGRES.parent / "pg_isready", "-q", "-h", os.path.dirname(path)]).returncode != 0:
            if self.postgres.poll() is not None or time.monotonic() > end:
                raise Trouble("PostgreSQL did not start")
            time.sleep(0.1)

    def stop_postgres(self):
        if self.postgres:
            self.postgres.send_signal(signal.SIGQUIT)
            self.postgres.wait()
            self.postgres = None
        self.folder.cleanup()

    def stop(self):
        super().stop()
        self.stop_postgres()


class Nginx(Server):
    """nginx with one worker, and its files in memory (tmpfs) where there is any. In the clear it speaks HTTP/1.1
    or HTTP/2, over TLS both."""

    def __init__(self, core, tls=None, http2=False):
        self.folder = tempfile.TemporaryDirectory(prefix="carom-bench-", dir=memory_folder())
        home = Path(self.folder.name)
        (home / "files").mkdir()
        (home / "files/1m").write_bytes(b"x" * SIZE)
        (home / "files/64k").write_bytes(b"x" * 65536)
        (home / "files/read").touch()
        port = free_port()
        ssl = (f"ssl_certificate {tls.certificate}; ssl_certificate_key {tls.key}; ssl_session_cache shared:a:1m;"
               if tls else "")
        speaks = " ssl http2" if tls else " http2" if http2 else ""
        user = "user root root;" if os.geteuid() == 0 else ""
        (home / "conf").write_text(NGINX.format(home=home, port=port, user=user, tls=ssl, http2=speaks))
        try:
            super().__init__([find_nginx(), "-p", home, "-e", "stderr", "-c", home / "conf"], core, port)
            end = time.monotonic() + START_SECONDS
            while len(self.pids) < 2:  # the master listens before it makes its worker
                if time.monotonic() > end:
                    self.stop()
                    raise Trouble("nginx has made no worker")
                time.sleep(0.01)
                self.pids = family(self.process.pid)
        except BaseException:
            self.folder.cleanup()
            raise

    def stop(self):
        super().stop()
        self.folder.cleanup()
