"""Claims on two variants: "removing X hurts", "A beats B by d"; decided from runs paired by seed where possible."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import special

from repro.verdict.methods import Scale, summarise
from repro.verdict.outcome import ValueVerdict, Verdict
from repro.verdict.value import MOST_SEEDS, decide_value, nominal_level

Array = NDArray[np.float64]


def decide_claim(
    changed: Mapping[int, float],
    against: Mapping[int, float],
    expect: str,
    direction: str,
    confidence: float = 0.95,
    *,
    difference: float | None = None,
    tolerance: float | None = None,
    looks: tuple[int, ...] | None = None,
    rows: int = 1,
) -> ValueVerdict:
    """Decide a claim from the metric of each variant by seed; `mean` is that of changed − against over shared seeds.

    Args:
        changed, against: seed → metric. Only seeds of both are used: a pair shares data order and initialisation.
        expect: "hurts" or "helps" (the sign is tested, one-sided at 1 − confidence each way), or "same" (equivalence
            within ±tolerance). With `difference`, equivalence within ±tolerance of it.
        direction: "higher" or "lower" is better.

    `match`: the paper's statement holds here. `mismatch_worse`: the opposite holds (or, for "same" and a printed
    difference, the difference lies outside). A value that is not finite makes the claim not_testable.
    """
    seeds = sorted(set(changed) & set(against))
    if not seeds:
        return ValueVerdict(Verdict.NOT_TESTABLE, "no seed ran with both variants, so nothing can be paired")
    pairs = np.array([changed[seed] - against[seed] for seed in seeds], dtype=np.float64)
    bad = int((~np.isfinite(pairs)).sum())
    if bad:
        reason = f"{bad} of {len(seeds)} pairs have a value that is not finite"
        return ValueVerdict(Verdict.NOT_TESTABLE, reason, n=len(seeds))
    if expect == "same" or difference is not None:
        if tolerance is None:
            raise ValueError("a claim of a size needs a tolerance")
        return decide_value(list(pairs), difference or 0.0, tolerance, "none", confidence, looks=looks, rows=rows)
    return decide_sign(pairs, expect, direction, (1 - confidence) / rows, looks)


def decide_sign(pairs: Array, expect: str, direction: str, level: float, looks: tuple[int, ...] | None) -> ValueVerdict:
    """Whether the mean difference has the sign that the paper's statement implies."""
    n, mean = len(pairs), float(np.mean(pairs))
    expected = (1 if direction == "higher" else -1) * (1 if expect == "helps" else -1)
    if n == 1:
        return ValueVerdict(Verdict.INCONCLUSIVE, "one pair has no spread", mean, n=1, difference=mean, more_seeds=2)
    nominal = nominal_level(n, looks, level)
    summary = summarise(pairs, Scale())
    spread = float(summary.spread)
    interval = summary.interval(nominal)
    positive, negative = float(summary.p_above(0.0)), float(summary.p_below(0.0))
    holds, opposite = (positive, negative) if expected > 0 else (negative, positive)
    ours = f"{n} pairs by seed differ by {mean:.4g}, interval {interval[0]:.4g} … {interval[1]:.4g}"
    notes: tuple[str, ...] = ()
    more = None
    if spread == 0 and mean == 0:
        verdict, reason = Verdict.INCONCLUSIVE, f"all {n} pairs are equal: the metric does not tell the variants apart"
    elif holds <= nominal:
        verdict, reason = Verdict.MATCH, ours
    elif opposite <= nominal:
        verdict, reason = Verdict.MISMATCH_WORSE, f"{ours}: the opposite of the claim"
    else:
        verdict, reason = Verdict.INCONCLUSIVE, f"{ours}: either sign is possible"
        more = further_pairs(mean, spread, n, level)
        if more is not None:
            reason += f"; {more} more seed{'s' if more != 1 else ''} should decide"
    if spread == 0 and mean != 0:
        notes = (f"all {n} pairs differ by the same: is the seed used?",)
    return ValueVerdict(
        verdict, reason, mean, interval, 1 - 2 * nominal, n, mean, holds, opposite, more_seeds=more, notes=notes
    )


def further_pairs(mean: float, spread: float, n: int, level: float) -> int | None:
    """Further pairs after which 4 of 5 such claims are decided; None if more than MOST_SEEDS were needed."""
    if mean == 0 or spread == 0 or not math.isfinite(spread):
        return None
    m = np.arange(n + 1, MOST_SEEDS + 1)
    enough = (special.stdtrit(m - 1, 1 - level) + special.ndtri(0.8)) * spread / np.sqrt(m) <= abs(mean)
    return int(m[enough][0]) - n if enough.any() else None
