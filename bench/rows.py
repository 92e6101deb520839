# SPDX-License-Identifier: Apache-2.0
"""What is measured beside etcd and ZooKeeper, row by row (README.md says how). Figures are medians of the rounds."""
import dataclasses
import os
import random
import statistics
import subprocess
import time

import load
import profile_of
import systems

TTL_MS = 10000
# Above the shortest lease that a candidate without SCHED_FIFO may ask for.
SHORT_TTL_MS = 250
SHORT_TICK_MS = 100
# unit, and whether more is better
METRICS = {
    "rate": ("per second", True), "p50": ("ms", False), "p99": ("ms", False), "max": ("ms", False),
    "server_cpu": ("us each", False), "client_cpu": ("us each", False), "server_rss": ("MB, all three", False),
    "client_rss": ("MB", False), "per_core": ("per second and core", True), "lease": ("ms", None),
    "idle": ("% of a core, all three", False), "gap": ("ms", False), "lost": ("", False), "after_lease": ("ms", None),
}
# Row, metric: (how many times better than a peer) or (an absolute bound).
TARGETS = {
    ("cycles_1", "rate"): [("etcd", 10), ("zookeeper", 5)],
    ("cycles_1", "server_cpu"): [("at most", 250)],
    ("cycles_64", "rate"): [("etcd", 80)],
    ("cycles_256", "rate"): [("etcd", 200), ("zookeeper", 100)],
    ("cycles_256", "p99"): [("at most", 5)],
    ("cycles_256", "server_cpu"): [("at most", 2)],
    ("cycles_10000", "rate"): [("at least", 1000000)],
    ("cycles_10000", "p99"): [("at most", 20)],
    ("cycles_16x16", "rate"): [("etcd", 60)],
    ("cycles_16x16", "p99"): [("at most", 10)],
    ("cycles_16x16", "server_cpu"): [("at most", 10)],
    ("cycles_256x1", "rate"): [("etcd", 4)],
    ("handover_2", "p50"): [("at most", 0.25)],
    ("handover_2", "p99"): [("at most", 5)],
    ("handover_200", "p50"): [("at most", 0.25)],
    ("handover_200", "p99"): [("at most", 5)],
    # A lease counts from its last renewal, so it can only be shorter than whole at the kill: 5 % are for round trips.
    ("failover", "p50"): [("at most", 1.05 * 2000)],
    ("failover_short", "p50"): [("at most", 1.05 * SHORT_TTL_MS)],
    ("renewals", "per_core"): [("etcd", 100)],
    ("killed_cycles", "gap"): [("at most", 100)],
    # A quarter of the lease is the period; late is what is more than a tenth beyond it.
    ("killed_renewals", "gap"): [("at most", 1.1 * 4000 / 4)],
    ("killed_renewals", "lost"): [("at most", 0)],
}


@dataclasses.dataclass
class Row:
    name: str
    title: str
    samples: dict = dataclasses.field(default_factory=dict)  # metric: {system: [values]}
    failed: dict = dataclasses.field(default_factory=dict)   # system: reason
    load_average: tuple = ()
    profile: list = dataclasses.field(default_factory=list)  # of tenure: lines

    def add(self, system, metrics):
        for metric, value in metrics.items():
            if value is not None:
                self.samples.setdefault(metric, {}).setdefault(system, []).append(value)

    def value(self, metric, system):
        values = self.samples.get(metric, {}).get(system)
        return statistics.median(values) if values else None

    def times_better(self, metric, peer):
        ours, theirs = self.value(metric, "tenure"), self.value(metric, peer)
        more = METRICS[metric][1]
        if ours is None or theirs is None or more is None or min(ours, theirs) <= 0:
            return None
        return ours / theirs if more else theirs / ours


class Beside:
    """The systems of this run, and how they are measured: in turn, round after round."""

    def __init__(self, directory, build, ours, quick, profiled=False):
        self.directory, self.build, self.quick, self.profiled = directory, build, quick, profiled
        self.rounds, self.seconds = (1, 1) if quick else (3, 4)
        self.systems = [systems.Etcd(directory), systems.ZooKeeper(directory, build)]
        if ours != "none":
            self.systems.insert(0, systems.Ours(directory, build, None if ours == "quorum" else ours))
        self.absent = {}  # system: why it did not start
        self.idle = {}

    def __enter__(self):
        for system in self.systems:
            try:
                system.start()
                # A cold Java machine is several times slower: nobody is measured before this.
                load.run(system, "cycles", self.seconds, elections=64, ttl_ms=TTL_MS)
            except (OSError, RuntimeError, ValueError, systems.engines.Missing, subprocess.SubprocessError) as error:
                system.stop()
                self.absent[system.name] = f"did not start: {error}"
        return self

    def __exit__(self, *_):
        for system in self.systems:
            system.stop()

    def versions(self):
        return {s.name: self.absent.get(s.name) or s.version() for s in self.systems}

    def measure(self, row, how, rounds=None, members=None):
        """how(system) -> {metric: value}. A failure is recorded with its reason, and the others go on."""
        row.failed.update(self.absent)
        row.load_average = os.getloadavg()
        for _ in range(rounds or self.rounds):
            for system in members or self.systems:
                if system.name in row.failed:
                    continue
                try:
                    row.add(system.name, how(system))
                except (OSError, RuntimeError, ValueError, TimeoutError) as error:
                    row.failed[system.name] = str(error)

    def profile(self, row, mode, processes, **options):
        """One more run of ours, so that the figures are those of runs that nobody looks into."""
        ours = [s for s in self.systems if s.name == "tenure" and s.name not in row.failed]
        if not self.profiled or not ours:
            return
        path = os.path.join(self.directory, f"{row.name}.perf")
        load.run(ours[0], mode, self.seconds, processes, ttl_ms=TTL_MS,
                 around=lambda pids: profile_of.recording(path, ours[0].pids() + pids), **options)
        row.profile = profile_of.summary(path)

    def idle_cpu(self, system):
        if system.name not in self.idle:
            self.idle[system.name] = system.idle_cpu(1 if self.quick else 3)
        return self.idle[system.name]


def spent(result, count):
    """CPU and memory of one run, by operation."""
    def each(cpu_s):
        return None if cpu_s is None or not count else cpu_s / count * 1e6

    return {"server_cpu": each(result.server_cpu_s), "client_cpu": each(result.cpu_s),
            "server_rss": result.server_rss_kb and result.server_rss_kb / 1024, "client_rss": result.rss_kb / 1024}


def cycles(beside, row, elections, processes):
    # With ten thousand at once the peers' first cycle ends when all ten thousand releases have: one long window, then.
    slow = elections > 1000
    limit_s = 60

    def one(system):
        seconds = (8 if beside.quick else 15) if slow and system.name != "tenure" else beside.seconds
        result = load.run(system, "cycles", seconds, processes, elections=elections, ttl_ms=TTL_MS)
        while not result.count and seconds < limit_s:
            seconds = min(3 * seconds, limit_s)
            result = load.run(system, "cycles", seconds, processes, elections=elections, ttl_ms=TTL_MS)
        if not result.count:
            raise RuntimeError(f"not one cycle in {seconds} s")
        return {"rate": result.count / result.seconds, "p50": load.percentile(result.latency, 50) / 1e6,
                "p99": load.percentile(result.latency, 99) / 1e6, "max": result.max_ns / 1e6,
                **spent(result, result.count)}

    beside.measure(row, one, 1 if slow else beside.rounds)
    beside.profile(row, "cycles", processes, elections=elections)


def handover(beside, row, waiting):
    """All candidates in three processes, so that the next leader is in another one."""
    def one(system):
        result = load.run(system, "handover", beside.seconds, 3, sessions=(waiting + 1) // 3, ttl_ms=TTL_MS)
        took = result.handovers_ns()
        if len(took) < 5:
            raise RuntimeError(f"only {len(took)} hand-overs in {beside.seconds} s")
        return {"p50": load.rank_of(took, 50) / 1e6, "p99": load.rank_of(took, 99) / 1e6, "max": max(took) / 1e6,
                **spent(result, len(took))}

    beside.measure(row, one)
    beside.profile(row, "handover", 3, sessions=(waiting + 1) // 3)


def failover(beside, row, ttl_ms, members=None):
    """The kill comes at any point of the period between two renewals."""
    def one(system):
        def pause(granted_ms):
            time.sleep(random.uniform(0, min(granted_ms, 4 * ttl_ms) / 3000))

        values, granted_ms = load.failovers(system, 3 if beside.quick else 8, ttl_ms, pause)
        return {"p50": load.rank_of(values, 50) / 1e6, "max": max(values) / 1e6, "lease": granted_ms,
                "after_lease": max(0.0, max(values) / 1e6 - granted_ms)}

    beside.measure(row, one, 1 if beside.quick else 2, members)


def failover_short(beside, row):
    """ZooKeeper with a tick that permits it; etcd grants no lease below 2 s with its defaults."""
    short = systems.ZooKeeper(beside.directory, beside.build, SHORT_TICK_MS)
    try:
        if "zookeeper" not in beside.absent:
            short.start()
        failover(beside, row, SHORT_TTL_MS, [short if s.name == "zookeeper" else s for s in beside.systems])
    finally:
        short.stop()


def renewals(beside, row, shared):
    """`shared`: all elections on one lease or session, for the peers too."""
    def one(system):
        elections = 2000 if beside.quick else 10000
        if system.name == "zookeeper" and not shared:
            elections = 200 if beside.quick else 1000  # each costs its client two threads
        sessions = 1 if shared or system.name == "tenure" else elections
        idle = beside.idle_cpu(system)
        result = load.run(system, "hold", max(4, beside.seconds), elections=elections, sessions=sessions, ttl_ms=2000)
        if not result.count:
            raise RuntimeError("nothing was renewed")
        metrics = {"rate": result.count / result.seconds, "lease": result.ttl_ms, "lost": result.lost,
                   **spent(result, result.count)}
        if result.server_cpu_s is not None:
            metrics.update(per_core=result.count / result.server_cpu_s, idle=idle * 100)
        return metrics

    beside.measure(row, one, 1 if beside.quick else 2)


def killed_cycles(beside, row):
    def one(system):
        with system.one_killed() as kill:
            result = load.run(system, "cycles", 4 if beside.quick else 10, elections=64, ttl_ms=TTL_MS, during=kill)
        return {"gap": result.gap_ns / 1e6, "max": result.max_ns / 1e6, "rate": result.count / result.seconds}

    beside.measure(row, one, 1 if beside.quick else 2)


def killed_renewals(beside, row):
    def one(system):
        with system.one_killed() as kill:
            result = load.run(system, "hold", 5 if beside.quick else 12, elections=1000,
                              sessions=10 if system.name == "tenure" else 100, ttl_ms=4000, during=kill)
        return {"gap": result.gap_ns / 1e6, "lost": result.lost, "lease": result.ttl_ms}

    beside.measure(row, one, 1)


# name: (title, how)
ROWS = {
    "cycles_1": ("acquire + release, 1 in one process", lambda b, r: cycles(b, r, 1, 1)),
    "cycles_64": ("acquire + release, 64 in one process", lambda b, r: cycles(b, r, 64, 1)),
    "cycles_256": ("acquire + release, 256 in one process", lambda b, r: cycles(b, r, 256, 1)),
    "cycles_10000": ("acquire + release, 10,000 in one process", lambda b, r: cycles(b, r, 10000, 1)),
    "cycles_16x16": ("acquire + release, 16 processes with 16 each", lambda b, r: cycles(b, r, 16, 16)),
    "cycles_256x1": ("acquire + release, 256 processes with 1 each", lambda b, r: cycles(b, r, 1, 256)),
    "handover_2": ("hand-over, 2 waiting: resigned to next leads", lambda b, r: handover(b, r, 2)),
    "handover_200": ("hand-over, 200 waiting: resigned to next leads", lambda b, r: handover(b, r, 200)),
    "failover": ("fail-over, kill -9 of the holder; lease asked for 2 s", lambda b, r: failover(b, r, 2000)),
    "failover_short": (f"fail-over, kill -9; each one's shortest lease, {SHORT_TTL_MS} ms asked for", failover_short),
    "renewals": ("elections renewed; the peers' each on its own lease", lambda b, r: renewals(b, r, False)),
    "renewals_shared": ("elections renewed; all on one lease, the peers' too", lambda b, r: renewals(b, r, True)),
    "killed_cycles": ("a server killed under load: 64 in one process", killed_cycles),
    "killed_renewals": ("a server killed while 1,000 elections are renewed", killed_renewals),
}
