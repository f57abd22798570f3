"""Several tasks side by side, as `report runs=[A,B]` wrote them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from repro.report import tree
from repro.report.collecting.values import number, pair


def tasks_of(
    folder: Path, verdict: Mapping[str, Any], panels_of: Callable[[Path], Iterable[tree.Panel]]
) -> tree.Tasks | None:
    """What the verdict says of the tasks, with the trajectory of each; None where the run is of one task.

    `panels_of` gives the trajectories of a run folder: a task has one of its own, below this one.
    """
    found = verdict.get("tasks")
    if not isinstance(found, Mapping):
        return None
    aggregate = found.get("aggregate") or {}
    entries = []
    for entry in found.get("tasks") or ():
        high, high_source = number(entry.get("high")), str(entry.get("high_source") or "")
        place = folder / str(entry.get("folder", ""))
        shown = (str(found.get("metric")), str(found.get("split")))
        drawn = panels_of(place) if (place / "run.json").is_file() else ()
        panel = next((one for one in drawn if (one.metric, one.split) == shown), None)
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
