#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `tenure run` is not: campaigns, runs a program while it is told that it leads, and ends that program when it
next looks, half a second late. A torture test with such candidates must fail, or it proves nothing.

    naive.py CAMPAIGN... -- PROGRAM...
"""
import json
import os
import signal
import subprocess
import sys
import time

LATE_S = 0.5


def main():
    at = sys.argv.index("--")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with subprocess.Popen(sys.argv[1:at], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as campaign:
        program = None
        try:
            for line in campaign.stdout:
                record = json.loads(line)
                if record["leader"] and not program:
                    environment = dict(os.environ, TENURE_ID=record["leader"], TENURE_TOKEN=str(record["token"]))
                    program = subprocess.Popen(sys.argv[at + 1:], env=environment, stdin=subprocess.DEVNULL)
                elif not record["leader"] and program:
                    time.sleep(LATE_S)
                    program.kill()
                    program.wait()
                    program = None
        finally:
            campaign.terminate()
            if program:
                program.kill()
                program.wait()


if __name__ == "__main__":
    main()
