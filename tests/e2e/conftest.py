# SPDX-License-Identifier: Apache-2.0
"""What all end-to-end tests share."""
import os
import shutil
import tempfile

import pytest

from command import Command, on_disk
from run_kit import Kit


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
def cli(tenure, disk_dir):
    """The command with a store of its own; what it started is ended afterwards."""
    command = Command(tenure, disk_dir)
    yield command
    command.clean_up()


@pytest.fixture
def kit(tenure, tmp_path):
    """A store of its own, and whatever is left of its supervisors ended afterwards."""
    kit = Kit(tenure, tmp_path)
    yield kit
    kit.close()
