# SPDX-License-Identifier: Apache-2.0
"""Where the CPU of one run went: perf(1) over servers and clients, sampled by the clock, as virtual machines can."""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import time

SAMPLES_A_SECOND = 997
LINES = 10
ATTACH_S = 1  # perf does not say when it has begun


def missing():
    """What is missing to profile, or None."""
    return None if shutil.which("perf") else "no perf on PATH: apt-get install linux-perf"


@contextlib.contextmanager
def recording(path, pids):
    command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(SAMPLES_A_SECOND), "-o", path, "-p",
               ",".join(map(str, pids))]
    perf = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(ATTACH_S)
        yield
    finally:
        perf.send_signal(signal.SIGINT)
        perf.wait()


def shares(path, keys):
    """[(percent, name)] in falling order."""
    said = subprocess.run(["perf", "report", "-i", path, "--stdio", "--no-children", "-s", keys], capture_output=True,
                          text=True, check=False).stdout
    found = re.findall(r"^\s+(\d+\.\d+)%\s+(.*?)\s*(?:-\s+-)?\s*$", said, re.MULTILINE)
    return [(float(percent), re.sub(r"\s+", " ", name)) for percent, name in found]


def summary(path):
    """Lines for people: shares by program, then the functions that cost most."""
    if not os.path.exists(path) or not shares(path, "comm"):
        return ["perf recorded nothing"]
    whose = ", ".join(f"{name} {percent:.0f} %" for percent, name in shares(path, "comm")[:4])
    return [whose] + [f"{percent:5.1f} %  {name}" for percent, name in shares(path, "comm,symbol")[:LINES]]
