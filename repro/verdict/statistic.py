"""One number from the course of a metric over a training: what a paper means by the result of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping


def statistic_of(course: Mapping[float, float], statistic: str, direction: str) -> float | None:
    """The statistic of {update: value}; None where the course of evaluations cannot give it.

    last: the value at the last update. best: the largest value where higher is better, the smallest where lower is;
    NaN only if every value is NaN, and None where neither is better. Anything else is None: averaged checkpoints need
    another evaluation, and the last k episodes are not the last k evaluations.

    >>> statistic_of({1: 0.5, 2: 0.75, 3: 0.25}, "best", "higher")
    0.75
    """
    if not course:
        return None
    if statistic == "last":
        return course[max(course)]
    if statistic == "best" and direction in ("higher", "lower"):
        known = [value for value in course.values() if not math.isnan(value)]
        return (max if direction == "higher" else min)(known, default=math.nan)
    return None
