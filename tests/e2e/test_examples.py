# SPDX-License-Identifier: Apache-2.0
"""The examples do what they show, on a fresh store. Their paths come from the environment (examples/meson.build)."""
import os
import pathlib
import re
import selectors
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from command import on_disk

LIMIT_S = 20 if "ASAN_OPTIONS" not in os.environ else 60
LOOPS = ["own_thread", "libuv_loop", "epoll_loop", "guard"]


class Example:
    """A running example; its lines are read as they come."""

    def __init__(self, name, *args):
        self.lines = []
        self.rest = b""
        self.process = subprocess.Popen([os.environ["EXAMPLE_" + name.upper()], *map(str, args)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.set_blocking(self.process.stdout.fileno(), False)

    def read(self, timeout_s):
        """Takes what comes within the timeout. False at the end of the output."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(max(0, timeout_s)):
                return True
        data = os.read(self.process.stdout.fileno(), 65536)
        *lines, self.rest = (self.rest + data).split(b"\n")
        self.lines += [line.decode() for line in lines]
        return bool(data)

    def expect(self, pattern):
        """Waits for a line that matches; lines before it are dropped."""
        end = time.monotonic() + LIMIT_S
        while True:
            while self.lines:
                match = re.fullmatch(pattern, self.lines.pop(0))
                if match:
                    return match
            assert time.monotonic() < end, f"no line like {pattern!r}"
            more = self.read(end - time.monotonic())
            assert more or self.lines, f"it ended without a line like {pattern!r}"

    def says_nothing_for(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.read(end - time.monotonic()), "it ended"
        assert self.lines == []

    def leads(self):
        return int(self.expect(r"\w+: leads with token (\d+)").group(1))

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        while self.read(LIMIT_S):
            pass
        return self.process.wait(LIMIT_S)


@pytest.fixture
def place():
    path = pathlib.Path(tempfile.mkdtemp(dir=on_disk()))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def start(place):
    """Starts examples on one fresh store and ends them afterwards, whatever happened."""
    running = []

    def start_one(name, ident, store=None):
        args = [store or f"file:{place}/store", "job", ident] + ([place] if name == "guard" else [])
        running.append(Example(name, *args))
        return running[-1]

    yield start_one
    for example in running:
        if example.process.poll() is None:
            example.process.kill()
        example.process.wait()
        example.process.stdout.close()


@pytest.mark.parametrize("name", LOOPS)
def test_the_first_one_leads_and_stops_on_a_signal_with_exit_code_0(start, name):
    for number, token in ((signal.SIGTERM, 1), (signal.SIGINT, 2)):
        example = start(name, "a")
        assert example.leads() == token
        assert example.stop(number) == 0
        assert example.lines[-1] == "a: stopped"


@pytest.mark.parametrize("name", LOOPS)
def test_the_second_one_waits_and_takes_over_when_the_first_one_stops(start, name):
    first = start(name, "a")
    assert first.leads() == 1
    second = start(name, "b")
    second.says_nothing_for(0.3)
    assert first.stop() == 0
    assert second.leads() == 2
    assert second.stop() == 0


@pytest.mark.parametrize("name", LOOPS)
def test_the_second_one_takes_over_when_the_first_one_is_killed(start, name):
    first = start(name, "a")
    assert first.leads() == 1
    second = start(name, "b")
    second.says_nothing_for(0.3)
    assert first.stop(signal.SIGKILL) == -signal.SIGKILL
    assert second.leads() == 2


def test_examples_of_all_kinds_take_turns_in_one_election(start):
    examples = []
    for name in LOOPS:
        examples.append(start(name, name))
        if len(examples) == 1:
            assert examples[0].leads() == 1
        else:
            examples[-1].says_nothing_for(0.2)  # in the queue behind the others
    for token, example in enumerate(examples[1:], 2):
        assert examples[token - 2].stop() == 0
        assert example.leads() == token


@pytest.mark.parametrize("name", LOOPS)
def test_an_example_whose_store_cannot_be_opened_says_why(start, name):
    example = start(name, "a", "nosuch:/x")
    while example.read(LIMIT_S):
        pass
    assert example.process.wait(LIMIT_S) == 1
    assert "nosuch" in example.lines[0]


def test_a_late_writer_is_refused_by_the_guard(start, place):
    def journal():
        path = place / "journal"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def wait_for(token, ident):
        end = time.monotonic() + LIMIT_S
        while [str(token), ident] not in journal():
            assert time.monotonic() < end, f"{ident} wrote nothing with token {token}"
            time.sleep(0.005)

    first = start("guard", "a")
    assert first.leads() == 1
    wait_for(1, "a")
    second = start("guard", "b")
    assert first.stop() == 0
    assert second.leads() == 2
    wait_for(2, "b")
    late = Example("guard", "-", 1, "a", place)
    assert late.expect(r"a: token 1 refused: (\d+) was here").group(1) == "2"
    assert late.process.wait(LIMIT_S) == 77
    late.process.stdout.close()
    assert second.stop() == 0
    tokens = [int(token) for token, _ in journal()]
    assert tokens == sorted(tokens) and set(tokens) == {1, 2}
