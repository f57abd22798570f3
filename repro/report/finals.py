"""What the trained models measure in the end, whether or not the paper prints a number for it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from repro.report import tree, words
from repro.report.numbers import plural, significant
from repro.tracking.store import ProcessStore

#: Metrics that a line of text holds; the page has all.
MOST_SAID = 4


def collect(processes: Iterable[Mapping[str, Any]]) -> tuple[tree.Final, ...]:
    """One entry for each system and metric, of the seeds that finished; in the order of metrics.json."""
    found: dict[tuple[str, str, str, str, str], dict[int, float]] = {}
    for process in processes:
        if process.get("status") != "finished":
            continue
        final = ProcessStore(process["folder"]).metrics
        for metric, value in (final.get("metrics") or {}).items():
            if value is None:
                continue
            key = (
                str(process.get("name") or ""),
                str(final.get("split") or ""),
                str(final.get("statistic") or ""),
                metric,
                str((final.get("signatures") or {}).get(metric, "")),
            )
            found.setdefault(key, {})[int(process.get("seed") or 0)] = float(value)
    return tuple(
        tree.Final(metric, split, statistic, tuple(values.values()), tuple(values), system, signature)
        for (system, split, statistic, metric, signature), values in found.items()
    )


def mean(final: tree.Final) -> str:
    """The mean over seeds as text; NaN where a seed is not finite."""
    return significant(math.fsum(final.values) / len(final.values), 4)


def told(report: tree.Report) -> list[str]:
    """The final metrics in a sentence where no printed result says them; none for several systems or splits.

    "On test, mean of 3 seeds: exact match 0.998, loss 0.0785."
    """
    measured = report.finals
    if not measured or report.tested or len({(one.system, one.split) for one in measured}) > 1:
        return []
    first = measured[0]
    of = f"mean of {plural(len(first.seeds), 'seed')}" if len(first.seeds) > 1 else "1 seed"
    said = [f"{words.metric(one.metric)} {mean(one)}" for one in measured[:MOST_SAID]]
    return [f"On {first.split}, {of}: {', '.join(said)}."]
