# SPDX-License-Identifier: Apache-2.0
"""What all end-to-end tests share."""
import os
import shutil
import tempfile

import pytest

from command import Command, on_disk
from run_kit import Kit
from voter_kit import Cluster


def use_voters(command, max_ttl="2s"):
    """The command's store are three voters of its own from now on."""
    command.cluster = Cluster(command, os.path.join(command.directory, "voters"), "--max-ttl", max_ttl)
    for voter in command.cluster.voters:
        voter.start()
    command.store = "quorum://" + ",".join(voter.address for voter in command.cluster.voters)
    command.env["TENURE_STORE"] = command.store
    command.env["TENURE_TTL"] = max_ttl


@pytest.fixture
def tenure():
    """The path of the command under test."""
    return os.path.abspath(os.environ["TENURE_BIN"])


@pytest.fixture
def disk_dir():
    """A fresh directory on a disk."""
    directory = tempfile.mkdtemp(prefix="tenure-e2e-", dir=on_disk())
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def store():
    """Which kind of store: tests that hold for every kind are parametrised with several."""
    return "file"


@pytest.fixture
def cli(tenure, disk_dir, store):
    """The command with a store of its own; what it started is ended afterwards."""
    command = Command(tenure, disk_dir)
    if store == "quorum":
        use_voters(command)
    yield command
    command.clean_up()


@pytest.fixture
def kit(tenure, tmp_path):
    """A store of its own, and whatever is left of its supervisors ended afterwards."""
    kit = Kit(tenure, tmp_path)
    yield kit
    kit.close()
