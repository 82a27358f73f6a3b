#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Hop3 itself takes of memory at rest, and what each further app costs on Hop3's side.

Memory is PSS from /proc/PID/smaps_rollup: pages shared by several processes are divided among them, so that the sum
counts each page once. What the apps' own processes take is not counted.

    bench/size.py
"""

import os
import time

from installation import ROLES, installation, machine, pss, table

# Allocators give back, and threads end, some time after the work.
REST_SECONDS = 12


def measure(hop):
    time.sleep(REST_SECONDS)
    return {role: pss([hop.pid(role)]) for role in ROLES}


def row(name, sizes):
    return [name, *(f"{sizes[role]:.1f}" for role in ROLES), f"{sum(sizes.values()):.1f}"]


def each(before, after, apps):
    kilobytes = {role: (after[role] - before[role]) * 1000 / apps for role in ROLES}
    return [*(f"{kilobytes[role]:.1f}" for role in ROLES), f"{sum(kilobytes.values()):.1f}"]


def main():
    with installation() as hop:
        binary = os.path.getsize(hop.program) / 1e6
        empty = measure(hop)
        work = hop.repository("procfile-only")
        for number in range(5):
            hop.deploy_site(f"site{number}", "a site")
            hop.hop3("deploy", "-a", f"process{number}", str(work))
        ten = measure(hop)
        # As every server is after its next start: without what the deployments left in its memory.
        hop.stop("--all")
        hop.boot()
        hop.until("process4.localhost", "Hello")
        ten_fresh = measure(hop)
        for number in range(5, 15):
            hop.hop3("deploy", "-a", f"process{number}", str(work))
        hop.stop("--all")
        hop.boot()
        hop.until("process14.localhost", "Hello")
        processes = measure(hop)
        for number in range(5, 95):
            hop.deploy_site(f"site{number}", "a site")
        hop.stop("--all")
        hop.boot()
        hop.until("process14.localhost", "Hello")
        sites = measure(hop)
        print("## Memory at rest: PSS in MB; target 40 MB together with 10 apps")
        table(["State", *ROLES, "Together"], [
            row("no app", empty),
            row("10 apps (5 static, 5 processes), just deployed", ten),
            row("the same 10 apps, after a start", ten_fresh),
            row("20 apps (5 static, 15 processes), after a start", processes),
            row("110 apps (95 static, 15 processes), after a start", sites),
        ])
        print("## What one further idle app costs: PSS in KB")
        table(["App", *ROLES, "Together"], [
            ["process (Hop3's side alone)", *each(ten_fresh, processes, 10)],
            ["static", *each(processes, sites, 90)],
        ])
        print(f"Release binary: {binary:.1f} MB; target 25 MB.")
        print(machine(), flush=True)


if __name__ == "__main__":
    main()
