#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long backups of an app with much data take, and the way back, with restic by hand beside it in turn.

Unchanged: the whole command, when nothing was written since the backup before. Changed: the same after one and ten of a
hundred files were written anew, and how much of it was sent. Restore: as a new app, beside `restic restore` of the same
snapshot from the same repository; what Hop3 does beyond is a manifest, owners and an app.

    bench/backup.py [--mib 1024] [--rounds 5]
"""

import argparse
import json
import os
import shutil
import subprocess
import time

from installation import installation, machine, table, told

UNCHANGED_S, RESTORE_RATIO = 2.0, 0.7
# Files of one MiB each: what changes is whole files.
FILE = 1 << 20


def seconds(action):
    begun = time.perf_counter()
    answer = action()
    return time.perf_counter() - begun, answer


def backup(hop):
    """The last line of the news: what was made."""
    news = hop.hop3("backup", "create", "-a", "shop", "--json").strip().splitlines()
    return json.loads(news[-1])["backups"][0]


def write(data, numbers):
    for number in numbers:
        (data / f"{number:05}").write_bytes(os.urandom(FILE))


class ByHand:
    """restic with nothing of Hop3 but the repository and its key."""

    def __init__(self, hop):
        key = hop.hop3("backup", "key").strip()
        self.cache = hop.root / "backups" / "home" / "cache"
        self.env = hop.env | {
            "RESTIC_REPOSITORY": str(hop.root / "backups" / "repository"),
            "RESTIC_PASSWORD": key,
            "RESTIC_CACHE_DIR": str(self.cache),
        }

    def run(self, *arguments):
        subprocess.run(["restic", "--quiet", *arguments], env=self.env, check=True, stdout=subprocess.DEVNULL)


def restores(hop, hand, made, rounds):
    ours, theirs = [], []
    to = hop.directory / "by-hand"
    for number in range(rounds):
        copy = f"copy-{number}"
        ours.append(seconds(lambda: hop.hop3("backup", "restore", made["id"], "--as", copy))[0])
        hop.hop3("app", "destroy", copy, "--confirm", copy)
        tag = f"backup={made['id']},part=data"
        theirs.append(seconds(lambda: hand.run("restore", "latest", "--tag", tag, "--target", str(to)))[0])
        shutil.rmtree(to)
    return ours, theirs


def measure(hop, mib, rounds):
    hop.hop3("app", "create", "shop")
    data = hop.root / "apps" / "shop" / "data"
    write(data, range(mib))
    first, made = seconds(lambda: backup(hop))
    hand = ByHand(hop)
    times = {"unchanged": [], "1 % changed": [], "10 % changed": []}
    sent = {name: [] for name in times}
    for _ in range(rounds):
        for name, share in (("unchanged", 0), ("1 % changed", 0.01), ("10 % changed", 0.1)):
            write(data, range(int(mib * share)))
            took, made = seconds(lambda: backup(hop))
            times[name].append(took)
            sent[name].append(made["added_bytes"] / 1e6)
    rows = [("first backup, s", f"{first:.2f}", "")]
    for name, taken in times.items():
        target = f"at most {UNCHANGED_S:.0f}" if name == "unchanged" else ""
        rows.append((f"{name}, s", told(taken, 1, 2), target))
        rows.append((f"{name}, MB sent", told(sent[name], 1, 1), ""))
    ours, theirs = restores(hop, hand, made, rounds)
    ratio = [by_hand / ours for ours, by_hand in zip(ours, theirs)]
    rows.append(("restore as a new app, s", told(ours, 1, 2), ""))
    rows.append(("restic restore by hand, s", told(theirs, 1, 2), ""))
    rows.append(("speed of the restore to restic's", told(ratio, 1, 2), f"at least {RESTORE_RATIO}"))
    return rows


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--mib", type=int, default=1024)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    with installation() as hop:
        rows = measure(hop, chosen.mib, chosen.rounds)
    print(f"An app with {chosen.mib} MiB in as many files\n")
    table(("", "median (least to most)", "target"), rows)
    print(machine())


if __name__ == "__main__":
    main()
