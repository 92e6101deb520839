# SPDX-License-Identifier: Apache-2.0
"""tenure guard: no smaller token is admitted, and no mark is forgotten, whatever ends it and whenever."""
import json
import os
import pty
import random
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

TENURE = os.environ["TENURE_BIN"]
KILLAT = os.environ["KILLAT_BIN"]
LIMIT_S = 60


@pytest.fixture
def place():
    """On a disk: memory file systems are refused."""
    path = tempfile.mkdtemp(prefix="test_guard.", dir="/var/tmp")
    yield path
    shutil.rmtree(path)


def guard(place, *words, before=(), **more):
    command = [*before, TENURE, "guard", "--dir", place, *map(str, words)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S, **more)


def mark(place, resource="job"):
    shown = guard(place, "show", resource)
    assert shown.returncode == 0, shown.stderr
    return int(shown.stdout)


def sequence(place):
    """The higher of the two in the file."""
    with open(f"{place}/job.guard", "rb") as f:
        data = f.read()
    return max(int.from_bytes(data[at + 8:at + 16], "little") for at in (0, 64))


def check_mark_holds(place):
    """What is there is admitted again, and what is smaller is refused."""
    now = mark(place)
    if now > 1:
        assert guard(place, "job", "--token", now - 1, "--wait", "0s").returncode == 77
    if now > 0:
        assert guard(place, "job", "--token", now, "--wait", "20s").returncode == 0
    assert mark(place) == now
    return now


def await_line(stream, text):
    assert stream.readline().strip() == text


def at_every_stop(run):
    """Calls run(n) for n = 1, 2, ... until the command came to its end by itself; it returns what killat said."""
    n = 1
    while not run(n).startswith("ended"):
        n += 1
        assert n < 2000
    assert n > 100
    return n


def test_killed_at_any_system_call_the_mark_neither_falls_nor_is_below_an_admitted_token(place):
    ledger = f"{place}/ledger"
    assert guard(place, "job", "--token", 10).returncode == 0

    def run(n):
        low = mark(place)
        done = guard(place, "job", "--token", low + 1, "--", "sh", "-c", f"echo {low + 1} >>{ledger}",
                     before=[KILLAT, "-o", f"{place}/said", str(n), "--"])
        now = check_mark_holds(place)
        assert low <= now <= low + 1
        if os.path.exists(ledger):
            with open(ledger, encoding="ascii") as f:
                written = [int(line) for line in f]
            assert written == sorted(written)
            assert not written or written[-1] <= now
        with open(f"{place}/said", encoding="ascii") as f:
            said = f.read()
        if said.startswith("ended"):
            assert done.returncode == 0
            assert now == low + 1 == written[-1]
        return said

    at_every_stop(run)


def test_killed_while_the_file_is_made_it_is_whole_or_absent(place):
    def run(n):
        fresh = f"{place}/{n}/guard"
        done = guard(fresh, "job", "--token", 5, before=[KILLAT, "-o", f"{place}/said", str(n), "--"])
        assert done.returncode == 0, done.stderr
        assert mark(fresh) in (0, 5)
        assert guard(fresh, "job", "--token", 5).returncode == 0
        assert check_mark_holds(fresh) == 5
        assert os.listdir(fresh) == ["job.guard"]
        with open(f"{place}/said", encoding="ascii") as f:
            return f.read()

    at_every_stop(run)


@pytest.mark.parametrize("call", ["pwrite64", "fdatasync", "fsync", "linkat", "openat", "fcntl", "pread64",
                                  "newfstatat"])
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("new", [False, True])
def test_whichever_call_fails_nobody_is_admitted_without_a_mark(place, call, error, new):
    n_failed = 0
    if not new:
        assert guard(place, "job", "--token", 10).returncode == 0
    for nth in range(1, 60):
        where = f"{place}/{nth}" if new else place
        low = mark(where)
        done = guard(where, "job", "--token", low + 1,
                     before=[KILLAT, "-o", f"{place}/said", "--fail", f"{call}:{error}", "--nth", str(nth), "--"])
        now = mark(where)
        assert low <= now <= low + 1
        if done.returncode == 0:
            assert now == low + 1
        with open(f"{place}/said", encoding="ascii") as f:
            if f.read().startswith("ended"):
                break
        n_failed += 1
        check_mark_holds(where)
    else:
        pytest.fail("it never came to its end")
    if call in ("pwrite64", "fdatasync"):
        assert n_failed >= 2
    if new and call in ("fsync", "linkat"):
        assert n_failed >= 1


def test_a_mark_whose_durability_failed_is_written_again_before_its_token_is_admitted(place):
    assert guard(place, "job", "--token", 10).returncode == 0
    done = guard(place, "job", "--token", 11, before=[KILLAT, "--fail", "fdatasync:EIO", "--"])
    assert done.returncode == 74
    assert "durable" in done.stderr
    # It reads as if it had been written.
    assert mark(place) == 11
    before = sequence(place)
    assert guard(place, "job", "--token", 11).returncode == 0
    assert sequence(place) > before


def test_several_at_once_with_random_tokens_go_in_one_by_one_and_never_back(place):
    ledger = f"{place}/ledger"
    script = (f"for t in $TOKENS; do {TENURE} guard job --dir {place} --token $t -- "
              f"sh -c \"echo $t >>{ledger}; echo . >>{ledger}\"; c=$?; [ $c = 0 ] || [ $c = 77 ] || exit 1; done")
    choose = random.Random(7)
    runners = []
    for _ in range(3):
        tokens = " ".join(str(1 + step * 2 + choose.randrange(20)) for step in range(25))
        runners.append(subprocess.Popen(["sh", "-c", script], env={**os.environ, "TOKENS": tokens},
                                        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    assert [r.wait(LIMIT_S) for r in runners] == [0, 0, 0]
    with open(ledger, encoding="ascii") as f:
        lines = f.read().split()
    assert lines[1::2] == ["."] * (len(lines) // 2)
    tokens = [int(t) for t in lines[0::2]]
    assert tokens == sorted(tokens)
    assert mark(place) >= tokens[-1]


def test_a_full_disk_admits_nobody_new_and_forgets_nothing(place):
    image, there = f"{place}/image", f"{place}/mnt"
    os.mkdir(there)
    with open(image, "wb") as f:
        f.truncate(8 << 20)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-m", "0", "-N", "32", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, there], check=True)
    try:
        assert guard(there, "job", "--token", 10).returncode == 0
        with open(f"{there}/filler", "wb", buffering=0) as filler:
            size = 65536
            while size:
                try:
                    filler.write(b"x" * size)
                except OSError:
                    size //= 2
        done = guard(there, "other", "--token", 3)
        assert done.returncode == 74, done.stderr
        assert "other.guard" in done.stderr and "No space left" in done.stderr
        assert mark(there, "other") == 0
        for token in range(11, 15):
            done = guard(there, "job", "--token", token)
            assert done.returncode in (0, 74)
            assert mark(there) >= (token if done.returncode == 0 else 10)
            assert guard(there, "job", "--token", 9).returncode == 77
        os.unlink(f"{there}/filler")
        assert guard(there, "other", "--token", 3).returncode == 0
        assert check_mark_holds(there) >= 10
        subprocess.run(["mount", "-o", "remount,ro", there], check=True)
        assert mark(there) >= 10
        assert guard(there, "job", "--token", 99).returncode == 74
    finally:
        subprocess.run(["umount", there], check=True)


def test_exit_codes(place):
    assert guard(place, "job", "--token", 5, "--", "sh", "-c", "exit 9").returncode == 9
    assert guard(place, "job", "--token", 5, "--", "sh", "-c", "kill -USR1 $$").returncode == 128 + signal.SIGUSR1
    assert guard(place, "job", "--token", 5, "--", f"{place}/none").returncode == 127
    assert guard(place, "job", "--token", 5, "--", "no-such-command-anywhere").returncode == 127
    assert guard(place, "job", "--token", 5, "--", place).returncode == 126
    refused = guard(place, "job", "--token", 4, "--", "touch", f"{place}/written")
    assert refused.returncode == 77
    assert "token 4 is refused, 5 was here already" in refused.stderr
    assert not os.path.exists(f"{place}/written")
    for words in (["job"], ["job", "--token", 0], ["job", "--token", 1 << 63], ["job", "--token", "x"],
                  ["a/b", "--token", 1],
                  ["show"], ["shew", "job"], ["show", "job", "--token", 1], ["job", "--token", 1, "--to", 3],
                  ["reset", "job"], ["reset", "job", "--present", 5], ["reset", "job", "--yes"]):
        assert guard(place, *words).returncode == 64, words
    memory = guard("/dev/shm/guard", "job", "--token", 1)
    assert memory.returncode == 78
    assert "tmpfs" in memory.stderr
    with open(f"{place}/other.guard", "wb") as f:
        f.write(b"x" * 128)
    assert guard(place, "other", "--token", 1).returncode == 76
    os.truncate(f"{place}/other.guard", 100)
    assert guard(place, "other", "--token", 1).returncode == 74
    assert mark(place) == 5


def test_a_resource_may_have_the_name_of_an_action(place):
    assert guard(place, "show", "--token", 3).returncode == 0
    assert mark(place, "show") == 3
    assert guard(place, "reset", "--token", 4).returncode == 0
    assert mark(place, "reset") == 4


def test_show_as_json(place):
    assert guard(place, "job", "--token", (1 << 63) - 1).returncode == 0
    assert json.loads(guard(place, "show", "job", "-o", "json").stdout) == {"resource": "job", "mark": (1 << 63) - 1}


def test_reset_in_a_script_names_the_present_mark(place):
    assert guard(place, "job", "--token", 5).returncode == 0
    wrong = guard(place, "reset", "job", "--present", 4, "--to", 2, "--yes")
    assert wrong.returncode == 77
    assert mark(place) == 5
    assert guard(place, "reset", "job", "--present", 5, "--to", 2, "--yes").returncode == 0
    assert mark(place) == 2


@pytest.mark.parametrize("typed,code,after", [("5", 0, 2), ("4", 64, 5), ("", 64, 5), ("yes", 64, 5)])
def test_reset_asks_for_the_present_mark_and_says_what_it_gives_up(place, typed, code, after):
    assert guard(place, "job", "--token", 5).returncode == 0
    ours, theirs = pty.openpty()
    reset = subprocess.Popen([TENURE, "guard", "reset", "job", "--to", "2", "--dir", place], stdin=theirs,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    os.close(theirs)
    os.write(ours, typed.encode() + b"\n")
    _, said = reset.communicate(timeout=LIMIT_S)
    os.close(ours)
    assert "Tokens from 2 to 4 will be admitted again" in said
    assert reset.returncode == code
    assert mark(place) == after


class Inside:
    """A guard whose command says "in" and then does as it is told."""

    def __init__(self, place, token, script):
        self.process = subprocess.Popen([TENURE, "guard", "job", "--dir", place, "--token", str(token), "--",
                                         "sh", "-c", script],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        await_line(self.process.stdout, "in")

    def end(self):
        self.process.stdin.close()
        code = self.process.wait(LIMIT_S)
        self.process.stdout.close()
        return code


def test_wait_runs_out_while_another_is_inside(place):
    inside = Inside(place, 5, "echo in; read x")
    assert guard(place, "job", "--token", 5, "--wait", "0s").returncode == 124
    assert guard(place, "job", "--token", 5, "--wait", "50ms", "-E", "33").returncode == 33
    # A greater token that gave up waiting has raised the mark nevertheless.
    assert guard(place, "job", "--token", 7, "--wait", "0s").returncode == 124
    assert guard(place, "job", "--token", 6, "--wait", "forever").returncode == 77
    inside.end()
    assert guard(place, "job", "--token", 7, "--wait", "0s").returncode == 0


def test_a_signal_ends_the_waiting(place):
    inside = Inside(place, 5, "echo in; read x")
    for number in (signal.SIGTERM, signal.SIGINT):
        waiting = subprocess.Popen([TENURE, "guard", "job", "--dir", place, "--token", "6"], stdin=subprocess.DEVNULL)
        limit = time.monotonic() + LIMIT_S
        while mark(place) != 6:
            assert time.monotonic() < limit
        waiting.send_signal(number)
        assert waiting.wait(LIMIT_S) == -number
        assert guard(place, "reset", "job", "--present", 6, "--to", 5, "--yes").returncode == 0
    inside.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1,
                                    signal.SIGUSR2])
def test_signals_are_passed_on_to_the_command(place, number):
    name = signal.Signals(number).name[3:]
    inside = Inside(place, 5, f"trap 'echo got; exit 41' {name}; echo in; while :; do read x || sleep 0.05; done")
    inside.process.send_signal(number)
    await_line(inside.process.stdout, "got")
    assert inside.end() == 41


def test_the_command_dies_with_the_guard(place):
    inside = Inside(place, 5, "echo in; exec cat")
    inside.process.kill()
    # The pipe ends when nobody has it any more.
    assert inside.process.stdout.read() == ""
    assert inside.end() == -signal.SIGKILL
    assert guard(place, "job", "--token", 5, "--wait", "10s").returncode == 0


def test_a_killed_guards_command_is_dead_before_the_next_one_is_inside(place):
    # Without its parent-death signal, which comes a moment after the lock has gone: the moment becomes endless.
    busy = ("import ctypes, sys, time\nctypes.CDLL(None).prctl(1, 0)\nprint('in', flush=True)\n"
            "while True: sys.stderr.write(f'{time.monotonic_ns()}\\n')")
    for token in range(1, 6):
        with open(f"{place}/first", "wb") as first:
            guarded = subprocess.Popen([TENURE, "guard", "job", "--dir", place, "--token", str(token), "--",
                                        "/usr/bin/python3", "-c", busy],
                                       stdout=subprocess.PIPE, stderr=first, text=True)
            await_line(guarded.stdout, "in")
            while os.path.getsize(f"{place}/first") == 0:  # it is at its writing
                assert guarded.poll() is None
                time.sleep(0.001)
        following = subprocess.Popen([TENURE, "guard", "job", "--dir", place, "--token", str(token), "--",
                                      "cat", f"{place}/first"], stdout=subprocess.PIPE, text=True)
        guarded.kill()
        seen = following.communicate(timeout=LIMIT_S)[0]
        guarded.wait(LIMIT_S)
        guarded.stdout.close()
        assert following.returncode == 0
        # Nothing was written after the next one was inside.
        assert seen
        with open(f"{place}/first", encoding="ascii") as first:
            assert first.read() == seen


def test_the_command_has_no_part_in_the_lock(place):
    done = guard(place, "job", "--token", 5, "--", "sh", "-c", "ls -l /proc/$$/fd")
    assert done.returncode == 0
    assert "job.guard" not in done.stdout
    # What it leaves in the background neither has the lock nor holds it.
    done = guard(place, "job", "--token", 5, "--", "sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!")
    try:
        assert done.returncode == 0
        assert guard(place, "job", "--token", 5, "--wait", "0s").returncode == 0
    finally:
        os.kill(int(done.stdout), signal.SIGKILL)


def test_closed_standard_descriptors_are_closed_for_the_command_too(place):
    done = guard(place, "job", "--token", 5, "--", "sh", "-c", "test ! -e /proc/$$/fd/0",
                 before=["sh", "-c", "exec \"$0\" \"$@\" <&-"])
    assert done.returncode == 0, done.stderr
    assert mark(place) == 5
