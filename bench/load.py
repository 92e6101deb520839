# SPDX-License-Identifier: Apache-2.0
"""Runs load programs: some at once, begun together, their results merged. README.md here describes what they share."""
import contextlib
import dataclasses
import itertools
import json
import os
import subprocess
import tempfile
import threading
import time

START_LIMIT_S = 120
RUNS = itertools.count()


def now_ns():
    """The clock that the load programs read too."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def percentile(buckets, percent):
    """The nearest rank of a histogram {least value: count}."""
    rank = -(-sum(buckets.values()) * percent // 100)
    for value in sorted(buckets):
        rank -= buckets[value]
        if rank <= 0:
            return value
    return None


def rank_of(values, percent):
    values = sorted(values)
    return values[min(len(values) - 1, max(0, -(-len(values) * percent // 100) - 1))] if values else None


@dataclasses.dataclass
class Load:
    """The merged result of all processes of one run, and what the servers spent meanwhile."""
    count: int = 0
    seconds: float = 0
    cpu_s: float = 0  # the clients'
    rss_kb: int = 0
    max_ns: int = 0
    gap_ns: int = 0
    lost: int = 0
    ttl_ms: int = 0
    latency: dict = dataclasses.field(default_factory=dict)
    led_ns: list = dataclasses.field(default_factory=list)
    resigned_ns: list = dataclasses.field(default_factory=list)
    server_cpu_s: float = None
    server_rss_kb: int = None

    def add(self, result):
        for name in ("count", "cpu_s", "rss_kb", "lost"):
            setattr(self, name, getattr(self, name) + result[name])
        for name in ("seconds", "max_ns", "gap_ns", "ttl_ms"):
            setattr(self, name, max(getattr(self, name), result[name]))
        for value, count in result["latency"]:
            self.latency[value] = self.latency.get(value, 0) + count
        self.led_ns += result["led_ns"]
        self.resigned_ns += result["resigned_ns"]

    def handovers_ns(self):
        """From each resignation to the election that followed it."""
        marks = sorted([(ns, "resigned") for ns in self.resigned_ns] + [(ns, "led") for ns in self.led_ns])
        return [after[0] - before[0] for before, after in zip(marks, marks[1:])
                if before[1] == "resigned" and after[1] == "led"]


class Program:
    """One load program as a child. Its standard error is kept for the reason of a failure."""

    def __init__(self, command, limit_s):
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True)
        self.stuck = None
        self.watchdog = threading.Timer(limit_s, self.give_up)
        self.watchdog.daemon = True
        self.watchdog.start()

    def give_up(self):
        """Too late: killed, but not before it was seen whether it slept or span."""
        with contextlib.suppress(OSError):
            cpu_s = time.clock_gettime(~self.process.pid << 3 | 2)
            with open(f"/proc/{self.process.pid}/wchan", encoding="ascii") as wchan:
                self.stuck = f"no answer in time; {cpu_s:.1f} s of CPU, in {wchan.read() or 'user space'}"
        self.process.kill()

    def read(self, wanted):
        """The next line of this event; others are passed over."""
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == wanted:
                return event
        code = self.process.wait()
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace").strip().splitlines()
        why = self.stuck or f"it ended with {code}"
        raise RuntimeError(f"{os.path.basename(self.process.args[0])} said nothing of '{wanted}': {why}"
                           + (f" ({said[-1][:200]})" if said else ""))

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self):
        """Lets it close its sessions: what is left behind would load the servers later."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        self.kill()

    def kill(self):
        self.watchdog.cancel()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.errors.close()


def program(system, mode, prefix, limit_s, **options):
    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value is not None]
    return Program([system.program, "--store", system.store(), "--mode", mode, "--prefix", prefix, *words], limit_s)


def fresh_prefix(mode):
    return f"{mode}{os.getpid()}r{next(RUNS)}"


def run(system, mode, seconds, processes=1, during=None, around=None, **options):
    """
    One measurement: all programs ready, begun together, merged. In hand-over all stand in one election, else each
    process has elections of its own. during() runs once at two fifths of the window;
    around(process ids of the clients) is a context about the window.
    """
    prefix = fresh_prefix(mode)
    programs = []
    load = Load()
    try:
        for number in range(processes):
            name = prefix if mode == "handover" else f"{prefix}p{number}"
            programs.append(program(system, mode, name, START_LIMIT_S + seconds, seconds=seconds, **options))
        for one in programs:
            one.read("ready")
        spent = system.server_cpu_s()
        with around([one.process.pid for one in programs]) if around else contextlib.nullcontext():
            for one in programs:
                one.go()
            if during:
                time.sleep(seconds * 0.4)
                during()
            for number, one in enumerate(programs):
                result = one.read("result")
                if number == 0:
                    load.server_rss_kb = system.server_rss_kb()
                load.add(result)
        if spent is not None and not during:
            load.server_cpu_s = system.server_cpu_s() - spent
        for one in programs:
            one.end()
    finally:
        for one in programs:
            one.kill()
    return load


def failovers(system, pairs, ttl_ms, pause):
    """[ns from kill -9 of a holder until another process leads], and the lease as granted. pause() before each kill."""
    prefix = fresh_prefix("failover")
    limit_s = START_LIMIT_S + 4 * ttl_ms / 1000
    holders, waiters, values = [], [], []
    try:
        for number in range(pairs):
            name = f"{prefix}p{number}"
            holders.append(program(system, "failover", name, limit_s, ttl_ms=ttl_ms, id="holder"))
            granted_ms = holders[-1].read("opened")["ttl_ms"]
            holders[-1].read("leading")
            waiters.append(program(system, "failover", name, limit_s, ttl_ms=ttl_ms, id="waiter"))
            waiters[-1].read("waiting")
        killed = []
        for holder in holders:
            pause(granted_ms)
            killed.append(now_ns())
            holder.process.kill()
        values = [waiter.read("leading")["at_ns"] - at_ns for waiter, at_ns in zip(waiters, killed)]
        for waiter in waiters:
            waiter.end()
    finally:
        for one in holders + waiters:
            one.kill()
    return values, granted_ms
