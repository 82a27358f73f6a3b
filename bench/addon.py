#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long it takes to make a PostgreSQL addon, and what addons cost at rest.

Shared: `hop3 addon create postgres` on a server that is there, the whole command. Dedicated: the same with `--dedicated`,
and beside it, in turn, what PostgreSQL's own initdb takes with the same options. Memory is PSS: of Hop3's roles before
and after, and of the processes of the server, with ten databases that ten apps know.

    bench/addon.py [--rounds 10]
"""

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time

from installation import ROLES, installation, machine, pss, table, told

SHARED_S, OVER_INITDB_S = 0.3, 0.5
REST_SECONDS = 12
# Whoever owns nothing: initdb refuses to be root.
NOBODY = 65534


def seconds(action):
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def initdb():
    programs = sorted(os.scandir("/usr/lib/postgresql"), key=lambda entry: int(entry.name))[-1].path
    place = tempfile.mkdtemp()
    os.chown(place, NOBODY, NOBODY)
    command = [
        f"{programs}/bin/initdb", f"--pgdata={place}/data", "--username=postgres", "--auth-local=peer",
        "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums", "--no-instructions",
    ]
    try:
        return seconds(lambda: subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, user=NOBODY, group=NOBODY, cwd="/"))
    finally:
        shutil.rmtree(place)


def processes_of(hop, directory):
    """Every process whose working directory lies there: a server of an addon is started in its own."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/cwd").startswith(str(hop.root / "addons" / directory)):
                found.append(int(pid))
        except OSError:
            continue
    return found


def roles(hop):
    time.sleep(REST_SECONDS)
    return sum(pss([hop.pid(role)]) for role in ROLES)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=10)
    rounds = arguments.parse_args().rounds
    with installation() as hop:
        before = roles(hop)
        first = seconds(lambda: hop.hop3("addon", "create", "postgres", "db"))
        shared = [seconds(lambda: hop.hop3("addon", "create", "postgres", f"db-{n}")) for n in range(rounds)]
        work = hop.repository("procfile-only")
        for number in range(10):
            hop.hop3("deploy", "-a", f"app{number}", str(work))
        with_apps = roles(hop)
        for number in range(min(10, rounds)):
            hop.hop3("addon", "bind", f"db-{number}", "-a", f"app{number}")
        after = roles(hop)
        servers = len(os.listdir(hop.root / "addons"))
        of_server = pss(processes_of(hop, ""))
        dedicated, own = [], []
        for number in range(rounds):
            own.append(initdb())
            dedicated.append(seconds(
                lambda: hop.hop3("addon", "create", "postgres", f"alone-{number}", "--dedicated")))
        over = [a - b for a, b in zip(dedicated, own)]
        print("## Making a PostgreSQL addon, in seconds")
        table(["What", "Took", "Target"], [
            ["shared, the first (makes the server)", f"{first:.2f}", ""],
            ["shared, a further one", told(shared, 1, 2), f"{SHARED_S}"],
            ["dedicated", told(dedicated, 1, 2), ""],
            ["initdb alone, in turn", told(own, 1, 2), ""],
            ["dedicated over initdb", f"{statistics.median(over):.2f}", f"{OVER_INITDB_S}"],
        ])
        print("## At rest: PSS in MB")
        table(["What", "MB"], [
            ["Hop3's roles, nothing there", f"{before:.1f}"],
            ["Hop3's roles, 10 apps and 11 databases", f"{with_apps:.1f}"],
            ["Hop3's roles, the apps bound to 10 databases", f"{after:.1f}"],
            [f"the processes of {servers} PostgreSQL server", f"{of_server:.1f}"],
        ])
        print(machine(), flush=True)


if __name__ == "__main__":
    main()
