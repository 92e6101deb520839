# SPDX-License-Identifier: Apache-2.0
"""How long nobody's program ran, from the last sign of one to the first one of the next, against `tenure timing`."""

BOUND = "fail-over, worst"
# Unexplained, of all gaps: requests that TCP repeats after a cut renew the lease of one who has died since.
TOLERATED = 0.02
FACTOR = 2.0  # but none so many times the bound
SHARP = 0.1  # a gap below this share of the bound is a hand-over: released, not run out


class Judged:
    def __init__(self, lines, found, figures):
        self.lines = lines
        self.found = found
        self.figures = figures


def tenures(ledger):
    """[(first, last, token, holder)] in seconds, by the first sign. Writes are no signs."""
    found = {}
    with open(ledger, encoding="ascii", errors="replace") as file:
        for line in file:
            fields = line.split()
            if len(fields) != 8 or fields[3] == "write":
                continue
            at, token = int(fields[0]) / 1e9, int(fields[1])
            known = found.get(token)
            if not known:
                found[token] = [at, at, token, fields[7]]
            else:
                known[0] = min(known[0], at)
                known[1] = max(known[1], at)
    return sorted(found.values())


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1e3 if values else 0.0


def figures(values):
    return (f"p50 {quantile(values, 0.5):.1f} ms, p99 {quantile(values, 0.99):.1f} ms, "
            f"max {max(values, default=0) * 1e3:.1f} ms")


class Excuses:
    """What the bound does not count: it is one fault's, at a store that has its majority."""

    def __init__(self, without_majority, silent, struck):
        self.without_majority = without_majority
        self.silent = silent
        self.struck = struck

    def find(self, begin, end, holder, bound_s):
        """None: nothing explains it."""
        for since, until in self.without_majority:
            if since < end and until > begin and end <= max(until, begin) + bound_s:
                return "no majority of voters"
        for since, until in self.silent:
            if since <= begin + 0.05 and until > begin and end <= until + bound_s:
                return "its program was stopped"
        for at, whom in self.struck:
            if whom == holder and begin < at < end <= at + bound_s:
                return "its candidate was hit a second time, before it had released"
        return None


def judge(ledger, ttls, bounds, excuses, slack_s):
    found, lines, everything = [], [], []
    between = tenures(ledger)
    by_ttl = {ttl: [] for ttl in bounds}
    late = {}
    far = 0
    for before, after in zip(between, between[1:]):
        gap_s = after[0] - before[1]
        if gap_s <= 0:
            continue
        ttl = ttls[before[3]]
        bound_s = bounds[ttl][BOUND] / 1e3 + slack_s
        everything.append(gap_s)
        by_ttl[ttl].append(gap_s)
        if gap_s <= bound_s:
            continue
        why = excuses.find(before[1], after[0], before[3], bound_s)
        late.setdefault(why, []).append(gap_s)
        if not why:
            far += gap_s > FACTOR * bound_s
            lines.append(f"late: {gap_s * 1e3:.1f} ms between {before[3]} (token {before[2]}, last sign at "
                         f"{before[1]:.3f}) and {after[3]} (token {after[2]})")
    for ttl, values in sorted(by_ttl.items()):
        lines.append(f"after leaders with ttl {ttl} ms: {len(values)} gaps, {figures(values)}; "
                     "bound of 'tenure timing' "
                     f"{bounds[ttl][BOUND]:.1f} ms, and {slack_s * 1e3:.0f} ms to start on this host")
    for why, values in late.items():
        lines.append(f"beyond it: {len(values)} gaps, {why or 'UNEXPLAINED'}, {figures(values)}")
    unexplained = late.get(None, [])
    if len(unexplained) > max(1, TOLERATED * len(everything)) or far:
        found.append(f"{len(unexplained)} gaps beyond the bound of 'tenure timing' that nothing explains, "
                     f"{far} of them "
                     f"more than {FACTOR:g} times")
    released = [gap for gap in everything if gap < SHARP * min(b[BOUND] for b in bounds.values()) / 1e3]
    lines.append(f"{len(released)} of {len(everything)} gaps were hand-overs (released): {figures(released)}")
    return Judged(lines, found, figures(everything))
