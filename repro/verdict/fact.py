"""Facts are exact: a number of our code agrees with the printed one when it rounds to the printed digits."""

from __future__ import annotations

import math

from repro.reference.printed import Printed
from repro.verdict.outcome import ValueVerdict, Verdict


def decide_fact(ours: float, printed: Printed, tolerance: float | None = None) -> ValueVerdict:
    """Decide a fact; `ours` in the printed unit. A registered tolerance replaces the rounding half-width.

    There is no better or worse side: a fact that differs is `mismatch_worse`.
    """
    if not math.isfinite(ours):
        return ValueVerdict(Verdict.NOT_TESTABLE, "our number is not finite", ours)
    half = printed.half_width if tolerance is None else tolerance
    agrees = printed.agrees(ours) if tolerance is None else abs(ours - printed.number) <= tolerance
    verdict = Verdict.MATCH if agrees else Verdict.MISMATCH_WORSE
    if tolerance is None:
        relation = "rounds to" if agrees else "does not round to"
    else:
        relation = "lies within the tolerance of" if agrees else "lies beyond the tolerance of"
    return ValueVerdict(
        verdict,
        f"{ours:.6g} {relation} the printed {printed.text} (± {half:g})",
        ours,
        (ours, ours),
        1.0,
        1,
        ours - printed.number,
        0.0 if agrees else 1.0,
        1.0 if agrees else 0.0,
    )
