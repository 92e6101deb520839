# SPDX-License-Identifier: Apache-2.0
"""campaign, status, list, watch, resign and transfer among real processes that know nothing but the store."""
import json
import os
import re
import signal
import subprocess

import pytest

every_store = pytest.mark.parametrize("store", ["file", "quorum"])
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def leading(cli, election, candidate, *arguments):
    """A candidate that leads."""
    process = cli.campaign(election, candidate, *arguments)
    process.wait_record(event="elected")
    return process


def waiting(cli, election, candidate, *arguments):
    """A candidate that waits."""
    before = len(cli.json("status", election)["waiting"])
    process = cli.campaign(election, candidate, *arguments)
    cli.wait_status(election, lambda s: len(s["waiting"]) == before + 1)
    return process


def test_an_election_that_nobody_used_has_no_leader(cli):
    assert cli.json("status", "job") == {"election": "job", "store": "file", "leader": None, "waiting": [],
                                            "healthy": True, "ttl_ms": None}
    assert cli.json("list") == []
    assert cli.json("status") == []
    assert not os.path.exists(cli.store_directory), "looking makes nothing"


def test_status_tells_who_leads_and_who_waits(cli):
    leading(cli, "job", "a", "--value", "10.0.0.7:80")
    waiting(cli, "job", "b")
    waiting(cli, "job", "c", "--priority", "5")
    status = cli.json("status", "job")
    assert list(status) == ["election", "store", "leader", "waiting", "healthy", "ttl_ms"]
    leader = status["leader"]
    assert list(leader) == ["id", "identity", "token", "value", "since", "expires_in_ms"]
    assert leader["id"] == "a" and re.fullmatch("a_[0-9a-f]{16}", leader["identity"])
    assert leader["token"] == 1 and leader["value"] == "10.0.0.7:80" and leader["expires_in_ms"] is None
    assert RFC3339.fullmatch(leader["since"])
    assert [(w["id"], w["priority"]) for w in status["waiting"]] == [("c", 5), ("b", 0)]
    assert all(list(w) == ["id", "identity", "priority"] for w in status["waiting"])
    assert cli.json("status") == [status]


def test_tables_are_for_people(cli):
    leading(cli, "job", "a", "--value", "x\x1b[31m")
    waiting(cli, "job", "bé", "--priority", "3")
    lines = dict(line.split("  ", 1) for line in cli.run("status", "job").stdout.splitlines())
    rows = {name.strip(): value.strip() for name, value in lines.items()}
    assert rows["election"] == "job" and rows["token"] == "1" and rows["health"] == "ok"
    assert rows["leader"].startswith("a  (a_")
    assert rows["value"] == '"x\\u001b[31m"', "no control characters reach the terminal"
    assert rows["waiting"].startswith("1. bé  (bé_") and rows["waiting"].endswith("priority 3")
    assert [line.split() for line in cli.run("status").stdout.splitlines()] == [
        ["ELECTION", "LEADER", "TOKEN", "WAITING", "HEALTH"], ["job", "a", "1", "1", "ok"]]
    assert [line.split() for line in cli.run("list").stdout.splitlines()] == [
        ["ELECTION", "LEADER", "TOKEN"], ["job", "a", "1"]]


@every_store
def test_list_has_every_election_in_order(cli):
    leading(cli, "beta", "a")
    leading(cli, "alpha", "b")
    ended = leading(cli, "gamma", "c")
    assert ended.end() == 0
    assert cli.json("list") == [{"election": "alpha", "leader": "b", "token": 1},
                                   {"election": "beta", "leader": "a", "token": 1},
                                   {"election": "gamma", "leader": None, "token": None}]


@every_store
def test_the_next_in_line_leads_when_the_leader_ends(cli):
    a = leading(cli, "job", "a")
    b = waiting(cli, "job", "b")
    assert a.end() == 0
    assert [r["event"] for r in a.records()] == ["elected", "resigned"]
    record = b.wait_record(event="elected")
    assert list(record) == ["at", "election", "event", "leader", "token"]
    assert record["leader"] == "b" and record["token"] > 1 and RFC3339.fullmatch(record["at"])


@every_store
def test_the_next_in_line_leads_when_the_leader_is_killed(cli):
    a = leading(cli, "job", "a")
    b = waiting(cli, "job", "b")
    watch = cli.spawn("watch", "job")
    watch.wait_record(leader="a")
    a.end(signal.SIGKILL)
    token = b.wait_record(event="elected")["token"]
    assert token > 1
    watch.wait_record(event="elected", leader="b", token=token)


@every_store
def test_a_higher_priority_waits_in_front(cli):
    a = leading(cli, "job", "a")
    waiting(cli, "job", "b")
    c = waiting(cli, "job", "c", "--priority", "9")
    a.end()
    assert c.wait_record(event="elected")["token"] > 1


@every_store
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_campaign_hands_over_when_it_is_told_to_stop(cli, number):
    a = leading(cli, "job", "a")
    b = waiting(cli, "job", "b")
    b.send(number)
    assert b.wait() == 128 + number, "it only waited"
    assert b.out == []
    a.send(number)
    assert a.wait() == 0, "it led"
    assert cli.json("status", "job")["leader"] is None


@every_store
def test_an_ignored_signal_stays_ignored(cli):
    a = cli.execute(["sh", "-c", 'trap "" HUP; exec "$0" campaign job --id a', cli.binary])
    a.wait_record(event="elected")
    a.send(signal.SIGHUP)
    assert cli.json("status", "job")["leader"]["id"] == "a"
    a.send(signal.SIGTERM)
    assert a.wait() == 0, "HUP would have been first, and the same"
    assert "SigIgn" not in a.out


@every_store
def test_watch_begins_with_the_present_state_and_follows(cli):
    nobody = cli.spawn("watch", "job")
    first = nobody.wait_record(event="none")
    assert first["leader"] is None and first["token"] is None and first["election"] == "job"
    a = leading(cli, "job", "a")
    nobody.wait_record(event="elected", leader="a", token=1)
    late = cli.spawn("watch", "job")
    assert late.wait_for(late.records)[0]["event"] == "elected"
    a.end()
    for watch in (nobody, late):
        record = watch.wait_record(event="resigned")
        assert record["leader"] is None and record["token"] is None
        watch.send(signal.SIGINT)
        assert watch.wait() == 130


@every_store
def test_watch_tells_an_end_without_a_word_from_a_resignation(cli):
    a = leading(cli, "job", "a")
    watch = cli.spawn("watch", "job")
    watch.wait_record(leader="a")
    a.end(signal.SIGKILL)
    assert watch.wait_record(event="expired")["leader"] is None


def test_watch_ends_when_nobody_reads_it(cli):
    a = leading(cli, "job", "a")
    waiting(cli, "job", "b")
    for ignored in (False, True):
        read, write = os.pipe()
        watch = subprocess.Popen([cli.binary, "watch", "job"], env=cli.env, stdout=write, stderr=subprocess.PIPE,
                                 restore_signals=not ignored)
        os.close(write)
        with os.fdopen(read) as stream:
            assert json.loads(stream.readline())["leader"] in ("a", "b")
        assert cli.run("resign", "job").returncode == 0
        _, err = watch.communicate(timeout=20)
        assert watch.returncode == (74 if ignored else -signal.SIGPIPE)
        assert (b"cannot write to standard output" in err) == ignored
    assert a.popen.poll() is None


@every_store
def test_resign_moves_leadership_to_the_next_in_line(cli):
    a = leading(cli, "job", "a")
    b = waiting(cli, "job", "b")
    result = cli.run("resign", "job")
    token = b.wait_record(event="elected")["token"]
    assert result.returncode == 0 and result.stdout == f"job: b leads, token {token}\n" and token > 1
    a.wait_record(event="resigned")
    cli.wait_waiting("job", "a")


@every_store
def test_resign_without_anybody_waiting_leads_to_a_new_tenure_or_none(cli):
    a = leading(cli, "job", "a")
    result = cli.run("resign", "job")
    assert result.returncode == 0
    a.wait_record(event="resigned")
    assert a.wait_record(event="elected", after=2)["token"] > 1


@every_store
def test_transfer_names_the_next_leader(cli):
    a = leading(cli, "job", "a")
    b = waiting(cli, "job", "b")
    c = waiting(cli, "job", "c")
    watch = cli.spawn("watch", "job")
    watch.wait_record(leader="a")
    result = cli.run("transfer", "job", "--to", "c")
    token = c.wait_record(event="transferred")["token"]
    assert result.returncode == 0 and result.stdout == f"job: c leads, token {token}\n" and token > 1
    a.wait_record(event="transferred", leader=None)
    watch.wait_record(event="transferred", leader="c", token=token)
    assert b.out == []
    cli.wait_waiting("job", "b", "a")


@every_store
def test_an_ambiguous_id_is_refused_with_the_identities(cli):
    leading(cli, "job", "a")
    waiting(cli, "job", "b")
    second = waiting(cli, "job", "b")
    identities = [w["identity"] for w in cli.json("status", "job")["waiting"]]
    result = cli.run("transfer", "job", "--to", "b")
    assert result.returncode == 64
    assert all(identity in result.stderr for identity in identities)
    assert cli.json("status", "job")["leader"]["id"] == "a"
    assert cli.run("transfer", "job", "--to", identities[1]).returncode == 0
    second.wait_record(event="transferred")
    assert cli.json("status", "job")["leader"]["identity"] == identities[1]


@every_store
def test_handing_over_what_nobody_has_or_to_nobody_is_refused(cli):
    for arguments in (["resign", "job"], ["transfer", "job", "--to", "a"]):
        result = cli.run(*arguments)
        assert result.returncode == 64 and "nobody leads" in result.stderr
    leading(cli, "job", "a")
    result = cli.run("transfer", "job", "--to", "b")
    assert result.returncode == 64 and "no candidate 'b'" in result.stderr
    assert cli.json("status", "job")["leader"]["token"] == 1


def test_a_leader_that_does_not_answer_is_waited_for_only_so_long(cli):
    a = leading(cli, "job", "a")
    waiting(cli, "job", "b")
    a.send(signal.SIGSTOP)
    result = cli.run("resign", "job", "--wait", "200ms")
    assert result.returncode == 124 and "asked" in result.stderr
    interrupted = cli.spawn("resign", "job", "--wait", "forever")
    watch = cli.spawn("watch", "job")
    watch.wait_record(leader="a")
    interrupted.send(signal.SIGTERM)
    assert interrupted.wait() in (143, -signal.SIGTERM)
    a.send(signal.SIGCONT)
    watch.wait_record(event="elected", leader="b")


@every_store
def test_tokens_rise_over_all_tenures(cli):
    tokens = []
    for number in range(5):
        process = leading(cli, "job", f"c{number}")
        tokens.append(process.records()[0]["token"])
        process.end(signal.SIGKILL if number % 2 else signal.SIGTERM)
    assert tokens == sorted(set(tokens)) and tokens[0] == 1


@every_store
def test_the_trace_has_every_change_of_state(cli):
    path = os.path.join(cli.directory, "trace")
    for _ in range(2):
        assert leading(cli, "job", "a", "--trace", path).end() == 0
    with open(path, encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    led = [r for r in records if r["to"] == "leading"]
    assert led[0]["token"] == 1 and led[1]["token"] > 1 and len(led) == 2
    assert all(r["election"] == "job" and r["event"] == "state" for r in records)
    assert [r["cause"] for r in records if r["from"] == "leading"] == ["resign", "resign"]


def test_a_store_in_memory_is_refused_by_name(cli):
    result = cli.run("campaign", "job", "--store", "file:/dev/shm/tenure-test")
    assert result.returncode == 78 and "tmpfs" in result.stderr
    assert not os.path.exists("/dev/shm/tenure-test/job")


def test_a_directory_without_permission_is_told(cli):
    os.mkdir(cli.store_directory, 0o700)
    os.chmod(cli.directory, 0o755)
    result = cli.run("campaign", "job", user=65534, group=65534, extra_groups=[], cwd="/")
    assert result.returncode == 74 and cli.store_directory in result.stderr
    result = cli.run("list", user=65534, group=65534, extra_groups=[], cwd="/")
    assert result.returncode == 74 and cli.store_directory in result.stderr


def test_a_file_in_the_place_of_the_directory_is_told(cli):
    with open(cli.store_directory, "w", encoding="utf-8"):
        pass
    result = cli.run("campaign", "job")
    assert result.returncode == 74 and cli.store_directory in result.stderr


def test_a_damaged_election_is_told_and_does_not_hide_the_others(cli):
    for election in "abc":
        assert cli.run("run", election, "--", "true").returncode == 0
    with open(os.path.join(cli.store_directory, "b", "holder"), "w", encoding="utf-8") as f:
        f.write("garbage\n")
    os.truncate(os.path.join(cli.store_directory, "c", "counter"), 10)
    listed = cli.run("list", "-o", "json")
    assert listed.returncode == 76 and "b/holder is not a record of Tenure" in listed.stderr
    assert [row["election"] for row in json.loads(listed.stdout)] == ["a", "c"]
    status = cli.run("status", "-o", "json")
    assert status.returncode == 76
    assert [(row["election"], row["healthy"]) for row in json.loads(status.stdout)] == [("a", True), ("c", False)]
