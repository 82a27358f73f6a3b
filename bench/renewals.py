#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What renewing many certificates at once does to requests.

An installation with 50 domains and pebble, an authority for tests. A client asks one page over one TLS connection, again
and again at a steady pace, in turn while nothing happens and while all certificates are renewed at the same time. pebble
and the client have the second core, the installation both.

    bench/renewals.py [--domains 50] [--rounds 5] [--pace 500]
"""

import argparse
import contextlib
import http.client
import json
import socket
import ssl
import statistics
import subprocess
import threading
import time

from installation import installation, machine, run, table

CORE = "1"


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def started(*command, env=None, ready=None):
    """A program on the second core, until the block ends."""
    process = subprocess.Popen(
        ["taskset", "-c", CORE, *map(str, command)], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        while ready and ready not in process.stdout.readline():
            if process.poll() is not None:
                raise SystemExit(f"{command[0]} ended")
        # What it prints is read, so that it never waits.
        threading.Thread(target=lambda: all(map(bool, process.stdout)), daemon=True).start()
        yield
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def authority(hop):
    """pebble, which looks at the installation's port; the address of its directory, and what its HTTPS is checked by."""
    place = hop.directory / "pebble"
    place.mkdir()
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    made += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"]
    run([*made, "-keyout", str(place / "key.pem"), "-out", str(place / "root.pem")], hop.env)
    port, names, management = free_port(), f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    config = {
        "listenAddress": f"127.0.0.1:{port}",
        "managementListenAddress": f"127.0.0.1:{free_port()}",
        "certificate": str(place / "root.pem"),
        "privateKey": str(place / "key.pem"),
        "httpPort": hop.port,
        "tlsPort": hop.https,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
        "certificateValidityPeriod": 86_400,
    }
    (place / "config.json").write_text(json.dumps({"pebble": config}))
    silent = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]
    env = hop.env | {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", "PEBBLE_WFE_NONCEREJECT": "0"}
    with (
        started("pebble-challtestsrv", "-dns01", names, "-management", management, *silent),
        started("pebble", "-config", place / "config.json", "-dnsserver", names, env=env, ready="Root CA certificate"),
    ):
        yield f"https://localhost:{port}/dir", place / "root.pem"


class Visitor:
    """Asks one page at a steady pace; how long each answer took, in milliseconds."""

    def __init__(self, hop, host, pace):
        trust = ssl._create_unverified_context()
        raw = socket.create_connection(("127.0.0.1", hop.https))
        self.connection = http.client.HTTPConnection(host, timeout=30)
        self.connection.sock = trust.wrap_socket(raw, server_hostname=host)
        self.every = 1 / pace

    def ask(self, is_over):
        times, due = [], time.perf_counter()
        while not is_over():
            due += self.every
            time.sleep(max(due - time.perf_counter(), 0))
            begun = time.perf_counter()
            self.connection.request("GET", "/")
            answer = self.connection.getresponse()
            if answer.status != 200 or not answer.read():
                raise SystemExit(f"a request was answered by {answer.status}")
            times.append((time.perf_counter() - begun) * 1e3)
        return times


class Certificates:
    def __init__(self, hop, hosts):
        self.hop = hop
        self.chains = [hop.root / "certs" / host / "chain.pem" for host in hosts]
        self.hosts = hosts

    def told(self):
        return [chain.stat().st_ino if chain.exists() else 0 for chain in self.chains]

    def wait(self, before):
        until = time.monotonic() + 120
        while any(old == new for old, new in zip(before, self.told(), strict=True)):
            if time.monotonic() > until:
                raise SystemExit("not every certificate came")
            time.sleep(0.05)

    def renew(self):
        """All at once; seconds until the last has come."""
        before, begun = self.told(), time.perf_counter()
        for host in self.hosts:
            self.hop.api("POST", f"/api/certificates/{host}/renew")
        self.wait(before)
        return time.perf_counter() - begun


def slowest_hundredth(times):
    return statistics.quantiles(times, n=100)[98]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--domains", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pace", type=int, default=500, help="requests a second")
    args = parser.parse_args()
    hosts = [f"d{number}.example.org" for number in range(args.domains)]
    with installation(secure=True) as hop, authority(hop) as (directory, root):
        hop.deploy_site("site", "a site")
        hop.hop3("cert", "acme", "set", "--ca", directory, "--ca-root", str(root), "--contact", "a@example.org", "--agree-tos")
        certificates = Certificates(hop, hosts)
        for host in hosts:
            hop.hop3("domain", "add", host, "-a", "site")
        certificates.wait([0] * len(hosts))
        visitor = Visitor(hop, hosts[0], args.pace)
        rows, calm, busy = [], [], []
        for number in range(args.rounds):
            seconds = []
            renewing = threading.Thread(target=lambda: seconds.append(certificates.renew()))
            renewing.start()
            during = visitor.ask(lambda: not renewing.is_alive())
            until = time.monotonic() + max(seconds[0], 2)
            alone = visitor.ask(lambda: time.monotonic() > until)
            calm += alone
            busy += during
            rows.append([number + 1, f"{seconds[0]:.1f} s", *told(alone), *told(during)])
        rows.append(["all", "", *told(calm), *told(busy)])
        head = ["round", "renewed in", "calm: half", "slowest hundredth", "renewing: half", "slowest hundredth"]
        table(head, rows)
        print(f"{args.domains} domains, {args.pace} requests a second. {machine()}")


def told(times):
    return f"{statistics.median(times):.2f} ms", f"{slowest_hundredth(times):.2f} ms"


if __name__ == "__main__":
    main()
