"""The outcomes a row can have, and what each decision returns: frozen, without logging, config or global state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Every outcome of a row. "Could not tell" and "did not run" are neither failures nor passes."""

    MATCH = "match"  # our mean lies within the tolerance of the printed number, at the registered error rate
    MISMATCH_WORSE = "mismatch_worse"  # it lies outside, on the bad side (either side where the record has none)
    MISMATCH_BETTER = "mismatch_better"  # it lies outside, on the good side
    INCONCLUSIVE = "inconclusive"  # the seeds so far allow both
    NOT_RUN = "not_run"  # no run of the required scale, data and overrides
    NOT_TESTABLE = "not_testable"  # it ran, but what was measured cannot be compared; the reason says why
    PAPER_INCONSISTENT = "paper_inconsistent"  # the paper's own numbers cannot all hold


DECIDED = (Verdict.MATCH, Verdict.MISMATCH_WORSE, Verdict.MISMATCH_BETTER)
MISMATCHES = (Verdict.MISMATCH_WORSE, Verdict.MISMATCH_BETTER)
TESTED = (*DECIDED, Verdict.INCONCLUSIVE)


@dataclass(frozen=True)
class ValueVerdict:
    """The decision on a mean.

    mean, interval: our mean over seeds and its two-sided interval of `confidence`, in the metric's unit.
    n: seeds used. difference: mean minus printed.
    p_match, p_mismatch: smallest level at which each claim would hold at a single look.
    p_one_distribution: could the paper's number and our seeds be draws of one distribution? NaN if it cannot be asked.
    more_seeds: further seeds expected to decide (4 chances in 5); None where none are needed or none would do.
    stricter: the tolerance is smaller than half the interval of the mean that the paper's own runs give.
    """

    verdict: Verdict
    reason: str
    mean: float = float("nan")
    interval: tuple[float, float] = (float("nan"), float("nan"))
    confidence: float = float("nan")
    n: int = 0
    difference: float = float("nan")
    p_match: float = 1.0
    p_mismatch: float = 1.0
    p_one_distribution: float = float("nan")
    more_seeds: int | None = None
    stricter: bool = False
    futile: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CurveVerdict:
    """The decision on a trajectory: a band that holds at all steps at once.

    band: (step, low, high) of our mean. off_course: the first step at which the band lies wholly outside, if any.
    """

    verdict: Verdict
    reason: str
    band: tuple[tuple[float, float, float], ...] = ()
    off_course: float | None = None
    n: int = 0
