# SPDX-License-Identifier: Apache-2.0
"""tenure server: its stores, starts and stops, hostile peers, its health over HTTP."""
import fcntl
import json
import os
import random
import resource
import signal
import socket
import struct
import subprocess
import time

import pytest

import voter_kit as kit
from voter_kit import Cluster, Wire, frame, hello


@pytest.fixture
def cluster(cli, disk_dir):
    """Three voters whose longest lease is a second, so that a hold is short."""
    return Cluster(cli, os.path.join(disk_dir, "voters"), "--max-ttl", "1s")


@pytest.fixture
def lone(cli, disk_dir):
    """One voter, serving."""
    return Cluster(cli, os.path.join(disk_dir, "voters"), n=1)[0].start()


def wait_until(found):
    end = time.monotonic() + kit.LIMIT_S
    while not found():
        assert time.monotonic() < end
        time.sleep(0.02)


# ---- stores, starts and stops ----


def test_three_voters_of_one_init_are_one_cluster_and_vote_at_once(cluster):
    clusters = set()
    for voter in cluster.voters:
        assert voter.start().get("/readyz") == (200, "ok\n")
        wire = Wire(voter.address)
        clusters.add(wire.greet()["cluster"])
        assert wire.ask(kit.open_item(0, b"job"))[0] == kit.OPEN_R
        assert wire.ask(kit.vote(0, 1, ttl_v=200))[0] == kit.ACK
        wire.close()
    assert len(clusters) == 1
    assert f"cluster {clusters.pop().hex()}\n" in cluster.made.stdout
    assert [voter.stop() for voter in cluster.voters] == [0, 0, 0]


def test_after_kill_9_it_holds_and_says_so_then_it_votes(cluster):
    voter = cluster[0].start()
    assert voter.kill() == -signal.SIGKILL
    voter.start()
    voter.process.wait_line("in its hold", err=True)
    status, why = voter.get("/readyz")
    assert status == 503 and "in its hold: votes are given in" in why
    assert voter.get("/livez") == (200, "ok\n")
    assert voter.metric("ready") == 0 and 0 < voter.metric("hold_left_seconds") <= 1
    wire = Wire(voter.address)
    wire.greet()
    assert wire.ask(kit.open_item(0, b"job"))[0] == kit.OPEN_R
    assert wire.ask(kit.vote(0, 1 << 21, ttl_v=200))[0] == kit.NAK
    voter.process.wait_line("the hold is over", err=True)
    assert voter.await_ready().metric("hold_left_seconds") == 0
    assert voter.metric("run") == 2


def test_after_a_clean_stop_it_is_ready_at_once_and_the_session_goes_on(cluster):
    voter = cluster[0].start()
    wire = Wire(voter.address)
    wire.lead(b"job")
    assert voter.stop() == 0
    assert wire.await_close()
    assert voter.process.err[-1].endswith("the next start goes on where this one ended")
    voter.start()
    assert voter.get("/readyz")[0] == 200
    again = Wire(voter.address, inc=wire.inc)
    answer = again.greet(conn_no=2)
    assert answer["sid"] == wire.sid and answer["run"] == 2
    assert again.renew()
    assert voter.metric("elections_held") == 1


def test_interrupted_from_the_terminal_it_stops_cleanly_too(cluster):
    voter = cluster[0].start()
    assert voter.process.end(signal.SIGINT) == 0
    assert "after a clean stop" in voter.start().process.wait_line("serves at", err=True)


def test_a_store_that_is_served_already_is_refused(cli, cluster):
    voter = cluster[0].start()
    second = cli.run("server", "--data", voter.store)
    assert second.returncode == 69, second.stderr
    assert f"is in use by another tenure server, process {voter.process.pid}" in second.stderr
    # where the address is another host's, the store's own lock tells
    apart = subprocess.run(["unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "-", cli.binary, "server",
                            "--data", voter.store], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           timeout=kit.LIMIT_S, check=False)
    assert apart.returncode == 69, apart.stderr
    assert str(voter.process.pid) in apart.stderr
    assert voter.get("/readyz")[0] == 200
    assert voter.stop() == 0
    assert "after a clean stop" in voter.start().process.wait_line("serves at", err=True)


def test_a_start_that_is_refused_does_not_cost_the_clean_stop_before(cli, cluster):
    voter = cluster[0].start()
    assert voter.stop() == 0
    host, port = voter.address.split(":")
    with socket.create_server((host, int(port))):
        refused = cli.run("server", "--data", voter.store)
        assert refused.returncode == 74 and voter.address in refused.stderr
    with socket.create_server(("127.0.0.1", 0)) as other:
        refused = cli.run("server", "--data", voter.store, "--http", f"127.0.0.1:{other.getsockname()[1]}")
        assert refused.returncode == 74
    assert "run 2, after a clean stop" in voter.start().process.wait_line("serves at", err=True)


def refused(cli, store, code, *says):
    result = cli.run("server", "--data", store)
    assert result.returncode == code, result.stderr
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("tenure server: ")
    for word in says:
        assert word in result.stderr
    return result.stderr


def test_a_missing_or_blank_store_is_refused_and_left_as_it_is(cli, disk_dir):
    missing = os.path.join(disk_dir, "nowhere")
    refused(cli, missing, 78, missing, "tenure server init")
    assert not os.path.exists(missing)
    os.mkdir(missing)
    refused(cli, missing, 78, missing)
    assert os.listdir(missing) == []


def test_a_truncated_or_foreign_superblock_is_refused_and_left_as_it_is(cli, cluster):
    path = os.path.join(cluster[0].store, "superblock")
    with open(path, "rb") as file:
        whole = file.read()
    for damaged in (b"", whole[:1], whole[:100], whole[:-1], b"x" * len(whole), whole + b"x"):
        with open(path, "wb") as file:
            file.write(damaged)
        result = cli.run("server", "--data", cluster[0].store)
        assert result.returncode in (76, 78), result.stderr
        assert path in result.stderr
        with open(path, "rb") as file:
            assert file.read() == damaged


def test_a_copy_of_a_store_that_has_served_is_refused(cli, cluster):
    assert cluster[0].start().stop() == 0
    copy = cluster[0].store + "-copy"
    subprocess.run(["cp", "-a", cluster[0].store, copy], check=True)
    refused(cli, copy, 78, "cop")


def test_something_else_in_the_place_of_a_store_is_refused(cli, disk_dir):
    place = os.path.join(disk_dir, "file")
    with open(place, "w", encoding="ascii") as file:
        file.write("hello")
    assert cli.run("server", "--data", place).returncode in (74, 76, 78)
    with open(place, encoding="ascii") as file:
        assert file.read() == "hello"


def test_init_makes_all_or_nothing_and_never_over_anything(cli, disk_dir):
    where = os.path.join(disk_dir, "voters")
    made = cli.run("server", "init", "--dir", where, "v1=127.0.0.1:1", "v2=127.0.0.1:2", "v3=127.0.0.1:3")
    assert made.returncode == 0 and made.stdout.count("\n") == 4
    again = cli.run("server", "init", "--dir", where, "v3=127.0.0.1:3", "v4=127.0.0.1:4", "v5=127.0.0.1:5")
    assert again.returncode == 78 and "v3" in again.stderr
    assert sorted(os.listdir(where)) == ["v1", "v2", "v3"]


@pytest.mark.parametrize("words, says", [
    (("init",), "--dir"),
    (("init", "--dir", "D"), "v1=HOST:PORT"),
    (("init", "--dir", "D", "v1"), "NAME=HOST:PORT"),
    (("init", "--dir", "D", "v1=a:1", "v2=b:2"), "2"),
    (("init", "--dir", "D", "v1=a:1", "v1=b:2", "v3=c:1"), "v1"),
    (("init", "--dir", "D", "v1=a:1", "v2=a:1", "v3=c:1"), "a:1"),
    (("init", "--dir", "D", "v1=a:70000"), "a:70000"),
    (("init", "--dir", "D", "../v1=a:1"), "../v1"),
    (("init", "--dir", "D", "--max-ttl", "1ms", "v1=a:1"), "200"),
    (("init", "--dir", "D", "--epoch", "32768", "v1=a:1"), "32767"),
    (("init", "--dir", "D", "--data", "x", "v1=a:1"), "--data"),
    ((), "--data"),
    (("inti",), "init"),
    (("--dir", "D"), "init"),
    (("--data", "D", "--http", "nonsense:x"), "--http"),
    (("--data", "D", "--cert", "c"), "--cert"),
    (("--data", "D", "--key", "c"), "--key"),
    (("--data", "D", "--ca", "c"), "--ca"),
    (("--data", "D", "--acl", "c"), "--acl"),
    (("--data", "D", "--ready-fd", "77"), "--ready-fd"),
])
def test_bad_options_are_refused_in_words(cli, disk_dir, words, says):
    result = cli.run("server", *words, cwd=disk_dir)
    assert result.returncode == 64, result.stderr
    assert says in result.stderr
    assert not os.path.exists(os.path.join(disk_dir, "D", "v1"))


def test_off_loopback_it_serves_only_when_insecure_is_said(cli, disk_dir):
    where = os.path.join(disk_dir, "voters")
    assert cli.run("server", "init", "--dir", where, "v1=10.99.0.1:7420").returncode == 0
    store = os.path.join(where, "v1")
    assert "--insecure" in refused(cli, store, 78, "10.99.0.1:7420")
    result = cli.run("server", "--data", store, "--insecure=yes")
    assert result.returncode == 64
    process = cli.execute(["unshare", "-n", "sh", "-c", 'ip addr add 10.99.0.1/24 dev lo && ip link set lo up && '
                           'exec "$@"', "-", cli.binary, "server", "--data", store, "--insecure"])
    assert "10.99.0.1:7420" in process.wait_line("first start", err=True)
    assert process.end() == 0


def test_health_off_loopback_needs_the_same_word(cli, cluster):
    result = cli.run("server", "--data", cluster[0].store, "--http", "0.0.0.0:0")
    assert result.returncode == 78 and "--insecure" in result.stderr


# ---- configuration, logs, readiness ----


def write(path, content):
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)
    return path


@pytest.mark.parametrize("line, says", [
    ("data = relative", "absolute"), ("http = x:y", "http"), ("insecure = perhaps", "yes or no"),
    ("max-ttl = 10", "max-ttl"), ("max-connections = 0", "max-connections"), ("log-level = loud", "log-level"),
    ("dta = /x", "data"), ("cert = /x", "not there yet"), ("acl = /x", "not there yet"),
])
def test_a_bad_configuration_is_refused_with_its_line(cli, disk_dir, line, says):
    path = write(os.path.join(disk_dir, "v.ini"), f"[server]\n{line}\n")
    result = cli.run("server", "--config", path)
    assert result.returncode == 78 and f"{path}:2: " in result.stderr and says in result.stderr


def test_hup_reads_the_log_level_again_and_names_what_needs_a_restart(cli, cluster, disk_dir):
    path = write(os.path.join(disk_dir, "v.ini"), f"[server]\ndata = {cluster[0].store}\nlog-level = notice\n")
    process = cli.spawn("server", "--config", path)
    process.wait_line("serves at", err=True)
    Wire(cluster[0].address).greet()
    write(path, f"[server]\ndata = {cluster[0].store}\nlog-level = debug\nmax-ttl = 2s\nhttp = 127.0.0.1:1\n")
    process.send(signal.SIGHUP)
    assert "http, max-ttl" in process.wait_line("a restart is needed", err=True)
    Wire(cluster[0].address).greet()
    process.wait_line("has connected", err=True)
    write(path, "[server]\nnonsense\n")
    process.send(signal.SIGHUP)
    process.wait_line("nothing was changed", err=True)
    assert sum("has connected" in line for line in process.err) == 1
    assert process.end() == 0


def test_its_log_as_json_is_one_record_a_line(cli, cluster):
    process = cli.spawn("server", "--data", cluster[0].store, "--log-format", "json")
    process.wait_line("serves at", err=True)
    assert process.end() == 0
    records = [json.loads(line) for line in process.err]
    assert [r["component"] for r in records] == ["voter", "voter"]


def test_it_tells_systemd_and_a_descriptor_when_it_is_ready(cli, cluster, disk_dir):
    path = os.path.join(disk_dir, "notify")
    reading, writing = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(kit.LIMIT_S)
        process = cli.spawn("server", "--data", cluster[0].store, "--ready-fd", str(writing), pass_fds=[writing],
                            env={"NOTIFY_SOCKET": path})
        os.close(writing)
        with os.fdopen(reading) as ready:
            assert ready.read() == "ready\n"
        assert notify.recv(1000).startswith(b"READY=1\n")
        Wire(cluster[0].address).close()
        assert process.end() == 0
        assert notify.recv(1000) == b"STOPPING=1\n"


def test_a_longer_max_ttl_is_durable(cli, cluster):
    voter = cluster[0].start("--max-ttl", "3s")
    end = time.monotonic() + kit.LIMIT_S
    while voter.metric("max_ttl_seconds") != 3:
        assert time.monotonic() < end
        time.sleep(0.02)
    voter.kill()
    assert 1 < voter.start().metric("hold_left_seconds") <= 3


# ---- hostile peers ----


def broken_frames():
    inc = os.urandom(16)
    good = frame(hello(inc))
    yield "noise", random.Random(1).randbytes(4096)
    yield "text", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    yield "no length", struct.pack("<I", 0) + good[4:]
    yield "a short length", struct.pack("<I", 17) + good[4:]
    yield "too long", struct.pack("<I", 256 * 1024 + 1) + good[4:]
    yield "far too long", struct.pack("<I", 0xFFFFFFFF) + good[4:]
    yield "wrong magic", frame(hello(inc), magic=0x4E7E)
    yield "another version", frame(hello(inc), version=2)
    yield "another protocol", frame(hello(inc, proto=9))
    yield "no item", frame(count=0)
    yield "an item too few", frame(hello(inc), count=2)
    yield "an item too many", frame(hello(inc), hello(inc), count=1)
    yield "too many items", frame(count=65535)
    yield "bytes behind", frame(hello(inc) + b"x", count=1)
    yield "before HELLO", frame(kit.open_item(0, b"job"))
    yield "another cluster", frame(hello(inc, cluster=os.urandom(16)))
    yield "a long label", frame(hello(inc, label=b"x" * 65))
    yield "a label with a space", frame(hello(inc, label=b"a b"))
    yield "no incarnation", frame(hello(bytes(16)))
    for cut in range(1, len(hello(inc)), 7):
        yield f"cut at {cut}", frame(hello(inc)[:-cut], count=1)
    for kind in (0, 38, 63, 64, 65, 66, 200, 255):
        yield f"type {kind}", good + frame(bytes([kind]) + bytes(40))
    for kind in (kit.HELLO_R, kit.OPEN_R, kit.ACK, kit.ATT_ACK, kit.NAK, kit.S_ACK, kit.S_NAK, kit.REL_OK, 23, 31):
        yield f"a voter's own {kind}", good + frame(bytes([kind]) + bytes(60))
    yield "an unknown handle", good + frame(kit.vote(77, 1))
    yield "a handle far away", good + frame(kit.open_item(0xFFFFFFFF, b"job"))
    yield "a term too high", good + frame(kit.open_item(0, b"job"), struct.pack("<BIQI", kit.VOTE, 0, 1 << 48, 500))
    yield "a bad name", good + frame(kit.open_item(0, b"../job"))
    yield "a name too long", good + frame(kit.open_item(0, b"x" * 201))


def test_broken_frames_of_every_kind_do_no_harm_while_a_leader_goes_on(lone):
    leader = Wire(lone.address)
    leader.lead(b"job")
    closed = []
    for what, data in broken_frames():
        wire = Wire(lone.address)
        wire.send(data)
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.await_close(), what
        wire.close()
        closed.append(what)
        assert leader.renew(), what
    assert len(closed) > 40
    assert lone.metric("bad_frames_total") > 20
    assert lone.metric("elections_held") == 1 and lone.metric("votes_granted_total") == 1
    assert leader.ask(kit.release(0, 1))[0] == kit.REL_OK
    assert lone.stop() == 0


def test_malformed_frames_close_the_connection_at_once(lone):
    for what, data in broken_frames():
        if what in ("noise", "text", "wrong magic", "too long", "another version", "before HELLO", "type 200",
                    "an item too few", "bytes behind", "another cluster"):
            wire = Wire(lone.address)
            wire.send(data)
            assert wire.await_close(), what
            wire.close()


def test_what_strangers_cause_does_not_flood_the_log(lone):
    for _ in range(300):
        wire = Wire(lone.address)
        wire.send(b"x" * 64)
        assert wire.await_close()
        wire.close()
    assert lone.stop() == 0
    assert sum("is closed" in line for line in lone.process.err) <= 40


def test_random_bytes_at_any_place_of_a_conversation_do_no_harm(lone):
    generator = random.Random(7)
    leader = Wire(lone.address)
    leader.lead(b"job")
    for _ in range(200):
        wire = Wire(lone.address)
        talk = bytearray(frame(hello(wire.inc)) + frame(kit.open_item(0, b"other")) + frame(kit.vote(0, 3)))
        for _ in range(generator.randrange(1, 6)):
            talk[generator.randrange(len(talk))] = generator.randrange(256)
        wire.send(bytes(talk))
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.await_close()
        wire.close()
    assert leader.renew()
    assert lone.stop() == 0


def test_one_who_sends_and_never_reads_is_closed_and_memory_stays_bounded(lone):
    leader = Wire(lone.address)
    leader.lead(b"job")
    before = lone.memory_kib()
    wire = Wire(lone.address)
    wire.greet()
    items = [kit.open_item(i, b"election-%d" % i + b"x" * 180) for i in range(500)]
    wire.ask(*items)
    ask = frame(*[struct.pack("<B", kit.NAMES) + kit.text(b"") + struct.pack("<Q", 0)] * 200)
    wire.socket.settimeout(kit.LIMIT_S)
    end = time.monotonic() + kit.LIMIT_S
    with pytest.raises((ConnectionError, TimeoutError)):
        while time.monotonic() < end:
            wire.send(ask)
    peak = lone.memory_kib()
    print(f"\none who never reads: {before} KiB before, {peak} KiB after it was closed")
    assert peak < before + 64 * 1024
    assert leader.renew()
    assert lone.metric("connections") == 1


def test_a_frame_that_is_begun_and_not_ended_is_closed_in_the_end(lone):
    wire = Wire(lone.address)
    wire.greet()
    wire.send(frame(kit.open_item(0, b"job"))[:10])
    begun = time.monotonic()
    assert wire.await_close()
    assert 5 < time.monotonic() - begun < 15
    assert lone.metric("connections_slow_total") == 1 and lone.metric("kept_bytes") == 0


def test_many_who_begin_frames_and_do_not_end_them_cost_bounded_memory(lone):
    leader = Wire(lone.address)
    leader.lead(b"job")
    before = lone.memory_kib()
    part = frame(bytes(200 * 1024), length=250 * 1024)
    crowd = []
    for i in range(500):
        wire = Wire(lone.address)
        try:
            wire.send(part)
        except ConnectionError:
            pass
        crowd.append(wire)
        if i % 50 == 0:
            assert leader.renew()
    after = lone.memory_kib()
    print(f"\n500 frames that are begun: {before} KiB before, {after} KiB with them")
    assert lone.metric("connections_slow_total") > 0
    assert lone.metric("kept_bytes") <= 64 << 20
    assert after - before < 100 * 1024 * kit.FACTOR  # sanitizers keep what was freed
    assert leader.renew()
    for wire in crowd:
        wire.close()


def test_ten_thousand_idle_connections_are_carried(lone):
    n = 10000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= n + 200, "the hard limit of descriptors is too low for this test (ulimit -Hn)"
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    before = lone.memory_kib()
    host, port = lone.address.split(":")
    idle = []
    try:
        for i in range(n):
            s = socket.socket()
            # one source address has fewer ports than are wanted
            s.bind((f"127.0.{1 + i // 5000}.1", 0))
            s.connect((host, int(port)))
            idle.append(s)
        end = time.monotonic() + kit.LIMIT_S
        while lone.metric("connections") < n:
            assert time.monotonic() < end
            time.sleep(0.1)
        after = lone.memory_kib()
        print(f"\n{n} idle connections: {before} KiB before, {after} KiB with them")
        assert after - before < 100 * 1024
        leader = Wire(lone.address)
        leader.lead(b"job")
        took = time.monotonic()
        for _ in range(100):
            assert leader.renew()
        assert time.monotonic() - took < 5
        # and those that said HELLO and then nothing
        for s in idle:
            s.sendall(frame(hello(os.urandom(16), session=0)))
        for s in idle:
            assert s.recv(65536)
        print(f"{n} connections after their HELLO: {lone.memory_kib()} KiB")
        assert leader.renew()
    finally:
        for s in idle:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_out_of_descriptors_it_goes_on_with_those_it_has(cli, cluster):
    cluster[0].start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)))
    voter = cluster[0]
    leader = Wire(voter.address)
    leader.lead(b"job")
    crowd = [Wire(voter.address) for _ in range(120)]
    voter.process.wait_for(lambda: any("turned away" in line or "accepts no connections" in line
                                       for line in voter.process.err))
    assert leader.renew()
    for wire in crowd:
        wire.close()
    late = Wire(voter.address)
    end = time.monotonic() + kit.LIMIT_S
    while True:
        try:
            late.greet()
            break
        except (EOFError, ConnectionError):
            assert time.monotonic() < end
            time.sleep(0.1)
            late = Wire(voter.address)
    assert leader.renew()


# ---- disks ----


@pytest.fixture
def small_disk(disk_dir):
    """A file system of 8 MiB."""
    image, place = os.path.join(disk_dir, "image"), os.path.join(disk_dir, "disk")
    os.mkdir(place)
    subprocess.run(f"truncate -s 8M {image} && mkfs.ext4 -q -F -m 0 {image} && mount -o loop {image} {place}",
                   shell=True, check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(place):
    subprocess.run(f"cat /dev/zero >{place}/filler", shell=True, check=False, stderr=subprocess.DEVNULL)
    subprocess.run(["sync", "-f", place], check=True)


def test_on_a_full_disk_it_votes_on_or_stops_with_74_and_forgets_nothing(cli, small_disk):
    voter = Cluster(cli, os.path.join(small_disk, "voters"), "--max-ttl", "1s", n=1)[0].start()
    fill(small_disk)
    wire = Wire(voter.address)
    wire.lead(b"job")
    # Terms near the ceiling: it must be raised durably, in place.
    assert wire.ask(kit.open_item(1, b"other"))[0] == kit.OPEN_R
    assert wire.ask(kit.vote(1, (1 << 20) + 10))[0] == kit.ACK
    assert voter.metric("ceiling_raises_total") >= 1
    # No room for a snapshot: the stop says so, and the next start holds.
    code = voter.stop()
    assert code in (0, 74), voter.process.err
    os.unlink(f"{small_disk}/filler")
    line = voter.start().process.wait_line("serves at", err=True)
    assert ("after an unclean stop" in line) == (code == 74)
    voter.await_ready()
    voter.stop()


def test_a_read_only_disk_is_no_place_to_start_and_the_clean_stop_is_kept(cli, small_disk):
    voter = Cluster(cli, os.path.join(small_disk, "voters"), "--max-ttl", "1s", n=1)[0].start()
    assert voter.stop() == 0
    subprocess.run(["mount", "-o", "remount,bind,ro", small_disk], check=True)
    result = cli.run("server", "--data", voter.store)
    assert result.returncode == 74 and "Read-only" in result.stderr
    subprocess.run(["mount", "-o", "remount,bind,rw", small_disk], check=True)
    assert "after a clean stop" in voter.start().process.wait_line("serves at", err=True)
    voter.stop()


def break_disk(place):
    """From now on every read and write of that ext4 fails."""
    fd = os.open(place, os.O_RDONLY)
    fcntl.ioctl(fd, 0x8004587D, struct.pack("I", 2))  # EXT4_IOC_SHUTDOWN, without flushing the log
    os.close(fd)


def test_a_disk_that_fails_under_a_raise_of_the_ceiling_stops_it_without_an_answer(cli, small_disk):
    voter = Cluster(cli, os.path.join(small_disk, "voters"), "--max-ttl", "1s", n=1)[0].start()
    wire = Wire(voter.address)
    wire.lead(b"job")
    assert wire.ask(kit.open_item(1, b"other"))[0] == kit.OPEN_R
    break_disk(small_disk)
    assert wire.renew()  # no disk in its path
    wire.send(frame(kit.vote(1, (1 << 20) + 10)))
    with pytest.raises((EOFError, ConnectionError)):
        wire.read()
    assert voter.process.wait() == 74
    assert any("superblock" in line for line in voter.process.err), voter.process.err
    assert any("this voter stops" in line for line in voter.process.err)


def test_a_disk_that_fails_under_a_clean_stop_makes_it_an_unclean_one(cli, small_disk):
    voter = Cluster(cli, os.path.join(small_disk, "voters"), "--max-ttl", "1s", n=1)[0].start()
    break_disk(small_disk)
    assert voter.stop() == 74


@pytest.fixture
def frozen(small_disk):
    """Freezes and thaws the small disk: writes to it do not come back meanwhile."""
    state = {"frozen": False}

    def turn(on):
        if on != state["frozen"]:
            subprocess.run(["fsfreeze", "-f" if on else "-u", small_disk], check=True)
            state["frozen"] = on
    yield turn
    turn(False)


def test_a_stalled_disk_stalls_no_vote_below_the_ceiling(cli, small_disk, frozen):
    voter = Cluster(cli, os.path.join(small_disk, "voters"), n=1)[0].start()
    leader, waiting, other = (Wire(voter.address) for _ in range(3))
    leader.lead(b"job")
    for wire, name in ((waiting, b"far"), (other, b"near")):
        wire.greet()
        assert wire.ask(kit.open_item(0, name))[0] == kit.OPEN_R
    frozen(True)
    waiting.send(frame(kit.vote(0, (1 << 20) + 10)))  # above the ceiling: it has to be raised first
    for term in range(1, 20):
        assert other.ask(kit.vote(0, term))[0] == kit.ACK
        assert other.ask(kit.release(0, term))[0] == kit.REL_OK
        assert leader.renew()
    voter.process.wait_line("the disk has not answered", err=True)
    status, why = voter.get("/readyz")
    assert status == 503 and "disk" in why
    assert voter.metric("disk_write_pending_seconds") >= 1
    assert leader.renew()
    frozen(False)
    assert waiting.read()[0] == kit.ACK
    voter.process.wait_line("the disk answers again", err=True)
    assert voter.get("/readyz")[0] == 200
    assert voter.metric("disk_write_longest_seconds") >= 1
    assert voter.stop() == 0


def test_what_waits_for_the_disk_is_not_answered_by_one_that_stops(cli, small_disk, frozen):
    voter = Cluster(cli, os.path.join(small_disk, "voters"), n=1)[0].start()
    wire = Wire(voter.address)
    wire.lead(b"job")
    frozen(True)
    assert wire.ask(kit.open_item(1, b"far"))[0] == kit.OPEN_R
    wire.send(frame(kit.vote(1, (1 << 20) + 10)))
    wait_until(lambda: voter.metric("waits_for_disk") == 1)
    voter.process.send(signal.SIGTERM)
    with pytest.raises((EOFError, ConnectionError)):
        wire.read()
    frozen(False)
    assert voter.process.wait() == 0
    assert "after a clean stop" in voter.start().process.wait_line("serves at", err=True)
    assert voter.metric("elections_held") == 1


# ---- its figures ----


def test_the_metrics_are_well_formed_and_count(lone):
    wire = Wire(lone.address)
    wire.lead(b"job")
    assert wire.renew()
    status, page = lone.get("/metrics")
    assert status == 200
    kinds, values = {}, {}
    helped = set()
    for line in page.splitlines():
        if line.startswith("# HELP "):
            helped.add(line.split()[2])
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name in helped and name not in kinds and kind in ("counter", "gauge")
            kinds[name] = kind
        else:
            name, value = line.rsplit(" ", 1)
            name = name.split("{")[0]
            assert name in kinds and name not in values
            values[name] = float(value)
    assert set(kinds) == set(values) and len(values) > 35
    assert all(name.startswith("tenure_voter_") for name in values)
    assert all(name.endswith("_total") == (kind == "counter") for name, kind in kinds.items())
    assert values["tenure_voter_elections_held"] == 1
    assert values["tenure_voter_sessions"] == 1
    assert values["tenure_voter_connections"] == 1
    assert values["tenure_voter_votes_granted_total"] == 1
    assert values["tenure_voter_frames_total"] >= 5
    assert values["tenure_voter_ceiling_term"] >= 1 << 20


def test_other_paths_and_methods_are_answered(lone):
    assert lone.get("/")[0] == 404
    assert lone.get("/metrics/../livez")[0] == 404
    host, port = lone.http.split(":")
    for request, status in ((b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", b" 405 "),
                            (b"HEAD /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b" 200 ")):
        with socket.create_connection((host, int(port)), timeout=kit.LIMIT_S) as s:
            s.sendall(request)
            assert status in s.recv(1000).split(b"\r\n")[0]
    with socket.create_connection((host, int(port)), timeout=kit.LIMIT_S) as s:
        s.sendall(os.urandom(2000))
        s.shutdown(socket.SHUT_WR)
        while s.recv(1000):
            pass
    assert lone.get("/livez")[0] == 200
