"""Does our mean over seeds lie within ±tolerance of the printed number?

Equivalence is tested, not the absence of significance (two one-sided tests, Schuirmann 1987): the verdict is `match`
when the claims "below printed + tolerance" and "above printed − tolerance" both hold at the level 1 − confidence,
which is when our interval lies inside. It is a mismatch when "outside" holds at that level: the p-values of lying
beyond the near edge and beyond the far edge are added, so that at most 1 − confidence of correct implementations are
blamed however narrow the tolerance is.

The paper's uncertainty (rounding, spread, number of runs) lives in the tolerance; ours lives in the interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from repro.verdict.methods import NORMAL, Scale, Summary, summarise
from repro.verdict.outcome import ValueVerdict, Verdict
from repro.verdict.sequential import levels

Array = NDArray[np.float64]

#: Chance with which `more_seeds` further seeds decide a row whose true mean and spread are what we see.
EXPECTED_POWER = 0.8
#: No row asks for more seeds than this; beyond it the answer is that seeds do not decide.
MOST_SEEDS = 1000
#: Predictive chance of ever deciding below which a sequential row stops.
FUTILE = 0.02


def p_values(summary: Summary, low: float, high: float) -> tuple[Array, Array, Array]:
    """p-values of the claims "inside [low, high]", "above it" and "below it", one per row of the summary."""
    below_low, above_low = summary.p_both(low)
    below_high, above_high = summary.p_both(high)
    inside = np.maximum(below_high, above_low)
    # beyond the near edge plus beyond the far edge: the size of the test at every true mean inside
    above = np.minimum(1.0, above_high + above_low)
    below = np.minimum(1.0, below_low + below_high)
    return inside, above, below


def decide_value(
    samples: Sequence[float],
    printed: float,
    tolerance: float,
    direction: str = "none",
    confidence: float = 0.95,
    *,
    scale: Scale = NORMAL,
    paper_spread: float | None = None,
    paper_seeds: int | None = None,
    looks: Sequence[int] | None = None,
    rows: int = 1,
) -> ValueVerdict:
    """Decide one row from its values, one per seed, in the order in which the seeds were planned.

    Args:
        samples: finite values [n]; NaN or infinity makes the row not_testable.
        printed, tolerance: the paper's number and the absolute tolerance, in the unit of the samples.
        direction: "higher" or "lower" is better; "none" calls every mismatch worse.
        confidence: 1 − level of each kind of error.
        scale: the method that the record declares.
        paper_spread: standard deviation between the paper's runs, if printed. It lets a single seed be judged, and
            decides `stricter`.
        paper_seeds: runs behind the printed number; 1 is assumed where the paper does not say.
        looks: seeds at which the row was or will be judged, up to the largest number; None: once, now.
        rows: rows that are corrected for together (the level of this row is (1 − confidence) / rows).
    """
    values = np.asarray(samples, dtype=np.float64)
    n = len(values)
    level = (1 - confidence) / rows
    if n == 0:
        return ValueVerdict(Verdict.NOT_TESTABLE, "no seed gave a value")
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        return ValueVerdict(Verdict.NOT_TESTABLE, f"{bad} of {n} seeds gave a value that is not finite", n=n)
    mean = float(values.mean()) if (values != values[0]).any() else float(values[0])
    low, high = printed - tolerance, printed + tolerance
    if n == 1:
        return one_seed(mean, printed, tolerance, direction, level, paper_spread, paper_seeds)
    nominal = nominal_level(n, looks, level)
    summary = summarise(values, scale)
    spread = float(summary.spread)
    inside, above, below = (float(p) for p in p_values(summary, low, high))
    interval = summary.interval(nominal)
    verdict = verdict_of(inside, above, below, nominal, direction)
    notes = []
    if spread == 0:
        notes.append(f"all {n} seeds gave the same value: is the seed used?")
    elif scale.method != "normal" and not math.isfinite(float(summary.scaled_spread)):
        notes.append(f"a value lies on a bound, where the method {scale.method} cannot tell")
    futile = False
    more = None
    if verdict is Verdict.INCONCLUSIVE:
        most = looks[-1] if looks else None
        arrays = np.array(mean), np.array(spread)
        # with the last planned seed used, what a larger budget would need is the question
        left = most is not None and n < most
        futile = left and bool(chance_to_decide(*arrays, n, most or n, low, high, level) < FUTILE)
        more = None if futile else further_seeds(mean, spread, n, low, high, level)
    return ValueVerdict(
        verdict,
        explain(verdict, interval, low, high, more, futile),
        mean,
        interval,
        1 - 2 * nominal,
        n,
        mean - printed,
        inside,
        min(above, below),
        one_distribution(values, printed, paper_spread, paper_seeds),
        more,
        papers_error(spread, paper_spread, paper_seeds, confidence) > tolerance,
        futile,
        tuple(notes),
    )


def papers_error(spread: float, paper_spread: float | None, paper_seeds: int | None, confidence: float) -> float:
    """Half the width of the interval that the paper's own runs give of its mean: Student's t with its few runs.

    Without a printed spread ours stands in, and the normal law, since how well ours is known says nothing of the paper.
    """
    known = paper_spread is not None and paper_seeds is not None and paper_seeds > 1
    law = stats.t(paper_seeds - 1) if known and paper_seeds is not None else stats.norm
    scale = spread if paper_spread is None else paper_spread
    return float(law.ppf((1 + confidence) / 2)) * scale / math.sqrt(paper_seeds or 1)


def verdict_of(inside: float, above: float, below: float, level: float, direction: str) -> Verdict:
    """The verdict for given p-values: at most one claim can hold."""
    if inside <= level:
        return Verdict.MATCH
    if min(above, below) <= level:
        better = (direction == "higher" and above <= below) or (direction == "lower" and below < above)
        return Verdict.MISMATCH_BETTER if better else Verdict.MISMATCH_WORSE
    return Verdict.INCONCLUSIVE


def nominal_level(n: int, looks: Sequence[int] | None, level: float) -> float:
    """The level at n seeds, given all planned looks; a number of seeds that was not planned is added to the looks."""
    if not looks or tuple(looks) == (n,):
        return level
    planned = tuple(sorted({*(look for look in looks if look >= 2), n}))
    return levels(planned, level)[planned.index(n)]


def one_seed(
    value: float,
    printed: float,
    tolerance: float,
    direction: str,
    level: float,
    paper_spread: float | None,
    paper_seeds: int | None,
) -> ValueVerdict:
    """One seed has no spread of its own; the record's may stand in, with the certainty that its own seeds give."""
    difference = value - printed
    if not paper_spread:
        reason = "one seed has no spread, and the record gives none"
        return ValueVerdict(Verdict.INCONCLUSIVE, reason, value, n=1, difference=difference, more_seeds=2)
    law = stats.t(paper_seeds - 1) if paper_seeds and paper_seeds > 1 else stats.norm
    low, high = printed - tolerance, printed + tolerance
    above_high, above_low = (float(law.cdf((value - edge) / paper_spread)) for edge in (high, low))
    inside = max(above_high, 1 - above_low)
    above, below = (1 - above_high) + (1 - above_low), above_low + above_high
    verdict = verdict_of(inside, above, below, level, direction)
    half = float(law.ppf(1 - level)) * paper_spread
    interval = value - half, value + half
    runs = paper_seeds or 1
    return ValueVerdict(
        verdict,
        explain(verdict, interval, low, high, None, False) + " (one seed, with the paper's spread)",
        value,
        interval,
        1 - 2 * level,
        1,
        difference,
        inside,
        min(above, below),
        2 * float(law.sf(abs(difference) / (paper_spread * math.sqrt(1 + 1 / runs)))),
        None if verdict is not Verdict.INCONCLUSIVE else further_seeds(value, paper_spread, 1, low, high, level),
        paper_spread / math.sqrt(runs) > tolerance,
    )


def explain(
    verdict: Verdict, interval: tuple[float, float], low: float, high: float, more: int | None, futile: bool
) -> str:
    """Why, in one sentence, in the metric's own numbers."""
    ours = f"our interval {interval[0]:.4g} … {interval[1]:.4g}"
    band = f"{low:.4g} … {high:.4g}"
    match verdict:
        case Verdict.MATCH:
            return f"{ours} lies inside {band}"
        case Verdict.MISMATCH_WORSE | Verdict.MISMATCH_BETTER:
            side = "above" if interval[0] > high else "below"
            return f"{ours} lies wholly {side} {band}"
        case _:
            meets = interval[0] <= high and interval[1] >= low
            crosses = "crosses an edge of" if meets else "lies outside, but by too little to tell,"
            text = f"{ours} {crosses} {band}"
    if futile:
        return text + "; the seeds that are left are not expected to decide"
    if more is None:
        return text + f"; not even {MOST_SEEDS} seeds are expected to decide"
    return text + f"; {more} more seed{'s' if more != 1 else ''} should decide"


def one_distribution(
    values: Array, printed: float, paper_spread: float | None = None, paper_seeds: int | None = None
) -> float:
    """p-value of "the printed number, a mean over its runs, and our seeds are draws of one distribution".

    Without a printed spread ours stands for both (the t prediction interval); with one, Welch's test of the two means.
    """
    n, runs = len(values), paper_seeds or 1
    spread = float(values.std(ddof=1)) if (values != values[0]).any() else 0.0
    difference = abs((float(values.mean()) if spread else float(values[0])) - printed)
    if paper_spread and runs > 1:
        if spread == 0:
            return 2 * float(stats.t.sf(difference / (paper_spread / math.sqrt(runs)), runs - 1))
        mean = float(values.mean())
        welch = stats.ttest_ind_from_stats(mean, spread, n, printed, paper_spread, runs, equal_var=False)
        return float(welch.pvalue)
    error = spread * math.sqrt(1 / n + 1 / runs)
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return 2 * float(stats.t.sf(difference / error, n - 1))


def further_seeds(mean: float, spread: float, n: int, low: float, high: float, level: float) -> int | None:
    """Further seeds after which EXPECTED_POWER of such rows are decided, if mean and spread are the true ones.

    By the two half-widths of a power calculation on the t scale; None if more than MOST_SEEDS were needed.
    """
    room = min(mean - low, high - mean) if low <= mean <= high else max(low - mean, mean - high)
    if room <= 0 or spread == 0:
        return None
    power = EXPECTED_POWER
    if low < mean < high and abs((mean - low) - (high - mean)) < 0.5 * room:
        power = (1 + EXPECTED_POWER) / 2  # in the middle both edges must be cleared
    first = max(n + 1, 2)
    m = np.arange(first, MOST_SEEDS + 1)
    enough = (special.stdtrit(m - 1, 1 - level) + special.ndtri(power)) * spread / np.sqrt(m) <= room
    return int(m[enough][0]) - n if enough.any() else None


def chance_to_decide(mean: Array, spread: Array, n: int, most: int, low: float, high: float, level: float) -> Array:
    """Predictive chance that a row is decided once `most` seeds are there, given what the first n say; any shape.

    The mean of all is predicted by Student's t around ours (flat prior); the final interval has our spread. At the
    last look nothing is left to come, so the chance is 0.
    """
    if most <= n:
        return np.zeros_like(mean)
    half = special.stdtrit(most - 1, 1 - level) * spread / math.sqrt(most)
    error = spread * math.sqrt(1 / n - 1 / most)

    def below(edge: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (edge - mean) / error
        return np.asarray(special.stdtr(n - 1, np.where(np.isnan(t), 0.0, t)))

    inside = np.maximum(0.0, below(high - half) - below(low + half))
    return np.where(spread == 0, 1.0, 1 - below(high + half) + below(low - half) + inside)
