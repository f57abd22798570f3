"""Curves: does our mean trajectory stay within the tolerance of the reference at every step at once?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from repro.verdict.methods import summarise
from repro.verdict.outcome import CurveVerdict, Verdict

Array = NDArray[np.float64]


def decide_curve(
    steps: Sequence[float],
    ours: Array,
    reference: Sequence[float],
    tolerance: float | Sequence[float],
    direction: str = "none",
    confidence: float = 0.95,
    rows: int = 1,
) -> CurveVerdict:
    """Decide a curve from `ours` [seeds, steps], `reference` [steps] and one tolerance, or one a step [steps].

    `match` needs the interval of every step inside ±tolerance: each at the full level, because a union of nulls is
    rejected only where all are (Berger 1982). A mismatch at any one step is enough, so there the level is shared out
    over the steps (Bonferroni), and the band that is returned is the one that holds at all steps at once.
    Fewer than two seeds are inconclusive; a value that is not finite makes the curve not_testable.
    """
    ours, expected = np.asarray(ours, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if ours.ndim != 2 or ours.shape[1] != len(steps) or len(steps) != len(expected):
        got = f"ours {ours.shape}, {len(steps)} steps, {len(expected)} reference points"
        raise ValueError(f"got {got}; need ours [seeds, steps] and one reference point a step")
    n = ours.shape[0]
    if not len(steps):
        return CurveVerdict(Verdict.NOT_TESTABLE, "no step was both measured and given by the reference", n=n)
    if not np.isfinite(ours).all():
        at = steps[int(np.argmax(~np.isfinite(ours).all(axis=0)))]
        return CurveVerdict(Verdict.NOT_TESTABLE, f"a value at step {at:g} is not finite", n=n)
    if n < 2:
        return CurveVerdict(Verdict.INCONCLUSIVE, f"{n} seed has no spread", n=n)
    level = (1 - confidence) / rows
    shared = level / len(steps)
    summaries = [summarise(ours[:, i]) for i in range(len(steps))]
    narrow = np.array([summary.interval(level) for summary in summaries])  # [steps, 2]
    band = np.array([summary.interval(shared / 2) for summary in summaries])
    widths = np.broadcast_to(np.asarray(tolerance, dtype=np.float64), expected.shape)
    low, high = expected - widths, expected + widths
    rows_of_band = tuple((float(s), float(a), float(b)) for s, (a, b) in zip(steps, band, strict=True))
    outside = (band[:, 0] > high) | (band[:, 1] < low)
    if outside.any():
        first = int(np.argmax(outside))
        above = band[first, 0] > high[first]
        better = (direction == "higher" and above) or (direction == "lower" and not above)
        verdict = Verdict.MISMATCH_BETTER if better else Verdict.MISMATCH_WORSE
        side = "above" if above else "below"
        reason = f"off course at step {steps[first]:g}: the band lies wholly {side} the reference ± {widths[first]:g}"
        return CurveVerdict(verdict, reason, rows_of_band, float(steps[first]), n)
    if ((narrow[:, 0] >= low) & (narrow[:, 1] <= high)).all():
        about = f"± {widths[0]:g}" if np.ptp(widths) == 0 else "the tolerance of the step"
        return CurveVerdict(Verdict.MATCH, f"inside {about} at all {len(steps)} steps", rows_of_band, None, n)
    crossing = int(np.argmax((narrow[:, 0] < low) | (narrow[:, 1] > high)))
    reason = f"from step {steps[crossing]:g} on, the interval crosses an edge of the reference ± {widths[crossing]:g}"
    return CurveVerdict(Verdict.INCONCLUSIVE, reason, rows_of_band, None, n)
