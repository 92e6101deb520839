#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures Tenure: the file store beside flock, and the quorum store beside etcd and ZooKeeper. See README.md here.

bench.py --build BUILD [--dir DIR] [--json FILE] [--quick] [--only ROW]... [--ours quorum|none|URL] [--profile] [--list]
"""
import argparse
import datetime
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import file_store  # noqa: E402  pylint: disable=wrong-import-position
import profile_of  # noqa: E402  pylint: disable=wrong-import-position
import report  # noqa: E402  pylint: disable=wrong-import-position
import rows  # noqa: E402  pylint: disable=wrong-import-position

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs", "hugetlbfs")


def output(*command):
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def conditions(build, directory):
    with open("/proc/cpuinfo", encoding="utf-8") as text:
        models = [line.split(":", 1)[1].strip() for line in text if line.startswith("model name")]
    disk = output("findmnt", "-n", "-o", "SOURCE,FSTYPE,OPTIONS", "-T", directory)
    if disk.split()[1:2] and disk.split()[1] in MEMORY_FILE_SYSTEMS:
        sys.exit(f"bench: {directory} lies in memory ({disk}); give a directory on a disk with --dir")
    return {
        "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "kernel": platform.release(),
        "cpu": models[0] if models else platform.machine(),
        "cpus": os.cpu_count(),
        "clocksource": output("cat", "/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "disk": disk,
        "load_before": os.getloadavg(),
        "user": os.getuid(),
        "tenure": output(os.path.join(build, "src", "cli", "tenure"), "version").splitlines()[:1],
        "commit": output("git", "rev-parse", "--short", "HEAD"),
        "compiler": output("cc", "--version").splitlines()[:1],
        "flock": output("flock", "--version"),
    }


def beside(args, build, directory, wanted, document):
    """The rows beside etcd and ZooKeeper. Returns how many failed."""
    done = []
    with rows.Beside(directory, build, args.ours, args.quick, args.profile) as systems:
        document["conditions"]["systems"] = systems.versions()
        for name, version in systems.versions().items():
            print(f"{name:<12} {version}")
        report.header()
        for name in wanted:
            row = rows.Row(name, rows.ROWS[name][0])
            rows.ROWS[name][1](systems, row)
            report.show(row)
            done.append(row)
    document["beside"] = [report.document(row) for row in done]
    return report.summary(done)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", help="a release build directory")
    parser.add_argument("--dir", default="/var/tmp", help="where all stores lie: on the disk that is measured")
    parser.add_argument("--json", help="default: bench.json in the build directory")
    parser.add_argument("--quick", action="store_true", help="few and short rounds: to see that it runs")
    parser.add_argument("--only", action="append", metavar="ROW", help="these rows alone (may be repeated)")
    parser.add_argument("--ours", default="quorum", help="quorum: three voters of this build; none; or a store's URL")
    parser.add_argument("--profile", action="store_true", help="cycles and hand-overs once more under perf")
    parser.add_argument("--list", action="store_true", help="the names of the rows")
    args = parser.parse_args()
    known = {**{name: how.__doc__ for name, how in file_store.ROWS.items()},
             **{name: title for name, (title, _how) in rows.ROWS.items()}}
    if args.list:
        for name, title in known.items():
            print(f"{name:<16} {title}")
        sys.exit(0)
    if args.profile and profile_of.missing():
        parser.error(profile_of.missing())
    unknown = [name for name in args.only or [] if name not in known]
    if unknown or not args.build:
        parser.error(f"no such row: {', '.join(unknown)} (--list names them)" if unknown else "--build is needed")
    return args, [name for name in known if not args.only or name in args.only]


def main():
    args, wanted = arguments()
    # So that what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    build = os.path.abspath(args.build)
    if args.ours != "none" or any(name in file_store.ROWS for name in wanted):
        subprocess.run(["ninja", "-C", build, "--quiet", "bench-programs", "src/cli/tenure"], check=True)
    directory = tempfile.mkdtemp(prefix="tenure-bench-", dir=args.dir)
    document = {"conditions": conditions(build, directory)}
    failed = 0
    try:
        for name, value in document["conditions"].items():
            print(f"{name:<12} {value}")
        of_file = [name for name in wanted if name in file_store.ROWS]
        if of_file:
            document.update(file_store.run(build, directory, args.quick, of_file))
            failed += len(document["failed"])
        of_quorum = [name for name in wanted if name in rows.ROWS]
        if of_quorum:
            failed += beside(args, build, directory, of_quorum, document)
        document["conditions"]["load_after"] = os.getloadavg()
        path = args.json or os.path.join(build, "bench.json")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(document, out, indent=1)
            out.write("\n")
        print(f"written: {path}")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
