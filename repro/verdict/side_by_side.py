"""Scores of several tasks side by side: each task's mean over seeds, and one number over all that can be normalised.

Pure: scores by task and seed in, frozen records out. A score is normalised as (score − low) / (high − low): 0 is what a
random policy gets, 1 what is documented.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from repro.verdict.aggregate import AXES, Aggregate, aggregate, by_task, interquartile_mean, normalised
from repro.verdict.methods import NORMAL, Scale, summarise


@dataclass(frozen=True)
class Scores:
    """What was measured of one task: `values` by seed; `fault` says why its mean would mislead, "" if it does not."""

    task: str
    values: Mapping[int, float]
    low: float | None = None
    high: float | None = None
    scale: Scale = NORMAL
    fault: str = ""


@dataclass(frozen=True)
class TaskResult:
    """A task's mean over seeds with its t interval (None with fewer than two seeds), as measured and normalised.

    `why_not` says why the aggregate does not count the task, "" if it does.
    """

    task: str
    mean: float | None
    interval: tuple[float, float] | None
    normalised: Mapping[int, float]
    why_not: str = ""


@dataclass(frozen=True)
class SideBySide:
    """All tasks, and the aggregate over those with a scale; None with its reason in `why_none`."""

    tasks: tuple[TaskResult, ...]
    aggregate: Aggregate | None
    why_none: str = ""


def side_by_side(tasks: Sequence[Scores], generator: np.random.Generator, confidence: float = 0.95) -> SideBySide:
    """Compare tasks; the aggregate is the interquartile mean with its stratified bootstrap interval."""
    results = tuple(result_of(one, confidence) for one in tasks)
    counted = {one.task: one.normalised for one in results if not one.why_not}
    if len(counted) < 2:
        have = f"only {next(iter(counted))} can" if counted else "no task can"
        return SideBySide(results, None, f"{have} be normalised, and an aggregate needs two")
    scores, names, seeds, notes = by_task(counted)
    if not seeds:
        return SideBySide(results, None, "the tasks have no seed in common")
    if len(seeds) == 1:
        value = float(interquartile_mean(scores.reshape(-1)))
        notes = (*notes, "one seed a task has no spread, so no interval can be given")
        nothing = (math.nan, math.nan)
        return SideBySide(results, Aggregate(value, nothing, confidence, "interquartile_mean", 1, len(names), notes))
    found = aggregate(scores, generator, axes=AXES, confidence=confidence)
    whole = Aggregate(
        found.value, found.interval, confidence, found.statistic, found.seeds, found.tasks, (*notes, *found.notes)
    )
    return SideBySide(results, whole)


def result_of(one: Scores, confidence: float) -> TaskResult:
    if one.fault:
        return TaskResult(one.task, None, None, {}, one.fault)
    values = list(one.values.values())
    bad = sorted(seed for seed, value in one.values.items() if not math.isfinite(value))
    if bad:
        return TaskResult(one.task, None, None, {}, f"seed {', '.join(map(str, bad))} gave a score that is not finite")
    mean = math.fsum(values) / len(values)
    interval = summarise(np.array(values), one.scale).interval((1 - confidence) / 2) if len(values) > 1 else None
    if one.low is None or one.high is None:
        return TaskResult(one.task, mean, interval, {}, "the reference table gives no scale for it")
    if one.low == one.high:
        return TaskResult(one.task, mean, interval, {}, "a random policy and the documented result score the same")
    low, high = one.low, one.high
    scaled = {seed: normalised(value, low, high) for seed, value in one.values.items()}
    return TaskResult(one.task, mean, interval, scaled)
