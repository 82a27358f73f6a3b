#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long a push, a redeploy, a rollback, a look and a start take, beside the same done by hand.

By hand means: the commands of the app's own build plan, run one after the other without Hop3 and without a sandbox,
with a package cache in the same state, then the app's own start until its first answer. Both are done in turn, so that
a loaded machine is as hard on the one as on the other.

    bench/speed.py [--rounds 10] [first redeploy rollback list start]
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

from installation import EXAMPLES, installation, machine, process, table, timed, told

APPS = {
    "static-hello": ("index.html", "Hello World!"),
    "procfile-only": ("make-greeting.sh", "Hello from a Procfile!"),
    "python-flask-wsgi": ("app.py", "Hello from a wsgi line!"),
    "node-express": ("server.js", "Hello from Express!"),
}
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ByHand:
    """An app built and started by the commands of its plan, without Hop3."""

    def __init__(self, hop, example, toolchains):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="hand-", dir=hop.directory))
        self.tree = self.place / "tree"
        self.plan = json.loads(hop.hop3("build", "plan", str(EXAMPLES / example), "--json"))
        self.toolchains = toolchains
        self.example = example
        self.env = hop.env

    def fill(self, text):
        text = text.replace("{app}", str(self.tree))
        for layer in self.plan.get("layers", []):
            text = text.replace("{layer:%s}" % layer["name"], str(self.place / layer["name"]))
        for cache in self.plan.get("caches", []):
            text = text.replace("{cache:%s}" % cache, str(self.place / "cache" / cache))
        for name, found in self.toolchains.items():
            text = text.replace("{toolchain:%s}" % name, found["prefix"])
        return text

    def environment(self, extra):
        env = {key: self.fill(value) for key, value in {**self.plan.get("env", {}), **extra}.items()}
        tools = [found["prefix"] + "/bin" for found in self.toolchains.values()]
        env["PATH"] = ":".join(([env["PATH"]] if env.get("PATH") else []) + tools + [SYSTEM_PATH])
        return self.env | env

    def argv(self, command):
        return ["/bin/sh", "-c", self.fill(command["shell"])] if "shell" in command else [
            self.fill(word) for word in command["exec"]]

    def step(self, step):
        cwd = self.tree / self.fill(step.get("cwd", ""))
        subprocess.run(self.argv(step["command"]), cwd=cwd, env=self.environment(step.get("env", {})),
                       stdin=subprocess.DEVNULL, capture_output=True, check=True)

    def build(self):
        """Seconds of the toolchain's own commands, the copy of the source included."""
        begun = time.perf_counter()
        shutil.copytree(EXAMPLES / self.example, self.tree, ignore=shutil.ignore_patterns("expected"))
        for layer in self.plan.get("layers", []):
            (self.place / layer["name"]).mkdir()
            for step in layer["steps"]:
                self.step(step)
            for at, inside in layer.get("links", {}).items():
                (self.tree / at).symlink_to(self.place / layer["name"] / inside)
        for step in self.plan.get("steps", []):
            self.step(step)
        return time.perf_counter() - begun

    def start(self, text):
        """Seconds from the app's start to its first answer with the text; 0 for files, which need none."""
        if "web" not in self.plan.get("processes", {}):
            return 0.0
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        env = self.environment({"PORT": str(port), "BIND_ADDRESS": "127.0.0.1"})
        begun = time.perf_counter()
        app = subprocess.Popen(self.argv(self.plan["processes"]["web"]), cwd=self.tree, env=env, process_group=0,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return first_answer(f"http://127.0.0.1:{port}/", text) - begun
        finally:
            os.killpg(app.pid, signal.SIGKILL)
            app.wait()


def first_answer(url, text):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.perf_counter() + 60
    while time.perf_counter() < deadline:
        try:
            with opener.open(url, timeout=10) as answer:
                if text in answer.read().decode():
                    return time.perf_counter()
        except OSError:
            time.sleep(0.002)
    raise SystemExit(f"{url} never answered {text!r}")


def toolchains(hop):
    """What Hop3 found for the newest artifact."""
    found = sorted(hop.root.glob("artifacts/*/artifact.json"), key=lambda path: path.stat().st_mtime)
    return json.loads(found[-1].read_text()).get("toolchains", {})


def push(hop, work, app, text):
    """Seconds from the start of `git push` until the page holds the text, and until the push returned."""
    begun = time.perf_counter()
    pushing = subprocess.Popen(["git", "push", "--quiet", hop.remote(app), "main"], cwd=work, env=hop.env,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    answered = hop.until(f"{app}.localhost", text)
    output = pushing.communicate()[0].decode()
    returned = time.perf_counter()
    if pushing.returncode:
        raise SystemExit(output)
    return answered - begun, returned - begun


def first_rows(hop, rounds):
    for example, (_, text) in APPS.items():
        # Not counted: what the first app of a language costs a server once (finding or fetching its toolchain).
        push(hop, hop.repository(example), "warm", text)
        found = toolchains(hop)
        hop.hop3("app", "destroy", "warm", "--confirm", "warm")
        pushes, hands, plain, overheads = [], [], [], []
        for turn in range(rounds):
            work = hop.repository(example)
            hop.git(hop.directory, "init", "--quiet", "--bare", f"bare-{example}-{turn}")
            plain.append(timed(hop.git, work, "push", "--quiet", f"../../bare-{example}-{turn}", "main")[0])
            by_hand = ByHand(hop, example, found)
            # In turn first and second.
            if turn % 2:
                hand = by_hand.build() + by_hand.start(text)
            seconds = max(push(hop, work, f"app{turn}", text))
            if not turn % 2:
                hand = by_hand.build() + by_hand.start(text)
            hop.hop3("app", "destroy", f"app{turn}", "--confirm", f"app{turn}")
            shutil.rmtree(by_hand.place)
            pushes.append(seconds)
            hands.append(hand)
            overheads.append(seconds - hand)
        yield [example, told(pushes), told(hands), told(overheads), "500", told(plain)]


def first(hop, rounds):
    print("## First push: start of `git push` to its end, the page answering; ms, median (least to most)")
    table(["App", "Push", "By hand", "Overhead", "Target", "`git push` to a bare repository, nothing else"],
          first_rows(hop, rounds))


def redeploy_rows(hop, rounds):
    for example in ("python-flask-wsgi", "node-express", "static-hello"):
        file, text = APPS[example]
        work = hop.repository(example)
        push(hop, work, example, text)
        by_hand = ByHand(hop, example, toolchains(hop))
        by_hand.build()
        answers, pushes, starts, overheads = [], [], [], []
        now = text
        for turn in range(rounds):
            source, new = work / file, f"Turn {turn}"
            source.write_text(source.read_text().replace(now, new))
            hop.commit(work)
            now = new
            start = by_hand.start(text)
            answered, returned = push(hop, work, example, new)
            answers.append(answered)
            pushes.append(returned)
            starts.append(start)
            overheads.append(answered - start)
        yield [example, told(answers), told(starts), told(overheads), "1000", told(pushes)]


def redeploy(hop, rounds):
    print("## Redeploy of a one-line change: start of `git push` to the new page answering; ms, median (least to most)")
    table(["App", "New page", "The app's own start, by hand", "Difference", "Target", "Push returned"],
          redeploy_rows(hop, rounds))


def rollback_rows(hop, rounds):
    for example in ("python-flask-wsgi", "node-express", "static-hello"):
        file, text = APPS[example]
        app, work = f"back-{example}", hop.repository(example)
        push(hop, work, app, text)
        by_hand = ByHand(hop, example, toolchains(hop))
        by_hand.build()
        (work / file).write_text((work / file).read_text().replace(text, "Second"))
        hop.commit(work)
        push(hop, work, app, "Second")
        answers, ends, starts, overheads = [], [], [], []
        for turn in range(rounds):
            start = by_hand.start(text)
            begun = time.perf_counter()
            # Each goes back to what the last one left.
            command = subprocess.Popen([hop.program, "rollback", "-a", app], env=hop.env, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
            answered = hop.until(f"{app}.localhost", "Second" if turn % 2 else text) - begun
            problem = command.communicate()[1]
            if command.returncode:
                raise SystemExit(problem.decode())
            ends.append(time.perf_counter() - begun)
            answers.append(answered)
            starts.append(start)
            overheads.append(answered - start)
        yield [example, told(answers), told(starts), told(overheads), "300", told(ends)]


def rollback(hop, rounds):
    print("## Rollback: start of `hop3 rollback` to the old page answering; ms, median (least to most)")
    table(["App", "Old page", "The app's own start, by hand", "Difference", "Target", "Command returned"],
          rollback_rows(hop, rounds))


def listing(hop, rounds):
    for number in range(10):
        hop.deploy_site(f"listed{number}", "one of ten")
    walls, cpus, nothing = [], [], []
    for _ in range(rounds * 5):
        wall, cpu, _ = process([hop.program, "app", "list"], hop.env)
        walls.append(wall)
        cpus.append(cpu)
        nothing.append(process(["/bin/true"], hop.env)[0])
    print("## `hop3 app list`, the whole process; ms, median (least to most)")
    table(["Wall", "CPU", "Target", "Wall of /bin/true, started in the same way"],
          [[told(walls, digits=1), told(cpus, digits=1), "10", told(nothing, digits=1)]])


def start(hop, rounds):
    """With 100 apps, 10 of them processes."""
    work = hop.repository("procfile-only")
    for number in range(90):
        hop.deploy_site(f"site{number}", "a site")
    for number in range(10):
        hop.hop3("deploy", "-a", f"process{number}", str(work))
    warm, cold, alive = [], [], []
    for _ in range(rounds):
        hop.stop()
        warm.append(hop.boot())
    for _ in range(rounds):
        hop.stop("--all")
        begun = time.perf_counter()
        cold.append(hop.boot())
        for number in range(10):
            answered = hop.until(f"process{number}.localhost", "Hello from a Procfile!")
        alive.append(answered - begun)
    print("## Start of the server with 100 apps, 10 of them processes: exec to `ready`; ms, median (least to most)")
    table(["Proxy and supervisor alive", "Nothing alive", "Target", "Nothing alive, to all ten processes answering"],
          [[told(warm), told(cold), "300", told(alive)]])


PARTS = {"first": first, "redeploy": redeploy, "rollback": rollback, "list": listing, "start": start}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure; all of it when not told")
    arguments.add_argument("--rounds", type=int, default=10)
    given = arguments.parse_args()
    for part in given.parts or PARTS:
        # Each in an installation of its own, so that none leaves apps for the next.
        with installation() as hop:
            PARTS[part](hop, given.rounds)
        print(machine(), flush=True)


if __name__ == "__main__":
    main()
