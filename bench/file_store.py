# SPDX-License-Identifier: Apache-2.0
"""The file store beside flock and a bare start, on one disk and in one run. See README.md here."""
import contextlib
import os
import signal
import subprocess
import tempfile
import time


class Bench:
    def __init__(self, build, directory, quick):
        self.program = {name: os.path.join(build, "bench", name)
                        for name in ("bench_library", "bench_flock", "bench_start", "bench_stamp")}
        self.tenure = os.path.join(build, "src", "cli", "tenure")
        self.directory = directory
        self.quick = quick
        self.rows = []

    def scaled(self, n):
        return max(5, n // 10) if self.quick else n

    def place(self, name):
        """A fresh directory on the disk that is measured."""
        return tempfile.mkdtemp(prefix=name + "-", dir=self.directory)

    def numbers(self, program, *args):
        out = subprocess.run([self.program[program], *args], check=True, stdout=subprocess.PIPE, text=True).stdout
        return [float(line) for line in out.split()]

    def row(self, what, who, unit, values, scale=1.0):
        values = sorted(v / scale for v in values)
        row = {"what": what, "who": who, "unit": unit, "n": len(values), "p50": percentile(values, 50),
               "p99": percentile(values, 99), "min": values[0], "max": values[-1]}
        self.rows.append(row)
        print(f"  {who:<38} {row['p50']:>10.3f} {row['p99']:>10.3f} {row['min']:>10.3f} {row['max']:>10.3f}  {unit}"
              f"  n={row['n']}", flush=True)
        return row

    def title(self, text):
        print(f"\n{text}\n  {'':<38} {'p50':>10} {'p99':>10} {'min':>10} {'max':>10}")


def percentile(ordered, percent):
    """The nearest rank."""
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * percent // 100) - 1))]


def question(bench):
    """the file store: tenure_leads() and tenure_holds(), per call"""
    bench.title("the question, per call (each value: the mean of 2,000,000 calls)")
    results = {}
    for what, who in (("clock", "clock_gettime(CLOCK_BOOTTIME) alone"), ("leads", "tenure_leads()"),
                      ("holds", "tenure_holds()")):
        place = bench.place("question")
        results[what] = bench.row("question", who, "ns", bench.numbers("bench_library", what, place))
    silent = bench.numbers("bench_library", "silent", bench.place("question"))[0]
    print(f"  {silent:.0f} calls in a thread that the kernel kills at any system call: it lived")
    results["silent_calls"] = silent
    return results


def start(bench):
    """the file store: from a command to main() of its program, beside flock"""
    # Interleaved in blocks, so that a drift of the machine meets all three.
    bench.title("from the start of the command to main() of the program that it runs")
    stamp = bench.program["bench_stamp"]
    store = bench.place("start")
    lock = os.path.join(store, "flock")
    commands = {
        "bare": ("posix_spawn of the program itself", [stamp]),
        "flock": ("flock FILE program", ["flock", lock, stamp]),
        "run": ("tenure run job -- program", [bench.tenure, "run", "job", "--store", "file:" + store,
                                              "--log-level", "error", "--", stamp]),
        "weak": ("tenure run --no-pid-namespace", [bench.tenure, "run", "job", "--store", "file:" + store,
                                                   "--no-pid-namespace", "--log-level", "error", "--", stamp]),
    }
    values = {name: [] for name in commands}
    for _ in range(10):
        for name, (_who, command) in commands.items():
            values[name] += bench.numbers("bench_start", str(bench.scaled(50)), *command)
    return {name: bench.row("start", who, "ms", values[name], 1e6) for name, (who, _command) in commands.items()}


def cycle(bench):
    """the file store: acquire + release, beside flock"""
    bench.title("acquire + release, one after another in one process")
    n = str(bench.scaled(1000))
    result = {
        "flock": bench.row("cycle", "flock: open, lock, unlock, close", "us",
                           bench.numbers("bench_flock", "cycle", os.path.join(bench.place("cycle"), "lock"), n), 1e3),
        "flock_durable": bench.row("cycle", "the same + 64 bytes and fdatasync", "us",
                                   bench.numbers("bench_flock", "cycle", os.path.join(bench.place("cycle"), "lock"), n,
                                                 "durable"), 1e3),
        "tenure": bench.row("cycle", "tenure_campaign ... ENDED", "us",
                            bench.numbers("bench_library", "cycle", bench.place("cycle"), n), 1e3),
    }
    for name, row in result.items():
        row["per_second"] = 1e6 / row["p50"]
        print(f"  {row['who']:<38} {row['per_second']:>10.0f} per second")
    return result


def handover(bench):
    """the file store: hand-over between two processes, beside flock"""
    bench.title("hand-over between two waiting processes: just before the release to just after the acquisition")
    n = str(bench.scaled(400))
    lock = os.path.join(bench.place("over"), "lock")
    return {
        "flock": bench.row("handover", "flock", "us", bench.numbers("bench_flock", "handover", lock, n), 1e3),
        "flock_durable": bench.row("handover", "flock, then 64 bytes and fdatasync", "us",
                                   bench.numbers("bench_flock", "handover", lock, n, "durable"), 1e3),
        "tenure": bench.row("handover", "tenure_resign() to tenure_wait() = 0", "us",
                            bench.numbers("bench_library", "handover", bench.place("over"), n), 1e3),
    }


class Candidate:
    """One supervised program, or one under flock: it prints the instant of its start, then waits."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def started_ns(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended with {self.process.wait()} before its program started")
        return int(line)

    def end(self):
        self.process.kill()
        self.process.stdout.close()
        self.process.wait()


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as text:
            return [int(child) for child in text.read().split()]
    except OSError:
        return []


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child] + descendants(child)
    return found


def program_of(pid):
    """The stamp program below a candidate: the deepest process."""
    deepest = descendants(pid)[-1:]
    if not deepest:
        raise RuntimeError("the program is not there")
    return deepest[0]


def takeover(bench, command, victim, rounds):
    """ns from kill -9 until the next candidate's program runs."""
    values = []
    holder = Candidate(command)
    holder.started_ns()
    for _ in range(rounds):
        following = Candidate(command)
        # It has to be in the queue. There is no event for that which would serve flock as well.
        time.sleep(0.15)
        target = victim(holder.process.pid)
        killed_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        os.kill(target, signal.SIGKILL)
        values.append(following.started_ns() - killed_ns)
        holder.end()
        holder = following
    for pid in reversed(descendants(holder.process.pid)):
        with contextlib.suppress(ProcessLookupError):  # one that died with its child
            os.kill(pid, signal.SIGKILL)
    holder.end()
    return values


def failover(bench):
    """the file store: kill -9 to the next program, beside flock"""
    bench.title("kill -9 to main() of the next candidate's program")
    rounds = bench.scaled(60)
    store = bench.place("failover")
    stamp = bench.program["bench_stamp"]
    lock = ["flock", os.path.join(store, "flock"), stamp, "wait"]
    run = [bench.tenure, "run", "job", "--store", "file:" + store, "--log-level", "error", "--", stamp, "wait"]
    return {
        "flock": bench.row("failover", "flock: its program is killed", "ms",
                           takeover(bench, lock, program_of, rounds), 1e6),
        "program": bench.row("failover", "tenure run: its program is killed", "ms",
                             takeover(bench, run, program_of, rounds), 1e6),
        "supervisor": bench.row("failover", "tenure run: its supervisor is killed", "ms",
                                takeover(bench, run, lambda pid: pid, rounds), 1e6),
    }


def targets(results):
    """The targets that apply to what was measured: (what, bound, seen, met)."""
    seen = []

    def judge(what, bound, unit, value):
        seen.append((what, f"<= {bound} {unit}", f"{value:.2f} {unit}", value <= bound))

    if "question" in results:
        judge("tenure_leads(), deadline checked", 40, "ns", results["question"]["leads"]["p50"])
        judge("tenure_holds(), deadline checked", 40, "ns", results["question"]["holds"]["p50"])
        judge("system calls in either", 0, "", 0 if results["question"]["silent_calls"] > 0 else 1)
    if "start" in results:
        judge("start of tenure run to its program, p50", 5, "ms", results["start"]["run"]["p50"])
    if "failover" in results:
        judge("supervisor dies, host lives: next runs, p50", 20, "ms", results["failover"]["supervisor"]["p50"])
        judge("program dies, host lives: next runs, p50", 20, "ms", results["failover"]["program"]["p50"])
    return seen


RATIOS = {
    "cycle: tenure / flock": ("cycle", "tenure", "flock"),
    "cycle: tenure / flock + fdatasync": ("cycle", "tenure", "flock_durable"),
    "hand-over: tenure / flock": ("handover", "tenure", "flock"),
    "hand-over: tenure / flock + fdatasync": ("handover", "tenure", "flock_durable"),
    "start: tenure run / flock": ("start", "run", "flock"),
    "start: tenure run / bare": ("start", "run", "bare"),
    "program killed: tenure run / flock": ("failover", "program", "flock"),
}


def ratios(results):
    return {what: results[group][one]["p50"] / results[group][other]["p50"]
            for what, (group, one, other) in RATIOS.items() if group in results}


ROWS = {"file_" + how.__name__: how for how in (question, start, cycle, handover, failover)}


def run(build, directory, quick, wanted):
    """Measures the rows that are wanted, prints them with ratios and targets, and returns all of it."""
    bench = Bench(build, directory, quick)
    results, failed = {}, {}
    for name in wanted:
        try:
            results[ROWS[name].__name__] = ROWS[name](bench)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            failed[name] = str(error)
            print(f"  FAILED {name}: {error}")
    seen = ratios(results)
    print("\nratios of the p50s, side by side in this run")
    for name, value in seen.items():
        print(f"  {name:<44} {value:>8.2f}")
    judged = targets(results)
    print("\ntargets")
    for what, bound, value, met in judged:
        print(f"  {what:<46} {bound:>9} {value:>10}  {'met' if met else 'MISSED'}")
    return {"rows": bench.rows, "ratios": seen, "failed": failed,
            "targets": [dict(zip(("what", "bound", "seen", "met"), row)) for row in judged]}
