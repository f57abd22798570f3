"""How often is a rule wrong? Monte-Carlo rates of our verdicts and of the rules that other tools use.

Everything is measured in standard deviations of the metric over seeds: the printed number is moved so that the true
mean lies where the question puts it. Axes of samples: [repeats, seeds].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from repro.verdict.methods import NORMAL, Scale, summarise
from repro.verdict.sequential import levels
from repro.verdict.value import FUTILE, chance_to_decide, p_values

Array = NDArray[np.float64]

OPEN, MATCH, MISMATCH = 0, 1, 2


@dataclass(frozen=True)
class Law:
    """A distribution of a metric over seeds, with its true mean and standard deviation, and the method declared."""

    name: str
    draw: Callable[[np.random.Generator, tuple[int, int]], Array]
    mean: float
    sd: float
    scale: Scale = NORMAL


def lognormal(sigma: float) -> Law:
    mean = math.exp(sigma**2 / 2)
    sd = mean * math.sqrt(math.expm1(sigma**2))
    name = f"lognormal({sigma:g})"
    return Law(name, lambda g, shape: np.exp(sigma * g.standard_normal(shape)), mean, sd, Scale("log", 0.0))


def beta(a: float, b: float) -> Law:
    mean, sd = a / (a + b), math.sqrt(a * b / (a + b + 1)) / (a + b)
    return Law(f"Beta({a:g},{b:g})", lambda g, shape: g.beta(a, b, shape), mean, sd, Scale("cube_root", None, 1.0))


def exponential() -> Law:
    return Law("exponential", lambda g, shape: g.exponential(size=shape), 1.0, 1.0, Scale("cube_root", 0.0))


NORMAL_LAW = Law("normal", lambda g, shape: g.standard_normal(shape), 0.0, 1.0)
#: The shapes that the error rates must hold for at the full level …
LAWS = (
    NORMAL_LAW,
    Law("t3", lambda g, shape: g.standard_t(3, shape), 0.0, math.sqrt(3)),
    beta(95, 5),
    lognormal(0.1),
    lognormal(0.25),
)
#: … and those with stronger skew, where somewhat more is allowed.
SKEWED = (lognormal(0.5), lognormal(1.0), exponential(), beta(99, 1))


@dataclass(frozen=True)
class Rates:
    """Shares of repeats, and the mean number of seeds used."""

    match: float
    mismatch: float
    seeds: float
    repeats: int

    @staticmethod
    def error(rate: float, repeats: int) -> float:
        """Monte-Carlo standard error of a rate."""
        return math.sqrt(max(rate, 1 / repeats) * (1 - min(rate, 1 - 1 / repeats)) / repeats)


def rates(
    law: Law,
    looks: tuple[int, ...],
    tolerance: float,
    shift: float,
    repeats: int,
    generator: np.random.Generator,
    confidence: float = 0.95,
    scale: Scale | None = None,
    futility: bool = True,
) -> Rates:
    """Our verdicts when the true mean lies `shift` tolerances above the printed number; tolerance in sd.

    `scale` replaces the law's declared method. `looks` of one number is the fixed-n design.
    """
    samples = law.draw(generator, (repeats, looks[-1]))
    width = tolerance * law.sd
    printed = law.mean - shift * width
    low, high = printed - width, printed + width
    level = 1 - confidence
    outcome = np.zeros(repeats, dtype=np.int8)
    used = np.full(repeats, looks[-1])
    going = np.arange(repeats)
    for n, nominal in zip(looks, levels(looks, level), strict=True):
        seen = samples[going, :n]
        summary = summarise(seen, law.scale if scale is None else scale)
        inside, above, below = p_values(summary, low, high)
        match = inside <= nominal
        mismatch = ~match & (np.minimum(above, below) <= nominal)
        outcome[going[match]], outcome[going[mismatch]] = MATCH, MISMATCH
        stop = match | mismatch
        if futility:
            stop |= chance_to_decide(summary.mean, summary.spread, n, looks[-1], low, high, level) < FUTILE
        used[going[stop]] = n
        going = going[~stop]
        if not len(going):
            break
    return Rates(float(np.mean(outcome == MATCH)), float(np.mean(outcome == MISMATCH)), float(used.mean()), repeats)


@dataclass(frozen=True)
class Errors:
    """The three errors of a design for one law, each the worse of both sides of the printed number."""

    false_match: float  # true mean at an edge of a wide tolerance
    false_mismatch_equal: float  # true mean on the printed number, narrow tolerance
    false_mismatch_edge: float  # true mean at an edge of a wide tolerance


#: Tolerances, in sd, at which the errors are largest: so wide that only one edge counts, and so narrow that both do.
WIDE, NARROW = 8.0, 0.1


def errors(
    law: Law, looks: tuple[int, ...], repeats: int, generator: np.random.Generator, scale: Scale | None = None
) -> Errors:
    """Error rates of our verdicts; without futility stops, which could only lower them."""

    def at(tolerance: float, shift: float) -> Rates:
        return rates(law, looks, tolerance, shift, repeats, generator, scale=scale, futility=False)

    upper, lower, equal = at(WIDE, 1.0), at(WIDE, -1.0), at(NARROW, 0.0)
    return Errors(max(upper.match, lower.match), equal.mismatch, max(upper.mismatch, lower.mismatch))


# the rules of other tools -------------------------------------------------------------------------------------


def not_significant(ours: Array, paper: Array, tolerance: float) -> NDArray[np.bool_]:
    """PyKEEN: "reproduced" when a t-test of our runs against the paper's one value has p ≥ 0.01."""
    n = ours.shape[1]
    t = np.abs(ours.mean(1) - paper[:, 0]) * math.sqrt(n) / ours.std(1, ddof=1)
    return np.asarray(2 * stats.t.sf(t, n - 1) >= 0.01)


def ranges_overlap(ours: Array, paper: Array, tolerance: float) -> NDArray[np.bool_]:
    """Harbor: "parity" when the ranges of both sides' runs overlap."""
    return np.asarray((ours.max(1) >= paper.min(1)) & (paper.max(1) >= ours.min(1)))


def fixed_band(ours: Array, paper: Array, tolerance: float) -> NDArray[np.bool_]:
    """mmpretrain, mmdeploy: the mean lies within ±tolerance, whatever the spread."""
    return np.asarray(np.abs(ours.mean(1) - paper.mean(1)) <= tolerance)


def prediction_interval(ours: Array, paper: Array, tolerance: float) -> NDArray[np.bool_]:
    """CORE-bench: the paper's one value lies in the 95 % prediction interval of our runs."""
    n = ours.shape[1]
    half = special.stdtrit(n - 1, 0.975) * ours.std(1, ddof=1) * math.sqrt(1 + 1 / n)
    return np.asarray(np.abs(ours.mean(1) - paper[:, 0]) <= half)


PEERS: Mapping[str, Callable[[Array, Array, float], NDArray[np.bool_]]] = {
    "t-test p ≥ .01": not_significant,
    "ranges overlap": ranges_overlap,
    "fixed band": fixed_band,
    "95 % prediction": prediction_interval,
}


def peer_rates(
    n: int, shift: float, tolerance: float, repeats: int, generator: np.random.Generator, exact: bool = True
) -> dict[str, float]:
    """How often each peer's rule says "fine" when our true mean lies `shift` tolerances above the paper's.

    Normal with sd 1. `exact`: the paper's value is its true mean (except where a rule needs its n runs); else one run.
    """
    ours = generator.standard_normal((repeats, n)) + shift * tolerance
    runs = generator.standard_normal((repeats, n))
    one = np.zeros((repeats, 1)) if exact else generator.standard_normal((repeats, 1))
    said = {name: rule(ours, runs if rule is ranges_overlap else one, tolerance) for name, rule in PEERS.items()}
    return {name: float(np.mean(fine)) for name, fine in said.items()}
