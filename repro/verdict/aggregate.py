"""Many tasks, few seeds: the interquartile mean over tasks and seeds, with a stratified bootstrap interval.

After Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (section 4.2 and
appendix A): scores of all tasks and seeds are pooled, a quarter is cut off at each end; the bootstrap draws seeds
again within each task, since tasks are fixed and seeds are what could have been otherwise. Seeds, not episodes, are
replicated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

AXES = ("seed", "task")
STATISTICS = ("interquartile_mean", "mean", "median")
#: Below this many seeds a task a percentile interval is clearly too narrow: it sees few distinct values.
FEW_SEEDS = 5
REPEATS = 2_000
#: Scores that one block of the bootstrap holds at once.
BLOCK = 4_000_000


@dataclass(frozen=True)
class Aggregate:
    """The statistic over `tasks` × `seeds` scores with its interval; `notes` say what limits it."""

    value: float
    interval: tuple[float, float]
    confidence: float
    statistic: str
    seeds: int
    tasks: int
    notes: tuple[str, ...] = ()


def interquartile_mean(scores: Array) -> Array:
    """Mean of the middle half of the last axis; scores at the cut count with the share of them that lies inside.

    >>> float(interquartile_mean(np.array([0.0, 1.0, 2.0, 100.0])))
    1.5
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64), axis=-1)
    n = ordered.shape[-1]
    place = np.arange(n)
    # score i covers [i, i + 1] of n; the middle half is [n/4, 3n/4]
    weights = np.clip(np.minimum(place + 1, 0.75 * n) - np.maximum(place, 0.25 * n), 0.0, 1.0)
    return np.asarray((ordered * weights).sum(-1) / (0.5 * n))


def aggregate(
    scores: Array,
    generator: np.random.Generator,
    *,
    axes: Sequence[str],
    statistic: str = "interquartile_mean",
    confidence: float = 0.95,
    repeats: int = REPEATS,
) -> Aggregate:
    """The statistic of normalised scores over tasks and seeds, and its stratified bootstrap interval (percentiles).

    Args:
        scores: two axes, every score finite.
        generator: draws the seeds again; the same generator state gives the same interval.
        axes: what the axes of `scores` are: ("seed", "task") or ("task", "seed"). It has no default, because seeds
            taken for tasks give an interval of width zero without any warning.

    Raises:
        ValueError: wrong axes, scores that are not finite, or one seed a task: then nothing can be drawn again.
    """
    array = np.asarray(scores, dtype=np.float64)
    if sorted(axes) != sorted(AXES) or array.ndim != 2:
        raise ValueError(f"got axes {tuple(axes)} for an array of {array.ndim}; need 'seed' and 'task' in their order")
    if statistic not in STATISTICS:
        raise ValueError(f"got {statistic!r}, need one of {', '.join(STATISTICS)}")
    by_seed = array if tuple(axes) == AXES else array.T  # [seed, task]
    seeds, tasks = by_seed.shape
    if not by_seed.size:
        raise ValueError(f"got no scores: {seeds} seeds, {tasks} tasks")
    if not np.isfinite(by_seed).all():
        bad = int((~np.isfinite(by_seed)).sum())
        raise ValueError(
            f"{bad} of {by_seed.size} scores are not finite; a mean of the others would flatter the result"
        )
    if seeds == 1:
        turned = f" If these {tasks} are seeds of one task, the axes are the other way round." if tasks > 1 else ""
        raise ValueError(f"got 1 seed and {tasks} tasks: one seed has no spread, so no interval can be given.{turned}")
    value = float(reduced(by_seed.reshape(1, -1), statistic)[0])
    drawn = bootstrap(by_seed, generator, statistic, repeats)
    tail = (1 - confidence) / 2
    low, high = (float(end) for end in np.quantile(drawn, (tail, 1 - tail)))
    notes = []
    if (by_seed == by_seed[0]).all():
        notes.append(f"all {seeds} seeds gave the same scores: is the seed used?")
    elif low == high:
        notes.append("the interval has no width: too few scores lie in the middle half")
    if seeds < FEW_SEEDS:
        notes.append(f"{seeds} seeds a task: an interval from so few is too narrow")
    return Aggregate(value, (low, high), confidence, statistic, seeds, tasks, tuple(notes))


def reduced(pooled: Array, statistic: str) -> Array:
    """The statistic over the last axis."""
    if statistic == "interquartile_mean":
        return interquartile_mean(pooled)
    return np.asarray(pooled.mean(-1) if statistic == "mean" else np.median(pooled, axis=-1))


def bootstrap(by_seed: Array, generator: np.random.Generator, statistic: str, repeats: int) -> Array:
    """The statistic of `repeats` samples in which each task draws its own seeds again; by_seed is [seed, task]."""
    seeds, tasks = by_seed.shape
    block = max(1, min(repeats, BLOCK // by_seed.size))
    found = []
    for start in range(0, repeats, block):
        count = min(block, repeats - start)
        chosen = generator.integers(seeds, size=(count, seeds, tasks))
        found.append(reduced(by_seed[chosen, np.arange(tasks)].reshape(count, -1), statistic))
    return np.concatenate(found)


def by_task(
    scores: Mapping[str, Mapping[int, float]],
) -> tuple[Array, tuple[str, ...], tuple[int, ...], tuple[str, ...]]:
    """Scores as task → seed → score in an array [seed, task] of the seeds that every task has.

    Returns the array, the tasks, the seeds, and a note for each task with a seed that others lack: it is left out.
    """
    tasks = tuple(scores)
    shared = sorted(set.intersection(*(set(scores[task]) for task in tasks))) if tasks else []
    notes = []
    for task in tasks:
        extra = sorted(set(scores[task]) - set(shared))
        if extra:
            notes.append(f"{task}: seed {', '.join(map(str, extra))} left out, since other tasks lack it")
    array = np.array([[scores[task][seed] for task in tasks] for seed in shared], dtype=np.float64)
    return array.reshape(len(shared), len(tasks)), tasks, tuple(shared), tuple(notes)


def normalised(score: float, low: float, high: float) -> float:
    """A score as a share of the way from `low` (a random policy) to `high` (the reference policy).

    Raises ValueError where the two are equal or not finite.
    """
    if not (math.isfinite(low) and math.isfinite(high)) or low == high:
        raise ValueError(f"got {low:g} and {high:g}; need two different finite scores to measure between")
    return (score - low) / (high - low)
