# SPDX-License-Identifier: Apache-2.0
"""Rows as a table and as JSON, judged against the targets."""
import rows

PEERS = ("etcd", "zookeeper")


def number(value):
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 1 or value == 0 else f"{value:.4f}"


def judge(row, metric):
    """[(what is wanted, met)] of one figure; met is None where it could not be judged."""
    verdicts = []
    for kind, bound in rows.TARGETS.get((row.name, metric), []):
        if kind in PEERS:
            seen = row.times_better(metric, kind)
            verdicts.append((f">= {bound:,} x {kind}", None if seen is None else seen >= bound))
        else:
            seen = row.value(metric, "tenure")
            met = None if seen is None else seen <= bound if kind == "at most" else seen >= bound
            verdicts.append((f"{'<=' if kind == 'at most' else '>='} {bound:,.6g}", met))
    return verdicts


def word(met):
    return "not judged" if met is None else "met" if met else "MISSED"


def header():
    print(f"\n{'':<32} {'tenure':>12} {'etcd':>12} {'zookeeper':>12} {'x etcd':>9} {'x zk':>9}  target", flush=True)


def show(row):
    print(f"{row.title}  [{row.name}; load {row.load_average[0]:.1f}]")
    for metric in rows.METRICS:
        if metric not in row.samples:
            continue
        values = " ".join(f"{number(row.value(metric, who)):>12}" for who in ("tenure", *PEERS))
        better = " ".join(f"{number(row.times_better(metric, who)):>9}" for who in PEERS)
        wanted = "; ".join(f"{what}: {word(met)}" for what, met in judge(row, metric))
        print(f"  {metric + ', ' + rows.METRICS[metric][0]:<30} {values} {better}  {wanted}".rstrip())
    for who, why in row.failed.items():
        print(f"  FAILED {who}: {why}")
    for at, line in enumerate(row.profile):
        print(f"  {'profile of tenure: ' if at == 0 else '    '}{line}")
    print(flush=True)


def document(row):
    figures = {}
    for metric in (m for m in rows.METRICS if m in row.samples):
        figures[metric] = {
            "unit": rows.METRICS[metric][0],
            **{who: row.value(metric, who) for who in ("tenure", *PEERS)},
            "rounds": row.samples[metric],
            "times_better": {who: row.times_better(metric, who) for who in PEERS},
            "targets": [{"target": what, "met": met} for what, met in judge(row, metric)],
        }
    return {"row": row.name, "what": row.title, "load_average": row.load_average, "figures": figures,
            "failed": row.failed, "profile": row.profile}


def summary(done):
    """Prints what was missed or failed; returns how many rows failed."""
    missed = [(row.name, metric, what) for row in done for metric in rows.METRICS
              for what, met in judge(row, metric) if met is False]
    failed = [(row.name, who, why) for row in done for who, why in row.failed.items()]
    judged = sum(met is not None for row in done for metric in rows.METRICS for _, met in judge(row, metric))
    print(f"{judged - len(missed)} of {judged} targets met")
    for name, metric, what in missed:
        print(f"  missed: {name} {metric} {what}")
    for name, who, why in failed:
        print(f"  FAILED: {name}, {who}: {why}")
    return len({name for name, _who, _why in failed})
