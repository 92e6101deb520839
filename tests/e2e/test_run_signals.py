# SPDX-License-Identifier: Apache-2.0
"""`tenure run`: signals that are passed on, stopped and killed processes, and the terminal."""
import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time

import pytest

from run_kit import LIMIT_S, alive, children, descendants, environment, stat_of, until

PYTHON = sys.executable

COUNT = """
import os, signal, sys, time
def note(n, frame):
    os.write(log, (signal.Signals(n).name + "\\n").encode())
    if n == signal.SIGTERM: sys.exit(9)
log = os.open("ledger", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for name in sys.argv[1:]: signal.signal(getattr(signal, name), note)
os.write(log, b"started\\n")
while True: time.sleep(0.01)
"""
LEVELS = [[], ["--no-pid-namespace"]]


def counter(kit, *args, catches=("SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGINT", "SIGTERM"), **more):
    run = kit.run(*args, command=[PYTHON, "-c", COUNT, *catches], cwd=kit.directory, **more)
    kit.wait_ledger(1)
    return run


def test_signals_are_passed_on_once(kit):
    run = counter(kit)
    for n, name in enumerate(("SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH")):
        run.signal(getattr(signal, name))
        assert kit.wait_ledger(n + 2)[-1] == name
    time.sleep(0.1)
    run.signal(signal.SIGTERM)
    assert run.wait()[0] == 9
    assert kit.ledger() == ["started", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGTERM"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_gives_the_program_sigterm_and_returns_its_own_code(kit, number):
    run = counter(kit)
    run.signal(number)
    assert run.wait()[0] == 9
    assert kit.ledger() == ["started", "SIGTERM"]


def test_sigint_that_was_ignored_at_start_stays_ignored(kit):
    run = counter(kit, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    run.signal(signal.SIGINT)
    run.signal(signal.SIGUSR1)
    kit.wait_ledger(2)
    run.signal(signal.SIGTERM)
    assert run.wait()[0] == 9 and kit.ledger() == ["started", "SIGUSR1", "SIGTERM"]


STUBBORN = "trap 'echo term >> ledger' TERM; echo started >> ledger; while :; do sleep 0.01; done"


def stubborn(kit, *args, **more):
    n = len(kit.ledger())
    run = kit.run(*args, command=["sh", "-c", STUBBORN], cwd=kit.directory, **more)
    kit.wait_ledger(n + 1)
    return run


@pytest.mark.parametrize("args", LEVELS)
def test_a_program_that_ignores_sigterm_is_killed_after_the_grace(kit, args):
    run = stubborn(kit, "--grace", "400ms", *args)
    begin = time.monotonic()
    run.signal(signal.SIGTERM)
    assert run.wait()[0] == 128 + signal.SIGKILL
    assert 0.35 < time.monotonic() - begin < 3
    assert kit.ledger() == ["started", "term"]


@pytest.mark.parametrize("args", LEVELS)
def test_a_second_signal_kills_at_once(kit, args):
    run = stubborn(kit, "--grace", "1h", *args)
    run.signal(signal.SIGTERM)
    kit.wait_ledger(2)
    run.signal(signal.SIGINT)
    assert run.wait()[0] == 128 + signal.SIGKILL


def test_leadership_goes_on_while_the_program_finishes(kit):
    run = stubborn(kit, "--grace", "1s")
    run.signal(signal.SIGTERM)
    kit.wait_ledger(2)
    assert kit.code("--wait", "0s", command=["true"])[0] == 124
    assert run.wait()[0] == 137
    assert kit.code("--wait", "0s", command=["true"])[0] == 0


# --- each of the four processes killed ---


def next_leads(kit):
    """Somebody else comes to lead; returns the ledger's last line."""
    command = ["sh", "-c", "echo next $TENURE_TOKEN >> ledger"]
    assert kit.code("--wait", "20s", command=command, cwd=kit.directory)[0] == 0
    return kit.ledger()[-1]


FAMILY = """
import os, signal, sys, time
for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(s, signal.SIG_IGN)
log = os.open("writes", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for i in range(2):
    if os.fork() == 0:
        os.setsid()
        if os.fork(): os._exit(0)
        break
os.write(os.open("ledger", os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"started\\n")
while True:
    os.write(log, b"%d old\\n" % time.clock_gettime_ns(time.CLOCK_BOOTTIME))
    time.sleep(0.001)
"""
LATER = ("import os,time; os.write(os.open('writes', os.O_WRONLY|os.O_APPEND), b'%d new\\n' % "
         "time.clock_gettime_ns(time.CLOCK_BOOTTIME)); time.sleep(0.1)")


def family(kit, *args):
    run = kit.run("--grace", "300ms", *args, command=[PYTHON, "-c", FAMILY], cwd=kit.directory)
    kit.wait_ledger(3)
    return run


def no_overlap(kit):
    writes = [line.split() for line in (kit.directory / "writes").read_text().splitlines()]
    old = [int(at) for at, who in writes if who == "old"]
    new = [int(at) for at, who in writes if who == "new"]
    assert len(new) == 1 and len(old) > 3
    assert max(old) < new[0], f"written {(max(old) - new[0]) / 1e6} ms after the next leader began"


NOBODY = dict(user=65534, group=65534, extra_groups=[])
VICTIMS = ["pid", "warden", "init", "program"]


@pytest.mark.parametrize("args", LEVELS, ids=["kernel", "cgroup"])
@pytest.mark.parametrize("victim", VICTIMS)
def test_whoever_is_killed_the_tree_dies_before_the_next_one_leads(kit, victim, args):
    run = family(kit, *args)
    tree = descendants(run.pid)
    path = environment(run.program())["TENURE_LEASE_PATH"]
    assert os.path.exists(path)
    killed = run.pid if victim == "pid" else getattr(run, victim)()
    following = kit.run("--wait", "20s", command=[PYTHON, "-c", LATER], cwd=kit.directory)
    until(lambda: list((kit.store / "job" / "waiting").glob("*")), "a place in the queue")
    os.kill(killed, signal.SIGKILL)
    code = run.wait()[0]
    assert code == {"pid": 1009, "warden": 75, "init": 137, "program": 137}[victim]
    assert following.wait()[0] == 0
    no_overlap(kit)
    assert not [pid for pid in tree if alive(pid)]
    assert not os.path.exists(path)


@pytest.mark.parametrize("args", LEVELS, ids=["kernel", "cgroup"])
@pytest.mark.parametrize("pair", [("pid", "warden"), ("warden", "init"), ("pid", "init"), ("pid", "warden", "init")],
                         ids="+".join)
def test_whichever_are_killed_together_the_tree_dies_before_the_next_one_leads(kit, pair, args):
    run = family(kit, *args)
    tree = descendants(run.pid)
    pids = [run.pid if victim == "pid" else getattr(run, victim)() for victim in pair]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert kit.code("--wait", "20s", command=[PYTHON, "-c", LATER], cwd=kit.directory)[0] == 0
    run.wait()
    no_overlap(kit)
    assert not [pid for pid in tree if alive(pid)]


@pytest.mark.parametrize("victim", VICTIMS + ["pid+warden"])
def test_without_privileges_such_a_death_still_ends_the_tree_first(kit, victim):
    kit.open_to_all()
    run = kit.run("--grace", "300ms", command=[PYTHON, "-c", FAMILY], cwd=kit.directory, **NOBODY)
    kit.wait_ledger(3)
    tree = descendants(run.pid)
    killed = [run.pid if one == "pid" else getattr(run, one)() for one in victim.split("+")]
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    assert kit.code("--wait", "20s", command=[PYTHON, "-c", LATER], cwd=kit.directory, **NOBODY)[0] == 0
    code, _, err = run.wait()
    assert code == {"pid": 1009, "pid+warden": 1009, "warden": 75, "init": 137, "program": 137}[victim]
    assert "containment=weak" in err
    no_overlap(kit)
    assert not [pid for pid in tree if alive(pid)]


def test_nothing_is_released_while_a_process_cannot_be_killed(kit):
    """A write to a frozen file system is an uninterruptible sleep: SIGKILL waits, and so do we."""
    image, mount = kit.directory / "image", kit.directory / "mount"
    mount.mkdir()
    with open(image, "wb") as f:
        f.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True)
    try:
        script = f"echo started >> ledger; while [ ! -e frozen ]; do sleep 0.01; done; echo x > {mount}/file"
        run = kit.run("--grace", "100ms", command=["sh", "-c", script], cwd=kit.directory)
        kit.wait_ledger(1)
        program = run.program()
        subprocess.run(["fsfreeze", "-f", str(mount)], check=True)
        try:
            (kit.directory / "frozen").touch()
            until(lambda: stat_of(program)[0] == "D", "the sleep")
            run.signal(signal.SIGTERM)
            assert kit.code("--wait", "11s", command=["true"])[0] == 124
            assert run.p.poll() is None
        finally:
            subprocess.run(["fsfreeze", "-u", str(mount)], check=True)
        code, _, err = run.wait()
        assert code == 137
        assert "not released until it is proven dead" in err and "is dead now" in err
        assert next_leads(kit) == "next 2"
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


# --- each of the four stopped ---


@pytest.mark.parametrize("args", LEVELS, ids=["kernel", "cgroup"])
@pytest.mark.parametrize("victim", ["warden", "init", "program"])
def test_whoever_is_stopped_a_stop_still_ends_the_tree(kit, victim, args):
    run = family(kit, *args)
    tree = descendants(run.pid)
    os.kill(getattr(run, victim)(), signal.SIGSTOP)
    run.signal(signal.SIGTERM)
    assert run.wait()[0] == 137
    assert not [pid for pid in tree if alive(pid)]
    assert next_leads(kit) == "next 2"


def test_a_stopped_program_is_continued_to_obey_sigterm(kit):
    run = counter(kit)
    os.kill(run.program(), signal.SIGSTOP)
    run.signal(signal.SIGTERM)
    assert run.wait()[0] == 9


def test_a_stopped_supervisor_goes_on_where_it_was(kit):
    run = counter(kit)
    run.signal(signal.SIGSTOP)
    until(lambda: stat_of(run.pid)[0] == "T", "the stop")
    assert kit.code("--wait", "300ms", command=["true"])[0] == 124
    run.signal(signal.SIGUSR1)
    run.signal(signal.SIGCONT)
    kit.wait_ledger(2)
    run.signal(signal.SIGTERM)
    assert run.wait()[0] == 9


def test_a_program_that_ends_while_the_warden_is_stopped_is_released_all_the_same(kit):
    run = kit.run(command=["sh", "-c", "echo started >> ledger; while [ ! -e go ]; do sleep 0.01; done; exit 4"],
                  cwd=kit.directory)
    kit.wait_ledger(1)
    os.kill(run.warden(), signal.SIGSTOP)
    (kit.directory / "go").touch()
    code, _, err = run.wait()
    assert code == 4, err
    assert next_leads(kit) == "next 2"


def test_a_stopped_supervisor_does_not_keep_the_lock_of_a_program_that_has_ended(kit):
    run = kit.run(command=["sh", "-c", "echo started >> ledger; while [ ! -e go ]; do sleep 0.01; done; exit 4"],
                  cwd=kit.directory)
    kit.wait_ledger(1)
    run.signal(signal.SIGSTOP)
    until(lambda: stat_of(run.pid)[0] == "T", "the stop")
    (kit.directory / "go").touch()
    assert next_leads(kit) == "next 2"
    run.signal(signal.SIGCONT)
    assert run.wait()[0] == 4
    assert kit.code("--wait", "10s", command=["sh", "-c", "exit $TENURE_TOKEN"])[0] == 3


def test_a_process_that_leaves_the_cgroup_is_ended_with_it(kit):
    leave = ("for f in /sys/fs/cgroup/unified/cgroup.procs /sys/fs/cgroup/cgroup.procs; do"
             " [ -e $f ] && echo $$ > $f && break; done; echo $$ >> ledger; exec sleep 1000")
    run = kit.run("--no-pid-namespace", "--containment", "cgroup",
                  command=["sh", "-c", f"setsid sh -c '{leave}' & while [ ! -e go ]; do sleep 0.01; done; exit 4"],
                  cwd=kit.directory)
    kit.wait_ledger(1)
    escaped = int(kit.ledger()[0].split()[0])
    assert alive(escaped)
    with open(f"/proc/{escaped}/cgroup") as f:
        assert "tenure-" not in [line for line in f if line.startswith("0::")][0]
    (kit.directory / "go").touch()
    assert run.wait()[0] == 4
    assert not alive(escaped)


def test_the_supervisors_death_ends_the_page(kit):
    link = kit.directory / "page"
    run = kit.run(command=["sh", "-c", f'ln -s "$TENURE_LEASE_PATH" {link}; echo started >> ledger; exec sleep 1000'],
                  cwd=kit.directory)
    kit.wait_ledger(1)
    page = os.open(link, os.O_RDONLY)
    path = os.readlink(link)
    program = run.program()
    run.signal(signal.SIGKILL)
    until(lambda: not alive(program), "the end of the program")
    assert os.pread(page, 32, 0)[24:] == bytes(8)
    os.close(page)
    until(lambda: not os.path.exists(path), "the page to be removed")


def test_the_next_leader_ends_the_page_of_one_that_could_not(kit):
    run = kit.run(command=["sh", "-c", 'echo "$TENURE_LEASE_PATH" >> ledger; exec sleep 1000'], cwd=kit.directory)
    path = kit.wait_ledger(1)[0]
    page = os.open(path, os.O_RDONLY)
    assert os.pread(page, 32, 0)[24:] != bytes(8)
    run.signal(signal.SIGSTOP)
    os.kill(run.warden(), signal.SIGKILL)
    assert next_leads(kit) == "next 2"
    assert os.pread(page, 32, 0)[24:] == bytes(8)
    os.close(page)
    assert not os.path.exists(path)
    run.signal(signal.SIGCONT)
    assert run.wait()[0] == 75


# --- the terminal ---


def arguments(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read()
    except OSError:
        return b""


class Terminal:
    """A shell with job control on a terminal of its own."""

    def __init__(self, kit):
        self.master, slave = pty.openpty()
        self.text = ""

        def session():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        env = dict(kit.env, PS1="prompt> ", TERM="dumb", T=kit.tenure, U=kit.url)
        self.p = subprocess.Popen(["bash", "--norc", "--noprofile", "-i"], stdin=slave, stdout=slave, stderr=slave,
                                  env=env, cwd=kit.directory, preexec_fn=session)
        os.close(slave)

    def type(self, text):
        os.write(self.master, text.encode())

    def expect(self, pattern):
        end = time.monotonic() + LIMIT_S
        while True:
            found = re.search(pattern, self.text)
            if found:
                self.text = self.text[found.end():]
                return found
            ready = select.select([self.master], [], [], max(0, end - time.monotonic()))[0]
            assert ready, f"{pattern} did not come: {self.text!r}"
            self.text += os.read(self.master, 65536).decode(errors="replace")

    def close(self):
        for pid in reversed(descendants(self.p.pid)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.p.kill()
        self.p.wait()
        os.close(self.master)


@pytest.fixture
def terminal(kit):
    terminal = Terminal(kit)
    terminal.expect("prompt> ")
    yield terminal
    terminal.close()


def test_ctrl_c_reaches_the_program_once_and_its_code_comes_back(kit, terminal):
    (kit.directory / "count.py").write_text(COUNT.replace("if n == signal.SIGTERM: sys.exit(9)",
                                                          "if n == signal.SIGINT: time.sleep(0.2); sys.exit(5)"))
    terminal.type("$T run job --store $U -- python3 count.py SIGINT SIGTERM; echo code=$?\n")
    kit.wait_ledger(1)
    terminal.type("\x03")
    terminal.expect("code=5\r")
    assert kit.ledger() == ["started", "SIGINT"]


def test_ctrl_c_is_followed_by_sigterm_and_then_the_end(kit, terminal):
    (kit.directory / "count.py").write_text(COUNT.replace("sys.exit(9)", "pass"))
    terminal.type("$T run job --store $U --grace 600ms -- python3 count.py SIGINT SIGTERM; echo code=$?\n")
    kit.wait_ledger(1)
    terminal.type("\x03")
    terminal.expect("code=137\r")
    assert kit.ledger() == ["started", "SIGINT", "SIGTERM"]


def test_ctrl_backslash_reaches_the_program_once(kit, terminal):
    (kit.directory / "count.py").write_text(COUNT)
    terminal.type("$T run job --store $U -- python3 count.py SIGQUIT SIGTERM; echo code=$?\n")
    kit.wait_ledger(1)
    terminal.type("\x1c")
    kit.wait_ledger(2)
    # One that was passed on as well would stand before what is passed on after it.
    run = until(lambda: [p for p in descendants(terminal.p.pid) if b"job" in arguments(p)], "the run")[0]
    os.kill(run, signal.SIGTERM)
    terminal.expect("code=9\r")
    assert kit.ledger() == ["started", "SIGQUIT", "SIGTERM"]


def test_ctrl_z_gives_the_prompt_back_and_fg_goes_on(kit, terminal):
    (kit.directory / "count.py").write_text(COUNT)
    terminal.type("$T run job --store $U -- python3 count.py SIGTERM SIGUSR1; echo code=$?\n")
    kit.wait_ledger(1)
    supervisor = children(terminal.p.pid)[0]
    program = descendants(supervisor)[-1]
    terminal.type("\x1a")
    terminal.expect("Stopped")
    terminal.expect("prompt> ")
    assert stat_of(program)[0] == "T"
    assert kit.code("--wait", "0s", command=["true"])[0] == 124, "leadership is kept"
    terminal.type("fg\n")
    until(lambda: stat_of(program)[0] != "T", "the program to go on")
    os.kill(supervisor, signal.SIGUSR1)
    kit.wait_ledger(2)
    os.kill(supervisor, signal.SIGTERM)
    until(lambda: not alive(supervisor), "the end")
    assert kit.ledger() == ["started", "SIGUSR1", "SIGTERM"]


def test_the_program_reads_from_the_terminal(kit, terminal):
    terminal.type("$T run job --store $U -- sh -c 'read line; echo \"got <$line>\"; test -t 0 && exit 6'; "
                  "echo code=$?\n")
    terminal.expect("containment=")
    terminal.type("hello\n")
    terminal.expect("got <hello>")
    terminal.expect("code=6\r")


def test_an_interactive_shell_works_inside(kit, terminal):
    terminal.type("$T run job --store $U -- bash --norc --noprofile -i; echo code=$?\n")
    terminal.expect("containment=")
    terminal.expect("prompt> ")
    terminal.type("sleep 1000\n")
    until(lambda: b"sleep" in b"".join(map(arguments, descendants(terminal.p.pid))), "the program in the shell")
    terminal.type("\x03")
    terminal.expect("prompt> ")
    terminal.type("exit 8\n")
    terminal.expect("code=8\r")
