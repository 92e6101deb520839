#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of one fuzzer into a directory: seeds.py fuzz_NAME DIRECTORY. None of them is committed."""
import os
import struct
import sys


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def slot(magic, sequence, value, version=1):
    body = struct.pack("<IIQQ36x", magic, version, sequence, value)
    return body + struct.pack("<I", crc32c(body))


def slots():
    for magic in (0x31434E54, 0x31474E54):
        yield slot(magic, 1, 0) + slot(magic, 2, 1)
        yield slot(magic, 8, 7) + slot(magic, 7, 6)
        yield slot(magic, 8, 7) + b"\0" * 64
        yield slot(magic, 2**64 - 1, 2**63 - 1) + slot(magic, 2**64 - 2, 2**63 - 2)
        yield slot(magic, 1, 0, version=2) + slot(magic, 2, 1, version=2)
        yield (slot(magic, 1, 0) + slot(magic, 2, 1))[:100]


def record():
    head = ("tenure-record 1\nleading 1\nid a\nidentity a_0123456789abcdef\ntoken 7\n"
            "since_unix_ns 1700000000000000000\ncause 1\nboot 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0\n"
            "pid_ns 4026531836\ntime_ns 4026531834\nholder 42 1234\nhas_tree 1\n"
            "warden 43 1235\ninit 44 1236\ncontainment kernel\ncgroup /x%20y\npage /run/tenure/a_1.lease\n"
            "lock_dev 65024\n"
            "lock_inode 99\nvalue %00%ffv\n").encode()
    yield head
    yield head + b"end %016x\n" % crc32c(head)
    yield head.replace(b"leading 1", b"leading 0")
    yield head.replace(b"token 7", b"token 9223372036854775807")
    yield head.replace(b"record 1", b"record 2")


def url():
    for text in ("file:/var/lib/tenure", "file:relative/dir?volatile=yes", "file:///abs", "quorum://a:1,[::1]:7420",
                 "etcd://h:2379?prefix=x%2Fy", "zookeeper://h:2181/chroot?family=kazoo", "kubernetes:",
                 "kubernetes:ns?context=a&kubeconfig=%2fetc%2fk", "file:/a%00", "file:/%zz", "file:?", ":",
                 "a:b?c=d&c=e", "file:/" + "x" * 4095, "file:/x?" + "&".join(f"k{i}=v" for i in range(17))):
        yield text.encode()


def config():
    for text in ("[tenure]\nstore = file:/var/lib/tenure\nid = a\nttl = 10s\nlog-format = json\nlog-level = info\n",
                 "; a comment\n[tenure]\n# another\nid=x ; tail\n", "[tenure\n", "[other]\nid=x\n", "id=x\n",
                 "[tenure]\nttl=10\n", "[tenure]\nid = " + "x" * 250 + "\n", "[tenure]\nid: y\r\n",
                 "\ufeff[tenure]\nid=z"):
        yield text.encode()


SEEDS = {"fuzz_config": config, "fuzz_record": record, "fuzz_slots": slots, "fuzz_url": url}


def main():
    name, directory = sys.argv[1:]
    for number, data in enumerate(SEEDS[name]()):
        with open(os.path.join(directory, f"seed-{number}"), "wb") as out:
            out.write(data)


if __name__ == "__main__":
    main()
