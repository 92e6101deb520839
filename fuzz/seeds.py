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


def text16(data):
    return struct.pack("<H", len(data)) + data


def configuration(n, n_next=0):
    def members(count, first):
        return b"".join(bytes([first + i]) * 16 + text16(b"10.0.0.%d:7420" % i) for i in range(count))
    return struct.pack("<QQBB", 1, 7, n, n_next) + members(n, 1) + members(n_next, 2)


def copy(sequence, length=None):
    body = (b"TENUREVS" + struct.pack("<HHIQ", 1, 0, 0, sequence) + b"c" * 16 + b"v" * 16 + struct.pack("<HBB", 1, 0, 2)
            + b"v1" + struct.pack("<IIQII", 2, 1, 1 << 20, 10000, 1000) + text16(configuration(3))
            + struct.pack("<Q", sequence) + text16(b"pending"))
    body = body[:12] + struct.pack("<I", len(body)) + body[16:]
    body += struct.pack("<I", crc32c(body))
    return body if length is None else body.ljust(length, b"\0")


def superblock():
    yield configuration(1)
    yield configuration(9, 9)
    yield copy(3)
    yield copy(2) + copy(3)
    yield copy(2, 16384) + copy(3, 16384)
    yield copy(4, 16384) + copy(3, 16384)


def wire():
    ids = bytes(range(1, 17))
    lease = struct.pack("<IQ", 1, 77)
    items = [
        b"\x01" + struct.pack("<H", 1) + ids + ids + text16(b"label") + struct.pack("<IBQIQ", 1, 1, 0, 200, 1),
        b"\x02" + struct.pack("<H", 1) + ids + ids
        + struct.pack("<HIQBBIIIIQ", 1, 1, 1 << 32, 1, 0, 10000, 1000, 0, 0, 1) + text16(configuration(3)),
        b"\x03" + struct.pack("<I", 1) + text16(b"jobs"),
        b"\x04" + struct.pack("<IBB", 1, 0, 8),
        b"\x05" + lease,
        b"\x06" + lease + struct.pack("<BIQI", 1, 5, 6, 7),
        b"\x07" + lease + struct.pack("<I", 1000),
        b"\x08" + lease + struct.pack("<I", 1000),
        b"\x09" + lease + struct.pack("<Q", 9),
        b"\x0a" + lease + struct.pack("<BIB", 7, 1000, 1),
        b"\x0b" + lease + struct.pack("<Q", 9),
        b"\x0c" + lease + struct.pack("<BBQQII", 9, 2, 80, 1, 2, 3),
        b"\x0d" + struct.pack("<QIII", 1, 2, 3, 4),
        b"\x0e" + struct.pack("<QII", 1, 2, 3),
        b"\x0f" + struct.pack("<QB", 1, 1),
        b"\x10" + lease + b"\x01\x02" + text16(b"next"),
        b"\x11" + lease + struct.pack("<I", 1),
        b"\x12" + struct.pack("<Q", 1),
        b"\x13" + struct.pack("<Q", 1) + text16(b"jobs"),
        b"\x14" + struct.pack("<IHQ", 1, 2, 3),
        b"\x15" + struct.pack("<I", 1),
        b"\x16" + struct.pack("<II", 1, 2),
        b"\x17" + lease,
        b"\x18" + lease + text16(b"value"),
        b"\x19" + lease,
        b"\x1a" + lease + text16(b"to"),
        b"\x1b" + lease + b"\x01",
        b"\x1c" + lease + text16(b"to"),
        b"\x1d" + text16(b"jo") + struct.pack("<Q", 4),
        b"\x1e" + struct.pack("<Q", 4) + text16(b"jobs") + struct.pack("<BQQ", 1, 2, 3),
        b"\x1f" + struct.pack("<I", 1),
        b"\x20" + struct.pack("<I", 1),
        b"\x21" + struct.pack("<I", 1),
        b"\x22" + lease + struct.pack("<QBBIQ", 77, 1, 1, 5, 6) + text16(b"label") + struct.pack("<Q", 8)
        + text16(b"value") + struct.pack("<H", 2) + 2 * (text16(b"w") + struct.pack("<QH", 1, 2)),
    ]

    def frame(*some):
        body = struct.pack("<HBBQIH", 0x7E4E, 1, 0, 1, 2, len(some)) + b"".join(some)
        return struct.pack("<I", len(body)) + body

    yield from (frame(item) for item in items)
    yield frame(*items)
    yield frame(items[0]) + frame(*items[4:12])
    yield struct.pack("<H", len(items)) + b"".join(items)


SEEDS = {"fuzz_config": config, "fuzz_record": record, "fuzz_slots": slots, "fuzz_superblock": superblock,
         "fuzz_url": url, "fuzz_wire": wire}


def main():
    name, directory = sys.argv[1:]
    for number, data in enumerate(SEEDS[name]()):
        with open(os.path.join(directory, f"seed-{number}"), "wb") as out:
            out.write(data)


if __name__ == "__main__":
    main()
