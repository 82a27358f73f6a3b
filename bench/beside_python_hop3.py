#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hop3 beside Python Hop3, the program it succeeds: the same Flask app and the same verbs, in turn on one machine.

Python Hop3 is there as its installer leaves it: a user hop3, in whose home a venv holds hop3-server, hop3-rootd and
hop3-cli; nginx with its sites; the machine's python3 of 3.12, for which its uWSGI was compiled. Its services are
stopped before: this script starts them with the commands of its units, its API on loopback, and ends them. It leaves a
user `bench` in its database. Needs root, as its rootd does.

    bench/beside_python_hop3.py [--rounds 5] [--home /home/hop3]
"""

import argparse
import contextlib
import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

from installation import EXAMPLES, PATIENCE, ROLES, installation, machine, process, pss, run, table, told

EXAMPLE, FIRST = "python-flask-wsgi", "Hello from a wsgi line!"
# Two questions to a page that is awaited. Shorter, and their TLS would take from what is measured.
PAUSE = 0.01
API = 8000
# What the allocators give back after the work, and threads that end.
REST_SECONDS = 12


class Secure(http.client.HTTPConnection):
    """HTTPS to loopback under an app's own name, whose certificate nobody signed."""

    def connect(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", 443), self.timeout)
        self.sock = context.wrap_socket(plain, server_hostname=self.host)


class Predecessor:
    """Python Hop3: rootd, the Emperor of uWSGI, nginx and the server."""

    def __init__(self, home):
        self.home, self.bin = home, home / "venv" / "bin"
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="hop3-beside-"))
        plain = {key: value for key, value in os.environ.items() if not key.startswith(("HOP3_", "GIT_"))}
        self.env = plain | {"HOME": str(self.directory), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        self.server_env = plain | {"HOME": str(home), "HOP3_HOST": "127.0.0.1", "ACME_ENGINE": "self-signed"}
        self.running, self.apps = {}, set()

    def __enter__(self):
        try:
            rootd = pathlib.Path("/run/hop3-rootd/socket")
            rootd.parent.mkdir(exist_ok=True)
            self.spawn("rootd", [self.bin / "hop3-rootd", "--socket-path", rootd], None)
            self.spawn("emperor", [self.bin / "uwsgi", "--emperor", self.home / "uwsgi-enabled"], "hop3")
            self.spawn("nginx", ["nginx", "-g", "daemon off;"], None)
            self.boot()
            self.login()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for app in sorted(self.apps):
            with contextlib.suppress(SystemExit):
                self.destroy(app)
        for name in list(self.running):
            self.end(name)
        shutil.rmtree(self.directory)

    def spawn(self, name, argv, user):
        log = open(self.directory / f"{name}.log", "ab")
        groups = os.getgrouplist(user, self.home.stat().st_gid) if user else None
        self.running[name] = subprocess.Popen(argv, cwd=self.home, env=self.server_env, stdin=subprocess.DEVNULL,
                                              stdout=log, stderr=log, start_new_session=True, user=user, group=user,
                                              extra_groups=groups)
        log.close()

    def end(self, name):
        child = self.running.pop(name)
        # The Emperor takes SIGTERM for a wish to be loaded again; its unit ends it so.
        child.send_signal(signal.SIGQUIT if name == "emperor" else signal.SIGTERM)
        try:
            child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()

    def boot(self):
        """Seconds from the exec of the server to the first answer."""
        begun = time.perf_counter()
        self.spawn("server", [self.bin / "hop3-server", "serve"], "hop3")
        return first_answer(API) - begun

    def login(self):
        words = [self.bin / "hop3-server", "admin:create", "bench", "bench@example.org", "--password-stdin"]
        as_hop3 = {"cwd": self.home, "env": self.server_env, "user": "hop3", "group": "hop3", "text": True}
        made = subprocess.run(words, input=os.urandom(16).hex(), capture_output=True, check=False, **as_hop3)
        if made.returncode:
            made = subprocess.run([words[0], "admin:token", "bench"], capture_output=True, check=True, **as_hop3)
        token = re.search(r"\?token=([^\"\s]+)", made.stdout)[1]
        self.hop3("login", f"http://127.0.0.1:{API}?token={token}")

    def hop3(self, *arguments, cwd=None):
        return run([self.bin / "hop3", *arguments], self.env, cwd or self.directory)

    def tree(self, app):
        """The example, and the file that names its domain."""
        path = self.directory / app
        shutil.copytree(EXAMPLES / EXAMPLE, path, ignore=shutil.ignore_patterns("expected", "test.toml"))
        (path / "hop3.toml").write_text(f'[metadata]\nid = "{app}"\n\n[domains]\nlist = ["{app}.example.org"]\n')
        return path

    def deploy(self, app, tree, text):
        self.apps.add(app)
        return watched([self.bin / "hop3", "deploy", "--yes", "--app", app], self.env, tree,
                       lambda: self.get(app), text)

    def destroy(self, app):
        self.hop3("app", "destroy", "--app", app, "--force")
        self.apps.discard(app)

    def get(self, app):
        connection = Secure(f"{app}.example.org", timeout=PATIENCE)
        connection.request("GET", "/", headers={"Connection": "close"})
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
        connection.close()
        return answer.status, body

    def forget(self):
        """No packages kept, as at the first app of all."""
        shutil.rmtree(self.home / ".cache" / "pip", ignore_errors=True)

    def sizes(self):
        server = self.running["server"].pid
        own = [server, *children(server), self.running["rootd"].pid, self.running["emperor"].pid]
        nginx = self.running["nginx"].pid
        return pss(own), pss([nginx, *children(nginx)])


def children(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def first_answer(port):
    deadline = time.perf_counter() + PATIENCE
    while time.perf_counter() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            connection.request("GET", "/")
            connection.getresponse()
            return time.perf_counter()
        except OSError:
            time.sleep(0.002)
        finally:
            connection.close()
    raise SystemExit(f"nothing answers on port {port}")


def watched(argv, env, cwd, get, text):
    """Runs a deployment and asks for the page all the while. Seconds to the page with the text, and how many of them
    went between a question without a good answer and the next good one."""
    begun = time.perf_counter()
    command = subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    away, away_since, answered = 0.0, None, None
    while answered is None and time.perf_counter() < begun + 180:
        asked, status, body = time.perf_counter(), None, ""
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, body = get()
        if status == 200 and away_since is not None:
            away, away_since = away + time.perf_counter() - away_since, None
        elif status != 200 and away_since is None:
            away_since = asked
        if status == 200 and text in body:
            answered = time.perf_counter()
        time.sleep(PAUSE)
    output = command.communicate()[0]
    if command.returncode or answered is None:
        raise SystemExit(f"{argv} ended with {command.returncode}\n{output[-2000:]}")
    return answered - begun, away


def push(hop, work, app, text):
    return watched(["git", "push", "--quiet", hop.remote(app), "main"], hop.env, work,
                   lambda: hop.get(f"{app}.localhost"), text)


def seconds(values):
    return told(values, unit=1, digits=3)


def firsts(old, hop, rounds):
    """Each round a new app, destroyed after it, with no packages kept from the one before."""
    theirs, ours = [], []
    for turn in range(-1, rounds):
        app = f"first{turn + 1}"
        old.forget()
        their_seconds, _ = old.deploy(app, old.tree(app), FIRST)
        our_seconds, _ = push(hop, hop.repository(EXAMPLE), app, FIRST)
        old.destroy(app)
        hop.hop3("app", "destroy", app, "--confirm", app)
        # Not counted: what the first app of a language costs a server once.
        if turn >= 0:
            theirs.append(their_seconds)
            ours.append(our_seconds)
    return theirs, ours


def redeploys(old, hop, rounds):
    """One app on either side, which stays for what is measured after."""
    their_tree, our_tree = old.tree("again"), hop.repository(EXAMPLE)
    old.deploy("again", their_tree, FIRST)
    push(hop, our_tree, "again", FIRST)
    theirs, ours, now = [], [], FIRST
    for turn in range(rounds):
        new = f"Turn {turn}"
        for tree in (their_tree, our_tree):
            (tree / "app.py").write_text((tree / "app.py").read_text().replace(now, new))
        theirs.append(old.deploy("again", their_tree, new))
        hop.commit(our_tree)
        ours.append(push(hop, our_tree, "again", new))
        now = new
    return list(zip(*theirs)), list(zip(*ours))


def lists(old, hop, rounds):
    theirs, ours = [], []
    for _ in range(rounds * 3):
        theirs.append(process([old.bin / "hop3", "app", "list"], old.env, old.directory)[0])
        ours.append(process([hop.program, "app", "list"], hop.env)[0])
    return theirs, ours


def starts(old, hop, rounds):
    """To the first answer over HTTP. Of Python Hop3 the server alone, of Hop3 all three roles."""
    theirs, ours = [], []
    for _ in range(rounds):
        old.end("server")
        theirs.append(old.boot())
        hop.stop("--all")
        begun = time.perf_counter()
        hop.boot()
        ours.append(first_answer(hop.port) - begun)
    return theirs, ours


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--home", type=pathlib.Path, default=pathlib.Path("/home/hop3"))
    given = options.parse_args()
    with Predecessor(given.home) as old, installation() as hop:
        rows = [["first deployment, Flask, to the page", *map(seconds, firsts(old, hop, given.rounds))]]
        (theirs, theirs_away), (ours, ours_away) = redeploys(old, hop, given.rounds)
        rows.append(["redeploy of one line, to the new page", seconds(theirs), seconds(ours)])
        rows.append(["of it without a good answer", seconds(theirs_away), seconds(ours_away)])
        rows.append(["`hop3 app list`, the whole process", *map(seconds, lists(old, hop, given.rounds))])
        rows.append(["start of the server", *map(seconds, starts(old, hop, given.rounds))])
        time.sleep(REST_SECONDS)
        own, nginx = old.sizes()
        rows.append(["memory at rest with one app, PSS", f"{own:.0f} MB, and {nginx:.0f} MB of nginx",
                     f"{pss(hop.pid(role) for role in ROLES):.0f} MB"])
        print(f"## Beside Python Hop3: seconds, median (least to most), {given.rounds} rounds in turn")
        table(["What", "Python Hop3", "Hop3"], rows)
        print(machine(), flush=True)


if __name__ == "__main__":
    main()
