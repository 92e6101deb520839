#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Real engines for tests and benchmarks: built once, started on free loopback ports, hurt, and stopped by process id.

    engines.py check                          says what is missing here, and fails
    engines.py build etcd                     into the cache: $TENURE_ENGINES, else ~/.cache/tenure-engines
    engines.py up {etcd,zookeeper} --dir DIR [--nodes N]
    engines.py kill|pause|resume --dir DIR --node I
    engines.py down --dir DIR

`up` prints DIR/engine.json: what a client needs (endpoints) and each node's process id. As a module: Etcd and ZooKeeper
are context managers, whose nodes also end with the process that started them.
"""
import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
GO_AT_LEAST = (1, 26)
ETCD = "3.7.3"  # the version that etcd/go.mod requires
ZOOKEEPER_JAR = Path("/usr/share/java/zookeeper.jar")


class Missing(Exception):
    """Something has to be installed first; the message says what and how."""


# ---- What has to be there ------------------------------------------------------------------------------------

def go():
    """The environment of a go command that is new enough."""
    wanted = ".".join(map(str, GO_AT_LEAST))
    try:
        said = subprocess.run(["go", "env", "GOVERSION"], check=True, capture_output=True, text=True,
                              env={**os.environ, "GOTOOLCHAIN": "local"}).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Missing(f"no usable go command on PATH: install Go {wanted} or newer (Debian 12's is too old)") from error
    match = re.match(r"go(\d+)\.(\d+)", said)
    if not match or tuple(map(int, match.groups())) < GO_AT_LEAST:
        raise Missing(f"the go command on PATH is {said.strip() or 'of no known version'}: install Go {wanted} or "
                      "newer (Debian 12's is too old)")
    # Exactly what go.sum pins, by the compiler that is here, and no stamp of the repository around.
    return {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false", "GOWORK": "off"}


def zookeeper():
    absent = [package for package, present in (("zookeeper", ZOOKEEPER_JAR.exists()),
                                               ("default-jre-headless", shutil.which("java"))) if not present]
    if absent:
        raise Missing("apt-get install --no-install-recommends " + " ".join(absent))


# ---- Building ------------------------------------------------------------------------------------------------

def cache():
    given = os.environ.get("TENURE_ENGINES")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tenure-engines"


@contextlib.contextmanager
def alone(path):
    """One at a time over all processes of this host. The lock ends with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def go_build(name, source, packages):
    """
    Builds main packages of the module in `source`, pinned by its go.mod and go.sum, into a directory of the cache that
    is named after them: other sums, or other code, are another directory. packages: {program: import path}.
    """
    env = go()
    digest = hashlib.sha256()
    for path in sorted(p for p in Path(source).iterdir() if p.name in ("go.mod", "go.sum") or p.suffix == ".go"):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    out = cache() / f"{name}-{digest.hexdigest()[:12]}"
    if not all((out / program).exists() for program in packages):
        with alone(cache() / f"{name}.lock"):
            out.mkdir(parents=True, exist_ok=True)
            for program, package in packages.items():
                if not (out / program).exists():
                    partial = out / f"{program}.part"
                    subprocess.run(["go", "build", "-o", partial, package], cwd=source, check=True, env=env,
                                   stdin=subprocess.DEVNULL)
                    partial.rename(out / program)
    return out


def build_etcd():
    return go_build(f"etcd-{ETCD}", HERE / "etcd",
                    {"etcd": "go.etcd.io/etcd/server/v3", "etcdctl": "go.etcd.io/etcd/etcdctl/v3"})


# ---- Processes -----------------------------------------------------------------------------------------------

def free_ports(count):
    """Ports that were free a moment ago; all are held open together, so that none is given twice."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


def started(pid):
    """When this process began, in ticks since boot: with the pid it names one process for ever. None: it is dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def wait_for(what, probe, limit_s=60.0):
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if probe():
                return
        time.sleep(0.02)
    raise TimeoutError(f"{what} within {limit_s:.0f} s")


class Engine:
    """Nodes as child processes in DIR. Subclasses give a node's argument vector and say when it is ready."""
    kind = ""

    def __init__(self, directory, nodes):
        self.dir = Path(directory).resolve()
        self.dir.mkdir(parents=True, exist_ok=True)
        self.count = nodes
        self.nodes = {}  # number -> (pid, start)
        self.children = {}
        self.facts = {}
        self.bound = True  # the nodes end with this process

    def command(self, i):
        raise NotImplementedError

    def ready(self, i):
        raise NotImplementedError

    def pid(self, i):
        return self.nodes[i][0]

    def alive(self, i):
        pid, start = self.nodes[i]
        return started(pid) == start

    def log(self, i):
        return self.dir / f"node{i}.log"

    def start_node(self, i):
        command = [*(["setpriv", "--pdeathsig", "KILL"] if self.bound else []), *map(str, self.command(i))]
        with open(self.log(i), "ab") as log:
            child = subprocess.Popen(command, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     start_new_session=True)
        self.children[i] = child
        self.nodes[i] = (child.pid, started(child.pid))

    def await_node(self, i):
        def probe():
            if not self.alive(i):
                tail = self.log(i).read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
                raise RuntimeError(f"{self.kind}: node {i} ended at start: " + " | ".join(tail))
            return self.ready(i)
        wait_for(f"{self.kind}: node {i} was to be ready (see {self.log(i)})", probe)

    def start(self):
        try:
            for i in range(self.count):
                self.start_node(i)
            for i in range(self.count):
                self.await_node(i)
        except BaseException:
            self.stop()
            raise
        self.save()
        return self

    def save(self):
        (self.dir / "engine.json").write_text(json.dumps(
            {"kind": self.kind, "nodes": self.count, "pids": {i: pid for i, (pid, _) in self.nodes.items()},
             "started": {i: start for i, (_, start) in self.nodes.items()}, **self.facts}, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, directory):
        """The nodes that another run of this script started."""
        facts = json.loads((Path(directory) / "engine.json").read_text(encoding="utf-8"))
        engine = Engine(directory, facts["nodes"])
        engine.kind = facts["kind"]
        engine.nodes = {int(i): (pid, facts["started"][i]) for i, pid in facts["pids"].items()}
        return engine

    def signal(self, i, number):
        if not self.alive(i):
            raise ProcessLookupError(f"{self.kind} node {i} (process {self.pid(i)}) is not there any more")
        os.kill(self.pid(i), number)

    def kill(self, i):
        self.signal(i, signal.SIGKILL)
        if i in self.children:
            self.children[i].wait()
        else:
            wait_for(f"node {i} was to die", lambda: not self.alive(i))

    def pause(self, i):
        self.signal(i, signal.SIGSTOP)

    def resume(self, i):
        self.signal(i, signal.SIGCONT)

    def restart(self, i):
        self.start_node(i)
        self.await_node(i)
        self.save()

    def stop(self):
        for i in self.nodes:
            if self.alive(i):
                self.kill(i)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


# ---- The engines ---------------------------------------------------------------------------------------------

class Etcd(Engine):
    """The released version that etcd/go.mod names, with its own defaults: data on disk, fsync on."""
    kind = "etcd"

    def __init__(self, directory, nodes=3):
        super().__init__(directory, nodes)
        self.binary = build_etcd() / "etcd"
        ports = free_ports(2 * nodes)
        self.client, self.peer = ports[:nodes], ports[nodes:]
        self.facts = {"version": ETCD, "endpoints": [f"127.0.0.1:{p}" for p in self.client]}

    def command(self, i):
        cluster = ",".join(f"n{j}=http://127.0.0.1:{p}" for j, p in enumerate(self.peer))
        own, peer = f"http://127.0.0.1:{self.client[i]}", f"http://127.0.0.1:{self.peer[i]}"
        return [self.binary, "--name", f"n{i}", "--data-dir", self.dir / f"n{i}", "--listen-client-urls", own,
                "--advertise-client-urls", own, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", cluster, "--initial-cluster-state", "new", "--log-level", "warn"]

    def ready(self, i):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.client[i]}/health", timeout=1) as answer:
            return answer.status == 200

    def leader(self):
        """The number of the node that leads the cluster now."""
        for i in range(self.count):
            request = urllib.request.Request(f"http://127.0.0.1:{self.client[i]}/v3/maintenance/status", b"{}")
            with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=2) as answer:
                said = json.load(answer)
                if said["leader"] == said["header"]["member_id"]:
                    return i
        raise RuntimeError("no node of etcd leads")


class ZooKeeper(Engine):
    """Debian's packages `zookeeper` (the server) and `default-jre-headless`. fsync is on by default."""
    kind = "zookeeper"

    def __init__(self, directory, nodes=3, tick_ms=2000):
        super().__init__(directory, nodes)
        zookeeper()
        ports = free_ports(3 * nodes)
        self.client = ports[:nodes]
        pairs = list(zip(ports[nodes:2 * nodes], ports[2 * nodes:]))
        servers = "".join(f"server.{j + 1}=127.0.0.1:{quorum}:{election}\n"
                          for j, (quorum, election) in enumerate(pairs)) if nodes > 1 else ""
        for i in range(nodes):
            data = self.dir / f"n{i}"
            data.mkdir(exist_ok=True)
            (data / "myid").write_text(str(i + 1), encoding="ascii")
            # At most 60 connections from one address by default: a benchmark has more.
            (self.dir / f"n{i}.cfg").write_text(
                f"tickTime={tick_ms}\ninitLimit=10\nsyncLimit=5\ndataDir={data}\nclientPort={self.client[i]}\n"
                "clientPortAddress=127.0.0.1\nmaxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=*\n"
                + servers, encoding="utf-8")
        self.facts = {"version": installed_version("zookeeper"), "endpoints": [f"127.0.0.1:{p}" for p in self.client]}

    def command(self, i):
        return ["java", "-Xmx512m", "-cp", f"{ZOOKEEPER_JAR}:/usr/share/java/*", "-Dzookeeper.log.threshold=WARN",
                "org.apache.zookeeper.server.quorum.QuorumPeerMain", self.dir / f"n{i}.cfg"]

    def words(self, i, word="srvr"):
        """The server's answer to one of its four-letter commands."""
        with socket.create_connection(("127.0.0.1", self.client[i]), 1) as s:
            s.sendall(word.encode())
            return b"".join(iter(lambda: s.recv(4096), b"")).decode()

    def ready(self, i):
        return "Mode:" in self.words(i)

    def leader(self):
        for i in range(self.count):
            with contextlib.suppress(OSError):
                if "Mode: leader" in self.words(i) or self.count == 1:
                    return i
        raise RuntimeError("no node of ZooKeeper leads")


def installed_version(package):
    return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True,
                          check=False).stdout.strip()


KINDS = {"etcd": Etcd, "zookeeper": ZooKeeper}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["check", "build", "up", "down", "kill", "pause", "resume"])
    parser.add_argument("engine", nargs="?", choices=[*KINDS])
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--node", type=int)
    a = parser.parse_args()
    if a.verb in ("build", "up") and not a.engine or a.verb not in ("check", "build") and not a.dir:
        parser.error(f"{a.verb}: say which engine, and --dir")
    try:
        if a.verb == "check":
            go()
            zookeeper()
        elif a.verb == "build":
            print(build_etcd() if a.engine == "etcd" else zookeeper() or ZOOKEEPER_JAR)
        elif a.verb == "up":
            engine = KINDS[a.engine](a.dir, a.nodes)
            engine.bound = False
            engine.start()
            print((a.dir / "engine.json").read_text(encoding="utf-8"))
        elif a.verb == "down":
            Engine.load(a.dir).stop()
        else:
            getattr(Engine.load(a.dir), a.verb)(a.node)
    except (Missing, OSError, RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"engines: {error}")


if __name__ == "__main__":
    main()
