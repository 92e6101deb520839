#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Imports point down: what each folder of src/ may include. Usage: check_layers.py SOURCE BUILD"""
import glob
import os
import re
import sys

sys.dont_write_bytecode = True
from tap import Tap

# DESIGN: base <- elector, loop <- mechanisms <- client <- supervisor, guard <- cli. A mechanism never includes another.
MECHANISMS = ["file", "quorum"]
MAY_INCLUDE = {
    "base": [],
    "elector": ["base"],
    "loop": ["base"],
    **{name: ["base", "elector", "loop"] for name in MECHANISMS},
    "client": ["base", "elector", "loop"],
    "guard": ["base"],
    "supervisor": ["base", "elector", "client"],
    # The judge shares no code with what it judges.
    "checker": ["base"],
    "cli": ["base", "elector", "loop", "quorum", "client", "guard", "supervisor"],
}


def includes(path):
    with open(path, encoding="utf-8") as text:
        return re.findall(r'^\s*#\s*include\s+[<"]([^">]+)[">]', text.read(), re.MULTILINE)


def wrong_includes(source, folder):
    problems = []
    for path in sorted(glob.glob(os.path.join(source, "src", folder, "**", "*.[ch]"), recursive=True)):
        for name in includes(path):
            layer = name.split("/")[0] if "/" in name else None
            if layer in MAY_INCLUDE and layer != folder and layer not in MAY_INCLUDE[folder]:
                problems.append(f"{os.path.relpath(path, source)} includes {name}")
    return problems


def main():
    source = sys.argv[1]
    tap = Tap()
    folders = sorted(e.name for e in os.scandir(os.path.join(source, "src")) if e.is_dir())
    tap.case("every folder of src/ has its place among the layers", [f for f in folders if f not in MAY_INCLUDE])
    for folder in MAY_INCLUDE:
        files = glob.glob(os.path.join(source, "src", folder, "*.c"))
        problems = wrong_includes(source, folder)
        tap.case(f"src/{folder} includes only what lies below it",
                 problems if files else [f"src/{folder} has no source file"])
    public = glob.glob(os.path.join(source, "include", "tenure", "*.h"))
    tap.case("public headers include nothing private", [
        f"{os.path.basename(path)} includes {name}" for path in public for name in includes(path)
        if "/" in name and not name.startswith("tenure/")])
    tap.case("examples include nothing private", [
        f"{os.path.basename(path)} includes {name}"
        for path in glob.glob(os.path.join(source, "examples", "**", "*.c"), recursive=True) for name in includes(path)
        if name.split("/")[0] in MAY_INCLUDE])
    tap.end()


if __name__ == "__main__":
    main()
