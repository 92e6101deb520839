# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of the benchmark, on results whose figures are known."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
import load  # noqa: E402  pylint: disable=wrong-import-position
import report  # noqa: E402  pylint: disable=wrong-import-position
import rows  # noqa: E402  pylint: disable=wrong-import-position


def result(**fields):
    return {"count": 0, "cpu_s": 0, "rss_kb": 0, "lost": 0, "seconds": 1, "max_ns": 0, "gap_ns": 0, "ttl_ms": 0,
            "latency": [], "led_ns": [], "resigned_ns": [], **fields}


def test_percentiles_are_the_nearest_rank_of_all_processes_together():
    both = load.Load()
    both.add(result(count=98, latency=[[10, 98]], max_ns=12))
    both.add(result(count=2, latency=[[10, 1], [700, 1]], max_ns=720))
    assert (both.count, both.max_ns) == (100, 720)
    assert load.percentile(both.latency, 50) == 10
    assert load.percentile(both.latency, 99) == 10
    assert load.percentile(both.latency, 100) == 700
    assert load.percentile({}, 50) is None


def test_a_handover_is_from_a_resignation_to_the_election_after_it_whichever_process_saw_them():
    both = load.Load()
    both.add(result(led_ns=[100, 350], resigned_ns=[200]))
    both.add(result(led_ns=[205], resigned_ns=[300, 400]))
    assert both.handovers_ns() == [5, 50]  # nobody was seen to lead after 400


def row_of(name, **samples):
    row = rows.Row(name, name)
    for metric, values in samples.items():
        for system, value in values.items():
            for one in value:
                row.add(system, {metric: one})
    return row


def test_better_is_more_a_second_and_less_of_anything_else():
    row = row_of("cycles_1", rate={"tenure": [900, 1000, 5000], "etcd": [100]}, p50={"tenure": [1], "etcd": [8]})
    assert row.value("rate", "tenure") == 1000
    assert row.times_better("rate", "etcd") == 10
    assert row.times_better("p50", "etcd") == 8
    assert row.times_better("rate", "zookeeper") is None


@pytest.mark.parametrize("rate, verdict", [(1000, True), (999, False)])
def test_a_target_is_a_ratio_to_a_peer_of_the_same_run(rate, verdict):
    row = row_of("cycles_1", rate={"tenure": [rate], "etcd": [100]})
    assert report.judge(row, "rate") == [(">= 10 x etcd", verdict), (">= 5 x zookeeper", None)]


def test_a_system_that_fails_is_named_with_its_reason_and_the_others_are_measured(capsys, tmp_path):
    beside = rows.Beside(str(tmp_path), str(tmp_path), "none", True)

    def measure(system):
        if system.name == "etcd":
            raise RuntimeError("it broke")
        return {"rate": 7}

    row = rows.Row("cycles_64", "a row")
    beside.measure(row, measure)
    assert row.failed == {"etcd": "it broke"}
    assert row.value("rate", "zookeeper") == 7
    assert report.document(row)["failed"] == {"etcd": "it broke"}
    assert report.summary([row]) == 1
    assert "FAILED: cycles_64, etcd: it broke" in capsys.readouterr().out
