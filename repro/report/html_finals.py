"""The final metrics of the trained models as a table, each with how it was computed."""

from __future__ import annotations

from repro.report import finals, tree, words
from repro.report.html_parts import Section, plain_table, section
from repro.report.markup import Names
from repro.report.numbers import plural, significant

STATISTICS = {"last": "after the last update", "best": "best of all evaluations"}


def final_metrics(report: tree.Report, names: Names) -> Section | None:
    """Every metric with its mean and range; None before a seed has finished."""
    if not report.finals:
        return None
    several = len({one.system for one in report.finals}) > 1
    rows = []
    for one in report.finals:
        ends = [significant(end, 4) for end in (min(one.values), max(one.values))]
        how = " · ".join(filter(None, (STATISTICS.get(one.statistic, one.statistic), one.signature)))
        cells = [
            words.capital(words.metric(one.metric)),
            finals.mean(one),
            f"{ends[0]} to {ends[1]}" if len(one.values) > 1 else "–",
            str(len(one.values)),
            one.split,
            how,
        ]
        rows.append([one.system, *cells] if several else cells)
    columns = ["Metric", "Mean", "Range of the seeds", "Seeds", "Split", "How"]
    numeric = (1, 2, 3)
    if several:
        columns, numeric = ["System", *columns], (2, 3, 4)
    seeds = max(len(one.values) for one in report.finals)
    lede = f"What the trained models measure, {plural(seeds, 'seed')}, whether or not the paper prints a number for it."
    return section(names, "Final metrics", lede, plain_table(columns, rows, numeric=numeric))
