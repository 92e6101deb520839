# SPDX-License-Identifier: Apache-2.0
"""What the tests of `tenure run` share: a store of their own, running supervisors, and their processes."""
import os
import signal
import subprocess
import time

LIMIT_S = 20 if "ASAN_OPTIONS" not in os.environ else 60


def until(condition, what="condition", limit_s=LIMIT_S):
    """Polls: for what no descriptor tells of. Returns the first true value."""
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what} did not come within {limit_s} s"
        time.sleep(0.003)


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(word) for word in f.read().split()]
    except OSError:
        return []


def stat_of(pid):
    """State and start time, or None for a process that is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            fields = f.read().rsplit(b") ", 1)[1].split()
    except OSError:
        return None
    return fields[0].decode(), int(fields[19])


def alive(pid):
    stat = stat_of(pid)
    return stat is not None and stat[0] not in "ZX"


def environment(pid):
    with open(f"/proc/{pid}/environ", "rb") as f:
        return dict(word.decode().split("=", 1) for word in f.read().split(b"\0") if b"=" in word)


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child] + descendants(child)
    return found


class Run:
    """One `tenure run`."""

    def __init__(self, kit, args, command, election="job", **popen):
        self.kit = kit
        argv = [kit.tenure, "run", election, "--store", kit.url, *args, "--", *command]
        popen.setdefault("stdin", subprocess.DEVNULL)
        popen.setdefault("stdout", subprocess.PIPE)
        popen.setdefault("stderr", subprocess.PIPE)
        popen.setdefault("env", kit.env)
        self.p = subprocess.Popen(argv, **popen)
        self.pid = self.p.pid

    def wait(self, limit_s=LIMIT_S):
        """Exit code, stdout, stderr."""
        out, err = self.p.communicate(timeout=limit_s)
        code = self.p.returncode
        return code if code >= 0 else 1000 - code, (out or b"").decode(), (err or b"").decode()

    def signal(self, number):
        os.kill(self.pid, number)

    def warden(self):
        return until(lambda: children(self.pid), "the warden")[0]

    def init(self):
        return until(lambda: children(self.warden()), "init")[0]

    def program(self):
        return until(lambda: children(self.init()), "the program")[0]


class Kit:
    def __init__(self, tenure, directory):
        self.tenure, self.directory = tenure, directory
        self.store = directory / "store"
        self.url = f"file:{self.store}"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("TENURE_")}
        self.runs = []

    def run(self, *args, command, **more):
        run = Run(self, args, command, **more)
        self.runs.append(run)
        return run

    def open_to_all(self):
        """For programs of another user: pytest's directories are private."""
        self.directory.chmod(0o777)
        for parent in self.directory.parents[:2]:
            parent.chmod(0o755)

    def code(self, *args, command, **more):
        return self.run(*args, command=command, **more).wait()

    def ledger(self, name="ledger"):
        path = self.directory / name
        return path.read_text().split("\n")[:-1] if path.exists() else []

    def wait_ledger(self, n, name="ledger"):
        return until(lambda: len(self.ledger(name)) >= n and self.ledger(name), f"{n} lines in the ledger")

    def verb(self, *args):
        return subprocess.run([self.tenure, *args, "--store", self.url], env=self.env, capture_output=True,
                              timeout=LIMIT_S)

    def close(self):
        for run in self.runs:
            tree = [run.pid] + descendants(run.pid)
            if run.p.poll() is None:
                for pid in tree:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                run.p.wait()
            for stream in (run.p.stdout, run.p.stderr):
                if stream:
                    stream.close()
