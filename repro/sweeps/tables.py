"""How a study reads in a terminal: what each trial came to, what failed and why, and what follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

STATES = ("complete", "pruned", "diverged", "running", "queued", "failed")


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Rows as lines with aligned columns; those in `right` are aligned to the right."""
    if not rows:
        return []
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return lines


def count_line(record: Mapping[str, Any]) -> str:
    """ "study learning_rate · 64 trials: 41 complete, 9 pruned, 8 running, 5 queued, 1 failed"."""
    counts = record["counts"]
    parts = [f"{counts[state]} {state}" for state in STATES if counts[state]]
    return f"study {record['study']} · {record['planned']} trials: {', '.join(parts) or 'none yet'}"


def trouble(record: Mapping[str, Any]) -> list[str]:
    """Each trial that failed, with its error, and each worker that died."""
    lines = []
    for trial in record["trials"]:
        name = ", ".join(f"{key}={short(value)}" for key, value in trial["params"].items())
        if trial["state"] == "failed":
            error = trial["error"].strip().splitlines() or ["no message"]
            lines += [f"  trial {trial['number']} ({name}) failed: {error[0]}", *(f"    {line}" for line in error[1:])]
        lines += [f"  {death}" for death in trial["deaths"]]
    return lines


def rate_table(record: Mapping[str, Any]) -> list[str]:
    """One line for each learning rate: first and last loss, the drop in standard errors, what that means."""
    rows = [("rate", "loss, first", "last", "drop/s.e.", "")]
    for rate in record["rates"]:
        error = rate["standard_error"]
        ratio = f"{rate['drop'] / error:.1f}" if isinstance(error, float) and error > 0 else "–"
        undecided = "undecided" if rate["state"] == "pruned" else "does not fall"
        verdict = "diverges" if rate["state"] == "diverged" else "learns" if rate["falls"] else undecided
        notes = [verdict]
        notes += ["pruned"] if rate["state"] == "pruned" else []
        notes += ["best"] if rate["rate"] == record["best_rate"] else []
        notes += ["← the paper's"] if rate["rate"] == record["paper_value"] else []
        rows.append((f"{rate['rate']:.3g}", short(rate["initial"]), short(rate["final"]), ratio, " · ".join(notes)))
    return columns(rows, right=(0, 1, 2, 3))


def effect_table(record: Mapping[str, Any]) -> list[str]:
    """One line for each part and metric: the mean paired difference with its interval."""
    percent = f"{100 * record['confidence']:g} % interval"
    rows = [("part", "metric", "difference", percent, "seeds", "")]
    last = ""
    for effect in record["effects"]:
        interval = effect["interval"]
        bounds = f"[{signed(interval[0])}, {signed(interval[1])}]" if interval else "–"
        seen = ""
        if interval and (interval[0] > 0 or interval[1] < 0):
            seen = "differs"
        if effect["missing"]:
            seen = f"{seen} · no pair for seed {', '.join(map(str, effect['missing']))}".strip(" ·")
        mean = "–" if effect["mean"] is None else signed(effect["mean"])
        name = effect["name"] if effect["name"] != last else ""
        last = effect["name"]
        rows.append((name, effect["metric"], mean, bounds, str(effect["n"]), seen))
    return columns(rows, right=(2, 4))


def trial_table(record: Mapping[str, Any]) -> list[str]:
    """One line for each trial of a study over any parameters, the best first."""
    names = sorted({name for trial in record["trials"] for name in trial["params"]})
    sign = -1 if record["direction"] == "maximize" else 1
    trials = sorted(
        record["trials"], key=lambda trial: (trial["value"] is None, sign * (trial["value"] or 0.0), trial["number"])
    )
    rows = [("trial", *names, record["objective"], "")]
    for trial in trials:
        values = [short(trial["params"].get(name)) for name in names]
        rows.append((str(trial["number"]), *values, short(trial["value"]), trial["state"]))
    return columns(rows, right=range(len(names) + 2))


def short(value: Any) -> str:
    """A number with four digits, anything else as text; "–" for nothing."""
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def signed(value: float) -> str:
    return f"{value:+.4g}"
