#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The quorum in the simulator: seeds, schedules, dropped rules, determinism. Usage: test_sim.py SOURCE BUILD WHAT"""
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
SOURCE, BUILD, WHAT = sys.argv[1:4]
sys.path.insert(0, os.path.join(SOURCE, "tests", "checks"))
from tap import Tap  # noqa: E402

SIM = os.path.join(BUILD, "sim", "tenure-sim")
MUTANTS = SIM + "-mutants"
JOBS = str(max(1, min(8, len(os.sched_getaffinity(0)))))


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def seeds(tap):
    """The scale of each change: 10,000 seeds, 2,000 hours, 20,000 times real time on a core."""
    code, out = run(SIM, "run", "--seeds", "1..10000", "--jobs", JOBS)
    print("# " + out.strip().replace("\n", "\n# "))
    tap.case("no rule is violated in 10,000 seeds", [out[:2000]] if code else [])
    match = re.search(r"(\d+) seeds, .*?; ([\d.]+) h simulated.*?: (\d+) x real time", out)
    hours, speed = (float(match.group(2)), int(match.group(3))) if match else (0, 0)
    tap.case("they cover 2,000 hours", [] if hours >= 2000 else [f"{hours} h"])
    tap.case("a core simulates 20,000 times as fast as real time", [] if speed >= 20000 else [f"{speed} x"])
    faults = re.search(r"^faults: .*$", out, re.MULTILINE)
    tap.case("every kind of fault has struck", re.findall(r"\b\w+ 0\b", faults.group()) if faults else ["no faults"])


def schedules(tap):
    code, out = run(SIM, "schedules", "--seeds", "1..100")
    tap.case("no schedule finds a violation while every rule is kept", [out] if code else [])


def mutants(tap):
    _, out = run(MUTANTS, "mutants", "--seconds", "4")
    print("# " + out.strip().replace("\n", "\n# "))
    rows = re.findall(r"^(\w+) +R\d+ +(must|may) +(.*)$", out, re.MULTILINE)
    tap.case("every dropped rule has its row", [] if len(rows) >= 50 else [out])
    for name, duty, what in rows:
        if duty == "must":
            tap.case(f"without {name} a violation of safety is found", [] if what.startswith("found I") else [what])


def tools(tap):
    _, first = run(SIM, "replay", "5", "--profile", "storm")
    _, again = run(SIM, "replay", "5", "--profile", "storm")
    tap.case("a seed is replayed as the same transcript", [] if first == again and " LEADS " in first else ["differs"])
    _, out = run(SIM, "replay", "5", "--profile", "storm", "--ndjson")
    bad = [line for line in out.splitlines() if "true_ns" not in json.loads(line)]
    tap.case("and as NDJSON records", bad if out else ["nothing"])
    code, out = run(MUTANTS, "shrink", "1", "--profile", "proxy", "--mutant", "nohold")
    command = [line for line in out.splitlines() if line.startswith("tenure-sim-mutants replay ")]
    left = re.search(r"(\d+) of (\d+) faults", out)
    tap.case("a failing seed is made smaller",
             [] if code == 1 and command and left and int(left.group(1)) <= 5 else [out])
    code, out = run(MUTANTS, *shlex.split(command[0])[1:]) if command else (0, "")
    tap.case("what is left of it fails alike", [] if code == 1 and "VIOLATION I1" in out else [out[-1000:]])
    code, out = run(SIM, "replay", "1", "--mutant", "nohold")
    tap.case("the production program has no rule that can be dropped", [] if code == 2 else [out])
    code, out = run(SIM, "run", "--profile", "nonsense")
    tap.case("nonsense is refused", [] if code == 2 and "no such profile" in out else [out])


def compile_all(compiler, flags, directory):
    """The simulator once more, with another compiler: what its build directory says, by hand."""
    with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as text:
        entries = json.load(text)
    names = ("sim/tenure-sim-mutants.p/", "src/base/libbase.a.p/", "src/elector/libelector.a.p/")
    objects = []
    for entry in entries:
        if not entry["output"].startswith(names):
            continue
        words = [w for w in shlex.split(entry["command"])[1:] if not w.startswith("-fsanitize")]
        out = os.path.join(directory, entry["output"].replace("/", "_"))
        for flag in ("-MD", "-DQUORUM_MUTATIONS", "-Werror", "-Winvalid-pch"):
            words = [w for w in words if w != flag]
        for flag in ("-MQ", "-MF", "-o"):
            at = words.index(flag)
            del words[at:at + 2]
        subprocess.run([compiler, *words, "-w", *flags, "-o", out], cwd=entry["directory"], check=True)
        objects.append(out)
    program = os.path.join(directory, "sim")
    subprocess.run([compiler, "-o", program, *objects, "-lmd"], check=True)
    return program


def determinism(tap):
    wanted = run(SIM, "hash", "--seeds", "1..200", "--jobs", "1")
    tap.case("the hash of the traces does not depend on the number of processes",
             [] if run(SIM, "hash", "--seeds", "1..200", "--jobs", "3") == wanted and wanted[0] == 0 else [str(wanted)])
    for compiler, flags in (("gcc", ["-O1"]), ("clang", ["-O2"])):
        with tempfile.TemporaryDirectory() as directory:
            got = run(compile_all(compiler, flags, directory), "hash", "--seeds", "1..200", "--jobs", "1")
        tap.case(f"the hash is the same with {compiler} {' '.join(flags)}",
                 [] if got == wanted else [f"{got} {wanted}"])


def main():
    tap = Tap()
    {"seeds": seeds, "schedules": schedules, "mutants": mutants, "tools": tools, "determinism": determinism}[WHAT](tap)
    tap.end()


if __name__ == "__main__":
    main()
