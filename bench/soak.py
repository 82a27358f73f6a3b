#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mixed traffic for a while, with everything that changes going on: nothing may fail, and nothing may grow.

Clients, all over TLS: kept connections, new connections, HTTP/2 (curl), uploads that come back, slow answers, upgraded
connections that echo, first requests of an app that was put to sleep. Meanwhile: deployments, config changes, scalings,
certificates replaced, the proxy upgraded. Memory and descriptors of the three roles are read all the time; the last third
is told beside the second.

    bench/soak.py [--minutes 10]
"""

import argparse
import collections
import contextlib
import http.client
import itertools
import json
import multiprocessing
import os
import shutil
import socket
import ssl
import statistics
import sys
import time
import traceback

from installation import ROLES, installation, machine, pss, run, table, tar_of

# One that apps, which have users of their own, can reach.
PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin")
SERVER = '''
import os, signal, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.headers.get("Upgrade") == "echo":
            self.send_response(101)
            self.send_header("Connection", "Upgrade")
            self.send_header("Upgrade", "echo")
            self.end_headers()
            self.close_connection = True
            while data := self.connection.recv(65536):
                self.connection.sendall(data)
        elif self.path == "/slow":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for _ in range(20):
                self.wfile.write(b"3e8\\r\\n" + b"x" * 1000 + b"\\r\\n")
                self.wfile.flush()
                time.sleep(0.1)
            self.wfile.write(b"0\\r\\n\\r\\n")
        else:
            self.answer(b"a page")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 512
    # Those under way are finished after SIGTERM.
    daemon_threads = False

server = Server(("127.0.0.1", int(os.environ["PORT"])), Page)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
'''


def deploy(hop, app, version):
    tree = {"server.py": SERVER, "Procfile": f"web: exec {PYTHON} server.py\n", "version": str(version)}
    path = f"/api/apps/{app}/deployments?create=true&source=soak"
    said = hop.api("POST", path, tar_of(tree), "application/x-tar")
    if "deployment-succeeded" not in said:
        raise RuntimeError(f"{app} is not deployed: {said[-800:]}")


class Secure(http.client.HTTPSConnection):
    """HTTPS to the proxy. Who signed the certificate is not looked at: it is replaced all the time."""

    def __init__(self, hop, app):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        super().__init__(f"{app}.localhost", hop.https, timeout=20, context=context)

    def connect(self):
        self.sock = self._context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 20), server_hostname=self.host)


def asked(hop, app, path="/"):
    """Status and body of one request on a connection of its own."""
    with contextlib.closing(Secure(hop, app)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()


# Clients. Each does its thing once, and raises when anything is not as it should be.


class Kept:
    """A request on the connection of the one before."""

    def __init__(self, hop, method="GET", body=None):
        self.hop, self.method, self.body, self.connection = hop, method, body, None

    def once(self):
        if self.connection is None or self.connection.sock is None:
            self.connection = Secure(self.hop, "main")
        self.connection.request(self.method, "/", self.body)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200 or body != (self.body or b"a page"):
            raise RuntimeError(f"{answer.status} {body[:80]!r}")
        time.sleep(0.004)


class Fresh(Kept):
    """A request on a connection of its own."""

    def once(self):
        super().once()
        self.connection.close()


class Slow:
    """An answer that takes two seconds."""

    def __init__(self, hop):
        self.hop = hop

    def once(self):
        status, body = asked(self.hop, "main", "/slow")
        if status != 200 or len(body) != 20_000:
            raise RuntimeError(f"{status}, {len(body)} bytes")


class Upgraded:
    """A connection that echoes for five seconds."""

    def __init__(self, hop):
        self.hop = hop

    def once(self):
        with contextlib.closing(Secure(self.hop, "main")) as secure:
            secure.connect()
            connection = secure.sock
            connection.sendall(b"GET / HTTP/1.1\r\nHost: main.localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += connection.recv(1) or b"\r\n\r\n"
            if b" 101 " not in head:
                raise RuntimeError(head[:80])
            for number in range(50):
                text = f"message {number:04}".encode()
                connection.sendall(text)
                came = b""
                while len(came) < len(text):
                    piece = connection.recv(64)
                    if not piece:
                        raise RuntimeError(f"cut off after {number} messages")
                    came += piece
                time.sleep(0.1)


class Curl:
    """Fifty requests by curl, over HTTPS, on one connection as long as that lasts."""

    def __init__(self, hop, version):
        self.hop, self.version = hop, version

    def once(self):
        address = f"https://main.localhost:{self.hop.https}/[1-50]"
        argv = ["curl", self.version, "--silent", "--show-error", "--noproxy", "*", "--max-time", "60", "--insecure"]
        said = run([*argv, "--output", "/dev/null", "--write-out", "%{http_code}\n", address], self.hop.env)
        if said.split() != ["200"] * 50:
            raise RuntimeError(said)
        time.sleep(0.2)


class Sleeper:
    """An app is put to sleep, and the next request wakes it."""

    def __init__(self, hop):
        self.hop, self.turn = hop, itertools.cycle(["sleep", "freeze"])

    def once(self):
        self.hop.api("POST", "/api/apps/sleeper/ps", json.dumps({"action": next(self.turn)}))
        status, body = asked(self.hop, "sleeper")
        if (status, body) != (200, b"a page"):
            raise RuntimeError(f"{status} {body[:80]}")
        time.sleep(1)


def work(client, stop, results):
    """Does it until told to stop; tells how often it went well and what went wrong."""
    good, failures = 0, collections.Counter()
    while not stop.is_set():
        try:
            client.once()
            good += 1
        except (Exception, SystemExit) as error:
            failures[f"{time.strftime('%H:%M:%S')} {type(error).__name__}: {error}"[:200]] += 1
            client.connection = None
            time.sleep(0.05)
    results.put((getattr(client, "label", type(client).__name__), good, dict(failures)))


# What goes on meanwhile.


def certificate(hop):
    """A new certificate for the app's host, as a renewal brings it."""
    place = hop.directory
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=x",
         "-addext", "subjectAltName=DNS:main.localhost", "-days", "30", "-keyout", place / "key.pem", "-out",
         place / "chain.pem"], hop.env)
    hop.hop3("cert", "add", "--cert", place / "chain.pem", "--key", place / "key.pem")


def changes(hop):
    number = itertools.count()
    return [
        ("deployments", 15, lambda: deploy(hop, "main", next(number))),
        ("config changes", 40, lambda: hop.hop3("config", "set", "-a", "main", f"A={next(number)}")),
        ("scalings", 35, lambda: hop.hop3("scale", "-a", "main", f"web={1 + next(number) % 2}")),
        ("certificates", 10, lambda: certificate(hop)),
        ("proxy upgrades", 30, lambda: hop.hop3("proxy", "upgrade")),
    ]


def sizes(hop):
    """PSS in MB and open descriptors of each role."""
    told = {}
    for role in ROLES:
        with contextlib.suppress(OSError):
            pid = hop.pid(role)
            told[role] = (pss([pid]), len(os.listdir(f"/proc/{pid}/fd")))
    return told


def disturb(hop, seconds):
    """Each change at its interval, one at a time; what was counted, what failed, and sizes every five seconds."""
    begun = time.monotonic()
    due = [[begun + every, name, every, act] for name, every, act in changes(hop)]
    count, failures, seen, next_look = collections.Counter(), [], [], begun
    while time.monotonic() < begun + seconds:
        if time.monotonic() >= next_look:
            seen.append(sizes(hop))
            next_look += 5
        due.sort(key=lambda entry: entry[0])
        if time.monotonic() < due[0][0]:
            time.sleep(0.1)
            continue
        _, name, every, act = due[0]
        try:
            act()
            count[name] += 1
        except (Exception, SystemExit) as error:
            failures.append(f"{name}: {error}\n{traceback.format_exc(limit=1)}")
        due[0][0] = time.monotonic() + every
    return count, failures, seen


def clients(hop):
    upload = Kept(hop, "POST", os.urandom(200_000))
    made = [Kept(hop), Kept(hop), Kept(hop), Fresh(hop), Fresh(hop), upload, Slow(hop), Slow(hop), Upgraded(hop), Upgraded(hop)]
    made += [Curl(hop, "--http1.1"), Curl(hop, "--http2"), Sleeper(hop)]
    upload.label = "Kept, 200 kB there and back"
    made[10].label, made[11].label = "Curl, HTTPS with HTTP/1.1", "Curl, HTTP/2"
    return made


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=10)
    given = options.parse_args()
    with installation(secure=True) as hop:
        for app in ("main", "sleeper"):
            deploy(hop, app, "first")
        ranges = {"web": {"least": 0, "most": 1}}
        hop.api("POST", "/api/apps/sleeper/scale", json.dumps({"ranges": ranges, "sleep": {"stop_after_secs": 86400}}))
        stop, results = multiprocessing.Event(), multiprocessing.Queue()
        made = clients(hop)
        workers = [multiprocessing.Process(target=work, args=(client, stop, results)) for client in made]
        for worker in workers:
            worker.start()
        try:
            count, failures, seen = disturb(hop, given.minutes * 60)
        finally:
            stop.set()
            told = [results.get() for _ in workers]
            for worker in workers:
                worker.join()
        tell(given, told, count, failures, seen)
        return bool(failures or any(wrong for _, _, wrong in told))


def tell(given, told, count, failures, seen):
    print(f"## {given.minutes:g} minutes of everything at once")
    print(machine())
    sums = collections.defaultdict(lambda: [0, 0])
    for label, good, wrong in told:
        sums[label][0] += good
        sums[label][1] += sum(wrong.values())
    table(["Clients", "went well", "failed"], [[label, *pair] for label, pair in sorted(sums.items())])
    table(["Meanwhile", "n"], count.items())
    third = len(seen) // 3
    rows = []
    for role in ROLES:
        parts = [[look[role] for look in part if role in look] for part in (seen[third : 2 * third], seen[2 * third :])]
        for place, unit in ((0, "MB (PSS)"), (1, "descriptors")):
            middle = [statistics.median(value[place] for value in part) for part in parts]
            rows.append([role, unit, *(f"{value:.1f}" for value in middle)])
    table(["Role", "of", "second third", "last third"], rows)
    for failure in failures:
        print("change failed:", failure)
    for label, _, wrong in told:
        for text, times in wrong.items():
            print(f"{label}: {times} x {text}")


if __name__ == "__main__":
    sys.exit(main())
