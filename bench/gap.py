#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long the proxy is away when it is killed, and how many requests fail, at rest and under load.

The proxy gets SIGKILL; a prober opens a connection every half millisecond until a request is answered again. Under load,
processes of their own send requests over connections they keep, as fast as they are answered, all the time.

    bench/gap.py [--rounds 30] [--clients 8] [--apps 100]
"""

import argparse
import contextlib
import http.client
import multiprocessing
import os
import signal
import time

from installation import installation, machine, table, told

TARGET_MS = 300


def load(port, stop, failed, answered):
    """Requests without a pause until told to stop; each failure is followed by a new connection."""
    connection = None
    while not stop.is_set():
        connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/", headers={"Host": f"app0.localhost:{port}"})
            good = connection.getresponse().read() == b"a page"
        except (OSError, http.client.HTTPException):
            good = False
        with (answered if good else failed).get_lock():
            (answered if good else failed).value += 1
        if not good:
            connection.close()
            connection = None
            # As a person's next try: without it the clients alone would fill both cores with refused connections.
            time.sleep(0.001)


def gap(hop):
    """Seconds from SIGKILL to the end of the first request that is answered again."""
    killed = hop.pid("proxy")
    os.kill(killed, signal.SIGKILL)
    begun = time.perf_counter()
    while time.perf_counter() < begun + 60:
        # The old process may answer a request it had accepted: what counts is a connection made after its end.
        with contextlib.suppress(OSError, http.client.HTTPException):
            if hop.get("app0.localhost")[1] == "a page":
                return time.perf_counter() - begun
        time.sleep(0.0005)
    raise SystemExit("the proxy did not come back")


def gaps(hop, rounds):
    values = []
    for _ in range(rounds):
        values.append(gap(hop))
        # Between two kills the roles are at rest again, as between two mishaps.
        time.sleep(1)
    return values


def under_load(hop, rounds, clients):
    stop = multiprocessing.Event()
    failed, answered = multiprocessing.Value("q"), multiprocessing.Value("q")
    work = [multiprocessing.Process(target=load, args=(hop.port, stop, failed, answered)) for _ in range(clients)]
    for process in work:
        process.start()
    try:
        return gaps(hop, rounds), failed.value, answered.value
    finally:
        stop.set()
        for process in work:
            process.join()


def row(name, values, clients, failed, answered):
    ordered = sorted(values)
    return [name, len(values), told(values), f"{ordered[int(len(ordered) * 0.95)] * 1000:.0f}", clients, answered, failed]


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=30)
    options.add_argument("--clients", type=int, default=8)
    options.add_argument("--apps", type=int, default=100)
    given = options.parse_args()
    with installation() as hop:
        for number in range(given.apps):
            hop.deploy_site(f"app{number}", "a page")
        rest = gaps(hop, given.rounds)
        loaded, failed, answered = under_load(hop, given.rounds, given.clients)
        print(f"## The proxy after kill -9, {given.apps} apps; milliseconds; target {TARGET_MS}")
        print(machine())
        table(
            ["State", "n", "back after", "95 %", "clients", "answered", "failed"],
            [row("at rest", rest, 0, 0, 0), row("under load", loaded, given.clients, failed, answered)],
        )


if __name__ == "__main__":
    main()
