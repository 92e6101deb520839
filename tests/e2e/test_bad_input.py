# SPDX-License-Identifier: Apache-2.0
"""Odd places, names and users: each is told in one line that says what, where and what to do, with the right code."""
import os
import stat
import struct

import pytest

NOBODY = {"user": 65534, "group": 65534, "extra_groups": []}


def refused(result, code, *parts):
    assert result.returncode == code, result
    lines = [line for line in result.stderr.splitlines() if "containment=" not in line]
    assert len(lines) == 1, result.stderr
    for part in parts:
        assert part in lines[0], lines[0]


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize("place", ["/proc/t", "/sys/t", "/dev/pts/t"])
def test_a_directory_of_the_kernel_is_refused_by_name_and_not_waited_for(cli, place):
    refused(cli.run("run", "job", "--store", "file:" + place, "--", "true"), 78, place, "keeps no files")
    refused(cli.run("guard", "job", "--token", "1", "--dir", place), 78, place, "keeps no files")


def test_a_relative_store_works_from_the_root_directory(cli):
    relative = os.path.relpath(cli.store_directory, "/")
    result = cli.run("run", "job", "--store", "file:" + relative, "--", "sh", "-c", "echo $TENURE_STORE", cwd="/")
    assert result.returncode == 0 and result.stdout.strip() == cli.store, result


def test_a_home_that_is_the_root_directory_is_no_malformed_store(cli):
    result = cli.run("status", "job", env={"TENURE_STORE": None, "HOME": "/"}, cwd="/", **NOBODY)
    assert result.returncode == 0 and "file:/.local/state/tenure" in result.stdout, result


def test_a_name_that_is_too_long_for_a_disk_is_told_with_the_reason(cli):
    place = cli.directory + "/" + "n" * 256
    refused(cli.run("run", "job", "--store", "file:" + place, "--", "true"), 74, "File name too long")


def test_a_lease_of_no_length_is_refused(cli):
    refused(cli.run("run", "job", "--ttl", "0s", "--", "true"), 64, "bad --ttl '0s'", "not 0")


def test_a_user_who_may_only_look_may_not_ask(cli):
    os.chmod(cli.directory, 0o755)
    cli.campaign("job", "a").wait_record(event="elected")
    cli.campaign("job", "b")
    cli.wait_waiting("job", "b")
    assert stat.S_IMODE(os.stat(cli.store_directory).st_mode) & 0o022 == 0
    for wish in (["resign", "job"], ["transfer", "job", "--to", "b"]):
        refused(cli.run(*wish, cwd="/", **NOBODY), 77, "cannot ask the leader", "Permission denied")
    assert cli.json("status", "job", cwd="/", **NOBODY)["leader"]["id"] == "a"


def test_an_election_without_tokens_left_is_no_fault_of_the_program(cli):
    assert cli.run("run", "job", "--", "true").returncode == 0
    with open(os.path.join(cli.store_directory, "job", "counter"), "r+b") as counter:
        slots = bytearray(counter.read())
        for at in range(0, len(slots), 64):
            struct.pack_into("<Q", slots, at + 16, 2**63 - 1)
            struct.pack_into("<I", slots, at + 60, crc32c(slots[at:at + 60]))
        counter.seek(0)
        counter.write(slots)
    for verb in (["run", "job", "--", "true"], ["campaign", "job"]):
        refused(cli.run(*verb), 69, "counter", "2^63-1", "no tokens left")
