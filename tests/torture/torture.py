#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Supervised candidates of one election are killed, stopped, continued and asked to hand over at random, and a separate
checker judges the ledger that their programs have written: no two programs at once, tokens rise, no stale write is
admitted.

In containment `weak` programs may overlap by design; there the guard's refusals are judged.

    torture.py --rounds 500 --seed 1 --containment kernel|cgroup|weak

The programs' paths come from the environment (meson.build).
"""
import argparse
import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

LINE_BYTES = 128
CANDIDATES = [f"c{i}" for i in range(5)]  # tenure run
LIBRARY = ["l0", "l1"]  # of the library alone: they see what lives on when they lead
LIMIT_S = 30
BACKOFF_S = 1.5
GRACE = "60ms"
PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWNS = 0x20000
MS_REC_PRIVATE = 0x4000 | 0x40000
MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")
ROLES = ("supervisor", "warden", "init", "program")


class Broken(Exception):
    """What should have happened did not."""


def on_disk():
    for base in (os.environ.get("TENURE_TEST_DIR"), tempfile.gettempdir(), "/var/tmp"):
        if base and os.access(base, os.W_OK):
            kind = subprocess.run(["stat", "-f", "-c", "%T", base], stdout=subprocess.PIPE, text=True, check=True)
            if kind.stdout.strip() not in MEMORY_FILE_SYSTEMS:
                return base
    raise Broken("no directory on a disk: set TENURE_TEST_DIR")


def hide_cgroups():
    """For `weak`: a host on which no cgroup can be made."""
    libc = ctypes.CDLL(None, use_errno=True)
    if (libc.unshare(CLONE_NEWNS) or libc.mount(None, b"/", None, MS_REC_PRIVATE, None)
            or libc.mount(b"none", b"/sys/fs/cgroup", b"tmpfs", 0, None)):
        raise Broken("cannot hide cgroups: " + os.strerror(ctypes.get_errno()))


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []


def send(pid, number):
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


class Torture:
    def __init__(self, args):
        self.args = args
        self.random = random.Random(args.seed)
        self.directory = tempfile.mkdtemp(prefix="tenure-torture-", dir=on_disk())
        self.store = "file:" + self.directory + "/store"
        self.ledger = self.directory + "/ledger"
        self.candidates = {}
        self.traces = []
        self.n_started = 0
        self.done = {}
        self.replaced = 0
        self.slow = []

    # ---- candidates ----

    def start(self, name):
        self.n_started += 1
        trace = f"{self.directory}/trace-{name}-{self.n_started}"
        self.traces.append(trace)
        if name in LIBRARY:
            command = [os.environ["TORTURE_CANDIDATE"], self.store, "torture", name, self.ledger]
        else:
            command = self.supervised(name, trace)
        with open(self.directory + "/log-" + name, "ab") as log:
            self.candidates[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                     start_new_session=True)

    def supervised(self, name, trace):
        command = [os.environ["TENURE_BIN"], "run", "torture", "--store", self.store, "--id", name, "--stay",
                   "--grace", GRACE, "--containment", self.args.containment, "--trace", trace, "--config", "/dev/null"]
        if self.args.containment != "kernel":
            command.append("--no-pid-namespace")
        return command + ["--", os.environ["TORTURE_PROGRAM"], self.ledger, self.directory + "/guard"]

    def restart_dead(self):
        for name, process in self.candidates.items():
            code = process.poll()
            if code is None:
                continue
            if code not in (-signal.SIGKILL, -signal.SIGTERM, 0, 3, 75, 143, 137):
                raise Broken(f"{name} ended with exit code {code}:\n{self.tail('log-' + name)}")
            self.start(name)
        self.reap()

    def reap(self):
        """Orphans of killed supervisors come here; candidates are left to their Popen."""
        known = {process.pid for process in self.candidates.values()}
        for pid in children(os.getpid()):
            if pid not in known:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass

    def tail(self, name):
        try:
            with open(f"{self.directory}/{name}", encoding="utf-8", errors="replace") as file:
                return file.read()[-2000:]
        except OSError:
            return ""

    # ---- who leads ----

    def latest(self):
        """(token, holder) of the latest lines; (0, None) before the first one."""
        try:
            size = os.path.getsize(self.ledger) // LINE_BYTES * LINE_BYTES
            with open(self.ledger, "rb") as file:
                file.seek(max(0, size - 32 * LINE_BYTES))
                lines = file.read(size - file.tell()).decode(errors="replace").splitlines()
        except OSError:
            return 0, None
        fields = [line.split() for line in lines]
        return max(((int(f[1]), f[7]) for f in fields if len(f) == 8), default=(0, None))

    def wait_next(self, token):
        began = time.monotonic()
        replaced = began
        while True:
            found = self.latest()
            if found[0] > token:
                return found
            self.restart_dead()
            now = time.monotonic()
            if now - began > LIMIT_S:
                logs = "".join(f"--- {name}\n{self.tail('log-' + name)}" for name in self.candidates)
                raise Broken(f"nobody leads after token {token} for {LIMIT_S} s\n{logs}")
            if now - replaced > BACKOFF_S:
                # Candidates whose program was killed pause before they campaign again: all of them may.
                name = self.random.choice(list(self.candidates))
                self.candidates[name].kill()
                self.replaced += 1
                replaced = now
            time.sleep(0.002)

    def tree(self, name):
        """{role: pid}, as far as it stands now."""
        found = {"supervisor": self.candidates[name].pid}
        pid = found["supervisor"]
        for role in ROLES[1:]:
            below = children(pid)
            if not below:
                break
            pid = found[role] = below[0]
        return found

    # ---- what is done to them ----

    def pause(self, at_most_s):
        time.sleep(self.random.random() * at_most_s)

    def kill_some(self, name):
        tree = self.tree(name)
        roles = self.random.sample(sorted(tree), self.random.choice((1, 1, 1, 2, 2, 3, len(tree)))
                                   if len(tree) > 3 else 1)
        self.what = "of " + ", ".join(roles)
        for role in roles:
            send(tree[role], signal.SIGKILL)
            if self.random.random() < 0.3:
                self.pause(0.002)
        self.backing_off = name
        return True

    def stop_one(self, name):
        """Stops one for a while. Sometimes another one is killed meanwhile; then leadership may pass on."""
        tree = self.tree(name)
        role = self.random.choice(sorted(tree))
        send(tree[role], signal.SIGSTOP)
        self.pause(self.random.choice((0.005, 0.05, 0.2)))
        killed = self.random.random() < 0.5
        if killed:
            other = self.random.choice([other for other in sorted(tree) if other != role] or [role])
            send(tree[other], signal.SIGKILL)
            self.backing_off = name
            self.pause(self.random.choice((0.005, 0.05)))
        send(tree[role], signal.SIGCONT)
        self.what = f"{role}" + (f", {other} killed" if killed else "")
        return killed

    def terminate(self, name):
        send(self.candidates[name].pid, signal.SIGTERM)
        if self.random.random() < 0.3:
            self.pause(0.02)
            send(self.candidates[name].pid, self.random.choice((signal.SIGTERM, signal.SIGKILL)))
        return True

    def ask(self, *arguments):
        done = subprocess.run([os.environ["TENURE_BIN"], *arguments, "--store", self.store, "--wait", "10s", "--config",
                               "/dev/null"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 64):  # 64: whoever was named is not there any more, or nobody leads
            raise Broken(f"{arguments}: exit code {done.returncode}: {done.stderr}")
        return done.returncode == 0

    def resign(self, _name):
        return self.ask("resign", "torture")

    def transfer(self, name):
        return self.ask("transfer", "torture", "--to", self.random.choice([n for n in self.candidates if n != name]))

    def disturb_waiting(self, name):
        """One that does not lead is killed, or stopped while the leader is killed."""
        other = self.random.choice([n for n in self.candidates if n != name])
        if self.random.random() < 0.5:
            self.candidates[other].kill()
            return False
        pid = self.candidates[other].pid
        send(pid, signal.SIGSTOP)
        killed = self.kill_some(name)
        self.pause(0.1)
        send(pid, signal.SIGCONT)
        return killed

    ACTIONS = ((kill_some, 50), (stop_one, 20), (terminate, 8), (resign, 6), (transfer, 8), (disturb_waiting, 8))

    def round(self, token, name):
        """One disturbance. The tenure that follows, or the present one where it goes on: (token, name)."""
        self.pause(0.06)
        token, name = self.latest()
        action = self.random.choices([a for a, _ in self.ACTIONS], [w for _, w in self.ACTIONS])[0]
        self.done[action.__name__] = self.done.get(action.__name__, 0) + 1
        self.backing_off = None
        self.what = ""
        began = time.monotonic()
        if action(self, name):
            token, name = self.wait_next(token)
            self.slow.append((time.monotonic() - began, f"{action.__name__} {self.what}, before token {token}"))
        if self.backing_off and self.backing_off != name:
            # Whose program fails at once pauses, longer each time. It is replaced: somebody shall be in the queue.
            send(self.candidates[self.backing_off].pid, signal.SIGTERM)
        self.restart_dead()
        found = self.latest()
        return found if found[0] > token else (token, name)

    # ---- all of it ----

    def end(self):
        """Everything ends in order. What is left then is a finding in `kernel` and `cgroup`."""
        for process in self.candidates.values():
            send(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + LIMIT_S
        for name, process in self.candidates.items():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired as late:
                raise Broken(f"{name} does not end:\n{self.tail('log-' + name)}") from late
        while self.args.containment != "weak":
            self.reap()
            left = self.processes_left()
            if not left:
                return
            if time.monotonic() > deadline:
                raise Broken(f"processes are left: {left}")
            time.sleep(0.01)

    def processes_left(self):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if self.directory.encode() in file.read() and int(pid) != os.getpid():
                        found.append(int(pid))
            except OSError:
                pass
        return found

    def clean_up(self):
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            left = self.processes_left()
            for process in self.candidates.values():
                process.poll()
            self.reap()
            if not left:
                break
            for pid in left:
                send(pid, signal.SIGKILL)
            time.sleep(0.01)
        if not self.args.keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def check(self, bad, *inputs):
        """The checker's figures; violations of kinds that count are printed."""
        done = subprocess.run([os.environ["TENURE_CHECKER"], "--json", *inputs], capture_output=True, text=True,
                              check=False)
        for line in done.stderr.splitlines():
            if not line.startswith("violation: ") or any(line.startswith("violation: " + kind) for kind in bad):
                print(line)
        if done.returncode not in (0, 1):
            raise Broken(f"no verdict: exit code {done.returncode}")
        return json.loads(done.stdout)

    def judge(self):
        """Names of the violations that count in this containment."""
        always = ["one token used by two holders", "stale write admitted"]
        kinds = {"traces": always + ["token not rising"],
                 "ledger": always + ([] if self.args.containment == "weak" else ["token not rising",
                                                                                 "two programs at once"])}
        ledger = self.check(kinds["ledger"], "--ledger", self.ledger)
        traces = [word for trace in self.traces if os.path.exists(trace) for word in ("--trace", trace)]
        traces = self.check(kinds["traces"], *traces)
        found = [f"{figures['violations'][kind]} x {kind} ({name})"
                 for name, figures in (("ledger", ledger), ("traces", traces))
                 for kind in kinds[name] if figures["violations"][kind]]
        gaps = ledger["gaps"]
        print(f"actions: {', '.join(f'{name} {n}' for name, n in sorted(self.done.items()))}; "
              f"{self.replaced} candidates replaced to cut a pause short")
        for took, what in sorted(self.slow)[-self.args.slowest:]:
            print(f"slow: {took * 1000:.0f} ms from {what}")
        print(f"ledger: {ledger['lines']} lines under {ledger['tokens']} tokens, {ledger['admitted']} writes admitted, "
              f"{ledger['refused']} refused; traces: {traces['tenures']} tenures, "
              f"{traces['violations']['two leaders at once']} beliefs of a stopped or dying supervisor overlapped")
        if self.args.containment == "weak":
            print(f"overlaps of programs, which weak containment does not rule out: "
                  f"{ledger['violations']['two programs at once']}")
        print(f"containment {self.args.containment}, seed {self.args.seed}: {self.args.rounds} rounds, "
              f"{ledger['tokens'] - 1} hand-overs, gap p50 {gaps['p50_ms']:.1f} ms, p99 {gaps['p99_ms']:.1f} ms, "
              f"longest {gaps['longest_ms']:.1f} ms", flush=True)
        if ledger["tokens"] < self.args.rounds / 3:
            found.append(f"only {ledger['tokens']} tenures in {self.args.rounds} rounds: this proves little")
        return found

    def check_containment(self, name):
        """What is judged is the containment that was asked for, and no better one."""
        end = time.monotonic() + LIMIT_S
        while "containment=" not in self.tail("log-" + name):
            if time.monotonic() > end:
                raise Broken(f"{name} does not say what containment it has")
            time.sleep(0.01)
        if f"containment={self.args.containment}" not in self.tail("log-" + name):
            raise Broken(f"the containment is not {self.args.containment}:\n{self.tail('log-' + name)}")

    def run(self):
        if self.args.containment == "weak":
            hide_cgroups()
        for name in CANDIDATES:
            self.start(name)
        token, name = self.wait_next(0)
        self.check_containment(name)
        for name in LIBRARY:
            self.start(name)
        for number in range(self.args.rounds):
            token, name = self.round(token, name)
            if self.args.progress and number % 50 == 49:
                print(f"round {number + 1}, token {token}", flush=True)
        self.end()
        return self.judge()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--containment", choices=("kernel", "cgroup", "weak"), default="kernel")
    parser.add_argument("--slowest", type=int, default=3, help="how many of the slowest hand-overs to explain")
    parser.add_argument("--progress", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave the directory with ledger, traces and logs")
    args = parser.parse_args()
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit("cannot adopt orphans")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("interrupted"))  # and cleans up
    torture = Torture(args)
    print(f"{torture.directory}, seed {args.seed}", flush=True)
    began = time.monotonic()
    try:
        found = torture.run()
    except Broken as broken:
        found = [str(broken)]
    finally:
        torture.clean_up()
    for what in found:
        print(f"FAILED: {what}")
    print(f"{'failed' if found else 'passed'} after {time.monotonic() - began:.0f} s")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
