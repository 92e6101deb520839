# SPDX-License-Identifier: Apache-2.0
"""The voters of a torture test, and when each of them could vote."""
import os
import signal
import subprocess
import time

import torture

PORT = 7420
NAMES = ("v1", "v2", "v3")
MAX_TTL_S = 2.0
READY_LIMIT_S = 10


def boot_s():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Voter:
    """`away`: [from, to] on the boot clock, in which it can't be counted on for a new leader; `to` is None as yet."""

    def __init__(self, name, directory, network, hold_s):
        self.name = name
        self.directory = directory
        self.network = network
        self.hold_s = hold_s
        self.process = None
        self.crashed_s = -1e9
        self.away = []
        self.n_reasons = 0

    def leave(self):
        self.n_reasons += 1
        if self.n_reasons == 1:
            self.away.append([boot_s(), None])

    def come_back(self):
        """It may still be kept away by a hold."""
        self.n_reasons -= 1
        if self.n_reasons == 0:
            self.away[-1][1] = max(boot_s(), self.crashed_s + self.hold_s)

    def start(self):
        reader, writer = os.pipe()
        with open(f"{self.directory}/log-{self.name}", "ab") as log:
            self.process = subprocess.Popen(
                [os.environ["TENURE_BIN"], "server", "--data", f"{self.directory}/voters/{self.name}", "--insecure",
                 "--config", "/dev/null", "--ready-fd", str(writer)], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True, pass_fds=[writer], preexec_fn=self.network.enter(self.name))
        os.close(writer)
        ready = os.read(reader, 100)
        os.close(reader)
        if not ready:
            raise torture.Broken(f"voter {self.name} does not start")

    def kill(self):
        self.leave()
        self.process.kill()
        self.process.wait()

    def restart_unclean(self):
        self.start()
        self.crashed_s = boot_s()
        self.come_back()

    def stop(self):
        self.leave()
        self.process.terminate()
        try:
            code = self.process.wait(READY_LIMIT_S)
        except subprocess.TimeoutExpired as late:
            raise torture.Broken(f"voter {self.name} does not stop") from late
        if code != 0:
            raise torture.Broken(f"voter {self.name} did not stop cleanly: exit code {code}")

    def restart_clean(self):
        self.start()
        self.come_back()

    def freeze(self, frozen):
        if frozen:
            self.leave()
        self.process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)
        if not frozen:
            self.come_back()

    def check(self):
        code = self.process.poll()
        if code is not None:
            raise torture.Broken(f"voter {self.name} ended with exit code {code}")


class Voters:
    def __init__(self, directory, network, hold_s):
        members = [f"{name}={network.address(name)}:{PORT}" for name in NAMES]
        done = subprocess.run([os.environ["TENURE_BIN"], "server", "init", "--dir", directory + "/voters", "--max-ttl",
                               f"{MAX_TTL_S:g}s", *members], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise torture.Broken(f"server init: exit code {done.returncode}: {done.stderr}")
        self.url = "quorum://" + ",".join(f"{network.address(name)}:{PORT}" for name in NAMES)
        self.voters = {name: Voter(name, directory, network, hold_s) for name in NAMES}
        for voter in self.voters.values():
            voter.start()

    def __getitem__(self, name):
        return self.voters[name]

    def check(self):
        for voter in self.voters.values():
            voter.check()

    def crashed_lately(self, but):
        return any(boot_s() < v.crashed_s + v.hold_s + 0.2 for v in self.voters.values() if v.name != but)

    def without_majority(self):
        """[(from, to)] in which fewer than two could vote."""
        edges = sorted(edge for v in self.voters.values() for begin, end in v.away
                       for edge in ((begin, 1), (boot_s() if end is None else end, -1)))
        found, n_away, since = [], 0, None
        for at, change in edges:
            n_away += change
            if n_away >= 2 and since is None:
                since = at
            elif n_away < 2 and since is not None:
                found.append((since, at))
                since = None
        return found

    def end(self):
        for voter in self.voters.values():
            voter.stop()

    def kill_all(self):
        for voter in self.voters.values():
            if voter.process and voter.process.poll() is None:
                voter.process.kill()
                voter.process.wait()
