# SPDX-License-Identifier: Apache-2.0
"""What is measured: Tenure's voters, etcd and ZooKeeper, three servers each, started and stopped here by process id."""
import contextlib
import os
import re
import subprocess
import sys
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "engines"))
import engines  # noqa: E402  pylint: disable=wrong-import-position


class Voters(engines.Engine):
    """Three voters of `tenure server` on loopback."""
    kind = "tenure"

    def __init__(self, directory, tenure, nodes=3):
        super().__init__(directory, nodes)
        self.tenure = tenure
        ports = engines.free_ports(2 * nodes)
        self.client, self.http = ports[:nodes], ports[nodes:]
        stores = [f"v{i + 1}=127.0.0.1:{port}" for i, port in enumerate(self.client)]
        made = subprocess.run([tenure, "server", "init", "--dir", str(self.dir / "stores"), *stores], check=False,
                              capture_output=True, text=True)
        if made.returncode:
            raise RuntimeError("tenure server init: " + (made.stderr.strip().splitlines() or ["failed"])[-1])

    def command(self, i):
        return [self.tenure, "server", "--data", self.dir / "stores" / f"v{i + 1}", "--http",
                f"127.0.0.1:{self.http[i]}", "--log-level", "warning"]

    def ready(self, i):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http[i]}/readyz", timeout=1) as answer:
            return answer.status == 200

    def leader(self):
        return 0  # they have none: any will do


class System:
    """One store: its servers (None where they are somebody else's) and the load program that speaks to it."""
    name = ""

    def __init__(self, directory):
        self.directory = directory
        self.servers = None
        self.program = ""

    def start(self):
        self.servers.start()

    def stop(self):
        if self.servers:
            self.servers.stop()

    def store(self):
        return ",".join(f"127.0.0.1:{port}" for port in self.servers.client)

    def pids(self):
        return [self.servers.pid(i) for i in range(self.servers.count) if self.servers.alive(i)] if self.servers else []

    def server_cpu_s(self):
        """User and system time of all servers, from the kernel's own clock of each process."""
        return sum(time.clock_gettime(~pid << 3 | 2) for pid in self.pids()) if self.servers else None

    def server_rss_kb(self):
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
                total += int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))
        return total if self.servers else None

    def idle_cpu(self, seconds):
        """Seconds of CPU a second that the servers spend on nobody."""
        if not self.servers:
            return 0.0
        spent = self.server_cpu_s()
        time.sleep(seconds)
        return (self.server_cpu_s() - spent) / seconds

    @contextlib.contextmanager
    def one_killed(self):
        """Gives a function that kills a server, the leader where there is one; it is back when this ends."""
        if not self.servers:
            raise RuntimeError("its servers were not started here, so none is killed")
        victims = []

        def kill():
            victim = self.servers.leader()
            victims.append(victim)
            self.servers.kill(victim)
        try:
            yield kill
        finally:
            for victim in victims:
                self.servers.restart(victim)


class Ours(System):
    name = "tenure"

    def __init__(self, directory, build, url=None):
        super().__init__(directory)
        self.tenure = os.path.join(build, "src", "cli", "tenure")
        self.program = os.path.join(build, "bench", "load_quorum")
        self.url = url

    def start(self):
        if not self.url:
            self.servers = Voters(os.path.join(self.directory, "tenure"), self.tenure)
            super().start()

    def store(self):
        return self.url or "quorum://" + super().store()

    def version(self):
        said = subprocess.run([self.tenure, "version"], capture_output=True, text=True, check=False).stdout
        return (said.splitlines() or ["?"])[0]


class Etcd(System):
    name = "etcd"

    def start(self):
        self.program = str(engines.go_build("load-etcd", os.path.join(ROOT, "bench", "peers", "etcd"),
                                            {"load_etcd": "."}) / "load_etcd")
        self.servers = engines.Etcd(os.path.join(self.directory, "etcd"))
        super().start()

    def version(self):
        return f"{engines.ETCD}, client/v3 {engines.ETCD}"


class ZooKeeper(System):
    """With another tick, and so with shorter leases, where `tick_ms` is given."""
    name = "zookeeper"

    def __init__(self, directory, build, tick_ms=2000):
        super().__init__(directory)
        self.program = os.path.join(build, "bench", "load_zookeeper")
        self.tick_ms = tick_ms

    def start(self):
        self.compile()
        self.servers = engines.ZooKeeper(os.path.join(self.directory, f"zookeeper{self.tick_ms}"), tick_ms=self.tick_ms)
        super().start()

    def compile(self):
        """Not part of Meson's build: its header uses names that Tenure's sources may not."""
        here = os.path.join(ROOT, "bench")
        sources = [os.path.join(here, name) for name in ("peers/zookeeper/load_zookeeper.c", "load.c", "bench.c")]
        newest = max(os.path.getmtime(path) for path in sources + [os.path.join(here, "load.h")])
        if not os.path.exists(self.program) or os.path.getmtime(self.program) < newest:
            os.makedirs(os.path.dirname(self.program), exist_ok=True)
            partial = f"{self.program}.{os.getpid()}"
            subprocess.run(["cc", "-std=gnu11", "-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-I", here, "-o", partial,
                            *sources, "-lzookeeper_mt", "-lpthread"], check=True)
            os.replace(partial, self.program)

    def version(self):
        return f"{engines.installed_version('zookeeper')}, C client"
