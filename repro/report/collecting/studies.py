"""The learning-rate sweep and the measured effects of ablations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.report import tree
from repro.report.collecting.values import number, pair, whole
from repro.tracking.files import read_json


def rate_study(source: Path | None, config: Mapping[str, Any]) -> tree.RateStudy | None:
    """The sweep over learning rates, lowest first; None where the gauntlet made none."""
    study = read_json(source / "studies" / "learning_rate.json") if source else None
    if study is None:
        return None
    trials: list[tree.Trial] = []
    for entry in study.get("trials", ()):
        params = entry.get("params") or {}
        rate = number(params.get("learning_rate") or next(iter(params.values()), None))
        if rate is None or not rate > 0:
            continue
        value = number(entry.get("value"))
        trials.append(
            tree.Trial(
                number=int(entry.get("number", len(trials))),
                rate=rate,
                value=value if value is not None and math.isfinite(value) else None,
                state=str(entry.get("state", "")).lower(),
                error=str(entry.get("error") or ""),
            )
        )
    return tree.RateStudy(
        objective=str(study.get("objective") or "loss"),
        direction=str(study.get("direction") or "minimize"),
        trials=tuple(sorted(trials, key=lambda trial: trial.rate)),
        usable=pair(study.get("usable")),
        paper=number(study.get("paper_value")),
        updates=whole((study.get("definition") or {}).get("updates")),
        full_updates=whole((config.get("reproduction") or {}).get("updates")),
    )


def effects(source: Path | None, verdict: Mapping[str, Any]) -> tuple[tree.Effect, ...]:
    """The effects that the ablation study found: metrics that a claim names first, in each the largest first."""
    study = read_json(source / "studies" / "ablation.json") if source else None
    if study is None:
        return ()
    runs = {str(run.get("name")): run for run in study.get("runs", ())}
    bases: dict[str, list[float]] = {}
    for trial in study.get("trials", ()):
        if (trial.get("params") or {}).get("ablation") == "baseline":
            for metrics in (trial.get("metrics_by_seed") or {}).values():
                for metric, value in metrics.items():
                    if (amount := number(value)) is not None and math.isfinite(amount):
                        bases.setdefault(metric, []).append(amount)
    named = [str(entry.get("metric")) for entry in verdict.get("rows", ()) if entry.get("kind") == "claim"]
    order = list(dict.fromkeys([*named, *bases]))
    result = []
    for entry in study.get("effects", ()):
        run = runs.get(str(entry.get("name")), {})
        metric = str(entry.get("metric", ""))
        lost = [str(seed) for seed in entry.get("missing") or ()]
        missing = f"without {'seed' if len(lost) == 1 else 'seeds'} {', '.join(lost)}" if lost else ""
        if missing and run.get("state") not in (None, "complete"):
            missing += f": {run.get('state')} {run.get('error') or ''}".rstrip()
        base = bases.get(metric, [])
        result.append(
            tree.Effect(
                name=str(entry.get("name", "")),
                metric=metric,
                changes=", ".join(f"{key}={value}" for key, value in sorted((run.get("changes") or {}).items())),
                says=str(run.get("says") or ""),
                differences=tuple(one for one in map(number, (entry.get("values") or {}).values()) if one is not None),
                mean=number(entry.get("mean")),
                interval=pair(entry.get("interval")),
                confidence=number(entry.get("confidence")),
                baseline=math.fsum(base) / len(base) if base else None,
                missing=missing,
            )
        )
    place = {metric: index for index, metric in enumerate(order)}
    return tuple(
        sorted(result, key=lambda one: (place.get(one.metric, len(place)), one.mean is None, -abs(one.mean or 0.0)))
    )
