"""How likely is it, after n seeds, that the true mean lies above an edge? One answer for each declared method.

The unknown is always the arithmetic mean over seeds on the metric's own scale. A method names a scale on which values
are close to normal; there the mean and spread have Student's and chi-square's exact laws, and these are carried back:

- normal: the values themselves; the classical t interval.
- log: ln(x − bound), for values that crowd at one bound and have a long tail (perplexity, times).
- logit: ln((x − low) / (high − x)), for shares between two bounds, both within reach.
- cube_root: (distance from the bound)^(1/3), for values that crowd at one bound of two (accuracy near 1). A gamma
  variable's cube root is close to normal (Wilson and Hilferty 1931).

The transformed methods are generalised confidence intervals: log by Krishnamoorthy and Mathew (2003, Journal of
Statistical Planning and Inference 115), cube_root by Krishnamoorthy, Mathew and Mukherjee (2008, Technometrics 50).
With y = g(x), its mean m and standard deviation s, draw σ = s √((n−1)/χ²) and μ = m − Z σ/√n, and look at
E g⁻¹(N(μ, σ²)).

A declared shape is never quite the true one: alone, log errs 8 % on one side for two lognormal seeds and cube_root 7 %
for three Beta(95, 5) seeds, on the side where the t interval errs little, and the other way round. So a transformed
method claims only what the t interval claims too, and its interval is the hull of both. That keeps the error rates,
costs little where the skew is mild, and guards against a method declared in vain (see scripts/calibration.py).

Axes: seeds are the last axis of every array of samples and reduced by `summarise`; axes before it are separate rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]

#: Midpoints of equal probability that stand for the chi-square law. 256 leave less than 0.0005 in a tail of 0.05.
CHI_SQUARE_POINTS = 256
#: Midpoints that stand for the normal law inside the mean of a logit-normal variable.
NORMAL_POINTS = 128
#: Grid of spreads on the logit scale, and of μ in units in which the logit of the mean is nearly a straight line
#: (E expit(N(μ, σ²)) ≈ expit(μ / √(1 + πσ²/8)), MacKay 1992), between which the mean's inverse is interpolated.
LOGIT_SPREADS = np.geomspace(1e-3, 1e3, 121)
LOGIT_GRID = np.linspace(-30.0, 30.0, 241)
LOGIT_SHRINKAGE = np.sqrt(1 + np.pi * LOGIT_SPREADS**2 / 8)


@dataclass(frozen=True)
class Scale:
    """A declared method with its bounds; `low` or `high` is None where the metric has no bound on that side."""

    method: str = "normal"
    low: float | None = None
    high: float | None = None

    @property
    def mirrored(self) -> bool:
        """Whether the one bound is the upper one, so that the distance from it is what is transformed."""
        return self.method in ("log", "cube_root") and self.low is None and self.high is not None

    @property
    def bound(self) -> float:
        """The bound that log and cube_root measure from; 0 where none is declared."""
        if self.mirrored:
            assert self.high is not None
            return self.high
        return 0.0 if self.low is None else self.low

    def forward(self, x: Array) -> Array:
        """Values on the scale where they are close to normal; infinite or NaN for a value on or beyond a bound."""
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.method == "normal":
                return np.asarray(x, dtype=np.float64)
            if self.method == "logit":
                assert self.low is not None and self.high is not None
                return np.log(np.asarray(x) - self.low) - np.log(self.high - np.asarray(x))
            distance = self.bound - np.asarray(x) if self.mirrored else np.asarray(x) - self.bound
            if self.method == "log":
                return np.log(distance)
            return np.where(distance > 0, np.cbrt(distance), np.nan)

    def centre(self, edge: float, spread: Array) -> Array:
        """The μ at which E g⁻¹(N(μ, spread²)) equals `edge`; −inf for an edge at or below the reachable range."""
        if self.method == "normal":
            return np.full_like(spread, edge)
        if self.method == "logit":
            assert self.low is not None and self.high is not None
            share = (edge - self.low) / (self.high - self.low)
            if not 0 < share < 1:
                return np.full_like(spread, -np.inf if share <= 0 else np.inf)
            return np.interp(np.log(spread), np.log(LOGIT_SPREADS), logit_centres(share))
        distance = self.bound - edge if self.mirrored else edge - self.bound
        if distance <= 0:
            return np.full_like(spread, -np.inf)
        if self.method == "log":
            return np.log(distance) - spread**2 / 2
        # μ³ + 3 spread² μ = distance, whose one real root is in closed form
        return 2 * spread * np.sinh(np.arcsinh(distance / (2 * spread**3)) / 3)

    def above(self, mean: Array, spread: Array, n: int, edge: float) -> Array:
        """Probability that the true mean exceeds `edge`, given n seeds' mean and spread (ddof 1) of forward(x).

        1 minus it is the p-value of "the true mean is at least `edge`" read as a one-sided test, and it itself that of
        "at most". n must be at least 2 and spread positive.
        """
        mean, spread = np.asarray(mean, dtype=np.float64), np.asarray(spread, dtype=np.float64)
        if self.method == "normal":
            return above_by_t(mean, spread, n, edge)
        total = np.zeros(np.broadcast(mean, spread).shape)
        for factor in spread_factors(n - 1):
            sigma = spread * factor
            total += special.ndtr((mean - self.centre(edge, sigma)) * np.sqrt(n) / sigma)
        total /= CHI_SQUARE_POINTS
        return 1 - total if self.mirrored else total

    def interval(self, mean: float, spread: float, n: int, side: float) -> tuple[float, float]:
        """The interval of the true mean with probability `side` outside on each side."""
        if self.method == "normal":
            half = float(special.stdtrit(n - 1, 1 - side) * spread / np.sqrt(n))
            return mean - half, mean + half
        return self.limit(mean, spread, n, 1 - side), self.limit(mean, spread, n, side)

    def limit(self, mean: float, spread: float, n: int, probability: float) -> float:
        """The edge that the true mean exceeds with `probability`, by bisection on the scale of distances."""
        m, s = np.array(mean), np.array(spread)
        if self.method == "logit":
            assert self.low is not None and self.high is not None
            low, width = self.low, self.high - self.low

            def edge(at: float) -> float:
                return low + width * float(special.expit(at))

        else:

            def edge(at: float) -> float:
                return self.bound - float(np.exp(at)) if self.mirrored else self.bound + float(np.exp(at))

        a, b = -700.0, 700.0
        falls = not self.mirrored
        for _ in range(80):
            middle = (a + b) / 2
            if (float(self.above(m, s, n, edge(middle))) > probability) == falls:
                a = middle
            else:
                b = middle
        return edge((a + b) / 2)


NORMAL = Scale()


@dataclass(frozen=True)
class Summary:
    """What n seeds say: means and spreads (ddof 1) of the values and of the values on the declared scale."""

    scale: Scale
    n: int
    mean: Array
    spread: Array
    scaled_mean: Array
    scaled_spread: Array

    def p_both(self, edge: float) -> tuple[Array, Array]:
        """One-sided p-values of the claims "the true mean lies below `edge`" and "above `edge`" (small: it holds)."""
        above = above_by_t(self.mean, self.spread, self.n, edge)
        below = 1 - above
        if self.scale.method == "normal":
            return above, below
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = self.scale.above(self.scaled_mean, self.scaled_spread, self.n, edge)
        # without any spread both scales say the same; NaN marks a value on a bound, which no transformation can carry
        flat, lost = self.spread == 0, np.isnan(scaled)
        if_above = np.where(flat, above, np.where(lost, 1.0, np.maximum(above, scaled)))
        if_below = np.where(flat, below, np.where(lost, 1.0, np.maximum(below, 1 - scaled)))
        return if_above, if_below

    def p_below(self, edge: float) -> Array:
        """One-sided p-value of the claim "the true mean lies below `edge`"."""
        return self.p_both(edge)[0]

    def p_above(self, edge: float) -> Array:
        """One-sided p-value of the claim "the true mean lies above `edge`"."""
        return self.p_both(edge)[1]

    def interval(self, side: float) -> tuple[float, float]:
        """The interval of the true mean with probability `side` outside on each side; for one row."""
        mean, spread = float(self.mean), float(self.spread)
        low, high = NORMAL.interval(mean, spread, self.n, side)
        if self.scale.method != "normal" and spread > 0:
            scaled_mean, scaled_spread = float(self.scaled_mean), float(self.scaled_spread)
            if not np.isfinite(scaled_spread):
                return -np.inf if self.scale.low is None else self.scale.low, (
                    np.inf if self.scale.high is None else self.scale.high
                )
            other = self.scale.interval(scaled_mean, scaled_spread, self.n, side)
            low, high = min(low, other[0]), max(high, other[1])
        return low, high


def summarise(samples: Array, scale: Scale = NORMAL) -> Summary:
    """Reduce samples [..., seeds] (at least two seeds) to a Summary."""
    samples = np.asarray(samples, dtype=np.float64)
    n = samples.shape[-1]
    if n < 2:
        raise ValueError(f"got {n} seeds, need at least 2: one value has no spread")
    scaled = scale.forward(samples)
    with np.errstate(invalid="ignore"):
        mean, spread = samples.mean(-1), samples.std(-1, ddof=1)
        # the mean of three 0.1 is not 0.1: equal values must leave neither a spread nor a difference by rounding
        equal = (samples == samples[..., :1]).all(-1)
        mean, spread = np.where(equal, samples[..., 0], mean), np.where(equal, 0.0, spread)
        return Summary(scale, n, mean, spread, scaled.mean(-1), scaled.std(-1, ddof=1))


def above_by_t(mean: Array, spread: Array, n: int, edge: float) -> Array:
    """Probability that the true mean exceeds `edge` by Student's t; 0, 1 or ½ where there is no spread."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (mean - edge) * np.sqrt(n) / spread
    return np.asarray(special.stdtr(n - 1, np.where(np.isnan(t), 0.0, t)))


@lru_cache(maxsize=256)
def spread_factors(degrees: int) -> tuple[float, ...]:
    """√(degrees / χ²) at the midpoints of CHI_SQUARE_POINTS classes of equal probability."""
    probabilities = (np.arange(CHI_SQUARE_POINTS) + 0.5) / CHI_SQUARE_POINTS
    return tuple(np.sqrt(degrees / special.chdtri(degrees, 1 - probabilities)).tolist())


@lru_cache(maxsize=256)
def logit_centres(share: float) -> Array:
    """For each of LOGIT_SPREADS the μ with E expit(N(μ, spread²)) = share, interpolated in `logit_means`."""
    table = logit_means()
    target = special.logit(share)
    return np.array([np.interp(target, row, LOGIT_GRID) for row in table]) * LOGIT_SHRINKAGE


@lru_cache(maxsize=1)
def logit_means() -> Array:
    """logit E expit(N(μ, spread²)) for each of LOGIT_SPREADS (rows) and μ = LOGIT_GRID · LOGIT_SHRINKAGE (columns)."""
    z = special.ndtri((np.arange(NORMAL_POINTS) + 0.5) / NORMAL_POINTS)
    rows = []
    for spread, shrinkage in zip(LOGIT_SPREADS, LOGIT_SHRINKAGE, strict=True):
        rows.append(special.logit(special.expit(LOGIT_GRID[:, None] * shrinkage + spread * z).mean(axis=1)))
    return np.array(rows)
