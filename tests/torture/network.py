# SPDX-License-Identifier: Apache-2.0
"""A network of its own for a test: a hub, in which the test itself lives, and a namespace and a cable for each node.

What passes the hub can be cut, both ways or one way, silently (the packets vanish) or by pulling the cable.
"""
import ctypes
import os
import shutil
import subprocess

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def checked(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


class Network:
    """Nodes by their names; the hub's address at each of them is its gateway."""

    def __init__(self, names):
        self.ip = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin")
        if not self.ip:
            raise OSError("ip(8) is missing: install iproute2")
        self.numbers = {name: number for number, name in enumerate(names, 1)}
        checked(LIBC.unshare(CLONE_NEWNET), "no network namespace")
        self.spaces = {name: self.new_space() for name in names}
        self.batch(["link set lo up"] + [line for name in names for line in self.hub_lines(name)])
        with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as file:
            file.write("1")
        for name in names:
            self.batch(["link set lo up", f"addr add {self.address(name)}/24 dev eth0", "link set eth0 up",
                        f"route add default via {self.gateway(name)}"], name)

    def new_space(self):
        home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        checked(LIBC.unshare(CLONE_NEWNET), "no network namespace")
        space = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        checked(LIBC.setns(home, CLONE_NEWNET), "setns")
        os.close(home)
        return space

    def address(self, name):
        return f"10.77.{self.numbers[name]}.2"

    def gateway(self, name):
        return f"10.77.{self.numbers[name]}.1"

    def hub_lines(self, name):
        return [f"link add cable-{name} type veth peer name eth0 netns /proc/{os.getpid()}/fd/{self.spaces[name]}",
                f"addr add {self.gateway(name)}/24 dev cable-{name}", f"link set cable-{name} up"]

    def enter(self, name):
        """For preexec_fn: the child lives at this node."""
        return lambda: checked(LIBC.setns(self.spaces[name], CLONE_NEWNET), "setns")

    def batch(self, lines, name=None):
        done = subprocess.run([self.ip, "-batch", "-"], input="\n".join(lines) + "\n", capture_output=True, text=True,
                              preexec_fn=self.enter(name) if name else None, check=False)
        if done.returncode != 0:
            raise OSError(f"ip(8) failed: {done.stderr} {lines}")

    # ---- cuts: lists of commands, and of those that mend it ----

    def pull(self, name):
        return [f"link set cable-{name} down"], [f"link set cable-{name} up"]

    def silence(self, *pairs):
        """Nothing from the first of a pair reaches the second one; None stands for everybody."""
        rules = []
        for sender, receiver in pairs:
            rules.append((f"iif cable-{sender} " if sender else "")
                         + (f"to {self.address(receiver)} " if receiver else "") + "blackhole")
        return [f"rule add {rule}" for rule in rules], [f"rule del {rule}" for rule in rules]

    def cut(self, name, way, others):
        """`way`: pull, both, out (what it sends is lost), in; `others`: towards whom, [] for everybody."""
        if way == "pull":
            return self.pull(name)
        out = [(name, other) for other in others or [None]] if way in ("both", "out") else []
        into = [(other, name) for other in others or [None]] if way in ("both", "in") else []
        return self.silence(*out, *into)
