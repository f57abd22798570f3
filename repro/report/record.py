"""Record the curve of an accepted run into the reference table: what later runs are compared with while they train.

Such a curve is ours and is called that: setting analogue, never one of the printed results.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.configuration.identity import EXCLUDED, flat
from repro.errors import ConfigError, ExitCode, ReproError
from repro.findings import Gate
from repro.report.collecting.trajectories import thin
from repro.tracking.run_folder import RunFolder
from repro.tracking.store import ProcessStore, metrics_of

LEAST_SEEDS = 2
#: Evaluation points of a curve; each costs the band of a comparison a share of its level.
MOST_POINTS = 20
DIGITS = 5


@dataclass(frozen=True)
class Recorded:
    """What was written: the record's id, the file, and its points (update, mean over seeds, tolerance there)."""

    id: str
    path: Path
    points: tuple[tuple[float, float, float], ...]


def record_curve(folder: RunFolder, name: str) -> Recorded:
    """Write the mean trajectory of an accepted run into its paper's table (the current folder's, or the package's).

    `name` is the id of a record (its metric and split are recorded; a curve is recorded anew), or split.metric such as
    validation.loss.

    Raises:
        ConfigError: no such record or trajectory; the paper has no table.
        ReproError: the run is not accepted: a gate or a seed failed, a row mismatches, or too few seeds ended.
    """
    from repro.configuration.folders import reference_table
    from repro.reference import load_table
    from repro.reference.append import write_record

    config = folder.settings
    reference = (config.get("paper") or {}).get("reference")
    if not reference:
        raise ConfigError(
            f"{folder.paper} names no reference table, so there is nowhere to record a curve.",
            "Name one: `paper: {reference: <name>}` for reference_numbers/<name>.yaml.",
        )
    path = reference_table(str(reference))
    table = load_table(path)
    stores = accepted(folder)
    if name in table:
        record = table.record(name)
        split, metric, system, direction = record.split, record.metric, record.system, record.direction
        id = name if record.kind == "curve" else f"{name}_curve"
    else:
        split, _, metric = name.partition(".")
        system = ""
        direction = next((one.direction for one in table.records if one.metric == metric), guessed(metric))
        id = f"curve_{split}_{metric}".lower().replace(".", "_")
    courses = {int(store.record["seed"]): course(store, split, metric) for store in stores
               if str(store.record.get("name") or "") == system}  # fmt: skip
    if not any(courses.values()):
        known = sorted({f"{row['split']}.{one}" for store in stores for row in store.rows for one in metrics_of(row)})
        raise ConfigError(
            f"record={name}: this run recorded no {metric or name!r} on {split!r} while it trained.",
            f"Recorded were: {', '.join(known)}.",
        )
    if len(courses) < LEAST_SEEDS:
        raise ReproError(
            f"{len(courses)} seed ended in this run; a curve needs {LEAST_SEEDS}, so that its spread is known.",
            f"Add seeds: python -m repro run paper={folder.paper} reproduction.max_seeds=3 reproduction.seeds=3",
        )
    points, spreads = mean_curve(courses)
    tolerances = tolerances_of(points, spreads, len(courses))
    whole = tuple((*point, tolerance) for point, tolerance in zip(points, tolerances, strict=True))
    entries = entry(folder, config, metric, split, system, direction, sorted(courses), whole)
    write_record(path, id, entries, f"Recorded from our run {folder.run_id}; to record it anew: {again(folder, id)}")
    return Recorded(id, path, whole)


def again(folder: RunFolder, id: str) -> str:
    return f"python -m repro report run=<run of {folder.paper}> record={id}"


def accepted(folder: RunFolder) -> list[ProcessStore]:
    """The seeds of a run whose curve may stand as a reference; an error says what keeps it from being one."""
    reasons = []
    shut = [phase for phase, one in folder.evidence.items() if one.outcome is Gate.FAILED]
    if shut:
        reasons.append(f"the gate of {', '.join(shut)} failed")
    verdict = folder.verdict
    if not verdict:
        reasons.append("it has no verdict yet")
    elif verdict.get("exit_code") == ExitCode.MISMATCH:
        bad = [row["label"] for row in verdict.get("rows", ()) if str(row.get("verdict", "")).startswith("mismatch")
               and row.get("own") and row.get("setting") == "paper"]  # fmt: skip
        reasons.append(f"it does not match the paper in {', '.join(bad[:3])}")
    stores = folder.processes(kind="reproduction")
    lost = [store.folder.name for store in stores if store.status != "finished"]
    if lost:
        reasons.append(f"{', '.join(lost)} did not finish")
    if not stores:
        reasons.append("no seed was trained")
    if reasons:
        raise ReproError(
            f"Run {folder.run_id} of {folder.paper} is not accepted, so it is no reference: {'; '.join(reasons)}.",
            "Record a run whose gates are open, whose seeds all finished, and in which no row mismatches.",
        )
    return stores


def guessed(metric: str) -> str:
    return "lower" if any(word in metric for word in ("loss", "total", "error", "perplexity", "nll")) else "none"


def course(store: ProcessStore, split: str, metric: str) -> dict[int, float]:
    return {
        int(row["update"]): float(value)
        for row in store.rows
        if row["split"] == split and (value := metrics_of(row).get(metric)) is not None
    }


def mean_curve(courses: Mapping[int, Mapping[int, float]]) -> tuple[tuple[tuple[float, float], ...], list[float]]:
    """Mean over seeds, and standard deviation between them, at up to MOST_POINTS updates that every seed recorded."""
    shared = thin(sorted(set.intersection(*(set(one) for one in courses.values()))), MOST_POINTS)
    points, spreads = [], []
    for update in shared:
        values = [one[update] for one in courses.values()]
        if not all(map(math.isfinite, values)):
            raise ReproError(f"A seed is not finite at update {update}; its curve is no reference.")
        mean = math.fsum(values) / len(values)
        spreads.append(math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)))
        points.append((float(update), float(f"{mean:.{DIGITS}g}")))
    if not points:
        raise ReproError("No update was recorded by every seed, so there is no common curve.")
    return tuple(points), spreads


def tolerances_of(points: Sequence[tuple[float, float]], spreads: Sequence[float], seeds: int) -> tuple[float, ...]:
    """At each step the half-width in which the mean of as many new seeds lies, at all steps at once in 95 % of runs.

    A prediction interval, its level shared out over the steps (Bonferroni); at least the rounding of the points.
    """
    from scipy import special

    quantile = float(special.stdtrit(seeds - 1, 1 - 0.025 / len(points)))
    rounding = max(abs(value) for _, value in points) * 10.0**-DIGITS
    return tuple(float(f"{max(rounding, quantile * spread * math.sqrt(2 / seeds)):.2g}") for spread in spreads)


def entry(
    folder: RunFolder,
    config: Mapping[str, Any],
    metric: str,
    split: str,
    system: str,
    direction: str,
    seeds: list[int],
    points: tuple[tuple[float, float, float], ...],
) -> dict[str, Any]:
    """The record as YAML holds it, with its provenance."""
    about = folder.description
    environment = folder.environment()
    torch = environment.get("torch") or (environment.get("packages") or {}).get("torch") or "unknown"
    requires: dict[str, Any] = {key: about[key] for key in ("scale", "data") if about.get(key)}
    overrides = scientific_overrides(about.get("overrides") or ())
    # the length of training shapes the whole curve: its schedule, and the steps at which it is read
    updates = (config.get("reproduction") or {}).get("updates")
    overrides = [*(one for one in overrides if not one.startswith("reproduction.")), f"reproduction.updates={updates}"]
    reason = (
        f"Ours, at each step its own: in 95 % of runs the mean of {len(seeds)} further seeds lies within it at all "
        f"{len(points)} steps (t with {len(seeds) - 1} degrees of freedom, shared out over the steps); the largest"
    )
    content: dict[str, Any] = {
        "kind": "curve",
        "setting": "analogue",
        "group": "Recorded from our own runs",
        "label": f"{metric.replace('_', ' ')} on {split}" + (f" of {system}" if system else "") + " while training",
        "metric": metric,
        "split": split,
        "direction": direction,
        "seeds": len(seeds),
        "where": f"our run {folder.run_id}, code {folder.newest_code}, seeds {', '.join(map(str, seeds))}, "
        f"{str(about.get('created', ''))[:10]}, repro {about.get('harness_version', '')}, torch {torch}",
        "confirmed": "computed",
        "requires": {**requires, "overrides": overrides, "settings": settings_of(config, overrides)},
        "tolerance": {"value": max(width for _, _, width in points), "reason": reason},
        "points": [[int(update) if update == int(update) else update, *rest] for update, *rest in points],
        "note": "recorded from an accepted run of ours, not printed in the paper; the same code and seeds repeat "
        "themselves, so agreement of a rerun says nothing of the paper",
    }
    if system:
        content["system"] = system
    return content


def settings_of(config: Mapping[str, Any], overrides: Sequence[str]) -> list[str]:
    """The model and the data of the run: another model has another curve.

    How it was trained is left out: that a run with another rate leaves the course is what one wants to be told.
    """
    typed = {override.partition("=")[0] for override in overrides}
    found = []
    for section in ("model", "data"):
        for key, value in flat(config.get(section) or {}, f"{section}."):
            scalar = isinstance(value, (bool, int, float, str))
            if scalar and not key.rpartition(".")[2].startswith("_") and key != "data.folder" and key not in typed:
                found.append(f"{key}={str(value).lower() if isinstance(value, bool) else value}")
    return found


def scientific_overrides(typed: Any) -> list[str]:
    """Typed values that a comparable run must have too; choices of groups and bookkeeping are not among them."""
    found = []
    for word in typed:
        key, equals, _ = str(word).lstrip("+").partition("=")
        bookkeeping = any(key == one or key.startswith(f"{one}.") for one in EXCLUDED)
        if equals and "." in key and not bookkeeping and not key.startswith("~"):
            found.append(str(word).lstrip("+"))
    return found
