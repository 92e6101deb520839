#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Pure objects call nothing outside a short list and keep no state. Usage: check_pure.py SOURCE BUILD"""
import glob
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
from tap import Tap

# Whole folders, and single files of folders that do I/O too.
PURE = ["base/buf", "base/crc32c", "base/heap", "base/identity", "base/names", "base/structs", "base/text",
        "client/url", "elector/*", "file/record",
        "quorum/candidate*", "quorum/quorum", "quorum/superblock", "quorum/voter", "quorum/voter_election",
        "quorum/voter_lease",
        "quorum/voter_peer", "quorum/voter_queue", "quorum/voter_session", "quorum/voter_snapshot",
        "quorum/voter_table",
        "quorum/voter_view", "quorum/wire*",
        "supervisor/plan"]

# String functions that neither allocate nor look at a locale, the assertion, and the writing of messages into the
# caller's own buffer.
ALLOWED = set("""
    memchr memcmp memcpy memmove memset strchr strcmp strcspn strlen strncmp strnlen strrchr strspn strstr
    __memcpy_chk __memmove_chk __memset_chk __stack_chk_fail _GLOBAL_OFFSET_TABLE_ __popcountdi2
    calloc malloc free realloc reallocarray
    SHA256Init SHA256Update SHA256Final
    check_failed error_set error_clear error_copy error_retryable
    """.split())


def objects(build, pattern):
    folder, name = pattern.split("/")
    return sorted(glob.glob(os.path.join(build, "src", folder, f"lib{folder}.a.p", name + ".c.o")))


def symbols(path):
    """[(letter, name)] of everything in the symbol table."""
    out = subprocess.run(["nm", path], check=True, capture_output=True, text=True).stdout
    return [tuple(line.split()[-2:]) for line in out.splitlines() if line.strip()]


def impurities(path, known):
    found = []
    for letter, name in symbols(path):
        if letter in "Uwv" and name not in ALLOWED and name not in known:
            found.append(f"calls {name}")
        elif letter in "bBdDCsSgG":
            found.append(f"has writable data: {name}")
    return found


def assembly(source, pattern):
    found = []
    for path in glob.glob(os.path.join(source, "src", pattern + ".[ch]")):
        with open(path, encoding="utf-8") as text:
            code = re.sub(r"/\*.*?\*/|\"(?:\\.|[^\"\\])*\"", "", text.read(), flags=re.DOTALL)
        if re.search(r"\b(__asm__|__asm|asm)\b", code):
            found.append(f"{os.path.relpath(path, source)} has inline assembly")
    return found


def main():
    source, build = sys.argv[1:3]
    tap = Tap()
    paths = {pattern: objects(build, pattern) for pattern in PURE}
    known = {name for group in paths.values() for path in group for letter, name in symbols(path) if letter in "TR"}
    for pattern, group in paths.items():
        problems = [] if group else ["no object of this name was built"]
        for path in group:
            problems += [f"{os.path.basename(path)} {what}" for what in impurities(path, known)]
        tap.case(f"{pattern} is pure", problems + assembly(source, pattern))
    impure = os.path.join(build, "src", "base", "libbase.a.p", "clock.c.o")
    tap.case("the check itself sees an impure object",
             [] if impurities(impure, known) else ["base/clock passed as pure"])
    tap.end()


if __name__ == "__main__":
    main()
