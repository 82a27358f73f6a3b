#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the request filter finds, what it stops by mistake, and what it costs.

Attacks: the tests of the Core Rule Set itself, as the Go module github.com/corazawaf/coraza-coreruleset has them (those that
expect a rule of the families 930 to 944 to fit). Ordinary requests: those of the filter's own tests and of the tests of the
example apps, and every paragraph of the documents given, once as a field of a form and once as a text in JSON.

    bench/waf.py PROGRAM [--texts DIRECTORY]        PROGRAM is hop3-waf; needs go and PyYAML
"""

import argparse
import json
import pathlib
import re
import socket
import struct
import subprocess
import tempfile
import time
import tomllib
import urllib.parse

import yaml

MODULE = "github.com/corazawaf/coraza-coreruleset@v0.0.0-20240226094324-415b1017abdc"
FAMILIES = {
    "930": "local files",
    "931": "remote files",
    "932": "commands",
    "933": "PHP",
    "934": "scripts of servers",
    "941": "scripts in pages",
    "942": "SQL",
    "943": "fixed sessions",
    "944": "Java",
}
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


class Filter:
    """A role of its own in a root of its own."""

    def __init__(self, program):
        self.root = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen([program, "--root", self.root.name])
        self.socket = f"{self.root.name}/run/waf/ask.sock"
        while not pathlib.Path(self.socket).is_socket():
            time.sleep(0.01)

    def ask(self, head, body, paranoia):
        settings = json.dumps({"client": "192.0.2.1", "paranoia": paranoia, "without": [], "is_cut": False}).encode()
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.socket)
        connection.sendall(struct.pack(">III", len(settings), len(head), len(body)) + settings + head + body)
        out = b""
        while piece := connection.recv(65536):
            out += piece
        connection.close()
        answer = json.loads(out[4:])
        assert not answer["failed"], answer
        return answer

    def memory(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def attacks():
    """(family, head, body, rule) of each test that expects a rule to fit."""
    with tempfile.TemporaryDirectory() as module:
        pathlib.Path(module, "go.mod").write_text("module corpus\n")
        told = subprocess.run(
            ["go", "mod", "download", "-json", MODULE], cwd=module, capture_output=True, text=True, check=True
        )
    tests = pathlib.Path(json.loads(told.stdout)["Dir"], "tests")
    for file in sorted(tests.glob("REQUEST-9*/*.yaml")):
        if file.name[:3] not in FAMILIES:
            continue
        for test in yaml.safe_load(file.read_text())["tests"]:
            for stage in test["stages"]:
                stage = stage["stage"]
                given, expected = stage["input"], stage.get("output", {})
                if "log_contains" not in expected or "encoded_request" in given:
                    continue
                body = str(given.get("data") or "").encode()
                headers = dict(given.get("headers") or {})
                headers.setdefault("Host", "localhost")
                if body and not given.get("stop_magic"):
                    headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
                    headers.setdefault("Content-Length", str(len(body)))
                yield file.name[:3], head(given.get("method", "GET"), given.get("uri", "/"), headers), body, rule(expected)


def rule(expected):
    found = re.search(r"9\d{5}", str(expected["log_contains"]))
    return int(found[0]) if found else 0


def levels():
    """The paranoia from which each installed rule acts."""
    found = {}
    for file in pathlib.Path("/usr/share/modsecurity-crs/rules").glob("REQUEST-*.conf"):
        for block in re.split(r"\n(?=Sec)", file.read_text()):
            number, level = re.search(r"\bid:(\d+)", block), re.search(r"paranoia-level/(\d)", block)
            if number and level:
                found[int(number[1])] = int(level[1])
    return found


def head(method, target, headers):
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {str(target).replace(' ', '%20')} HTTP/1.1\r\n{lines}\r\n".encode()


def usual(media=None, length=0):
    headers = {"Host": "app.example.org", "User-Agent": AGENT, "Accept": "text/html,*/*;q=0.8"}
    return headers | ({"Content-Type": media, "Content-Length": length} if media else {})


def requests():
    """(kind, head, body) of the filter's own ordinary requests."""
    corpus = pathlib.Path(__file__).parent.parent / "crates/hop3-waf/tests/it"
    lines = (corpus / "ordinary.txt").read_text().splitlines()
    lines += [line.partition("\t")[2] for line in (corpus / "mistaken.txt").read_text().splitlines()]
    for line in lines:
        if not line or line.startswith("#"):
            continue
        method, target, media, body = (line.split("\t") + ["", ""])[:4]
        if "json" not in media:
            body = body.replace("\\r", "\r").replace("\\n", "\n")
        body = body.encode()
        yield "own requests", head(method, target, usual(media, len(body))), body
    for file in sorted((pathlib.Path(__file__).parent.parent / "examples/apps").glob("*/test.toml")):
        for request in tomllib.loads(file.read_text())["request"]:
            yield "requests of example apps", head("GET", request["path"], usual()), b""


def texts(directory):
    """(kind, head, body) of paragraphs that somebody might send."""
    for file in sorted(pathlib.Path(directory).rglob("*.md")):
        for paragraph in re.split(r"\n\s*\n", file.read_text()):
            if not paragraph.strip():
                continue
            form = urllib.parse.urlencode({"title": "A note", "text": paragraph}).encode()
            yield "texts in forms", head("POST", "/notes", usual("application/x-www-form-urlencoded", len(form))), form
            note = json.dumps({"title": "A note", "text": paragraph}, ensure_ascii=False).encode()
            yield "texts in JSON", head("POST", "/api/notes", usual("application/json", len(note))), note


def rate(filter, requests, paranoia):
    """For each kind: how many were stopped of how many, and by which rules how often."""
    seen = {}
    for kind, start, body, *_ in requests:
        answer = filter.ask(start, body, paranoia)
        one = seen.setdefault(kind, [0, 0, {}])
        one[0] += answer["stop"]
        one[1] += 1
        for match in answer["matches"] if answer["stop"] else []:
            one[2][match["id"]] = one[2].get(match["id"], 0) + 1
    return seen


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("program")
    arguments.add_argument("--texts", default=pathlib.Path(__file__).parent.parent / "docs/src")
    arguments = arguments.parse_args()
    filter = Filter(arguments.program)
    try:
        known = levels()
        bad, good = list(attacks()), list(requests()) + list(texts(arguments.texts))
        for paranoia in (1, 2, 3, 4):
            print(f"paranoia {paranoia}")
            found = rate(filter, bad, paranoia)
            total = [sum(one[i] for one in found.values()) for i in (0, 1)]
            print(f"  attacks stopped: {total[0]} of {total[1]} ({100 * total[0] / total[1]:.1f} %)")
            own = [one for one in bad if known.get(one[3], 9) <= paranoia]
            own = [sum(one[i] for one in rate(filter, own, paranoia).values()) for i in (0, 1)]
            print(f"  of those made for rules that act here: {own[0]} of {own[1]} ({100 * own[0] / own[1]:.1f} %)")
            for family, one in found.items():
                print(f"    {family} {FAMILIES[family]}: {one[0]} of {one[1]}")
            for kind, one in rate(filter, good, paranoia).items():
                worst = sorted(one[2].items(), key=lambda pair: -pair[1])[:5]
                print(f"  {kind} stopped: {one[0]} of {one[1]} ({100 * one[0] / one[1]:.1f} %) {worst}")
            start = time.perf_counter()
            for _ in range(300):
                filter.ask(good[0][1], b"", paranoia)
            print(f"  one GET: {(time.perf_counter() - start) / 300 * 1000:.2f} ms")
            print(f"  memory: {filter.memory():.0f} MiB")
    finally:
        filter.process.kill()
        filter.root.cleanup()


if __name__ == "__main__":
    main()
