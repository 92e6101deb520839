# SPDX-License-Identifier: Apache-2.0
"""`tenure run` on leases that end: whatever is stopped or cut off, the program is dead before the provable end."""
import mmap
import os
import select
import signal
import struct
import subprocess
import sys
import time

import pytest

from run_kit import LIMIT_S, Kit, alive, children, descendants, environment, until

PYTHON = sys.executable
MS = 1_000_000
FIFO_MARGIN_NS, OTHER_MARGIN_NS = 20 * MS, 100 * MS
N_BUSY = 50
BELOW = ["--no-pid-namespace"]
CGROUP2 = next((line.split()[1] for line in open("/proc/mounts", encoding="ascii") if " cgroup2 " in line), "/nowhere")


def now_ns():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Slate:
    """Leases in files (stores/toy/slate_store.c). Another store for these tests has the same methods."""
    binary = os.environ.get("TENURE_SLATE_BIN", "")
    fields = ("token", "ends_ns", "provable_ns", "released_ns", "taken_ns")

    def __init__(self, directory):
        self.directory = directory / "slate"
        self.directory.mkdir()

    def url(self, **query):
        words = "&".join(f"{key}={value}" for key, value in query.items())
        return f"slate:{self.directory}" + (f"?{words}" if words else "")

    def cut(self, candidate):
        """From now on nothing passes between this candidate and the store."""
        (self.directory / f"cut-{candidate}").touch()

    def mend(self, candidate):
        (self.directory / f"cut-{candidate}").unlink()

    def record(self, election="job"):
        data = (self.directory / election).read_bytes()
        return dict(zip(self.fields, struct.unpack_from("=5Q", data)))

    def close(self):
        pass


@pytest.fixture
def store(tmp_path):
    made = Slate(tmp_path)
    yield made
    made.close()


@pytest.fixture
def kit(store, tmp_path):
    made = Kit(os.path.abspath(store.binary), tmp_path)
    made.url = store.url()
    yield made
    made.close()


@pytest.fixture
def punctual():
    """What is measured must not wait for a processor itself; what it starts is as before."""
    os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(40))
    yield
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@pytest.fixture
def busy():
    spinners = [subprocess.Popen([PYTHON, "-c", "while True: pass"]) for _ in range(N_BUSY)]
    yield spinners
    for spinner in spinners:
        spinner.kill()
    for spinner in spinners:
        spinner.wait()


# A family that ignores every signal that it can, one of them a daemon that nobody is the parent of. Each writes all the
# time; what arrives is stamped by the test.
FAMILY = """
import os, signal, sys, time
for s in range(1, 32):
    if s not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD): signal.signal(s, signal.SIG_IGN)
os.fork()
if os.fork() == 0:
    os.setsid()
    if os.fork(): os._exit(0)
while True:
    os.write(1, b".")
    time.sleep(0.0005)
"""
OBEDIENT = """
import os, signal, sys, time
def end(n, frame):
    os.write(2, b"told %d\\n" % time.clock_gettime_ns(time.CLOCK_BOOTTIME))
    time.sleep(float(sys.argv[1]))
    os._exit(3)
signal.signal(signal.SIGTERM, end)
while True:
    os.write(1, b".")
    time.sleep(0.0005)
"""


def is_doomed(pid):
    """Dead, or killed: with a SIGKILL pending nothing of it runs any more, though it may wait to exit."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            pending = [int(line.split()[1], 16) for line in status if line.startswith(("SigPnd", "ShdPnd"))]
    except OSError:
        return True
    return not alive(pid) or any(bits & 1 << signal.SIGKILL - 1 for bits in pending)


class Watched:
    """A run whose program writes; its tree and its lease page are held, so that their ends are seen at once."""

    def __init__(self, kit, *args, command, n_members=1, candidate="a", **more):
        self.run = kit.run("--id", candidate, *args, command=command, bufsize=0, **more)
        self.out = self.run.p.stdout.fileno()
        os.read(self.out, 1)
        os.set_blocking(self.out, False)
        self.warden, self.init = self.run.warden(), self.run.init()
        until(lambda: len(self.members()) >= n_members, "the family")
        self.family = self.members()
        self.pidfds = {os.pidfd_open(pid): pid for pid in self.family}
        self.died_ns, self.last_write_ns, self.deadline_ns = {}, 0, 0
        env = environment(self.family[0])
        self.token = int(env["TENURE_TOKEN"])
        with open(env["TENURE_LEASE_PATH"], "rb") as page:
            self.page = mmap.mmap(page.fileno(), 64, prot=mmap.PROT_READ)
        self.words = memoryview(self.page).cast("Q")
        self.look()

    def members(self):
        return descendants(self.init)

    def look(self):
        self.deadline_ns = max(self.deadline_ns, self.words[3])
        return self.deadline_ns

    def drain(self):
        try:
            while os.read(self.out, 65536):
                self.last_write_ns = now_ns()
        except BlockingIOError:
            return True
        return False  # nobody has the other end any more

    def watch(self, span_s):
        """Reads for a time."""
        end = time.monotonic() + span_s
        while time.monotonic() < end:
            self.drain()
            self.look()
            time.sleep(0.002)

    def until_dead(self, margin_ns):
        """Watches until all of the family are dead; returns what was seen against the deadline and E, in ms."""
        poll = select.poll()
        for fd in [self.out, *self.pidfds]:
            poll.register(fd, select.POLLIN)
        end, doomed = time.monotonic() + LIMIT_S, None
        while len(self.died_ns) < len(self.pidfds):
            assert time.monotonic() < end, "the program lives on"
            left_ns = self.look() + margin_ns - 4 * MS - now_ns()
            if left_ns <= 0 and doomed is None:
                doomed = all(is_doomed(pid) for pid in self.family)
            for fd, _ in poll.poll(max(0, left_ns / MS) if doomed is None else 1000):
                if fd in self.pidfds:
                    self.died_ns[self.pidfds[fd]] = now_ns()
                    poll.unregister(fd)
                elif not self.drain():
                    poll.unregister(fd)
        self.drain()
        return Seen(self.look(), margin_ns, self.last_write_ns, max(self.died_ns.values()), doomed is not False)

    def close(self):
        for fd in self.pidfds:
            os.close(fd)
        self.words.release()
        self.page.close()


class Seen:
    def __init__(self, deadline_ns, margin_ns, last_write_ns, dead_ns, doomed):
        self.deadline_ns, self.end_ns = deadline_ns, deadline_ns + margin_ns
        self.last_write_ns, self.dead_ns, self.doomed = last_write_ns, dead_ns, doomed

    def in_time(self):
        """Nothing of it acts after E. Its last exit may wait for a processor on a busy host, being killed already."""
        return self.doomed and self.last_write_ns < self.end_ns

    def __str__(self):
        return (f"last write {(self.last_write_ns - self.deadline_ns) / MS:+.2f} ms, dead "
                f"{(self.dead_ns - self.deadline_ns) / MS:+.2f} ms from the deadline; E is "
                f"{(self.end_ns - self.dead_ns) / MS:.2f} ms after the death")


@pytest.fixture
def watched(kit):
    made = []

    def make(*args, **more):
        made.append(Watched(kit, *args, **more))
        return made[-1]
    yield make
    for each in made:
        each.close()


def family(watched, *args, **more):
    return watched("--ttl", "1s", *args, command=[PYTHON, "-c", FAMILY], n_members=4, **more)


def report(record_property, name, seen):
    print(f"{name}: {seen}")
    record_property("seen", str(seen))


def stop(who, names):
    for name in names:
        os.kill(getattr(who, name), signal.SIGSTOP)


def resume(who, names):
    for name in names:
        try:
            os.kill(getattr(who, name), signal.SIGCONT)
        except ProcessLookupError:
            pass


Watched.supervisor = property(lambda self: self.run.pid)
FAULTS = [("cut", ()), ("cut", ("supervisor",)), ("cut", ("supervisor", "warden")), ("cut", ("warden",)),
          ("uncut", ("supervisor",)), ("uncut", ("supervisor", "warden")), ("uncut", ("supervisor", "warden", "init")),
          ("uncut", ("warden",))]
FAULT_NAMES = ["-".join([link, *stopped]) for link, stopped in FAULTS]


def fault(store, watched_run, link, stopped):
    watched_run.watch(0.5)
    if link == "cut":
        store.cut("a")
    stop(watched_run, stopped)


@pytest.mark.parametrize("link, stopped", FAULTS, ids=FAULT_NAMES)
def test_a_program_that_ignores_everything_is_dead_before_the_provable_end(store, watched, punctual, record_property,
                                                                           link, stopped):
    run = family(watched)
    fault(store, run, link, stopped)
    seen = run.until_dead(FIFO_MARGIN_NS)
    report(record_property, f"{link} {stopped}", seen)
    assert seen.in_time()
    resume(run, stopped)
    assert run.run.wait()[0] == 75


@pytest.fixture
def freezer():
    """A cgroup (version 2) of its own, thawed in the end."""
    path = os.path.join(CGROUP2, f"tenure-test-{os.getpid()}")
    os.mkdir(path)
    yield path
    write(path + "/cgroup.freeze", "0")
    until(lambda: "populated 0" in open(path + "/cgroup.events", encoding="ascii").read(), "an empty cgroup")
    os.rmdir(path)


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def test_it_is_dead_in_time_though_all_of_it_is_frozen(watched, punctual, freezer, record_property):
    run = family(watched)
    for pid in [run.run.pid, run.warden, run.init, *run.family]:
        write(freezer + "/cgroup.procs", str(pid))
    write(freezer + "/cgroup.freeze", "1")
    seen = run.until_dead(FIFO_MARGIN_NS)
    report(record_property, "frozen", seen)
    assert seen.in_time()
    write(freezer + "/cgroup.freeze", "0")
    assert run.run.wait()[0] == 75


@pytest.mark.parametrize("link, stopped", [FAULTS[0], FAULTS[2], FAULTS[5]], ids=lambda v: str(v))
def test_it_is_dead_in_time_on_a_busy_host(store, watched, punctual, busy, record_property, link, stopped):
    run = family(watched)
    fault(store, run, link, stopped)
    seen = run.until_dead(FIFO_MARGIN_NS)
    report(record_property, f"{N_BUSY} busy processes, {link} {stopped}", seen)
    assert seen.in_time()
    resume(run, stopped)
    assert run.run.wait()[0] == 75


@pytest.mark.parametrize("stopped", [(), ("supervisor",), ("supervisor", "warden")], ids=str)
def test_without_a_pid_namespace_an_init_that_is_awake_ends_it_in_time(store, watched, punctual, record_property,
                                                                       stopped):
    run = family(watched, *BELOW)
    fault(store, run, "cut", stopped)
    seen = run.until_dead(FIFO_MARGIN_NS)
    report(record_property, f"no PID namespace, {stopped}", seen)
    assert seen.in_time()
    resume(run, stopped)
    assert run.run.wait()[0] == 75


# --- the soft stop ---


def obedient(watched, seconds, *args, **more):
    return watched("--ttl", "1s", *args, command=[PYTHON, "-c", OBEDIENT, str(seconds)], **more)


def told_ns(err):
    return int(err.split("told ")[1].split()[0])


def test_a_program_is_told_to_end_the_grace_before_the_deadline(store, watched, punctual, record_property):
    run = obedient(watched, 0.05, "--grace", "300ms")
    fault(store, run, "cut", ())
    seen = run.until_dead(FIFO_MARGIN_NS)
    code, _, err = run.run.wait()
    early_ms = (seen.deadline_ns - told_ns(err)) / MS
    report(record_property, f"SIGTERM {early_ms:.2f} ms before the deadline", seen)
    assert code == 75
    assert 290 < early_ms <= 300
    assert seen.dead_ns < seen.deadline_ns


def test_the_grace_is_a_fifth_of_the_ttl_by_default(store, watched, punctual):
    run = obedient(watched, 0.01)
    fault(store, run, "cut", ())
    seen = run.until_dead(FIFO_MARGIN_NS)
    assert 190 < (seen.deadline_ns - told_ns(run.run.wait()[2])) / MS <= 200


def test_a_soft_stop_is_not_taken_back_and_the_program_leads_while_it_finishes(store, watched, punctual):
    run = obedient(watched, 0.35, "--grace", "400ms")
    fault(store, run, "cut", ())
    until(lambda: run.drain() and now_ns() > run.look() - 380 * MS, "the soft stop")
    store.mend("a")
    seen = run.until_dead(FIFO_MARGIN_NS)
    code, _, err = run.run.wait()
    assert code == 75
    assert 0.35e9 < seen.dead_ns - told_ns(err) < 0.40e9  # it had its time
    assert seen.deadline_ns - seen.dead_ns > 300 * MS     # and was renewed meanwhile
    record = store.record()
    assert record["token"] == run.token and record["released_ns"] > seen.dead_ns


# --- the lease is released after the death, not before ---


def test_the_next_one_leads_only_after_the_program_is_dead(store, kit, watched, punctual):
    run = family(watched, "--grace", "200ms")
    other = kit.run("--id", "b", command=["true"])
    run.watch(0.3)
    run.run.signal(signal.SIGTERM)
    seen = run.until_dead(FIFO_MARGIN_NS)
    assert run.run.wait()[0] == 128 + signal.SIGKILL
    assert other.wait()[0] == 0
    record = store.record()
    assert record["token"] == 2 and seen.dead_ns < record["taken_ns"] < seen.dead_ns + 500 * MS


def test_the_next_one_leads_only_after_the_death_when_the_first_is_cut_off(store, kit, watched, punctual):
    run = family(watched)
    other = kit.run("--id", "b", command=["true"])
    fault(store, run, "cut", ("supervisor", "warden"))
    seen = run.until_dead(FIFO_MARGIN_NS)
    assert other.wait()[0] == 0
    assert store.record()["taken_ns"] > max(seen.end_ns, seen.last_write_ns)
    resume(run, ("supervisor", "warden"))
    assert run.run.wait()[0] == 75


def test_a_supervisor_that_stays_campaigns_again_with_a_greater_token(store, kit, watched, punctual):
    run = family(watched, "--stay")
    fault(store, run, "cut", ())
    run.until_dead(FIFO_MARGIN_NS)
    assert run.run.p.poll() is None
    store.mend("a")
    until(lambda: any(c != run.warden for c in children(run.run.pid)), "the next warden")
    again = until(lambda: [p for w in children(run.run.pid) for i in children(w) for p in children(i)], "the program")
    assert int(until(lambda: environment(again[0]).get("TENURE_TOKEN"), "its token")) == 2
    until(lambda: run.drain() and run.last_write_ns > store.record()["taken_ns"], "its first write")
    run.run.signal(signal.SIGTERM)
    run.run.signal(signal.SIGTERM)
    assert run.run.wait()[0] == 137


# --- the lease in numbers ---


def test_a_lease_too_short_for_the_grace_is_refused_with_the_inequality(kit):
    code, _, err = kit.code("--ttl", "1s", "--grace", "1s", command=["true"])
    assert code == 78
    assert "D(ttl) >= h + 2 r + grace + kill_margin is broken: 996.001998ms < 250ms + 2 x 5ms + 1s + 20ms" in err


def test_a_lease_that_is_granted_too_short_is_refused_as_well(store, kit):
    kit.url = store.url(max="300ms")
    code, out, err = kit.code("--ttl", "10s", "--stay", command=["sh", "-c", "echo ran; sleep 60"])
    assert code == 78 and out == ""
    assert "ttl 300ms" in err


def test_a_tenure_whose_first_lease_is_shorter_than_the_grace_starts_with_its_first_renewal(store, kit, watched):
    kit.url = store.url(first="150ms")
    run = family(watched, "--grace", "400ms")
    run.watch(0.5)
    assert alive(run.family[0])
    run.run.signal(signal.SIGTERM)
    run.run.signal(signal.SIGTERM)
    assert run.run.wait()[0] == 137


def test_a_tenure_that_is_never_renewed_never_starts_its_program(store, kit):
    kit.url = store.url(first="500ms", stall="0s")
    code, out, err = kit.code("--ttl", "5s", "--grace", "1s", command=["sh", "-c", "echo ran"])
    assert (code, out) == (75, "")
    assert "leadership of election job is over" in err
    assert store.record()["token"] == 1


def test_the_deadline_lies_the_kill_margin_before_the_provable_end(store, watched):
    run = family(watched)
    store.cut("a")
    time.sleep(0.05)
    assert run.look() == store.record()["provable_ns"] - FIFO_MARGIN_NS


def test_without_real_time_scheduling_the_kill_margin_is_the_greater_one(store, kit, punctual, record_property):
    wrapped = Kit(kit.tenure, kit.directory)
    script = kit.directory / "tenure-unprivileged"
    script.write_text(f"#!/bin/sh\nulimit -r 0\nexec setpriv --bounding-set -sys_nice {kit.tenure} \"$@\"\n")
    script.chmod(0o755)
    wrapped.tenure, wrapped.url, wrapped.env = str(script), kit.url, kit.env
    try:
        run = family(lambda *args, **more: Watched(wrapped, *args, **more))
        assert os.sched_getscheduler(run.run.pid) == os.SCHED_OTHER
        fault(store, run, "cut", ("supervisor", "warden"))
        seen = run.until_dead(OTHER_MARGIN_NS)
        report(record_property, "without SCHED_FIFO", seen)
        assert seen.deadline_ns == store.record()["provable_ns"] - OTHER_MARGIN_NS
        assert seen.in_time()
        resume(run, ("supervisor", "warden"))
        assert run.run.wait()[0] == 75
        run.close()
    finally:
        wrapped.close()


def test_supervisor_warden_and_init_are_real_time_and_the_program_is_as_its_caller_was(kit, watched):
    run = family(watched, preexec_fn=lambda: os.nice(7))
    for pid in (run.run.pid, run.warden, run.init):
        assert os.sched_getscheduler(pid) == os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            locked = next(line for line in status if line.startswith("VmLck"))
        assert int(locked.split()[1]) > 0 or "ASAN_OPTIONS" in os.environ  # which makes nothing of mlockall
    for pid in run.family:
        assert os.sched_getscheduler(pid) == os.SCHED_OTHER
        assert os.getpriority(os.PRIO_PROCESS, pid) == 7


def test_a_file_store_changes_nothing_of_that(kit, tmp_path):
    kit.url = f"file:{tmp_path}/store"
    run = kit.run(command=["sleep", "60"])
    pids = (run.pid, run.warden(), run.init(), run.program())
    assert [os.sched_getscheduler(pid) for pid in pids] == [os.SCHED_OTHER] * 4
