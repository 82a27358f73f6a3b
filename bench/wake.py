#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long the first request of a sleeping app takes, and what a sleeping app costs.

Stopped: from the request to its answer, less what the same program needs by hand from its exec to its first answer, in
turn. Frozen: the whole request, with one of an awake app beside it. Many: first requests at the same moment, all of which
must be answered by one start. Memory: PSS of the three roles with so many sleeping apps.

    bench/wake.py [--rounds 20] [--visitors 200] [--apps 100]
"""

import argparse
import concurrent.futures
import http.client
import json
import os
import shutil
import socket
import subprocess
import time

from installation import ROLES, installation, machine, pss, table, tar_of, told

COLD_MS, FROZEN_MS = 20, 10
# One that apps, which have users of their own, can reach.
PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin")
SERVER = '''
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"a page")

    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 512

Server(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
'''


def deploy(hop, app):
    tree = {"server.py": SERVER, "Procfile": f"web: exec {PYTHON} server.py\n"}
    path = f"/api/apps/{app}/deployments?create=true&source=bench"
    told_of_it = hop.api("POST", path, tar_of(tree), "application/x-tar")
    if "deployment-succeeded" not in told_of_it:
        raise SystemExit(f"{app} is not deployed: {told_of_it[-800:]}")
    ranges = {"web": {"least": 0, "most": 1}}
    hop.api("POST", f"/api/apps/{app}/scale", json.dumps({"ranges": ranges, "sleep": {"stop_after_secs": 86400}}))


def put(hop, app, action):
    hop.api("POST", f"/api/apps/{app}/ps", json.dumps({"action": action}))


def asked(hop, app):
    """Seconds of one request on a connection of its own."""
    begun = time.perf_counter()
    status, body = hop.get(f"{app}.localhost")
    seconds = time.perf_counter() - begun
    if (status, body) != (200, "a page"):
        raise SystemExit(f"{app} answered {status}: {body}")
    return seconds


def by_hand(directory):
    """Seconds from the exec of the same program to its first answer, asked again every half millisecond."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    begun = time.perf_counter()
    command = ["/bin/sh", "-c", f"exec {PYTHON} server.py"]
    app = subprocess.Popen(command, cwd=directory, env=os.environ | {"PORT": str(port)})
    try:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.request("GET", "/")
                connection.getresponse().read()
                return time.perf_counter() - begun
            except ConnectionRefusedError:
                time.sleep(0.0005)
            finally:
                connection.close()
    finally:
        app.kill()
        app.wait()


def cold(hop, rounds):
    (hop.directory / "server.py").write_text(SERVER)
    with_hop3, alone = [], []
    for _ in range(rounds):
        put(hop, "app0", "sleep")
        with_hop3.append(asked(hop, "app0"))
        alone.append(by_hand(hop.directory))
    return with_hop3, alone


def frozen(hop, rounds):
    thawed, awake = [], []
    for _ in range(rounds):
        put(hop, "app0", "freeze")
        thawed.append(asked(hop, "app0"))
        awake.append(asked(hop, "app0"))
    return thawed, awake


def many(hop, visitors):
    """First requests at the same moment: how many were answered, by how many starts, and the slowest."""
    put(hop, "app0", "sleep")
    before = woken(hop)
    with concurrent.futures.ThreadPoolExecutor(visitors) as pool:
        seconds = list(pool.map(lambda _: asked(hop, "app0"), range(visitors)))
    return len(seconds), woken(hop) - before, max(seconds)


def woken(hop):
    rows = json.loads(hop.api("GET", "/api/apps/app0/events"))
    return sum(row["event"]["kind"] == "instance-woke" for row in rows)


def memory(hop, apps):
    """PSS of each role, in MB, with one sleeping app and with all of them."""
    put(hop, "app0", "sleep")
    one = {role: pss([hop.pid(role)]) for role in ROLES}
    for number in range(1, apps):
        deploy(hop, f"app{number}")
        put(hop, f"app{number}", "sleep")
    return one, {role: pss([hop.pid(role)]) for role in ROLES}


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=20)
    options.add_argument("--visitors", type=int, default=200)
    options.add_argument("--apps", type=int, default=100)
    given = options.parse_args()
    with installation() as hop:
        deploy(hop, "app0")
        with_hop3, alone = cold(hop, given.rounds)
        thawed, awake = frozen(hop, given.rounds)
        answered, starts, slowest = many(hop, given.visitors)
        over = [a - b for a, b in zip(with_hop3, alone)]
        print(f"## The first request of a sleeping app; milliseconds; targets {COLD_MS} over by hand, {FROZEN_MS} frozen")
        print(machine())
        table(
            ["State", "n", "first request", "beside it", "difference"],
            [
                ["stopped", given.rounds, told(with_hop3), f"by hand {told(alone)}", told(over)],
                ["frozen", given.rounds, told(thawed), f"awake {told(awake)}", ""],
            ],
        )
        print(f"{answered} first requests at once: all answered, {starts} start, the slowest {slowest * 1000:.0f} ms")
        if given.apps > 1:
            one, all_of_them = memory(hop, given.apps)
            print(f"## PSS in MB with sleeping apps\n{machine()}")
            table(
                ["Apps asleep", *ROLES],
                [[1, *(f"{one[r]:.1f}" for r in ROLES)], [given.apps, *(f"{all_of_them[r]:.1f}" for r in ROLES)]],
            )


if __name__ == "__main__":
    main()
