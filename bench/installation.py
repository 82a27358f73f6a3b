# SPDX-License-Identifier: Apache-2.0
"""A real installation in a temporary root, for measuring, and the words the figures are told with.

Everything is on loopback and everything it started is ended when the `with` block ends.
"""

import contextlib
import http.client
import io
import itertools
import json
import os
import pathlib
import platform
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
EXAMPLES = REPOSITORY / "examples" / "apps"
PATIENCE = 60
ROLES = ("server", "proxy", "supervisor")


def program():
    """The release build, or what HOP3 names."""
    default = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "release" / "hop3"
    path = pathlib.Path(os.environ.get("HOP3", default))
    if not path.exists():
        raise SystemExit(f"{path} is not there; make it with: cargo build --release --locked --package hop3")
    return path


class Local(http.client.HTTPConnection):
    """HTTP over the server's unix socket, as its local administrator."""

    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(self.path))


class Hop:
    def __init__(self, secure=False):
        # Ends in order, as at Ctrl-C.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="hop3-bench-"))
        # Apps run as users of their own and must find their way in.
        self.directory.chmod(0o755)
        self.root = self.directory / "root"
        # A copy of its own: pages shared with another installation would make each look smaller.
        self.program = shutil.copy2(program(), self.directory / "hop3")
        self.port = 0
        # Where HTTPS is served, when it is.
        self.https = 0 if secure else None
        self.server = None
        home = self.directory / "home"
        home.mkdir()
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "HOP3_"))}
        self.env = plain | {
            "HOME": str(home),
            "HOP3_ROOT": str(self.root),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_AUTHOR_NAME": "bench",
            "GIT_AUTHOR_EMAIL": "bench@example.org",
            "GIT_COMMITTER_NAME": "bench",
            "GIT_COMMITTER_EMAIL": "bench@example.org",
            # Hop3 is on this machine: no proxy stands between.
            "NO_PROXY": "localhost,127.0.0.1",
            "no_proxy": "localhost,127.0.0.1",
        }

    def __enter__(self):
        try:
            self.boot()
            self.token = json.loads(self.hop3("token", "create", "bench", "--json"))["token"]
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        subprocess.run([self.program, "server", "stop", "--all"], env=self.env, check=False, timeout=PATIENCE * 2)
        if self.server:
            self.server.wait(PATIENCE)
        shutil.rmtree(self.directory, ignore_errors=True)

    def boot(self):
        """Starts the server; seconds from its exec to its `ready` line. The port stays from boot to boot."""
        log = open(self.directory / "server.log", "ab")
        begun = time.perf_counter()
        secure = [] if self.https is None else ["--https", f"127.0.0.1:{self.https}"]
        self.server = subprocess.Popen(
            [self.program, "server", "--http", f"127.0.0.1:{self.port}", *secure],
            env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, process_group=0,
        )
        line = self.server.stdout.readline().decode()
        seconds = time.perf_counter() - begun
        log.close()
        if not line.startswith("ready "):
            raise SystemExit(f"the server is not ready: {line!r}\n" + (self.directory / "server.log").read_text())
        self.port = self.port_of("http")
        if secure:
            self.https = self.port_of("https")
        return seconds

    def port_of(self, listener):
        return int((self.root / "run" / "proxy" / listener).read_text().strip().rsplit(":", 1)[1])

    def stop(self, *arguments):
        self.hop3("server", "stop", *arguments)
        self.server.wait(PATIENCE)

    def hop3(self, *arguments, cwd=None):
        return run([self.program, *arguments], self.env, cwd)

    def pid(self, role):
        return int((self.root / "run" / role / "lock").read_text().split()[0])

    def api(self, method, path, body=b"", kind="application/json"):
        connection = Local(self.root / "run" / "server" / "api.sock")
        connection.request(method, path, body, {"Content-Type": kind})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {text}")
        return text

    def deploy_site(self, app, text):
        """One static app by one call, made when it is absent; the fastest way to many."""
        path = f"/api/apps/{app}/deployments?create=true&source=bench"
        told = self.api("POST", path, tar_of({"index.html": text}), "application/x-tar")
        if "deployment-succeeded" not in told:
            raise SystemExit(f"{app} is not deployed: {told[-800:]}")

    def get(self, host, path="/"):
        """Status and body of one request through the proxy, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", path, headers={"Host": f"{host}:{self.port}", "Connection": "close"})
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
        connection.close()
        return answer.status, body

    def until(self, host, text):
        """Asks until the page holds the text; the moment it did."""
        deadline = time.perf_counter() + PATIENCE
        while time.perf_counter() < deadline:
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, body = self.get(host)
                if status == 200 and text in body:
                    return time.perf_counter()
            time.sleep(0.002)
        raise SystemExit(f"{host} never answered {text!r}")

    def repository(self, example):
        """A fresh work tree of an example, committed on main."""
        path = pathlib.Path(tempfile.mkdtemp(prefix="work-", dir=self.directory)) / example
        shutil.copytree(EXAMPLES / example, path, ignore=shutil.ignore_patterns("expected"))
        self.git(path, "init", "--quiet", "--initial-branch=main")
        self.commit(path)
        return path

    def commit(self, path):
        self.git(path, "add", "--all")
        self.git(path, "commit", "--quiet", "--allow-empty", "--message", "bench")

    def git(self, path, *arguments):
        return run(["git", *arguments], self.env, path)

    def remote(self, app):
        return f"http://x:{self.token}@localhost:{self.port}/git/{app}.git"


@contextlib.contextmanager
def installation(secure=False):
    with Hop(secure) as hop:
        yield hop


def run(argv, env, cwd=None):
    done = subprocess.run(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise SystemExit(f"{argv} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def timed(work, *arguments, **named):
    begun = time.perf_counter()
    result = work(*arguments, **named)
    return time.perf_counter() - begun, result


def process(argv, env, cwd=None):
    """Wall and CPU seconds of a whole process, from its spawn to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    done = subprocess.run(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, done.stdout


def tar_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def pss(pids):
    """Proportional set size of processes, in MB (10^6 bytes)."""
    total = 0
    for pid in pids:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+) kB", text, re.M)[1]) * 1024
    return total / 1e6


def told(values, unit=1000, digits=0):
    """Median and range: `12 (11 to 15)`, in milliseconds unless told otherwise."""
    scaled = [value * unit for value in values]
    middle, low, high = statistics.median(scaled), min(scaled), max(scaled)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def table(head, rows):
    """Prints rows as they come."""
    print()
    for row in itertools.chain((head, ["---"] * len(head)), rows):
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)
    print()


def machine():
    """One line on where and when this was measured."""
    load = os.getloadavg()[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    user = "root" if os.geteuid() == 0 else "an ordinary user"
    return (f"{time.strftime('%Y-%m-%d %H:%M')}, {os.cpu_count()} cores, {memory:.0f} GB, Linux {platform.release()}, "
            f"as {user}, load {load:.1f}")
