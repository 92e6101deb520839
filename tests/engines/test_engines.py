# SPDX-License-Identifier: Apache-2.0
"""The engines that others are tested and measured beside."""
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import engines  # noqa: E402  pylint: disable=wrong-import-position

ROOT = Path(__file__).resolve().parents[2]
BUILD = os.environ.get("BENCH_BUILD")


@pytest.fixture(name="place")
def place_on_disk():
    """A directory on a disk, since the engines are to fsync."""
    directory = tempfile.mkdtemp(prefix="tenure-engines-", dir="/var/tmp")
    yield Path(directory)
    shutil.rmtree(directory)


def leader_other_than(engine, old):
    found = []

    def probe():
        with contextlib.suppress(RuntimeError):
            found.append(engine.leader())
            return found[-1] != old
        return False

    engines.wait_for(f"{engine.kind}: another leader was to be elected", probe)
    return found[-1]


@pytest.mark.parametrize("kind", sorted(engines.KINDS))
def test_an_engine_survives_its_leader_and_leaves_no_process(kind, place):
    with engines.KINDS[kind](place / kind) as engine:
        first = engine.leader()
        engine.kill(first)
        assert not engine.alive(first)
        assert leader_other_than(engine, first) != first
        engine.restart(first)
        assert all(engine.alive(i) for i in range(3))
        processes = list(engine.nodes.values())
    assert [engines.started(pid) for pid, _start in processes] == [None, None, None]


def test_nodes_are_found_again_by_another_process_and_never_by_a_pid_alone(place):
    with engines.Etcd(place / "etcd", nodes=1) as engine:
        found = engines.Engine.load(engine.dir)
        assert found.alive(0)
        found.nodes[0] = (found.pid(0), found.nodes[0][1] + 1)
        assert not found.alive(0)
        with pytest.raises(ProcessLookupError):
            found.kill(0)
        assert engine.alive(0)


def test_a_node_that_cannot_start_is_named_with_its_own_words(place):
    engine = engines.Etcd(place / "etcd", nodes=1)
    (engine.dir / "n0").write_text("a file where the data directory should be", encoding="ascii")
    with pytest.raises(RuntimeError, match="node 0 ended at start: .*n0"):
        engine.start()


def test_a_go_that_is_too_old_or_absent_is_named(place, monkeypatch):
    monkeypatch.setenv("PATH", str(place))
    with pytest.raises(engines.Missing, match="no usable go command on PATH: install Go 1.26 or newer"):
        engines.go()
    (place / "go").write_text("#!/bin/sh\necho go1.19.8\n", encoding="ascii")
    (place / "go").chmod(0o755)
    with pytest.raises(engines.Missing, match=r"go1\.19\.8: install Go 1.26 or newer"):
        engines.go()


def test_the_benchmark_measures_both_peers(place):
    subprocess.run(["/usr/bin/python3", str(ROOT / "bench" / "bench.py"), "--build", BUILD, "--ours", "none", "--quick",
                    "--only", "cycles_64", "--json", str(place / "out.json")], check=True, stdin=subprocess.DEVNULL)
    document = json.loads((place / "out.json").read_text(encoding="utf-8"))
    (row,) = document["beside"]
    assert not row["failed"]
    for peer in ("etcd", "zookeeper"):
        assert row["figures"]["rate"][peer] > 10
        assert 0 < row["figures"]["p50"][peer] <= row["figures"]["p99"][peer] * 1.04
        assert row["figures"]["server_cpu"][peer] > 1
