#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What libtenure.so shows and needs. Usage: check_library.py SOURCE BUILD"""
import glob
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
from tap import Tap

MAY_NEED = ("libuv.so.1", "libmd.so.0", "libc.so.6", "ld-linux")


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def declared(source):
    """The functions that the public headers mark TENURE_API."""
    names = set()
    for path in glob.glob(os.path.join(source, "include", "tenure", "*.h")):
        with open(path, encoding="utf-8") as text:
            code = re.sub(r"/\*.*?\*/", "", text.read(), flags=re.DOTALL)
        names |= set(re.findall(r"\bTENURE_API\b[^;(#]*?\b(tenure_\w+)\s*\(", code))
    return names


def main():
    source, build = sys.argv[1:3]
    library = os.path.join(build, "src", "libtenure.so")
    dynamic = output("objdump", "-p", library)
    exported = {line.split()[-1].split("@")[0] for line in output("nm", "-D", "--defined-only", library).splitlines()
                if line.split()[-2] != "A"}
    public = declared(source)
    tap = Tap()
    tap.case("every function of the public headers is exported",
             sorted(public - exported) if public else ["none found"])
    tap.case("nothing else is exported", sorted(exported - public))
    needed = re.findall(r"NEEDED\s+(\S+)", dynamic)
    tap.case("the library needs libuv, libmd and libc alone", [n for n in needed if not n.startswith(MAY_NEED)])
    tap.case("the library has a soname with a version",
             [] if re.search(r"SONAME\s+libtenure\.so\.\d+\b", dynamic) else ["no SONAME libtenure.so.N"])
    tap.case("its symbols carry a version", [] if "TENURE_0" in dynamic else ["no version TENURE_0"])
    tap.end()


if __name__ == "__main__":
    main()
