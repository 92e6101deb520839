# SPDX-License-Identifier: Apache-2.0
"""The command with a store of its own, and running processes whose output is waited for line by line."""
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time

LIMIT_S = 20 * float(os.environ.get("TENURE_TEST_TIMEOUT_FACTOR", "1"))
MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")


def on_disk():
    """A directory for test data that is not in memory: file stores refuse those."""
    for base in (os.environ.get("TENURE_TEST_DIR"), tempfile.gettempdir(), "/var/tmp", os.getcwd()):
        if not base or not os.access(base, os.W_OK):
            continue
        kind = subprocess.run(["stat", "-f", "-c", "%T", base], stdout=subprocess.PIPE, text=True, check=True)
        if kind.stdout.strip() not in MEMORY_FILE_SYSTEMS:
            return base
    raise RuntimeError("no directory on a disk: set TENURE_TEST_DIR")


class Process:
    """A running command. Its output arrives line by line; whatever is waited for has a limit."""

    def __init__(self, arguments, env, **kwargs):
        self.arguments = arguments
        self.popen = subprocess.Popen(arguments, env=env, stdin=kwargs.pop("stdin", subprocess.DEVNULL),
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)
        self.out, self.err = [], []
        self._arrived = queue.Queue()
        self._threads = [threading.Thread(target=self._read, args=(stream, lines), daemon=True)
                         for stream, lines in ((self.popen.stdout, self.out), (self.popen.stderr, self.err))]
        for thread in self._threads:
            thread.start()

    def _read(self, stream, lines):
        with stream:
            for line in stream:
                lines.append(line.decode(errors="replace").rstrip("\n"))
                self._arrived.put(None)
        self._arrived.put(None)

    @property
    def pid(self):
        return self.popen.pid

    def wait_for(self, found, limit_s=LIMIT_S):
        """Waits until found() is true, looking again at every line of output and at the end of it."""
        end = time.monotonic() + limit_s
        while True:
            result = found()
            if result:
                return result
            left = end - time.monotonic()
            if left <= 0 or not any(thread.is_alive() for thread in self._threads):
                result = found()
                assert result, f"{self.arguments} did not get there: out {self.out}, err {self.err}"
                return result
            try:
                self._arrived.get(timeout=min(left, 0.5))
            except queue.Empty:
                pass

    def wait_line(self, text, limit_s=LIMIT_S, err=False):
        """The first line of stdout (or stderr) that contains the text."""
        lines = self.err if err else self.out
        return self.wait_for(lambda: next((line for line in lines if text in line), None), limit_s)

    def wait_record(self, limit_s=LIMIT_S, after=0, **fields):
        """The first JSON record on stdout, from number `after` on, that has these fields."""
        def find():
            for record in self.records()[after:]:
                if all(record.get(name) == value for name, value in fields.items()):
                    return record
            return None
        return self.wait_for(find, limit_s)

    def records(self):
        return [json.loads(line) for line in self.out]

    def send(self, number):
        self.popen.send_signal(number)

    def wait(self, limit_s=LIMIT_S):
        """The exit code; minus the number of the signal that ended it."""
        code = self.popen.wait(limit_s)
        for thread in self._threads:
            thread.join(limit_s)
        return code

    def end(self, number=signal.SIGTERM):
        if self.popen.poll() is None:
            self.send(number)
        return self.wait()

    def clean_up(self):
        if self.popen.poll() is not None:
            return
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            self.popen.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


class Command:
    """The command with a store of its own. Nothing of the caller's environment or configuration reaches it."""

    def __init__(self, binary, directory):
        self.binary = binary
        self.directory = directory
        self.store_directory = os.path.join(directory, "store")
        self.store = "file:" + self.store_directory
        self.env = {name: value for name, value in os.environ.items()
                    if not name.startswith(("TENURE_", "XDG_")) and name != "JOURNAL_STREAM"}
        self.env.update(TENURE_STORE=self.store, HOME=directory, LC_ALL="C.UTF-8")
        self._processes = []

    def _environment(self, env):
        merged = {**self.env, **(env or {})}
        return {name: value for name, value in merged.items() if value is not None}

    def run(self, *arguments, env=None, limit_s=LIMIT_S, **kwargs):
        """Runs to the end. The result has returncode, stdout, stderr (texts). A variable that is None is unset."""
        return subprocess.run([self.binary, *arguments], env=self._environment(env), timeout=limit_s, text=True,
                              check=False, stdin=kwargs.pop("stdin", subprocess.DEVNULL),
                              stdout=kwargs.pop("stdout", subprocess.PIPE),
                              stderr=kwargs.pop("stderr", subprocess.PIPE), **kwargs)

    def json(self, *arguments, **kwargs):
        """The parsed output of a verb that must succeed."""
        result = self.run(*arguments, "-o", "json", **kwargs)
        assert result.returncode == 0, result.stderr
        assert result.stdout.count("\n") == 1
        return json.loads(result.stdout)

    def execute(self, arguments, env=None, **kwargs):
        """Any program, in the same environment."""
        process = Process(arguments, self._environment(env), **kwargs)
        self._processes.append(process)
        return process

    def spawn(self, *arguments, **kwargs):
        return self.execute([self.binary, *arguments], **kwargs)

    def campaign(self, election, candidate, *arguments, **kwargs):
        return self.spawn("campaign", election, "--id", candidate, *arguments, **kwargs)

    def wait_status(self, election, wanted, limit_s=LIMIT_S):
        """Asks for the status until it is what is wanted: for what has no event of its own, such as the queue."""
        end = time.monotonic() + limit_s
        while True:
            status = self.json("status", election)
            if wanted(status):
                return status
            assert time.monotonic() < end, status
            time.sleep(0.01)

    def wait_waiting(self, election, *ids):
        return self.wait_status(election, lambda s: [w["id"] for w in s["waiting"]] == list(ids))

    def clean_up(self):
        for process in reversed(self._processes):
            process.clean_up()
