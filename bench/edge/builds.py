#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two builds of Hop3 under load at the same time, on the same core: whatever disturbs one disturbs the other.

One after the other, two builds of the same source differ by several hundredths on a machine that is shared; at the same
time, by less than half a hundredth. What is told is the processor time for each request of the second build to that of
the first.

    bench/edge/builds.py OLD NEW [--tls] [--rounds 12] [--seconds 2]
"""

import argparse
import concurrent.futures

import edge
import products
from measuring import quartiles, run_time, wrk

CONNECTIONS = 32


def spent(product, seconds):
    """Processor time for each request."""
    url = f"https://127.0.0.1:{product.tls_port}/s" if product.certificate else f"http://127.0.0.1:{product.port}/s"
    before = run_time(product.process.pid)
    load = wrk(url, products.host(0), CONNECTIONS, seconds)
    assert not load["failed"], load
    return (run_time(product.process.pid) - before) / load["count"]


def start(rig, name, program, hosts, certificate):
    # A directory of its own, named after it.
    kind = type(name, (products.Hop3,), {"name": name})
    product = kind(program, rig.room, rig.upstreams, hosts, rig.site)
    product.certificate = certificate
    product.start()
    rig.products[name] = product


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=2)
    args = parser.parse_args()
    with edge.Rig(args) as rig, concurrent.futures.ThreadPoolExecutor(2) as both:
        certificate, hosts = (rig.secure(), 10) if args.tls else (None, 10_000)
        for name in ("old", "new"):
            start(rig, name, getattr(args, name), hosts, certificate)
        ratios = []
        for _ in range(args.rounds):
            old, new = both.map(lambda product: spent(product, args.seconds), rig.products.values())
            ratios.append(new / old)
        low, median, high = quartiles(ratios)
        print(f"new to old: {median:.3f} [{low:.3f}..{high:.3f}], {args.rounds} rounds")


if __name__ == "__main__":
    main()
