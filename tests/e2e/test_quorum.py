# SPDX-License-Identifier: Apache-2.0
"""The command on voters of its own: what status shows, which exit code which trouble has, programs under a lease."""
import json
import signal
import time

import pytest

from voter_kit import Cluster


@pytest.fixture
def store():
    return "quorum"


def test_status_shows_lease_and_voters(cli):
    empty = cli.json("status", "job")
    assert empty == {"election": "job", "store": "quorum", "leader": None, "waiting": [], "healthy": True,
                     "ttl_ms": 2000, "voters": {"up": 3, "of": 3}}
    assert cli.json("list") == []
    leader = cli.campaign("job", "a", "--value", "10.0.0.7:80")
    leader.wait_record(event="elected", token=1)
    waiting = cli.campaign("job", "b")
    status = cli.wait_status("job", lambda s: s["waiting"])
    assert list(status) == ["election", "store", "leader", "waiting", "healthy", "ttl_ms", "voters"]
    assert status["leader"]["id"] == "a" and status["leader"]["value"] == "10.0.0.7:80"
    assert 0 < status["leader"]["expires_in_ms"] <= 2000
    assert [w["id"] for w in status["waiting"]] == ["b"]
    assert "voters up   3 of 3" in cli.run("status", "job").stdout
    cli.cluster[0].kill()
    status = cli.wait_status("job", lambda s: s["voters"]["up"] == 2)
    assert status["healthy"] and status["leader"]["id"] == "a"
    assert leader.end() == 0
    waiting.wait_record(event="elected")


def test_a_ttl_of_the_users_choice_counts(cli):
    cli.campaign("job", "a", "--ttl", "1s").wait_record(event="elected")
    assert cli.json("status", "job", "--ttl", "1s")["ttl_ms"] == 1000
    refused = cli.run("run", "job", "--ttl", "60s", "--", "true")
    assert refused.returncode == 78 and "1m" in refused.stderr and "max_ttl of 2s" in refused.stderr
    refused = cli.run("run", "job", "--ttl", "100ms", "--", "true")
    assert refused.returncode == 78 and "200 ms" in refused.stderr


def test_voters_out_of_reach_are_named_and_the_code_is_69(cli):
    for voter in cli.cluster.voters[:2]:
        voter.kill()
    for words in (["status", "job"], ["list"], ["resign", "job"]):
        result = cli.run(*words)
        assert result.returncode == 69, result.stderr
        assert all(voter.address in result.stderr for voter in cli.cluster.voters[:2])
        assert "1 of 3 voters" in result.stderr or "0 of 3 voters" in result.stderr
    result = cli.run("run", "job", "--wait", "0s", "--", "true")
    assert result.returncode == 69, result.stderr


def test_voters_of_two_clusters_give_76(cli, disk_dir):
    other = Cluster(cli, disk_dir + "/other", "--max-ttl", "2s")
    stray = other[0].start()
    mixed = f"quorum://{cli.cluster[0].address},{stray.address}"
    for words in (["status", "job"], ["watch", "job"], ["run", "job", "--", "true"]):
        result = cli.run(words[0], "--store", mixed, *words[1:])
        assert result.returncode == 76, result.stderr
        assert result.stderr.count(stray.address) == 1 and "cluster" in result.stderr


def test_doctor_looks_at_each_voter_and_at_the_majority(cli):
    def rows():
        result = cli.run("doctor", "-o", "json")
        return result.returncode, {row["name"]: row for row in json.loads(result.stdout)}

    addresses = [voter.address for voter in cli.cluster.voters]
    _, found = rows()
    assert all(found["voter " + a]["value"] is True for a in addresses)
    assert found["voters up"]["value"] == "3 of 3" and found["voters up"]["verdict"] == "ok"
    cli.cluster[0].kill()
    _, found = rows()
    assert found["voter " + addresses[0]]["verdict"] == "weak" and found["voter " + addresses[1]]["verdict"] == "ok"
    assert found["voters up"]["value"] == "2 of 3" and found["voters up"]["verdict"] == "weak"
    cli.cluster[1].kill()
    code, found = rows()
    assert code == 78 and found["voters up"]["verdict"] == "unsafe"
    assert all(a in found["voters up"]["detail"] for a in addresses[:2])


def test_addresses_that_are_too_few_are_said_to_be(cli):
    result = cli.run("status", "job", "--store", "quorum://" + cli.cluster.voters[0].address)
    assert result.returncode == 69
    assert "1 of 3 voters answer, 2 needed, and only 1 named" in result.stderr


def test_something_else_at_the_address_is_told(cli):
    http = f"quorum://{cli.cluster[0].http}"
    result = cli.run("status", "job", "--store", http)
    assert result.returncode in (69, 76) and cli.cluster[0].http in result.stderr


def test_one_attempt_is_told_at_once_that_another_leads(cli):
    cli.campaign("job", "a").wait_record(event="elected")
    begin = time.monotonic()
    result = cli.run("run", "job", "--wait", "0s", "--", "true")
    assert result.returncode == 124 and time.monotonic() - begin < 0.9
    assert cli.run("run", "other", "--wait", "0s", "--", "true").returncode == 0


def test_a_program_runs_under_a_lease_and_its_code_comes_back(cli):
    result = cli.run("run", "job", "--", "sh", "-c", 'echo "$TENURE_TOKEN $TENURE_STORE"; exit 7')
    assert result.returncode == 7
    token, store = result.stdout.split()
    assert token == "1" and store == cli.store


def test_the_next_program_starts_when_the_first_ones_supervisor_is_killed(cli):
    first = cli.spawn("run", "job", "--id", "a", "--", "sh", "-c", "echo first $TENURE_TOKEN; sleep 60")
    first.wait_line("first 1")
    second = cli.spawn("run", "job", "--id", "b", "--", "sh", "-c", "echo second $TENURE_TOKEN")
    cli.wait_waiting("job", "b")
    begin = time.monotonic()
    first.send(signal.SIGKILL)
    line = second.wait_line("second")
    assert int(line.split()[1]) > 1 and time.monotonic() - begin < 10
    assert second.wait() == 0


def test_a_leader_without_its_voters_stops_its_program_before_the_lease_ends(cli):
    running = cli.spawn("run", "job", "--", "sh", "-c",
                        'trap "echo soft; exit 3" TERM; echo up; while :; do sleep 0.05; done')
    running.wait_line("up")
    for voter in cli.cluster.voters[1:]:
        voter.process.send(signal.SIGSTOP)
    running.wait_line("soft")
    assert running.wait() == 75
    for voter in cli.cluster.voters[1:]:
        voter.process.send(signal.SIGCONT)
    assert cli.run("run", "job", "--", "true").returncode == 0


def test_watch_follows_a_failover(cli):
    watch = cli.spawn("watch", "job")
    watch.wait_record(event="none")
    a = cli.campaign("job", "a")
    token = a.wait_record(event="elected")["token"]
    watch.wait_record(event="elected", leader="a", token=token)
    a.end(signal.SIGKILL)
    watch.wait_record(event="expired", leader=None)
    records = [json.loads(line)["event"] for line in watch.out]
    assert records == ["none", "elected", "expired"]
