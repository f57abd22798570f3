"""An early warning while training: which reference curve a run has left, and at which step.

A warning is no verdict: rows are judged at the end, over all seeds. One seed outside ±tolerance "may be off course",
since the tolerance is about the mean; with two or more at a step the band of `repro.verdict.curve` decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.tracking.store import ProcessStore, metrics_of
from repro.verdict.rows import Measured, unmet_requirement

if TYPE_CHECKING:
    from repro.reference.schema import Record, Table

#: Looks after which a step that the run did not record is given up.
MOST_TRIES = 5


class Course:
    """Compares trajectories with the recorded curves that this run must follow; each warning is said once.

    processes: process → system, of the seeds that train; `code` is the folder in which they write.
    """

    def __init__(
        self,
        table: Table | None,
        settings: Mapping[str, Any],
        code: Path,
        confidence: float,
        say: Callable[[str], None],
    ) -> None:
        here = Measured(
            scale=str((settings.get("scale") or {}).get("name", "")),
            data=str((settings.get("dataset") or {}).get("name", "")),
            config=settings,
        )
        curves = [record for record in (table.records if table is not None else ()) if record.kind == "curve"]
        self.records = [record for record in curves if record.own and not unmet_requirement(record, here)]
        self.code, self.confidence, self.say = code, confidence, say
        self.tried: dict[tuple[str, str, float], int] = {}
        self.said: set[tuple[str, str]] = set()

    def look(self, process: str, update: int, processes: Mapping[str, str]) -> None:
        """After `process` reported `update`: compare every step of a reference that it has reached and written since.

        A process says how far it is before it evaluates there, so a step is looked for a few times.
        """
        for record in self.records:
            if processes.get(process) != record.system or (record.id, "band") in self.said:
                continue
            due = [step for step in record.course if step <= update and self.waiting(record, process, step)]
            if not due:
                continue
            own = course(self.code / "processes" / process, record)
            fresh = [step for step in due if step in own]
            for step in due:
                tries = MOST_TRIES if step in own else self.tried.get((record.id, process, step), 0) + 1
                self.tried[record.id, process, step] = tries
            if fresh:
                self.compare(record, [name for name, system in processes.items() if system == record.system], fresh)

    def waiting(self, record: Record, process: str, step: float) -> bool:
        return self.tried.get((record.id, process, step), 0) < MOST_TRIES

    def compare(self, record: Record, processes: Sequence[str], steps: Sequence[float]) -> None:
        """Warn of the first of `steps` at which the seeds that have it are off course."""
        curves = {name: course(self.code / "processes" / name, record) for name in processes}
        expected = record.course
        for step in sorted(steps):
            have = {name: curve[step] for name, curve in curves.items() if step in curve}
            lost = [name for name, value in have.items() if not math.isfinite(value)]
            if lost:
                self.warn(record, "one", f"{lost[0]} is off course at step {step:g}: {record.metric} is not finite")
            elif len(have) == 1:
                ((name, value),) = have.items()
                if abs(value - expected[step][0]) > expected[step][1]:
                    self.warn(record, "one", f"{name} may be {self.words(record, step, value, expected[step])}")
            elif self.outside(record, step, list(have.values()), expected[step]):
                mean = math.fsum(have.values()) / len(have)
                words = self.words(record, step, mean, expected[step])
                self.warn(record, "band", f"{len(have)} seeds are {words} on average")
                return

    def outside(self, record: Record, step: float, values: Sequence[float], expected: tuple[float, float]) -> bool:
        """Whether the band of the mean lies wholly outside, at the level that each step of the curve has."""
        import numpy as np

        from repro.verdict.curve import decide_curve

        result = decide_curve(
            [step],
            np.array(values, dtype=np.float64)[:, None],  # [seeds, steps]
            [expected[0]],
            expected[1],
            record.direction,
            self.confidence,
            len(record.points),
        )
        return result.off_course is not None

    def words(self, record: Record, step: float, value: float, expected: tuple[float, float]) -> str:
        return (
            f"off course at step {step:g}: {record.metric} on {record.split} {value:.4g}, "
            f"the reference has {expected[0]:.4g} ± {expected[1]:.3g}"
        )

    def warn(self, record: Record, kind: str, text: str) -> None:
        if (record.id, kind) not in self.said:
            self.said.add((record.id, kind))
            self.say(f"   ! {text} ({record.id})")


def course(folder: Path, record: Record) -> dict[float, float]:
    """{step: value} of the record's metric on its split, as far as the process has come."""
    found = {}
    for row in ProcessStore(folder).rows:
        value = metrics_of(row).get(record.metric)
        if row["split"] == record.split and value is not None:
            found[float(row["update"])] = float(value)
    return found
