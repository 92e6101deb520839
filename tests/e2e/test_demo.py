# SPDX-License-Identifier: Apache-2.0
"""tenure demo: what it shows, what its sabotage leads to, and that nothing is left behind. And its judge."""
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from command import LIMIT_S, on_disk

TENURE = os.environ["TENURE_BIN"]
CHECKER = os.path.join(os.path.dirname(TENURE), "..", "checker", "tenure-checker")


def processes_of(place):
    """[(pid, command line)] of living processes that name the directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if place in line and int(pid) != os.getpid():
            found.append((int(pid), line))
    return found


def wait_until(what, condition):
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


@pytest.fixture
def place():
    """The directory in which demos make theirs; empty afterwards, and no process is left."""
    path = tempfile.mkdtemp(dir=on_disk())
    yield path
    left = processes_of(path), os.listdir(path)
    for pid, _ in left[0]:
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(path)
    assert left == ([], [])


def environment(place, **more):
    return dict(os.environ, TMPDIR=place, **more)


def demo(place, *args, tenure=TENURE, **more):
    return subprocess.run([tenure, "demo", *args], env=environment(place, **more), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=LIMIT_S * 3, check=False)


def started(place, *args):
    return subprocess.Popen([TENURE, "demo", *args], env=environment(place), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def tokens_of(text):
    return [int(token) for token in re.findall(r"leads with token (\d+)", text)]


def read_until(process, pattern):
    """The output up to the first line that matches."""
    text = ""
    for line in process.stdout:
        text += line
        if re.search(pattern, line):
            return text
    pytest.fail(f"it ended without {pattern!r}:\n{text}")


def parts_of(text, since):
    """[(last sign of the old program, lead of the next)] in ms, for what happened `since` (a pause, a kill, a cut)."""
    lead = re.search(rf"(\d+\.\d) ms after the {since}; its program", text)
    sign = re.search(rf"The last sign of life of \w's program was (\d+\.\d) ms after the {since}", text)
    return (float(sign.group(1)) if sign else 0.0), float(lead.group(1))


def test_the_story_is_told_whole_with_a_clean_verdict(place):
    began = time.monotonic()
    done = demo(place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert time.monotonic() - began < 60
    tokens = tokens_of(done.stdout)
    assert len(tokens) == 5 and tokens == sorted(set(tokens))
    leaders = re.findall(r"(\w) leads with token \d+, \d+\.\d ms after", done.stdout)
    # in the order of the queue, but where the host is too busy for it; never the one that was paused, killed or cut
    assert leaders[0] == "a" and all(old != new for old, new in zip(leaders, leaders[1:]))
    assert re.search(rf"refused: token {tokens[0]}, the mark is {tokens[1]} \(exit 77\)", done.stdout)
    assert re.search(r"tenure transfer job --to " + leaders[4], done.stdout)
    assert "the other two are a majority" in done.stdout
    assert re.search(r"[1-9]\d* writes admitted, 1 refused", done.stdout)
    assert "no violation\n" in done.stdout
    assert "tenure demo --stay" in done.stdout
    assert place in done.stdout


def test_a_program_is_dead_before_the_next_one_leads_whatever_happened_to_its_leader(place):
    done = demo(place)
    assert done.returncode == 0, done.stdout + done.stderr
    for since in ("pause", "kill", "cut"):
        last_sign, lead = parts_of(done.stdout, since)
        assert last_sign < lead, done.stdout


def test_it_is_plain_in_a_pipe_and_emphasized_on_a_terminal(place):
    assert "\033" not in demo(place).stdout
    master, slave = pty.openpty()
    process = subprocess.Popen([TENURE, "demo"], env=environment(place, TERM="xterm"), stdin=subprocess.DEVNULL,
                               stdout=slave, stderr=slave)
    os.close(slave)
    text = b""
    try:
        while data := os.read(master, 4096):
            text += data
    except OSError:  # the other end is closed
        pass
    os.close(master)
    assert process.wait(LIMIT_S) == 0
    assert b"\033[1m 1\033[0m" in text


def test_without_the_guard_a_stale_write_lands_and_is_named(place):
    done = demo(place, "--break=fencing")
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"violation: stale write admitted: account took a write with token 1 \(of a, ledger:\d+\) "
                     r"after one with token 2", done.stdout)
    assert "1 x stale write admitted" in done.stdout
    assert "two programs at once" not in done.stdout
    assert "no violation" not in done.stdout


def test_an_old_program_left_alive_is_found_beside_the_new_one(place):
    done = demo(place, "--break=kill")
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"violation: two programs at once: that of a \(token 1\) still ran at \d+ ns", done.stdout)
    assert "stale write admitted" not in done.stdout  # the guard does its part
    assert "no violation" not in done.stdout


def test_a_program_that_looks_at_no_deadline_is_found_beside_the_new_one(place):
    done = demo(place, "--break=deadline")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "a's network is cut" in done.stdout
    assert re.search(r"violation: two programs at once: that of a \(token \d+\) still ran at \d+ ns", done.stdout)
    assert "stale write admitted" not in done.stdout
    assert "no violation" not in done.stdout


def test_it_takes_no_root_where_users_have_namespaces(place):
    os.chmod(place, 0o777)
    as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    done = subprocess.run([*as_nobody, TENURE, "demo", "--break=fencing"], env=environment(place, HOME="/"),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S * 3, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 x stale write admitted" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_can_be_interrupted_and_cleans_up(place, number):
    process = started(place)
    read_until(process, r"leads with token \d+")
    process.send_signal(number)
    process.stdout.read()
    assert process.wait(LIMIT_S) == 128 + number


def test_a_demo_that_is_killed_leaves_no_process(place):
    process = started(place)
    read_until(process, "stays on its way")
    process.kill()
    process.wait(LIMIT_S)
    wait_until("processes are left", lambda: not processes_of(place))
    for name in os.listdir(place):
        shutil.rmtree(os.path.join(place, name))


def test_it_stays_to_be_played_with(place):
    process = started(place, "--stay")
    text = read_until(process, r"v3 is pid")
    there = re.search(r"alias there='([^']+)'", text).group(1).split()
    store = re.search(r"TENURE_STORE=(\S+)", text).group(1)
    assert store.startswith("quorum://10.77.0.1:")
    pids = dict(re.findall(r"(\w+) is pid (\d+)", text))
    assert sorted(pids) == ["a", "b", "c", "v1", "v2", "v3"]

    def leader():
        out = subprocess.run([*there, TENURE, "status", "job", "--store", store, "-o", "json"], capture_output=True,
                             text=True, check=True).stdout
        found = json.loads(out)["leader"] or {"id": None, "token": 0}
        return found["id"], found["token"]

    wait_until("nobody leads", lambda: leader()[1] > 0)
    first, token = leader()
    os.kill(int(pids[first]), signal.SIGKILL)
    read_until(process, rf"^{first} ended \(exit code 137\) and was started again")
    # on a busy host it may be the same one, started again
    wait_until("nobody leads after the kill", lambda: leader()[1] > token)
    second, token = leader()
    subprocess.run([*there, "ip", "link", "set", f"cable-{second}", "down"], check=True)
    wait_until("the cut leader leads on", lambda: leader()[1] > token and leader()[0] != second)
    subprocess.run([*there, "ip", "link", "set", f"cable-{second}", "up"], check=True)
    os.kill(int(pids["v2"]), signal.SIGKILL)
    read_until(process, r"^v2 ended \(exit code 137\) and was started again")
    process.send_signal(signal.SIGINT)
    text = process.stdout.read()
    assert process.wait(LIMIT_S) == 0
    assert "no violation" in text


def test_it_finds_its_programs_where_they_are_installed(place):
    with tempfile.TemporaryDirectory(dir=on_disk()) as prefix:
        os.mkdir(prefix + "/bin")
        os.makedirs(prefix + "/libexec/tenure")
        tenure = shutil.copy(TENURE, prefix + "/bin")
        done = demo(place, tenure=tenure)
        if not os.path.exists("/usr/local/libexec/tenure"):
            assert done.returncode == 70
            assert "tenure-demo-writer or tenure-checker is not installed" in done.stderr
        shutil.copy(CHECKER, prefix + "/libexec/tenure")
        shutil.copy(os.path.join(os.path.dirname(TENURE), "tenure-demo-writer"), prefix + "/libexec/tenure")
        assert demo(place, tenure=tenure).returncode == 0


def test_a_memory_file_system_is_passed_over(place):
    done = demo("/dev/shm" if os.path.ismount("/dev/shm") else "/proc")
    assert done.returncode == 0, done.stderr
    assert "/var/tmp/tenure-demo." in done.stdout or "/tmp/tenure-demo." in done.stdout


def test_settings_for_other_elections_do_not_touch_it(place):
    done = demo(place, TENURE_STORE="nosuch:/x", TENURE_ID="z", TENURE_TTL="nonsense")
    assert done.returncode == 0, done.stdout + done.stderr


# ---- the judge ----

LEADS = ('{"seq":1,"node_ns":"%d","node":"%s","election":"E","event":"state","from":"contending","to":"%s","token":%d,'
         '"deadline_ns":"never","cause":"election"}\n')


def judged(place, *args, trace=None, ledger=None):
    arguments = [CHECKER, *args]
    for option, text in (("--trace", trace), ("--ledger", ledger)):
        if text is not None:
            arguments += [option, os.path.join(place, option[2:])]
            with open(arguments[-1], "w", encoding="utf-8") as file:
                file.write(text)
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    for name in os.listdir(place):
        os.unlink(os.path.join(place, name))
    return done


def test_the_judge_says_clean_or_names_what_is_not(place):
    first = LEADS % (100, "a", "leading", 1) + LEADS % (200, "a", "stepping-down", 1)
    clean = judged(place, trace=first + LEADS % (200, "b", "leading", 2))
    assert (clean.returncode, "no violation" in clean.stdout) == (0, True)
    two = judged(place, trace=first + LEADS % (199, "b", "leading", 2), ledger="5 1 7 begin - - 1 a\n")
    assert two.returncode == 1
    assert two.stdout.startswith("violation: two leaders at once: election E: a (token 1")
    counted = judged(place, "--json", ledger="5 2 7 write x yes 1 b\n6 1 7 write x yes 1 a\n")
    assert counted.returncode == 1
    assert json.loads(counted.stdout)["violations"]["stale write admitted"] == 1


def test_the_judge_gives_no_verdict_on_what_it_cannot_read(place):
    bad = judged(place, ledger="5 2 7 begin - - 1 b\n5 2 x\n")
    assert bad.returncode == 65
    assert "ledger:2: fewer" in bad.stdout
    assert judged(place, ledger="").returncode == 65
    assert judged(place).returncode == 64
    assert judged(place, "--nonsense").returncode == 64
    assert judged(place, "--trace", place + "/nosuch").returncode == 74
    assert judged(place, "--trace", place).returncode == 74
    assert judged(place, "--help").returncode == 0
