#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two products, or two builds of Hop3, under load at the same time, on the same core: whatever disturbs one disturbs
the other.

One after the other, two builds of the same source differ by several hundredths on a machine that is shared; at the same
time, by half a hundredth. What is told is the processor time for each request, or message, of the second to
that of the first.

    bench/edge/beside.py FIRST SECOND [CASE...] [--rounds 12] [--seconds 2]

FIRST and SECOND: the path of a build, or hop3, nginx, haproxy, caddy, relay.
"""

import argparse
import concurrent.futures

import edge
import products
from measuring import h2load, quartiles, wrk


def requests(connections):
    def load(rig, product):
        url = f"https://127.0.0.1:{product.tls_port}/s" if product.certificate else f"http://127.0.0.1:{product.port}/s"
        return wrk(url, products.host(0), connections, rig.args.seconds)

    return load


def streams(rig, product):
    return h2load(f"https://127.0.0.1:{product.tls_port}/s", products.host(0), 20_000 * rig.args.seconds)


def messages(rig, product):
    options = {"to": f"127.0.0.1:{product.port}", "host": products.host(0), "connections": 64}
    return rig.tool.load("echo", seconds=rig.args.seconds, **options)


CASES = {"plain": requests(64), "plain256": requests(256), "messages": messages, "tls": requests(64), "h2": streams}
SECURE = ("tls", "h2")


def spent(rig, product, load):
    """Processor time for each unit that the load counts."""
    result = edge.measured(product, lambda: load(rig, product), "count")
    assert not result["failed"], result
    return result["cpu_us"]


def make(rig, name, what, hosts):
    if "/" not in what:
        return rig.make(what, hosts)
    # A directory of its own, named after it.
    kind = type(name, (products.Hop3,), {"name": name})
    return kind(what, rig.room, rig.upstreams, hosts, rig.site)


def measure(args, case):
    secure = case in SECURE
    with edge.Rig(args) as rig, concurrent.futures.ThreadPoolExecutor(2) as both:
        for name in ("first", "second"):
            product = make(rig, name, getattr(args, name), 10 if secure else 10_000)
            product.certificate = rig.secure() if secure else None
            product.start()
            rig.products[name] = product
        ratios = []
        for _ in range(args.rounds):
            first, second = both.map(lambda product: spent(rig, product, CASES[case]), rig.products.values())
            ratios.append(second / first)
        low, median, high = quartiles(ratios)
        print(f"{case}: {median:.3f} [{low:.3f}..{high:.3f}], {args.rounds} rounds", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first")
    parser.add_argument("second")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"plain when none is named; of {', '.join(CASES)}")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=2)
    args = parser.parse_args()
    for case in args.cases or ["plain"]:
        measure(args, case)


if __name__ == "__main__":
    main()
