#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Everything that `make check` does, stage by stage, and the count at its end.

Each stage has a build directory of its own below --build. A stage whose build fails counts as one failure and the
others still run. The last line is `N passed, M failed`, alone, because machines read it.
"""
import argparse
import dataclasses
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MESON = "/usr/bin/meson" if os.path.exists("/usr/bin/meson") else "meson"
FUZZ_SECONDS = 30
SANITIZER_ENV = {
    "ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


@dataclasses.dataclass
class Count:
    passed: int = 0
    failed: int = 0
    problems: list = dataclasses.field(default_factory=list)

    def fail(self, what):
        self.failed += 1
        self.problems.append(what)

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.problems += other.problems


@dataclasses.dataclass
class Stage:
    name: str
    compiler: str
    options: list
    suites: tuple = ()  # the meson suites to run; () builds only
    timeout_factor: int = 1


# The suites that must run, and run whole, where a stage says so.
ALL_SUITES = ("checks", "unit", "sim", "stores", "examples", "e2e", "torture")
STAGES = {
    stage.name: stage
    for stage in (
        Stage("gcc", "gcc", ["--buildtype=debugoptimized"], ALL_SUITES),
        # The fuzzers are built here too, so that clang-tidy knows how they are compiled.
        Stage("clang", "clang", ["--buildtype=debugoptimized", "-Dfuzzers=true"]),
        Stage("asan", "gcc", ["-Ddebug=true", "-Db_sanitize=address,undefined", "-Doptimization=1"],
              ("unit", "stores", "examples", "e2e", "torture"), 4),
        # Threads are the library's own (one a session): what drives it in that mode is run again.
        Stage("tsan", "gcc", ["-Ddebug=true", "-Db_sanitize=thread", "-Doptimization=1"],
              ("unit", "stores", "examples"), 4),
        Stage("fuzz", "clang", ["-Ddebug=true", "-Db_sanitize=address,undefined", "-Db_lundef=false",
                                "-Doptimization=1", "-Dfuzzers=true", "-Dc_args=-fsanitize=fuzzer-no-link"]),
    )
}


def say(text):
    print(text, flush=True)


def run(command, **kwargs):
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False, **kwargs)


def no_randomization():
    """A prefix that turns address randomization off: where the kernel has 32 bits of it, the sanitizers of
    gcc 12 and clang 14 find their shadow memory taken now and then, and die at start."""
    prefix = ["setarch", "-R"]
    if shutil.which("setarch") and run(prefix + ["true"], stderr=subprocess.DEVNULL).returncode == 0:
        return prefix
    return []


def enterable(directory):
    """May every user go there? A clone below a private home can't be entered by the other users of the tests."""
    while True:
        if not os.stat(directory).st_mode & 0o001:
            return False
        if directory == "/":
            return True
        directory = os.path.dirname(directory)


def build(stage, top):
    """The build directory, or None where setup or compilation failed."""
    directory = os.path.join(top, stage.name)
    env = dict(os.environ, CC=stage.compiler)
    if not os.path.exists(os.path.join(directory, "build.ninja")):
        setup = run([MESON, "setup", directory, ROOT] + stage.options, env=env)
        if setup.returncode:
            return None
    return None if run(["ninja", "-C", directory, "--quiet", "-k0"]).returncode else directory


def listed_tests(directory, suites):
    out = run([MESON, "introspect", "--tests", directory], capture_output=True, text=True)
    tests = json.loads(out.stdout)
    return [t for t in tests if any(s.split(":")[-1] in suites for s in t["suite"])]


def junit_cases(path):
    """(passed, [failed or skipped]) of a JUnit file, or None where it is absent or cut off."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    passed, bad = 0, []
    for case in root.iter("testcase"):
        wrong = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        if wrong:
            bad.append(f"{case.get('classname', '')} {case.get('name', '')}: {wrong[0]}")
        else:
            passed += 1
    return passed, bad


def test_records(directory):
    """Meson's own verdict on each test program, by name: one JSON object a line."""
    records = {}
    try:
        with open(os.path.join(directory, "meson-logs", "testlog.json"), encoding="utf-8") as log:
            for line in log:
                record = json.loads(line)
                records[record["name"].split(" / ")[-1]] = record
    except (OSError, ValueError):
        pass
    return records


def tap_cases(record):
    """(passed, [failed or skipped]) from a TAP program's output; comments and diagnostics are passed over."""
    passed, bad = 0, []
    for line in record.get("stdout", "").splitlines():
        match = re.match(r"(not )?ok\b\s*\d*\s*-?\s*([^#]*)(#\s*(skip|todo)\b)?", line, re.IGNORECASE)
        if not match:
            continue
        if match.group(1) or match.group(4):
            bad.append(f"{match.group(2).strip()}: {'failed' if match.group(1) else 'skipped'}")
        else:
            passed += 1
    return passed, bad


def count_tests(stage, directory, tests):
    """Counts single cases: from TAP, from the JUnit files that pytest leaves in meson-logs, and else one a program."""
    count = Count()
    records = test_records(directory)
    for test in tests:
        name = test["name"]
        record = records.get(name)
        if record is None:
            count.fail(f"{stage.name}: {name} did not run")
            continue
        pytest_file = re.search(r"\S*pytest-[^/\s]*\.xml", " ".join(test["cmd"]).replace("=", " "))
        for line in record.get("stdout", "").splitlines():
            if line.startswith(("containment ", "seed ")):  # what the torture tests have measured
                say(f"{name}: {line}")
        if test["protocol"] == "tap":
            passed, bad = tap_cases(record)
        elif pytest_file:
            passed, bad = junit_cases(pytest_file.group()) or (0, [])
        else:
            passed, bad = (1, []) if record["result"] == "OK" else (0, [])
        count.passed += passed
        for what in bad:
            count.fail(f"{stage.name}: {name}: {what}")
        if not bad and (record["result"] != "OK" or passed == 0):
            count.fail(f"{stage.name}: {name}: {record['result']}, {passed} cases passed before")
    present = {s.split(":")[-1] for test in tests for s in test["suite"]}
    for suite in stage.suites:
        if suite not in present:
            count.fail(f"{stage.name}: no test of the suite '{suite}' exists")
    return count


def run_tests(stage, directory):
    """Runs the stage's suites one program at a time: what measures time shall have the machine to itself."""
    for old in glob.glob(os.path.join(directory, "meson-logs", "pytest-*.xml")):
        os.unlink(old)
    for old in glob.glob(os.path.join(directory, "meson-logs", "testlog*")):
        os.unlink(old)
    prefix = no_randomization() if stage.name in ("asan", "tsan") else []
    # Beside the programs, where the tests' other users can read it as well.
    suppressions = shutil.copy(os.path.join(ROOT, "tests", "tsan.supp"), directory)
    env = dict(os.environ, TENURE_TEST_TIMEOUT_FACTOR=str(stage.timeout_factor), **SANITIZER_ENV)
    env["TSAN_OPTIONS"] += ":suppressions=" + suppressions
    command = prefix + [MESON, "test", "-C", directory, "--no-rebuild", "--print-errorlogs", "--num-processes=1",
                        f"--timeout-multiplier={stage.timeout_factor}"]
    for suite in stage.suites:
        command += ["--suite", suite]
    run(command, env=env)
    return count_tests(stage, directory, listed_tests(directory, stage.suites))


def run_fuzzers(directory):
    """Each fuzzer for FUZZ_SECONDS, two at a time, from the seeds that it makes for itself."""
    count = Count()
    waiting = sorted(p for p in glob.glob(os.path.join(directory, "fuzz", "fuzz_*")) if os.access(p, os.X_OK)
                     and os.path.isfile(p))
    if not waiting:
        count.fail("fuzz: no fuzzer was built")
    running = []
    while waiting or running:
        while waiting and len(running) < 2:
            running.append(start_fuzzer(waiting.pop(0)))
        name, log, process = running.pop(0)
        code = process.wait()
        with open(log, encoding="utf-8", errors="replace") as text:
            tail = text.read().splitlines()[-40:]
        done = [line for line in tail if line.startswith("Done ")]
        if code == 0 and done:
            say(f"fuzz: {name}: {done[-1]}")
            count.passed += 1
        else:
            say("\n".join(tail))
            count.fail(f"fuzz: {name}: exit code {code}; input and report beside {log}")
    return count


def start_fuzzer(program):
    name = os.path.basename(program)
    directory = program + ".run"
    shutil.rmtree(directory, ignore_errors=True)
    corpus = os.path.join(directory, "corpus")
    os.makedirs(corpus)
    run([sys.executable, os.path.join(ROOT, "fuzz", "seeds.py"), name, corpus])
    log = os.path.join(directory, "log")
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen(
            no_randomization() + [program, f"-max_total_time={FUZZ_SECONDS}", "-timeout=10", "-rss_limit_mb=1024",
                                  "-print_final_stats=1", "-artifact_prefix=" + directory + "/", corpus],
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=dict(os.environ, **SANITIZER_ENV))
    return name, log, process


def do_stage(name, top):
    stage = STAGES[name]
    count = Count()
    directory = build(stage, top)
    if directory is None:
        count.fail(f"{name}: the build failed")
        return count
    if stage.suites:
        count.add(run_tests(stage, directory))
    elif name == "fuzz":
        count.add(run_fuzzers(directory))
    return count


def do_lint(top):
    """Both compilers with -Werror, then the linters over what clang compiled."""
    count = Count()
    for name in ("gcc", "clang"):
        if build(STAGES[name], top) is None:
            count.fail(f"lint: the build with {name} failed")
    if count.failed:
        return count
    out = run([sys.executable, os.path.join(ROOT, "tests", "lint.py"), os.path.join(top, "clang")],
              stdout=subprocess.PIPE, text=True)
    sys.stdout.write(out.stdout)
    for line in out.stdout.splitlines():
        if line.startswith("ok "):
            count.passed += 1
        elif line.startswith("not ok "):
            count.fail("lint: " + line[len("not ok "):])
    if count.passed == 0 or (out.returncode and not count.failed):
        count.fail(f"lint: it ended early (exit code {out.returncode})")
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", help="where the build directories are made")
    parser.add_argument("what", nargs="*", help="all, lint, or stages: " + ", ".join(STAGES))
    args = parser.parse_args()
    # A background job of a shell without job control ignores these, and whoever inherits that can't trap them.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    top = os.path.abspath(args.build)
    os.makedirs(top, exist_ok=True)
    elsewhere = None
    if os.geteuid() == 0 and not enterable(top):
        elsewhere = tempfile.mkdtemp(prefix="tenure-check-", dir="/var/tmp")
        os.chmod(elsewhere, 0o755)
        say(f"{top} can't be entered by other users, as which some tests run: building in {elsewhere}")
        top = elsewhere
    plan = args.what or ["all"]
    if plan == ["all"]:
        plan = ["gcc", "clang", "lint", "fuzz", "tsan", "asan"]
    unknown = [name for name in plan if name != "lint" and name not in STAGES]
    if unknown:
        parser.error(f"no such stage: {unknown[0]}")
    total, rows = Count(), []
    for name in plan:
        say(f"\n=== {name}")
        began = time.monotonic()
        count = do_lint(top) if name == "lint" else do_stage(name, top)
        rows.append((name, count.passed, count.failed, time.monotonic() - began))
        total.add(count)
    say("\nstage      passed  failed  seconds")
    for name, passed, failed, seconds in rows:
        say(f"{name:<9}  {passed:>6}  {failed:>6}  {seconds:>7.0f}")
    for problem in total.problems:
        say(f"FAILED {problem}")
    if elsewhere and not total.failed:
        shutil.rmtree(elsewhere, ignore_errors=True)
    say(f"{total.passed} passed, {total.failed} failed")
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
