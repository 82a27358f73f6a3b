#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same four things with 10 apps and with 1,000: a list, a deployment, a start of the server, a change of a route.

Two installations live side by side and are measured in turn, so that a loaded machine is as hard on the one as on the
other.

    bench/many.py [--apps 1000] [--rounds 20]
"""

import argparse
import http.client
import statistics
import time

from installation import Hop, Local, machine, process, table, told

FEW = 10


def listing(hop, _):
    return process([hop.program, "app", "list"], hop.env)[0]


def answer_of_list(hop, _):
    connection = Local(hop.root / "run" / "server" / "api.sock")
    begun = time.perf_counter()
    connection.request("GET", "/api/apps")
    connection.getresponse().read()
    seconds = time.perf_counter() - begun
    connection.close()
    return seconds


def deploy(hop, turn):
    """From the upload of a changed site to its end, the new page answering."""
    begun = time.perf_counter()
    hop.deploy_site("app5", f"turn {turn}")
    return hop.until("app5.localhost", f"turn {turn}") - begun


def restart(hop, _):
    """From exec to `ready`; the proxy goes on meanwhile."""
    hop.stop()
    return hop.boot()


def cold(hop, _):
    hop.stop("--all")
    return hop.boot()


def route(hop, turn):
    """From the request for a new domain to the first answer under it."""
    connection = http.client.HTTPConnection("127.0.0.1", hop.port)
    host = f"d{turn}.example.org"
    begun = time.perf_counter()
    hop.api("POST", "/api/apps/app5/domains", f'{{"domain": "{host}"}}')
    answered = hop.until(host, "turn") - begun
    connection.close()
    return answered


WORKS = {
    "`hop3 app list`, the whole process": listing,
    "`GET /api/apps`, the answer alone": answer_of_list,
    "deployment of one static app": deploy,
    "start of the server, proxy and supervisor alive": restart,
    "start of all three": cold,
    "domain added, to its first answer": route,
}


def fill(hop, apps):
    begun = time.perf_counter()
    for number in range(apps):
        hop.deploy_site(f"app{number}", f"page {number}")
    return time.perf_counter() - begun


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--apps", type=int, default=1000)
    arguments.add_argument("--rounds", type=int, default=20)
    given = arguments.parse_args()
    with Hop() as few, Hop() as many:
        fill(few, FEW)
        seconds = fill(many, given.apps)
        rows = []
        for name, work in WORKS.items():
            measured = {few: [], many: []}
            # The first of each is not counted.
            for turn in range(given.rounds + 1):
                for hop in (few, many) if turn % 2 else (many, few):
                    measured[hop].append(work(hop, turn))
            at_few, at_many = measured[few][1:], measured[many][1:]
            ratio = statistics.median(at_many) / statistics.median(at_few)
            rows.append([name, told(at_few, digits=1), told(at_many, digits=1), f"{ratio:.2f}", "2"])
        print(f"## With {FEW} apps and with {given.apps:,}: ms, median (least to most)")
        table(["What", f"{FEW} apps", f"{given.apps:,} apps", "Ratio of medians", "Target"], rows)
        print(f"{given.apps:,} apps were made and deployed one after the other in {seconds:.0f} s.")
        print(machine(), flush=True)


if __name__ == "__main__":
    main()
