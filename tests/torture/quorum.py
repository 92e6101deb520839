#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Voters and candidates, each in a network of its own, are killed, stopped, cut off, restarted and asked to hand over
at random. A separate checker judges what the programs and the candidates have written down: no two programs at
once, no two beliefs at once, tokens rise, no stale write is admitted. The gaps between programs are compared with
`tenure timing`.

    quorum.py --rounds 300 --seed 1 [--break=deadline]

The seed decides which faults, on whom, and for how long. Programs' paths come from the environment (meson.build). With
--break=deadline no `tenure run` ends the programs: then the checker must find overlaps.
"""
import argparse
import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import time

import faults
import gaps
import network
import torture
import voters

CANDIDATES = {"c0": 1000, "c1": 1000, "c2": 1000, "c3": 500, "c4": 500}  # tenure run; ttl in ms
LIBRARY = {"l0": 1000, "l1": 500}
NAIVE = {"n0": 1000, "n1": 1000, "n2": 1000}
ELECTION = "torture"
PACE_MS = "4"
WORK_MS = "900"  # how long a candidate of the library leads, if it is let
CALM_S = 0.25
LIMIT_S = 12
DYING_S = 0.03  # what was killed may sign so long
RECYCLE_ROUNDS = 6
SLACK_S = 0.15  # for processes to be scheduled and programs to be started, on a busy host
COMMAND_CODES = (0, 64)  # 64: whoever was named is not there any more, or nobody leads
CUT_OFF_CODES = (69, 75, 124)  # where no majority could be had meanwhile


class QuorumTorture(torture.Torture):
    def __init__(self, args):
        super().__init__(args)
        self.ttls = NAIVE if args.broken else {**CANDIDATES, **LIBRARY}
        self.network = None
        self.voters = None
        self.bounds = {}
        self.commands = []
        self.silent = []  # (from, to): the test itself kept a program from signing
        self.struck = []  # (when, which candidate)
        self.recycled = 0

    # ---- settings as the program computes them ----

    def timing(self, ttl_ms):
        url = "quorum://" + ",".join(self.network.address(name) for name in voters.NAMES)
        done = subprocess.run([os.environ["TENURE_BIN"], "timing", "-o", "json", "--store", url, "--ttl", f"{ttl_ms}ms",
                               "--max-ttl", f"{voters.MAX_TTL_S:g}s", "--config", "/dev/null"], capture_output=True,
                              text=True, check=True)
        return {row["name"]: row["value"] for row in json.loads(done.stdout)}

    # ---- candidates ----

    def start(self, name):
        self.n_started += 1
        trace = f"{self.directory}/trace-{name}-{self.n_started}"
        self.traces.append(trace)
        tenure, program = os.environ["TENURE_BIN"], os.environ["TORTURE_PROGRAM"]
        options = [ELECTION, "--store", self.voters.url, "--id", name, "--ttl", f"{self.ttls[name]}ms", "--trace",
                   trace, "--config", "/dev/null"]
        work = ["--", program, self.ledger, self.directory + "/guard", PACE_MS]
        if name in LIBRARY:
            command = [os.environ["TORTURE_CANDIDATE"], self.voters.url, ELECTION, name, self.ledger,
                       str(self.ttls[name]), WORK_MS, trace]
        elif name in NAIVE:
            command = [sys.executable, os.path.join(os.path.dirname(__file__), "naive.py"), tenure, "campaign",
                       *options, *work]
        else:
            command = [tenure, "run", *options, "--stay", "--containment", self.args.containment, *work]
        with open(f"{self.directory}/log-{name}", "ab") as log:
            self.candidates[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                     start_new_session=True, preexec_fn=self.network.enter(name))

    def command(self, *arguments):
        """Goes on beside the faults; looked at when the round is over."""
        with open(self.directory + "/log-commands", "ab") as log:
            self.commands.append((arguments, subprocess.Popen(
                [os.environ["TENURE_BIN"], *arguments, "--store", self.voters.url, "--wait", "8s", "--config",
                 "/dev/null"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)))

    def look_at_commands(self, alone):
        allowed = COMMAND_CODES if alone else COMMAND_CODES + CUT_OFF_CODES
        for arguments, process in self.commands:
            try:
                code = process.wait(LIMIT_S)
            except subprocess.TimeoutExpired as late:
                raise torture.Broken(f"'tenure {' '.join(arguments)}' does not end") from late
            if code not in allowed:
                raise torture.Broken(f"'tenure {' '.join(arguments)}' exited with {code}:\n{self.tail('log-commands')}")
        self.commands.clear()

    def reap(self):
        """Orphans come here; what has a Popen is left to it."""
        known = {p.pid for p in self.candidates.values()} | {v.process.pid for v in self.voters.voters.values()}
        known |= {process.pid for _, process in self.commands}
        for pid in torture.children(os.getpid()):
            if pid not in known:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass

    def latest_sign_s(self):
        try:
            with open(self.ledger, "rb") as file:
                size = os.path.getsize(self.ledger) // torture.LINE_BYTES * torture.LINE_BYTES
                file.seek(max(0, size - 8 * torture.LINE_BYTES))
                lines = file.read(size - file.tell()).decode().splitlines()
        except OSError:
            return 0
        return max((int(line.split()[0]) / 1e9 for line in lines), default=0)

    def wait_sign(self, since_s):
        """Somebody's program runs."""
        end = time.monotonic() + LIMIT_S
        while self.latest_sign_s() <= since_s:
            self.restart_dead()
            self.voters.check()
            if time.monotonic() > end:
                logs = "".join(f"--- {name}\n{self.tail('log-' + name)}" for name in (*self.ttls, *voters.NAMES))
                raise torture.Broken(f"nobody leads {LIMIT_S} s after the faults of the round\n{logs}")
            time.sleep(0.005)

    # ---- rounds ----

    def round(self, number, _name=None):
        dice = random.Random(f"{self.args.seed} {number}")
        time.sleep(dice.random() * CALM_S)
        chosen = faults.choose(dice, self)
        if self.args.progress:
            print(f"round {number + 1}, {voters.boot_s():.3f}: token {self.latest()[0]} of {self.latest()[1]}: "
                  f"{'; '.join(fault.text for fault in chosen)}", flush=True)
        began = time.monotonic()
        for at_s, act in sorted(((at_s, act) for fault in chosen for at_s, act in fault.acts), key=lambda a: a[0]):
            time.sleep(max(0, began + at_s - time.monotonic()))
            act()
        for fault in chosen:
            self.done[fault.kind] = self.done.get(fault.kind, 0) + 1
        self.wait_sign(voters.boot_s() + DYING_S)
        self.look_at_commands(len(chosen) == 1)
        self.voters.check()
        if not self.args.broken and number % RECYCLE_ROUNDS == RECYCLE_ROUNDS - 1:
            # Whose program was killed pauses, longer each time. All are begun anew in turn.
            names = [name for name in CANDIDATES if name != self.latest()[1]]
            torture.send(self.candidates[names[number // RECYCLE_ROUNDS % len(names)]].pid, signal.SIGTERM)
            self.recycled += 1
        self.restart_dead()

    # ---- verdict ----

    def end(self):
        for process in self.candidates.values():
            torture.send(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + torture.LIMIT_S
        for name, process in self.candidates.items():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired as late:
                raise torture.Broken(f"{name} does not end:\n{self.tail('log-' + name)}") from late
        self.voters.end()
        while not self.args.broken and self.processes_left():
            self.reap()
            if time.monotonic() > deadline:
                raise torture.Broken(f"processes are left: {self.processes_left()}")
            time.sleep(0.01)

    def judge(self):
        kinds = ["one token used by two holders", "stale write admitted", "token not rising", "two programs at once",
                 "two leaders at once"]
        shown = [] if self.args.broken else kinds
        ledger = self.check(shown, "--ledger", self.ledger)
        traces = [word for trace in self.traces if os.path.exists(trace) for word in ("--trace", trace)]
        traces = self.check(shown, *traces)
        found = [f"{figures['violations'][kind]} x {kind} ({name})" for name, figures in
                 (("ledger", ledger), ("traces", traces)) for kind in kinds if figures["violations"][kind]]
        print(f"faults: {', '.join(f'{kind} {n}' for kind, n in sorted(self.done.items()))}")
        print(f"ledger: {ledger['lines']} lines under {ledger['tokens']} tokens, {ledger['admitted']} writes admitted, "
              f"{ledger['refused']} refused; traces: {traces['records']} records, {traces['tenures']} tenures")
        excuses = gaps.Excuses(self.voters.without_majority(), self.silent, self.struck)
        judged = gaps.judge(self.ledger, self.ttls, self.bounds, excuses, SLACK_S)
        for line in judged.lines:
            print(line)
        print(f"seed {self.args.seed}: {self.args.rounds} rounds, {ledger['tokens'] - 1} fail-overs and hand-overs, "
              "gap "
              f"{judged.figures}", flush=True)
        if self.args.broken:
            return self.judge_broken(ledger, found)
        if ledger["tokens"] < self.args.rounds / 3:
            found.append(f"only {ledger['tokens']} tenures in {self.args.rounds} rounds: this proves little")
        return found + judged.found

    def judge_broken(self, ledger, found):
        n = ledger["violations"]["two programs at once"]
        print(f"--break={self.args.broken}: {'; '.join(found) or 'no violation'}")
        return [] if n else ["programs that nobody ends in time were not seen to overlap: this test can't fail"]

    def run(self):
        self.network = network.Network([*voters.NAMES, *self.ttls])
        self.bounds = {ttl: self.timing(ttl) for ttl in set(self.ttls.values())}
        hold_s = self.bounds[1000]["voter, crash: votes"] / 1e3
        self.voters = voters.Voters(self.directory, self.network, hold_s)
        for name in self.ttls:
            self.start(name)
        self.wait_sign(voters.boot_s())
        if not self.args.broken:
            self.check_containment(next(name for name in CANDIDATES))
        for number in range(self.args.first - 1, self.args.first - 1 + self.args.rounds):
            self.round(number)
        self.end()
        return self.judge()

    def check_containment(self, name):
        end = time.monotonic() + torture.LIMIT_S
        while not any("containment=" in self.tail("log-" + name) for name in CANDIDATES):
            if time.monotonic() > end:
                raise torture.Broken("nobody says what containment it has")
            time.sleep(0.01)
        if not any(f"containment={self.args.containment}" in self.tail("log-" + name) for name in CANDIDATES):
            raise torture.Broken(f"the containment is not {self.args.containment}:\n{self.tail('log-' + name)}")

    def clean_up(self):
        if self.voters:
            self.voters.kill_all()
        super().clean_up()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--first", type=int, default=1, help="number of the first round: each has faults of its own")
    parser.add_argument("--break", choices=("deadline",), dest="broken", help="must be caught: passes if it is")
    parser.add_argument("--containment", choices=("kernel", "cgroup"), default="kernel")
    parser.add_argument("--progress", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave the directory with ledger, traces and logs")
    args = parser.parse_args()
    if ctypes.CDLL(None).prctl(torture.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit("cannot adopt orphans")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("interrupted"))  # and cleans up
    test = QuorumTorture(args)
    print(f"{test.directory}, seed {args.seed}", flush=True)
    began = time.monotonic()
    try:
        found = test.run()
    except (torture.Broken, OSError) as broken:
        found = [str(broken)]
    finally:
        test.clean_up()
    for what in found:
        print(f"FAILED: {what}")
    print(f"{'failed' if found else 'passed'} after {time.monotonic() - began:.0f} s, seed {args.seed}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
