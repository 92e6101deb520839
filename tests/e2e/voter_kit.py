# SPDX-License-Identifier: Apache-2.0
"""Voters as real processes, and the bytes of their protocol by hand: what no well-behaved candidate would send, too."""
import os
import socket
import struct
import time
import urllib.error
import urllib.request

MAGIC, VERSION = 0x7E4E, 1
HELLO, HELLO_R, OPEN, OPEN_R, VOTE, RENEW, ATTACH, ACK, ATT_ACK, NAK = 1, 2, 3, 4, 7, 8, 9, 10, 11, 12
SESSION_RENEW, S_ACK, S_NAK, RELEASE, REL_OK, NAMES, NAMES_R = 13, 14, 15, 16, 17, 29, 30
FACTOR = float(os.environ.get("TENURE_TEST_TIMEOUT_FACTOR", "1"))
LIMIT_S = 20 * FACTOR


def text(value):
    return struct.pack("<H", len(value)) + value


def frame(*items, count=None, length=None, magic=MAGIC, version=VERSION, cver=1, round_no=1):
    body = struct.pack("<HBBQIH", magic, version, 0, cver, round_no, len(items) if count is None else count)
    body += b"".join(items)
    return struct.pack("<I", len(body) if length is None else length) + body


def hello(inc, label=b"hand", session=1, conn_no=1, ttl_v=200, cluster=bytes(16), proto=VERSION):
    return (struct.pack("<BH", HELLO, proto) + inc + cluster + text(label) +
            struct.pack("<IBQIQ", conn_no, session, 0, ttl_v, 1))


def open_item(handle, name):
    return struct.pack("<BI", OPEN, handle) + text(name)


def vote(handle, term, ttl_v=200):
    return struct.pack("<BIQI", VOTE, handle, term, ttl_v)


def attach(handle, term, sid):
    return struct.pack("<BIQQ", ATTACH, handle, term, sid)


def release(handle, term, led=1):
    return struct.pack("<BIQBB", RELEASE, handle, term, led, 0) + text(b"")


def session_renew(sid, ttl, attached):
    return struct.pack("<BQIII", SESSION_RENEW, sid, ttl, attached, 1000)


class Wire:
    """One connection with a voter."""

    def __init__(self, address, inc=None):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout=LIMIT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.inc = inc or os.urandom(16)
        self.sid = 0

    def send(self, data):
        self.socket.sendall(data)

    def bytes(self, n):
        got = b""
        while len(got) < n:
            more = self.socket.recv(n - len(got))
            if not more:
                raise EOFError("closed by the voter")
            got += more
        return got

    def read(self):
        """The type of the first item of the next frame, and its bytes."""
        length, = struct.unpack("<I", self.bytes(4))
        body = self.bytes(length)
        magic, version = struct.unpack("<HB", body[:3])
        assert (magic, version) == (MAGIC, VERSION)
        return body[18], body[19:]

    def ask(self, *items):
        self.send(frame(*items))
        return self.read()

    def greet(self, **more):
        kind, rest = self.ask(hello(self.inc, **more))
        assert kind == HELLO_R
        fields = struct.unpack("<H16s16sHIQBB", rest[:50])
        self.sid = fields[5]
        return {"cluster": fields[2], "run": fields[4], "sid": fields[5], "state": fields[6], "refusal": fields[7]}

    def lead(self, name, term=1):
        """Greets, wins this voter's vote, and attaches it to the session."""
        self.greet()
        assert self.ask(session_renew(self.sid, 10000, 0))[0] == S_ACK
        assert self.ask(open_item(0, name))[0] == OPEN_R
        assert self.ask(vote(0, term))[0] == ACK
        assert self.ask(attach(0, term, self.sid))[0] == ATT_ACK

    def renew(self):
        return self.ask(session_renew(self.sid, 10000, 1))[0] == S_ACK

    def await_close(self):
        """True once the voter has closed it, whatever it says before."""
        self.socket.settimeout(LIMIT_S)
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            pass
        except TimeoutError:
            return False
        return True

    def close(self):
        self.socket.close()


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Voter:
    """One voter: its store, its address, its process."""

    def __init__(self, cli, name, store, address, http):
        self.cli, self.name, self.store, self.address, self.http = cli, name, store, address, http
        self.process = None

    def start(self, *more, ready=True, **kwargs):
        self.process = self.cli.spawn("server", "--data", self.store, "--http", self.http, *more, **kwargs)
        if ready:
            self.process.wait_line("serves at", err=True)
            self.process.wait_line("http at", err=True)
        return self

    def stop(self):
        return self.process.end()

    def kill(self):
        self.process.popen.kill()
        return self.process.wait()

    def get(self, path):
        """The status and the text."""
        try:
            with urllib.request.urlopen(f"http://{self.http}{path}", timeout=LIMIT_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name):
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(f"tenure_voter_{name} "):
                return float(line.split()[1])
        raise KeyError(name)

    def await_ready(self):
        end = time.monotonic() + LIMIT_S
        while self.get("/readyz")[0] != 200:
            assert time.monotonic() < end, self.process.err
            time.sleep(0.05)
        return self

    def memory_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


class Cluster:
    """The stores of a new cluster, and its voters."""

    def __init__(self, cli, directory, *more, n=3):
        ports = free_ports(2 * n)
        self.directory = directory
        words = [f"v{i + 1}=127.0.0.1:{ports[i]}" for i in range(n)]
        self.made = cli.run("server", "init", "--dir", directory, *more, *words)
        assert self.made.returncode == 0, self.made.stderr
        self.voters = [Voter(cli, f"v{i + 1}", os.path.join(directory, f"v{i + 1}"), f"127.0.0.1:{ports[i]}",
                             f"127.0.0.1:{ports[n + i]}") for i in range(n)]

    def __getitem__(self, i):
        return self.voters[i]
