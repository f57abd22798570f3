"""Run folders of a small paper, written as training would leave them, and its reference table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from repro.phases.measured import FromFiles
from repro.reference import parse_table
from repro.tracking.run_folder import RunFolder

SOURCE = "a81f0c22d9e4"
TABLE = """\
paper: small
records:
  # the only printed result
  score:
    kind: value
    label: "score <b>ü</b>"
    group: Table 1
    value: "94.0"
    direction: higher
    metric: score
    split: test
    where: Table 1
    confirmed: confirmed
    tolerance: {value: 0.5, reason: one run}
  course:
    kind: curve
    setting: analogue
    label: loss while training
    group: Recorded
    direction: lower
    metric: loss
    split: validation
    where: an accepted run
    confirmed: computed
    tolerance: {value: 0.5, reason: a test}
    points: [[10, 3.0], [20, 2.0], [30, 1.0]]

consistency: {}
"""


def settings(**changes: Any) -> dict[str, Any]:
    """A resolved configuration; `changes` are dotted keys with __ for the dot."""
    config: dict[str, Any] = {
        "paper": {"name": "small", "title": "Small", "reference": "small"},
        "scale": {"name": "laptop"},
        "dataset": {"name": "toy"},
        "model": {"width": 8, "positions": "sinusoidal"},
        "loss": {"smoothing": 0.1},
        "training": {"rate": 0.1},
        "ablations": {"no_positions": {"changes": {"model.positions": "none"}, "says": ""}},
        "gauntlet": {
            "learning_rate": {"parameter": "training.rate", "trials": 3, "updates": 10},
            "ablations": {"seeds": 3, "updates": 20},
        },
        "reproduction": {"seeds": 3, "max_seeds": 3, "first_seed": 0, "confidence": 0.95, "updates": 30},
    }
    for key, value in changes.items():
        at = config
        *path, last = key.split("__")
        for part in path:
            at = at.setdefault(part, {})
        at[last] = value
    return config


def make(
    runs_folder: Path,
    run: str,
    scores: Mapping[int, float | None],
    config: Mapping[str, Any] | None = None,
    *,
    source: str = SOURCE,
    overrides: Sequence[str] = ("paper=small",),
    statuses: Mapping[int, str] | None = None,
    losses: Mapping[int, Sequence[float]] | None = None,
) -> RunFolder:
    """A run with one process a seed; a score of None leaves metrics.json out."""
    about = {"title": "Small", "scale": "laptop", "data": "toy", "overrides": list(overrides), "harness_version": "0"}
    folder = RunFolder.create(runs_folder, "small", run, about, yaml.safe_dump(dict(config or settings())))
    folder.use_code(source, {"python": "3.11", "torch": "2.0"})
    for seed, score in scores.items():
        store = folder.process(f"seed-{seed}")
        status = (statuses or {}).get(seed, "finished")
        with store:
            store.begin({"process": f"seed-{seed}", "kind": "reproduction", "seed": seed, "name": "", "updates": 30})
            for place, loss in enumerate((losses or {}).get(seed, (3.0, 2.0, 1.0)), 1):
                store.append(10 * place, "validation", {"loss": loss})
            if score is not None:
                store.write_metrics({"score": score}, update=30)
            store.end(status, error="loss is NaN" if status == "diverged" else "", update=30)
    return folder


def judged_from(folder: RunFolder, config: Mapping[str, Any] | None = None, table: str = TABLE) -> FromFiles:
    return FromFiles(dict(config or settings()), folder, parse_table(table), folder.evidence)


def study(runs: Mapping[str, Mapping[int, Mapping[str, float]]], updates: int = 20) -> dict[str, Any]:
    """An ablation study as studies/<name>.json holds it."""
    trials = [
        {"params": {"ablation": name}, "metrics_by_seed": {str(seed): dict(m) for seed, m in seeds.items()}}
        for name, seeds in runs.items()
    ]
    return {"study": "ablation", "kind": "ablation", "updates": updates, "trials": trials}
