"""Metrics over training: the points of each seed, and beside them what the paper prints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from repro.arithmetic import evaluate
from repro.report import tree
from repro.tracking.store import ProcessStore, metrics_of

MOST_POINTS = 120  # a seed and a metric; the page says how many were recorded


def panels(
    processes: list[dict[str, Any]], rows: tuple[tree.Row, ...], steps: Mapping[str, Any] = MappingProxyType({})
) -> tuple[tree.Panel, ...]:
    """One panel for each metric, split and system of the reproduction: evaluation first, then losses, then the rest."""
    unit, per_update = axis_of(steps)
    seeds: dict[tuple[str, str, str], list[tuple[dict[str, Any], dict[int, float]]]] = {}
    for process in processes:
        for (split, metric), values in trajectory(process["folder"]).items():
            seeds.setdefault((str(process.get("name") or ""), split, metric), []).append((process, values))
    result = []
    for (system, split, metric), found in seeds.items():
        # a seed that diverged or still runs would cut the mean short, so the mean is of those that ended as planned
        whole = [values for process, values in found if process.get("status") == "finished"] or [
            values for _, values in found
        ]
        shared = sorted(set.intersection(*map(set, whole)))
        grid = thin(shared)
        curves = []
        for process, values in found:
            own = sorted(values)
            # seeds that recorded the same updates share the thinned grid, so that the mean passes between them
            chosen = grid if len(own) == len(shared) else thin(own)
            curves.append(
                tree.Curve(
                    seed=int(process.get("seed") or 0),
                    points=tuple((at, values[at]) for at in chosen),
                    recorded=len(own),
                    status=str(process.get("status", "finished")),
                )
            )
        mean = tuple((at, math.fsum(values[at] for values in whole) / len(whole)) for at in grid)
        about = [one for one in rows if (one.metric, one.system) == (metric, system)]
        printed = tuple(
            (one.where or one.group or "paper", one.paper, one.tolerance)
            for one in about
            if one.counted and one.paper is not None and one.n and (split != "train" or one.split == "train")
        )
        if len(printed) > 2:  # many lines: none would say whose it is
            printed = ()
        curve = next((one for one in about if one.kind == "curve" and one.split == split and one.n), None)
        result.append(
            tree.Panel(
                metric,
                split,
                tuple(curves),
                mean,
                printed,
                system,
                curve.points if curve else (),
                ("printed in the paper" if curve.counted else "recorded from a run of ours") if curve else "",
                unit,
                per_update,
                any(one.counted and one.split == split for one in about),
                about[0].direction if about else "",
            )
        )
    return tuple(sorted(result, key=panel_order))


def panel_order(panel: tree.Panel) -> tuple[int, str, str, str]:
    """What the paper reports and evaluation metrics before losses of evaluation, training losses, and the rest."""
    loss = "loss" in panel.metric or "total" in panel.metric
    held_out = panel.split != "train"
    if panel.metric.startswith(("learning_rate", "lr", "gradient", "grad", "time", "tokens")):
        rank = 5
    elif panel.reported:
        rank = 0
    elif held_out:
        rank = 1 if loss else 0
    else:
        rank = 2 if panel.metric in ("total", "loss", "loss.total") else 3 if loss else 4
    return rank, panel.split, panel.metric, panel.system


def trajectory(folder: Path) -> dict[tuple[str, str], dict[int, float]]:
    """(split, metric) → {update: value} of one process, from the rows that hold after every resume."""
    series: dict[tuple[str, str], dict[int, float]] = {}
    for entry in ProcessStore(folder).rows:
        for metric, value in metrics_of(entry).items():
            if value is not None:
                series.setdefault((entry["split"], metric), {})[entry["update"]] = value
    return series


def thin(updates: list[int], most: int = MOST_POINTS) -> list[int]:
    """At most `most` of the updates, evenly spaced, first and last kept."""
    if len(updates) <= most:
        return updates
    step = (len(updates) - 1) / (most - 1)
    return [updates[round(place * step)] for place in range(most)]


def axis_of(steps: Mapping[str, Any]) -> tuple[str, float]:
    """What trajectories are drawn over and how much of it an update is, as `paper.steps` of a configuration says."""
    if not steps:
        return "updates", 1.0
    return str(steps["unit"]), float(evaluate(str(steps["per_update"]), steps.get("names") or {}))
