#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The edge beside nginx, haproxy, caddy and a bare relay, in one run.

All products are up at once, each with one worker on the first core; upstream and load have the second. Each round visits
every product once, in an order that is turned by one each time, and a ratio is to nginx in the same round.

    bench/edge/edge.py [CASE...] [--rounds 10] [--seconds 2] [--only nginx,hop3] [--hosts 10000] [--out FILE]
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import resource
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import products
from measuring import LOAD_CORE, Samples, Tool, h2load, pss_kib, run_time, until, wrk
from products import FILES_HOST, host

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
IDLE_CONNECTIONS = 8000


def hop3_program():
    default = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "release" / "hop3"
    path = pathlib.Path(os.environ.get("HOP3", default))
    if not path.exists():
        raise SystemExit(f"{path} is not there; make it with: cargo build --release --locked --package hop3")
    return path


def tool_program():
    target = pathlib.Path(os.environ.get("EDGE_TOOL_TARGET", REPOSITORY / "target" / "edge-tool"))
    program = target / "release" / "edge-tool"
    if not program.exists():
        manifest = HERE / "tool" / "Cargo.toml"
        build = ["cargo", "build", "--release", "--manifest-path", manifest, "--target-dir", target]
        subprocess.run(build, check=True)
    return program


class Rig:
    """Upstreams and products in a directory that is gone afterwards."""

    def __init__(self, args):
        self.args = args
        self.tool = Tool(tool_program())
        self.processes, self.products = [], {}

    def __enter__(self):
        self.room = pathlib.Path(tempfile.mkdtemp(prefix="hop3-edge-"))
        self.room.chmod(0o755)
        self.site = self.room / "site"
        self.site.mkdir()
        (self.site / "page.txt").write_bytes(b"x" * (10 << 10))
        self.upstreams = products.free_ports(2)
        for name, port in zip("AB", self.upstreams, strict=True):
            self.processes.append(
                self.tool.start(LOAD_CORE, "upstream", listen=f"127.0.0.1:{port}", name=name)
            )
            until(lambda port=port: products.answers(port))
        return self

    def __exit__(self, *_):
        for product in self.products.values():
            product.stop()
        for process in self.processes:
            process.terminate()
            process.wait()
        shutil.rmtree(self.room, ignore_errors=True)

    def make(self, name, hosts=None):
        place = (self.room, self.upstreams, hosts or self.args.hosts, self.site)
        match name:
            case "hop3":
                return products.Hop3(hop3_program(), *place)
            case "epoll":
                return products.Epoll(hop3_program(), *place)
            case "nginx":
                return products.Nginx(*place)
            case "haproxy":
                return products.Haproxy(*place)
            case "caddy":
                return products.Caddy(products.caddy_program(), *place)
            case "relay":
                return products.Relay(self.tool, *place)
        raise SystemExit(f"no product is called {name}")

    def names(self, fits):
        return [name for name in self.args.only if fits(getattr(products, name.capitalize()))]

    def secure(self):
        """A certificate for every host, made once."""
        place = self.room / "certificate"
        if not place.exists():
            place.mkdir()
            made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            names = ["-subj", "/CN=example.test", "-addext", "subjectAltName=DNS:*.example.test,IP:127.0.0.1", "-days", "30"]
            files = ["-keyout", place / "key.pem", "-out", place / "chain.pem"]
            subprocess.run([*made, *names, *files], check=True, stderr=subprocess.DEVNULL)
            (place / "both.pem").write_text((place / "chain.pem").read_text() + (place / "key.pem").read_text())
        return place

    def up(self, fits):
        """All that fit a case, running."""
        for name in self.names(fits):
            if name not in self.products:
                # An SSL context for each of 10,000 server blocks would take nginx a quarter of a minute to start.
                product = self.make(name, 10 if fits is secured else None)
                if fits is secured:
                    product.certificate = self.secure()
                product.start()
                self.products[name] = product
        return [self.products[name] for name in self.names(fits)]

    def rounds(self, fits):
        """Each product in each round, in turned order."""
        everyone = self.up(fits)
        for turn in range(self.args.rounds):
            start = turn % len(everyone)
            for product in everyone[start:] + everyone[:start]:
                yield turn, product


def every(_):
    return True


def secured(product):
    return product.speaks_tls


def measured(product, load, unit):
    """Processor time of the product for each unit that the load counts."""
    before = run_time(product.process.pid)
    result = load()
    spent = run_time(product.process.pid) - before
    return {**result, "cpu_us": spent / 1e3 / max(result[unit], 1)}


def requests(rig, samples, connections, path="/s", name=None, fits=every, base="nginx"):
    seconds = rig.args.seconds
    for product in rig.up(fits):
        wrk(f"http://127.0.0.1:{product.port}{path}", name or host(0), connections, 1)
    for turn, product in rig.rounds(fits):
        target = name or host(7919 * (turn + 1) % rig.args.hosts)
        url = f"http://127.0.0.1:{product.port}{path}"
        samples.add(turn, product.name, **measured(product, lambda: wrk(url, target, connections, seconds), "count"))
    return [samples.told("cpu_us", "processor time for each request, us", base)]


def plain(rig, samples):
    """200 bytes over 64 kept connections."""
    return requests(rig, samples, 64)


def plain256(rig, samples):
    """200 bytes over 256 kept connections."""
    return requests(rig, samples, 256)


def page(rig, samples):
    """10 KiB from the upstream over 64 kept connections."""
    return requests(rig, samples, 64, "/k")


def files(rig, samples):
    """A file of 10 KiB over 64 kept connections."""
    return requests(rig, samples, 64, "/page.txt", FILES_HOST, lambda product: product.serves_files)


def large(rig, samples):
    """100 MiB from the upstream over 4 connections."""
    for turn, product in rig.rounds(every):
        url = f"http://127.0.0.1:{product.port}/l"
        before = run_time(product.process.pid)
        result = wrk(url, host(0), 4, max(rig.args.seconds, 2))
        spent = run_time(product.process.pid) - before
        samples.add(turn, product.name, gb_per_cpu_second=result["bytes"] / max(spent, 1), failed=result["failed"])
    return [samples.told("gb_per_cpu_second", "gigabytes for each second of processor time")]


def messages(rig, samples):
    """64 bytes there and back over 64 WebSockets."""
    for turn, product in rig.rounds(every):
        options = {"to": f"127.0.0.1:{product.port}", "host": host(0), "connections": 64, "seconds": rig.args.seconds}
        samples.add(turn, product.name, **measured(product, lambda: rig.tool.load("echo", **options), "count"))
    return [samples.told("cpu_us", "processor time for each message there and back, us")]


def tls(rig, samples):
    """200 bytes over 64 kept TLS connections."""
    seconds = rig.args.seconds
    for turn, product in rig.rounds(secured):
        url = f"https://127.0.0.1:{product.tls_port}/s"
        samples.add(turn, product.name, **measured(product, lambda: wrk(url, host(0), 64, seconds), "count"))
    return [samples.told("cpu_us", "processor time for each request, us")]


def handshakes(rig, samples):
    """A full TLS 1.3 handshake and one request on each connection."""
    for turn, product in rig.rounds(secured):
        options = {"to": f"127.0.0.1:{product.tls_port}", "host": host(0), "connections": 16, "count": 1_000}
        samples.add(turn, product.name, **measured(product, lambda: rig.tool.load("handshakes", **options), "count"))
    return [samples.told("cpu_us", "processor time for each handshake with its request, us")]


def h2(rig, samples):
    """200 bytes over HTTP/2, 8 connections of 16 streams."""
    for turn, product in rig.rounds(secured):
        url = f"https://127.0.0.1:{product.tls_port}/s"
        samples.add(turn, product.name, **measured(product, lambda: h2load(url, host(0), 20_000), "count"))
    return [samples.told("cpu_us", "processor time for each request, us")]


def certificates(rig, samples):
    """Memory of Hop3 with as many certificates as hosts: after its start, and after 1,000 of them were shown."""
    for turn in range(min(rig.args.rounds, 3)):
        product = rig.make("hop3")
        product.certificate = rig.secure()
        for number in range(product.hosts):
            product.keep(host(number))
        product.start()
        try:
            options = {"to": f"127.0.0.1:{product.tls_port}", "connections": 4, "count": 1}
            before = pss_kib(product.process.pid) / 1024
            for number in range(0, product.hosts, max(product.hosts // 1_000, 1)):
                rig.tool.load("handshakes", host=host(number), **options)
            samples.add(turn, "hop3", at_start=before, shown=pss_kib(product.process.pid) / 1024)
        finally:
            product.stop()
            shutil.rmtree(product.room)
    hosts = rig.args.hosts
    return [
        samples.plainly("at_start", f"memory with {hosts} certificates, MiB (PSS)"),
        samples.plainly("shown", "memory after 1,000 of them were shown, MiB (PSS)"),
    ]


def alone(rig, fits=every):
    """Each product by itself, started anew each time."""
    for turn in range(rig.args.rounds):
        for name in rig.names(fits):
            product = rig.make(name)
            product.start()
            try:
                yield turn, product
            finally:
                product.stop()
                shutil.rmtree(product.room)


def idle(rig, samples):
    """Memory that one more idle connection costs."""
    for turn, product in alone(rig):
        wrk(f"http://127.0.0.1:{product.port}/s", host(0), 64, 1)
        time.sleep(0.5)
        before = pss_kib(product.process.pid)
        client = rig.tool.start(
            LOAD_CORE, "idle", to=f"127.0.0.1:{product.port}", host=host(0), connections=IDLE_CONNECTIONS
        )
        count = int(client.stdout.readline() or 0)
        time.sleep(0.5)
        after = pss_kib(product.process.pid)
        client.stdin.close()
        client.wait()
        samples.add(turn, product.name, kib_each=(after - before) / max(count, 1), failed=IDLE_CONNECTIONS - count)
    return [samples.plainly("kib_each", f"growth for each of {IDLE_CONNECTIONS} idle connections, KiB")]


def memory(rig, samples):
    """Memory with all hosts in the table, after a little traffic."""
    for turn, product in alone(rig, lambda product: product.has_routes):
        wrk(f"http://127.0.0.1:{product.port}/s", host(0), 64, 1)
        samples.add(turn, product.name, mib=pss_kib(product.process.pid) / 1024)
    return [samples.plainly("mib", f"memory with {rig.args.hosts} hosts, MiB (PSS)")]


def latency(rig, samples):
    """The slowest hundredth at 70 % of what the same client gets out of each product when it does not wait."""
    for turn, product in rig.rounds(every):
        options = {"to": f"127.0.0.1:{product.port}", "host": host(0), "connections": 64}
        full = rig.tool.load("flow", count=20_000, **options)
        rate = 0.7 * full["count"] / full["seconds"]
        samples.add(turn, product.name, **rig.tool.load("rate", rate=rate, seconds=rig.args.seconds, **options))
    return [samples.told("p50_us", "half of the requests, us"), samples.told("p99_us", "the slowest hundredth, us")]


def release(product, number):
    """The last letter of the answer on a new connection: who is behind the route now. Empty when there is none."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", product.port, timeout=5)) as connection:
        try:
            connection.request("GET", "/s", headers={"Host": host(number)})
            return connection.getresponse().read()[-1:].decode()
        except (OSError, http.client.HTTPException):
            return ""


def moves(product, count):
    """Milliseconds from telling a product of a change to the first new answer on a new connection."""
    number, times = product.hosts - 1, []
    for i in range(count):
        to = (i + 1) % 2
        begun = time.perf_counter()
        product.move(number, to)
        while release(product, number) != "AB"[to]:
            if time.perf_counter() - begun > 30:
                raise SystemExit(f"{product.name} does not take up a route")
        times.append((time.perf_counter() - begun) * 1e3)
        if product.name in ("nginx", "caddy"):
            # Workers of before go on accepting for a while; without this the next change would look instant.
            time.sleep(0.3)
    return times


def change(rig, samples):
    """A route changed: milliseconds to the first answer of the new upstream, at rest and under load, and what was lost."""
    told = []
    for hosts in (10, rig.args.hosts):
        part = Samples(f"change{hosts}", rig.args.out)
        for name in rig.names(lambda product: product.has_routes):
            product = rig.make(name, hosts)
            product.start("0,1")
            try:
                changed(rig, part, product)
            finally:
                product.stop()
                shutil.rmtree(product.room)
        for key, title in (("rest_ms", "at rest"), ("load_ms", "under load")):
            told.append(part.plainly(key, f"milliseconds to the new route, {hosts} hosts, {title}"))
        lost = [f"| {row['product']} | {row['changes']} | {row['count']} | {row['lost']} |" for row in part.rows]
        head = ["| product | changes under load | requests | failed |", "| --- | --- | --- | --- |"]
        told.append("\n".join([f"### requests lost, {hosts} hosts", "", *head, *lost, ""]))
    return told


def changed(rig, part, product):
    count = rig.args.changes if product.name in ("hop3", "haproxy") else max(rig.args.changes // 50, 3)
    rest = moves(product, min(count, 100))
    load = rig.tool.start(LOAD_CORE, "flow", to=f"127.0.0.1:{product.port}", host=host(0), connections=32, count=10**9)
    time.sleep(0.5)
    busy = moves(product, count)
    load.stdin.close()
    result = json.loads(load.stdout.readline())
    load.wait()
    part.add(
        0,
        product.name,
        rest_ms=statistics.median(rest),
        load_ms=statistics.median(busy),
        changes=count,
        count=result["count"],
        lost=result["failed"],
    )


def lasting(rig, samples):
    """Ten million requests while a route changes a thousand times: what was lost."""
    product = rig.make("hop3")
    product.start("0,1")
    try:
        load = rig.tool.start(
            LOAD_CORE, "flow", to=f"127.0.0.1:{product.port}", host=host(0), connections=32, count=rig.args.requests
        )
        told, changes, number = select.poll(), 0, product.hosts - 1
        told.register(load.stdout, select.POLLIN)
        # Spread over the run, at more requests a second than are made; a wait that ends early has found it over.
        while not told.poll(1000 * rig.args.requests / (100_000 * rig.args.changes)):
            changes += 1
            product.move(number, changes % 2)
            if release(product, number) != "AB"[changes % 2]:
                raise SystemExit("a route did not change")
        result = json.loads(load.stdout.readline())
        load.wait()
        samples.add(0, product.name, changes=changes, count=result["count"], lost=result["failed"])
    finally:
        product.stop()
    return [f"{changes} changes, {result['count']} requests in {result['seconds']:.0f} s, {result['failed']} failed"]


CASES = {
    case.__name__: case
    for case in (
        *(plain, plain256, page, files, large, messages, idle, memory, latency, change),
        *(tls, handshakes, h2, certificates, lasting),
    )
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=2, help="of load for each sample")
    parser.add_argument("--only", type=lambda text: text.split(","), help="products; nginx is the base of the ratios")
    parser.add_argument("--hosts", type=int, default=10_000)
    parser.add_argument("--changes", type=int, default=1_000)
    parser.add_argument("--requests", type=int, default=10_000_000, help="of the case lasting")
    parser.add_argument("--out", type=argparse.FileType("a"), help="every sample, as lines of JSON")
    args = parser.parse_args()
    unknown = set(args.cases) - set(CASES)
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    caddy = ["caddy"] if products.caddy_program() else []
    args.only = args.only or ["nginx", "hop3", "haproxy", *caddy, "relay"]
    return args


def main():
    args = arguments()
    # Each proxied connection is two descriptors, and clients have theirs.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for name in args.cases or CASES:
        with Rig(args) as rig:
            samples = Samples(name, args.out)
            print(f"\n## {name}: {CASES[name].__doc__}\n", flush=True)
            for table in CASES[name](rig, samples):
                print(table, flush=True)


if __name__ == "__main__":
    sys.exit(main())
