#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""House rules that objects and text show: no mutable variable outside functions, nothing of the system in pure files,
no forbidden function. And the proof that this check and its neighbours can fail. Usage: check_rules.py SOURCE BUILD"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import check_layers
import check_pure
from tap import Tap

# object: (the variables, why it can't do without). A fork handler gets no argument: what it closes has to be found.
MUTABLE = {
    "client/fork.c": (re.compile(r"fork_\w+(\.\d+)?"), "the sessions that a forked child must not use"),
}
FORBIDDEN = ["strcpy", "stpcpy", "strcat", "sprintf", "vsprintf", "strtok", "atoi", "atol", "atoll", "atof", "gets",
             "localtime", "gmtime", "ctime", "asctime", "tmpnam", "mktemp"]
# signal.h: for the numbers; a call would be seen in the object.
PURE_HEADERS = re.compile(r"signal\.h|stdbool\.h|stddef\.h|stdint\.h|stdlib\.h|string\.h|limits\.h|sha256\.h|"
                          r"tenure/\w+\.h|[a-z]+/\w+\.h")


def code_of(path):
    """The text without comments and without what strings say."""
    with open(path, encoding="utf-8") as text:
        return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"',
                      lambda match: '""' if match.group().startswith('"') else " ", text.read(), flags=re.DOTALL)


def objects(build):
    """[("folder/file.c", path)] of everything that is built from src/."""
    found = glob.glob(os.path.join(build, "src", "*", "*.p", "*.c.o"))
    return sorted((os.path.relpath(p, os.path.join(build, "src")).split("/")[0] + "/" + os.path.basename(p)[:-2], p)
                  for p in found)


def mutable_variables(name, path):
    """Writable data, function statics and thread-locals included; constants that only need relocation are none."""
    allowed = MUTABLE.get(name, (None,))[0]
    out = subprocess.run(["nm", "-f", "sysv", path], check=True, capture_output=True, text=True).stdout
    problems = []
    for line in out.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) < 7 or fields[2] not in tuple("bBdDCsSgG") or fields[6].startswith(".data.rel.ro"):
            continue
        if not (allowed and allowed.fullmatch(fields[0])):
            problems.append(f"{name} has the mutable variable {fields[0]}")
    return problems


def system_headers(source, patterns):
    problems = []
    for pattern in patterns:
        for path in sorted(glob.glob(os.path.join(source, "src", pattern + ".[ch]"))):
            problems += [f"{os.path.relpath(path, source)} includes {name}" for name in check_layers.includes(path)
                         if not PURE_HEADERS.fullmatch(name)]
    return problems


def forbidden_calls(source):
    call = re.compile(r"(?<![\w.>])(" + "|".join(FORBIDDEN) + r")\s*\(")
    return [f"{os.path.relpath(path, source)} calls {match.group(1)}"
            for folder in ("src", "examples", "fuzz")
            for path in sorted(glob.glob(os.path.join(source, folder, "**", "*.[ch]"), recursive=True))
            for match in call.finditer(code_of(path))]


IMPURE = """
#include <time.h>
static int counter;
static __thread int mine = 1;
long impure(void) { __asm__ volatile(""); return counter++ + mine++ + time(0); }
"""


def written(text, folder):
    path = os.path.join(folder, "src", "base", "impure.c")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def compiled(text, folder):
    source = written(text, folder)
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))
    subprocess.run([compiler, "-O1", "-fPIC", "-c", source, "-o", source + ".o"], check=True)
    return source + ".o"


def missing(found, *wanted):
    """What a check should have said about the deliberately bad input, and did not."""
    return [f"not seen: {want}" for want in wanted if not any(want in line for line in found)]


def prove_failing(tap):
    with tempfile.TemporaryDirectory() as folder:
        path = compiled(IMPURE, folder)
        tap.case("a call of the clock and variables in an object are seen by the check of purity",
                 missing(check_pure.impurities(path, set()), "calls time", "writable data: counter",
                         "writable data: mine"))
        tap.case("inline assembly is seen", missing(check_pure.assembly(folder, "base/impure"), "inline assembly"))
        tap.case("mutable variables are seen",
                 missing(mutable_variables("base/impure.c", path), "variable counter", "variable mine"))
        tap.case("a system header in a pure file is seen", missing(system_headers(folder, ["base/impure"]), "time.h"))
        constant = compiled('const char *impure(int i) { static const char *const t[] = { "a", "b" }; return t[i]; }',
                            folder)
        tap.case("a table of constants is no variable", mutable_variables("base/impure.c", constant))
        written('#include "elector/state.h"\n#include "client/url.h"\n/* strcpy( */\n'
                'void f(char *p) { const char *s = "atoi("; sprintf(p, s); }\n', folder)
        upward = check_layers.wrong_includes(folder, "base")
        tap.case("imports that point up are seen", missing(upward, "elector/state.h", "client/url.h"))
        calls = forbidden_calls(folder)
        tap.case("a forbidden call is seen, its name in comments and strings is none",
                 missing(calls, "sprintf") + [line for line in calls if "sprintf" not in line])


def main():
    source, build = sys.argv[1:3]
    tap = Tap()
    built = objects(build)
    tap.case("no mutable variable stands outside functions",
             [problem for name, path in built for problem in mutable_variables(name, path)] if built
             else ["no object was found"])
    tap.case("pure files include nothing of the system", system_headers(source, check_pure.PURE))
    tap.case("no forbidden function is called", forbidden_calls(source))
    prove_failing(tap)
    tap.end()


if __name__ == "__main__":
    main()
