"""Several tasks side by side: read from a run folder that `report runs=[A,B]` made, and written as lines of a table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from repro.report import tree, words
from repro.report.numbers import percent, plural, significant

HEAD = ("task", "seeds", "mean", "interval", "low", "high", "normalised", "")


def tasks_of(folder: Path, verdict: Mapping[str, Any]) -> tree.Tasks | None:
    """What the verdict says of the tasks, with the trajectory of each; None where the run is of one task."""
    from repro.report.collect import number, pair

    found = verdict.get("tasks")
    if not isinstance(found, Mapping):
        return None
    aggregate = found.get("aggregate") or {}
    entries = []
    for entry in found.get("tasks") or ():
        high, high_source = number(entry.get("high")), str(entry.get("high_source") or "")
        panel = panel_of(folder / str(entry.get("folder", "")), str(found.get("metric")), str(found.get("split")))
        if panel is not None:
            printed = ((high_source, high, None),) if high is not None else ()
            panel = replace(panel, printed=printed, direction=str(found.get("direction", "")))
        values = {int(seed): number(value) for seed, value in (entry.get("values") or {}).items()}
        normalised = {int(seed): number(value) for seed, value in (entry.get("normalised") or {}).items()}
        entries.append(
            tree.Task(
                name=str(entry.get("task", "")),
                runs=tuple(map(str, entry.get("runs") or ())),
                seeds=tuple(values),
                values=tuple(one for one in values.values() if one is not None),
                mean=number(entry.get("mean")),
                interval=pair(entry.get("interval")),
                normalised=tuple(one for one in normalised.values() if one is not None),
                low=number(entry.get("low")),
                low_source=str(entry.get("low_source") or ""),
                high=high,
                high_source=high_source,
                verdict=str(entry.get("verdict") or ""),
                why_not=str(entry.get("why_not") or ""),
                panel=panel,
            )
        )
    return tree.Tasks(
        metric=str(found.get("metric", "")),
        split=str(found.get("split", "")),
        direction=str(found.get("direction", "")),
        tasks=tuple(entries),
        value=number(aggregate.get("value")),
        interval=pair(aggregate.get("interval")),
        confidence=number(aggregate.get("confidence")),
        seeds=int(aggregate.get("seeds") or 0),
        counted=int(aggregate.get("tasks") or 0),
        notes=tuple(map(str, aggregate.get("notes") or ())),
        why_none=str(found.get("why_none") or ""),
    )


def panel_of(folder: Path, metric: str, split: str) -> tree.Panel | None:
    """The trajectory of the metric over the seeds of one task."""
    from repro.report.collect import collect

    if not (folder / "run.json").is_file():
        return None
    panels = collect(folder).panels
    return next((panel for panel in panels if (panel.metric, panel.split) == (metric, split)), None)


def lines(tasks: tree.Tasks) -> Iterator[tuple[str, ...]]:
    """One line a task, then the aggregate where there is one; columns as in HEAD."""
    for one in tasks.tasks:
        yield (
            one.name,
            str(len(one.values)),
            significant(one.mean, 4),
            bounds(one.interval, 4),
            significant(one.low, 4),
            significant(one.high, 4),
            significant(sum(one.normalised) / len(one.normalised), 3) if one.normalised else "–",
            one.why_not,
        )
    if tasks.value is not None:
        what = f"interquartile mean of {tasks.counted}"
        yield (what, str(tasks.seeds), "", bounds(tasks.interval, 3), "", "", significant(tasks.value, 3), "")


def table(tasks: tree.Tasks, width: int) -> list[str]:
    """The lines as text for a terminal, then why the aggregate leaves tasks out."""
    cells = [line[:-1] for line in (HEAD, *lines(tasks))]
    sizes = [max(map(len, column)) for column in zip(*cells, strict=True)]
    said = [f"  Tasks side by side, {words.metric(tasks.metric)}, {tasks.split}:"]
    said += [words.clip("    " + "  ".join(map(str.ljust, line, sizes)), width).rstrip() for line in cells]
    left = [f"{one.name} is left out of the aggregate: {one.why_not}" for one in tasks.tasks if one.why_not]
    for note in (*left, *tasks.notes):
        said += textwrap.wrap(note, width, initial_indent="    ", subsequent_indent="      ")
    return said


def bounds(interval: tuple[float, float] | None, digits: int) -> str:
    return "–" if interval is None else f"[{significant(interval[0], digits)}, {significant(interval[1], digits)}]"


def lede(tasks: tree.Tasks) -> str:
    """What is compared, and what the aggregate is."""
    said = f"{words.capital(words.metric(tasks.metric))}, {tasks.split}: mean over seeds with its t interval."
    if tasks.value is None:
        return f"{said} No aggregate over tasks: {tasks.why_none}."
    level = f", {percent(tasks.confidence)} stratified bootstrap" if tasks.confidence and tasks.interval else ""
    return (
        f"{said} Normalised, 0 is a random policy and 1 the documented result; the interquartile mean over "
        f"{tasks.counted} tasks and {plural(tasks.seeds, 'seed')} is {significant(tasks.value, 3)} "
        f"{bounds(tasks.interval, 3)}{level}."
    )
