"""Error rates that hold although seeds are added until a row is decided.

A look is a number of seeds at which the row is judged. Judged at every look with the level of a single test, a false
verdict gets several chances: for looks at 3, 6 and 9 seeds 5 % becomes 9 %. So each look has a nominal level:

    nominal(k) = c · (n_k / n_last)^SHAPE,

with c such that the chance of ever crossing, for normal seeds whose true mean lies on the edge, is the level asked for.
SHAPE 0 is Pocock's boundary (1977); larger values spend less on the first looks, which with two or three seeds can
seldom decide. c is found by simulating paths of Student's t at exactly the looks used, with a fixed seed; the
boundaries that textbooks give assume a known variance and err by several points at such small n.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]

SHAPE = 0.75
#: Simulated paths. The level's Monte-Carlo error at 5 % is √(.05 · .95 / PATHS) = 0.0005; c is lowered by two of these.
PATHS = 200_000
#: Below this level too few paths cross; nominal levels then share it out (Bonferroni), which always holds.
SMALLEST_SIMULATED = 0.004


def plan(first: int, batch: int, most: int) -> tuple[int, ...]:
    """Looks after `first` seeds (at least 2) and after every further `batch` of seeds, the last at `most`."""
    first, batch = max(2, first), max(1, batch)
    if most <= first:
        return (max(2, most),)
    looks = list(range(first, most, batch))
    return (*looks, most)


@lru_cache(maxsize=128)
def levels(looks: tuple[int, ...], level: float, shape: float = SHAPE) -> tuple[float, ...]:
    """Nominal one-sided level at each look, so that the chance of crossing at any of them is at most `level`.

    Raises ValueError for looks that do not increase or begin below two seeds.
    """
    if not looks or looks[0] < 2 or any(b <= a for a, b in itertools.pairwise(looks)):
        raise ValueError(f"got looks {looks}, need increasing numbers of seeds from 2 on")
    if len(looks) == 1:
        return (level,)
    weights = (np.array(looks) / looks[-1]) ** shape
    if level < SMALLEST_SIMULATED:
        shared: list[float] = (level * weights / weights.sum()).tolist()
        return tuple(shared)
    smallest = smallest_weighted_p(looks, shape)
    safe = level - 2 * np.sqrt(level * (1 - level) / PATHS)
    c = float(np.quantile(smallest, safe, method="lower"))
    return tuple(min(level, nominal) for nominal in (c * weights).tolist())


@lru_cache(maxsize=16)
def smallest_weighted_p(looks: tuple[int, ...], shape: float) -> Array:
    """For each simulated path at the edge: the smallest p-value over the looks, each divided by its weight."""
    smallest = np.full(PATHS, np.inf)
    for look, p in simulated_p_values(looks):
        smallest = np.minimum(smallest, p / (look / looks[-1]) ** shape)
    return smallest


def simulated_p_values(looks: tuple[int, ...]) -> Iterator[tuple[int, Array]]:
    """At each look the p-values [paths] of normal seeds whose true mean lies on the edge, always the same paths."""
    generator = np.random.default_rng(1977)
    mean, squares, n = np.zeros(PATHS), np.zeros(PATHS), 0
    for look in looks:
        more = look - n
        # mean and sum of squares of the new seeds, merged with the old ones (Chan, Golub and LeVeque 1979)
        batch_mean = generator.standard_normal(PATHS) / np.sqrt(more)
        batch_squares = generator.chisquare(more - 1, PATHS) if more > 1 else np.zeros(PATHS)
        gap = batch_mean - mean
        squares = squares + batch_squares + gap**2 * n * more / look
        mean, n = mean + gap * more / look, look
        t = mean * np.sqrt(look * (look - 1) / squares)
        yield look, special.stdtr(look - 1, t)


@lru_cache(maxsize=16)
def chance_with_added(planned: tuple[int, ...], added: tuple[int, ...], level: float) -> float:
    """Chance of a false verdict where looks were added after the planned ones had been seen.

    The planned looks were judged at levels that spend all of `level`; then all looks are judged as if they had been
    planned together.
    """
    together = tuple(sorted({*planned, *added}))
    at = dict(zip(together, levels(together, level), strict=True))
    for look, nominal in zip(planned, levels(planned, level), strict=True):
        at[look] = max(at[look], nominal)
    crossed = np.zeros(PATHS, dtype=bool)
    for look, p in simulated_p_values(together):
        crossed |= p <= at[look]
    return float(crossed.mean())
