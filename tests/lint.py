#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The linters, over a build directory of clang that is up to date. One line a check: `ok NAME` or `not ok NAME`."""
import ast
import concurrent.futures
import json
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MAX_LINES = 1000
MAX_COLUMNS = 120
TAB = 8
SOURCES = (".c", ".h", ".def")
SCRIPTS = (".py", ".sh", ".build", ".bash-completion")


def files():
    """Every file of the project, but for build directories and what is hidden (.ci apart)."""
    found = []
    for directory, folders, names in os.walk(ROOT):
        folders[:] = sorted(f for f in folders if f == ".ci" or not f.startswith((".", "build", "__pycache__")))
        found += [os.path.relpath(os.path.join(directory, name), ROOT) for name in sorted(names)]
    return found


def call(command, **kwargs):
    """The output of a command that found something, "" where it found nothing."""
    out = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, check=False, **kwargs)
    return "" if out.returncode == 0 else out.stdout or f"exit code {out.returncode}\n"


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as text:
        return text.read()


def check_format(_):
    sources = [f for f in files() if f.endswith((".c", ".h"))]
    return call(["clang-format", "--dry-run", "-Werror", "--style=file"] + sources)


def check_tidy(build):
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as text:
        compiled = {os.path.realpath(os.path.join(c["directory"], c["file"])) for c in json.load(text)}
    paths = sorted(p for p in compiled if p.startswith(ROOT + "/") and os.path.exists(p))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(call, ["clang-tidy", "--quiet", "-p", build, path]) for path in paths]
        found = "".join(job.result() for job in jobs)
    return re.sub(r"^\d+ warnings? (and \d+ errors? )?generated\.\n", "", found, flags=re.MULTILINE)


def check_cppcheck(_):
    return call(["cppcheck", "-j2", "--quiet", "--std=c11", "--error-exitcode=1", "--inline-suppr",
                 "--enable=warning,portability,performance", "--suppressions-list=tests/cppcheck.txt", "-D_GNU_SOURCE",
                 "-DTENURE_BUILDING", "-Iinclude", "-Isrc", "src", "examples", "fuzz", "bench"])


def check_spdx(_):
    wrong = ""
    for path in files():
        if path.endswith(SOURCES + SCRIPTS + (".scd",)) or os.path.basename(path) in ("Makefile", "run"):
            head = read(path).splitlines()[:3]
            if not any("SPDX-License-Identifier: Apache-2.0" in line for line in head):
                wrong += f"{path}: no SPDX line\n"
    return wrong


def check_shape(_):
    """What clang-format does not see: the length of files, and lines of other languages."""
    wrong = ""
    for path in files():
        if path.endswith(SOURCES + SCRIPTS):
            lines = read(path).splitlines()
            if len(lines) > MAX_LINES:
                wrong += f"{path}: {len(lines)} lines, at most {MAX_LINES}\n"
            for number, line in enumerate(lines, 1):
                if line != line.rstrip():
                    wrong += f"{path}:{number}: white space at the end of the line\n"
                if len(line.expandtabs(TAB)) > MAX_COLUMNS and path.endswith((".py", ".sh")):
                    wrong += f"{path}:{number}: more than {MAX_COLUMNS} columns\n"
    return wrong


def check_gotos(_):
    """One `goto out` a function at most, to one label."""
    wrong = ""
    for path in files():
        if path.endswith(".c"):
            for number, line in enumerate(read(path).splitlines(), 1):
                if re.search(r"\bgoto\s+(?!out;)", line) and not line.lstrip().startswith(("*", "/*", "//")):
                    wrong += f"{path}:{number}: goto to anything but 'out'\n"
    return wrong


def unused_imports(tree):
    imported = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                imported[(alias.asname or alias.name).split(".")[0]] = node.lineno
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return [(line, name) for name, line in imported.items() if name not in used]


def check_python(_):
    wrong = ""
    for path in files():
        if path.endswith(".py"):
            try:
                tree = ast.parse(read(path), path)
                compile(tree, path, "exec")
            except SyntaxError as error:
                wrong += f"{path}: {error}\n"
                continue
            wrong += "".join(f"{path}:{line}: {name} is imported and not used\n" for line, name in unused_imports(tree))
    return wrong


def check_shell(_):
    scripts = [f for f in files() if f.endswith((".sh", ".bash-completion")) or f == ".ci/run"]
    return "".join(call(["bash", "-n", script]) for script in scripts)


CHECKS = {
    "clang-format": check_format,
    "SPDX lines": check_spdx,
    "length of files and lines": check_shape,
    "goto": check_gotos,
    "python": check_python,
    "shell": check_shell,
    "cppcheck": check_cppcheck,
    "clang-tidy": check_tidy,
}


def main():
    if len(sys.argv) != 2 or not os.path.exists(os.path.join(sys.argv[1], "compile_commands.json")):
        sys.exit("usage: lint.py BUILD, a build directory of clang")
    failed = 0
    for name, check in CHECKS.items():
        wrong = check(os.path.abspath(sys.argv[1]))
        if wrong:
            print(wrong.rstrip())
            failed += 1
        print(f"{'not ok' if wrong else 'ok'} {name}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
