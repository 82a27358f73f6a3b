# SPDX-License-Identifier: Apache-2.0
"""What is measured and how it is told: processor time, memory, load, and ratios within one round.

Processor time is the scheduler's exact run time of a product's whole process tree (`schedstat`), not ticks.
"""

import json
import os
import pathlib
import re
import statistics
import subprocess
import time

HEADERS = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) bench",
    "Accept: text/html,application/json;q=0.9,*/*;q=0.8",
    "Accept-Encoding: gzip, br",
    "Cookie: session=0123456789abcdef0123456789abcdef",
)
# The product under test has the first core for itself; load and upstream share the second.
PRODUCT_CORE, LOAD_CORE = "0", "1"
UNITS = {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}
SIZES = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}


def tree(pid):
    """The process and all its descendants."""
    found, left = [], [pid]
    while left:
        process = left.pop()
        found.append(process)
        for task in pathlib.Path(f"/proc/{process}/task").glob("*/children"):
            try:
                left += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def run_time(pid):
    """Nanoseconds on a processor so far, of every thread of the tree."""
    total = 0
    for process in tree(pid):
        for task in pathlib.Path(f"/proc/{process}/task").glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[0])
            except OSError:
                continue
    return total


def pss_kib(pid):
    """Proportional share of memory of the tree."""
    total = 0
    for process in tree(pid):
        try:
            text = pathlib.Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        total += int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1])
    return total


def pinned(core, *command, **options):
    """A command on one core."""
    return subprocess.Popen(["taskset", "-c", core, *map(str, command)], **options)


def run_pinned(core, *command):
    with pinned(core, *command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        return process.communicate()[0]


def duration_us(text):
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    return float(found[1]) * UNITS[found[2]] if found else float("nan")


def wrk(url, host, connections, seconds):
    """Requests as fast as they are answered."""
    headers = [part for header in (f"Host: {host}", *HEADERS) for part in ("-H", header)]
    text = run_pinned(
        LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "20s", *headers, url
    )
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    status = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    read = re.search(r"requests in \S+, ([\d.]+)(\w+) read", text)
    return {
        "count": int(re.search(r"(\d+) requests in", text)[1]),
        "per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
        "p99_us": duration_us(re.search(r"99%\s+(\S+)", text)[1]),
        "bytes": float(read[1]) * SIZES[read[2]],
        "failed": (sum(map(int, errors.groups())) if errors else 0) + (int(status[1]) if status else 0),
    }


def h2load(url, host, count):
    """Requests over 8 connections of 16 streams."""
    headers = [part for header in (f":authority: {host}", *HEADERS) for part in ("-H", header)]
    text = run_pinned(LOAD_CORE, "h2load", f"-n{count}", "-c8", "-m16", "-t1", *headers, url)
    good = re.search(r"status codes: (\d+) 2xx", text)
    good = int(good[1]) if good else 0
    return {"count": good, "failed": count - good}


class Tool:
    """The Rust part: upstream, relay and the clients that wrk is not."""

    def __init__(self, path):
        self.path = path

    def start(self, core, mode, **options):
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return pinned(core, self.path, mode, *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def load(self, mode, **options):
        """One run of a client; what it says."""
        process = self.start(LOAD_CORE, mode, **options)
        # Not communicate(): a client that waits for its input's end must not see one.
        line = process.stdout.readline()
        process.stdin.close()
        process.wait()
        if process.returncode or not line:
            raise SystemExit(f"{mode} against {options.get('to')} failed")
        return json.loads(line)


def quartiles(values):
    values = sorted(values)
    if len(values) < 2:
        return values * 3
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


class Samples:
    """All samples of one case; a ratio is always to nginx in the same round."""

    def __init__(self, case, out):
        self.case, self.out, self.rows = case, out, []

    def add(self, turn, product, **figures):
        row = {"case": self.case, "round": turn, "product": product, "load": os.getloadavg()[0], **figures}
        self.rows.append(row)
        if self.out:
            self.out.write(json.dumps(row) + "\n")
            self.out.flush()
        if row.get("failed"):
            print(f"  {product}: {row['failed']} of {row.get('count')} failed", flush=True)

    def plainly(self, key, title):
        """A table without ratios, for what may be nothing with one product."""
        lines = [f"### {title}", "", "| product | median [quartiles] | rounds |", "| --- | --- | --- |"]
        for product in dict.fromkeys(row["product"] for row in self.rows):
            values = [row[key] for row in self.rows if row["product"] == product]
            low, middle, high = quartiles(values)
            lines.append(f"| {product} | {middle:,.2f} [{low:,.2f}..{high:,.2f}] | {len(values)} |")
        return "\n".join([*lines, ""])

    def told(self, key, title, base="nginx"):
        """A table: median, and median [quartiles] of the ratio."""
        bases = {row["round"]: row[key] for row in self.rows if row["product"] == base}
        lines = [f"### {title}", "", f"| product | median | to {base} [quartiles] | rounds |", "| --- | --- | --- | --- |"]
        for product in dict.fromkeys(row["product"] for row in self.rows):
            rows = [row for row in self.rows if row["product"] == product]
            ratios = [row[key] / bases[row["round"]] for row in rows if bases.get(row["round"])]
            low, middle, high = quartiles(ratios) if ratios else (float("nan"),) * 3
            median = statistics.median(row[key] for row in rows)
            lines.append(f"| {product} | {median:,.2f} | {middle:.2f} [{low:.2f}..{high:.2f}] | {len(rows)} |")
        loads = [row["load"] for row in self.rows]
        lines += ["", f"Load of the machine: {min(loads):.1f} to {max(loads):.1f}.", ""]
        return "\n".join(lines)


def until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise SystemExit("waited in vain")
        time.sleep(0.02)
