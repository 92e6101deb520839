# SPDX-License-Identifier: Apache-2.0
"""The few lines that a check needs to speak TAP."""
import sys


class Tap:
    def __init__(self):
        self.number = 0
        self.failed = 0

    def case(self, name, problems):
        """One test: it passes where `problems` is empty."""
        self.number += 1
        for problem in problems:
            print(f"# {problem}")
        self.failed += bool(problems)
        print(f"{'not ok' if problems else 'ok'} {self.number} - {name}")

    def end(self):
        print(f"1..{self.number}")
        sys.exit(1 if self.failed else 0)
