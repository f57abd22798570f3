"""The looks of a reproduction: at how many seeds its rows are judged, fixed with the first seed and kept with it.

Error rates under optional stopping hold for the looks that were planned. So looks.json, beside the seeds of one version
of the code, keeps the plan whatever machine resumes it, the looks that took place, and looks that were added after
results were seen:

    {"registered": iso, "planned": [3, 5, 7], "added": [{"looks": [9], "after": 7, "at": iso}],
     "judged": [{"seeds": 3, "at": iso}], "ends": {"gru": 5}, "raised": {"gru": 7}}

`ends` are the systems that get fewer seeds than the others, `raised` what became of such an end later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repro.tracking.files import read_json, write_json
from repro.tracking.run_folder import RunFolder
from repro.tracking.store import now
from repro.verdict.sequential import chance_with_added, plan

FILE = "looks.json"


@dataclass(frozen=True)
class Looks:
    """Numbers of seeds at which rows are judged. `added` came after results were seen; `judged` took place.

    `ends`: system → (its last look as planned, its last look now), of systems that have fewer seeds than the others.
    """

    planned: tuple[int, ...] = ()
    added: tuple[int, ...] = ()
    judged: tuple[int, ...] = ()
    ends: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def of(self, system: str) -> Looks:
        """The looks at the rows of one system."""
        if system not in self.ends:
            return self
        planned, now = self.ends[system]
        later = tuple(look for look in (*self.planned, *self.added) if planned < look <= now)
        return Looks(
            tuple(look for look in self.planned if look <= planned),
            later,
            tuple(look for look in self.judged if look <= now),
        )

    @property
    def all(self) -> tuple[int, ...]:
        """Every look from two seeds on, planned or not: what the error rates must hold for."""
        return tuple(sorted({look for look in (*self.planned, *self.added, *self.judged) if look >= 2}))

    def after(self, seeds: int, most: int) -> int:
        """How many seeds the next look has; `most` where none is left below it."""
        return min((look for look in self.all if seeds < look <= most), default=most)

    def note(self, confidence: float) -> str:
        """What a reader must know of looks that were not planned; "" if all were."""
        if not self.added or not self.planned or self.planned[-1] < 2:
            return ""
        planned, added = listed(self.planned), listed(self.added)
        chance = chance_with_added(tuple(look for look in self.planned if look >= 2), self.added, 1 - confidence)
        return (
            f"judged at {planned} seeds as planned, and at {added}, which were added after results were seen: the "
            f"chance of a false verdict is {100 * chance:.1f} % instead of {100 * (1 - confidence):g} %"
        )


def listed(looks: tuple[int, ...]) -> str:
    return ", ".join(map(str, looks))


def read(folder: RunFolder, source: str | None = None) -> Looks:
    """The looks of the newest code, or of `source`; empty before the first seed."""
    if (source or folder.newest_code) is None:
        return Looks()
    return of_record(read_json(folder.code(source) / FILE) or {})


def of_record(record: dict[str, Any]) -> Looks:
    ends, raised = record.get("ends") or {}, record.get("raised") or {}
    return Looks(
        tuple(record.get("planned") or ()),
        tuple(look for entry in record.get("added") or () for look in entry["looks"]),
        tuple(entry["seeds"] for entry in record.get("judged") or ()),
        {system: (end, raised.get(system, end)) for system, end in ends.items()},
    )


def register(code: Path, seeds: int, batch: int, most: int, ends: Mapping[str, int] | None = None) -> Looks:
    """The plan of this code's seeds: kept if there is one, extended if the budget has grown, else made now.

    `ends`: systems that get fewer seeds than `most`; each such number is a look of its own.
    """
    ends = dict(ends or {})
    path = code / FILE
    record: dict[str, Any] = read_json(path) or {}
    found = of_record(record)
    wanted = plan(seeds, batch, most) if most >= 2 else (most,)
    wanted = tuple(sorted({*wanted, *(end for end in ends.values() if wanted[0] < end < most)}))
    if not record or (not found.judged and (most > found.planned[-1] or ends != (record.get("ends") or {}))):
        # nothing was judged yet, so the budget may still change
        record = {"registered": now(), "planned": list(wanted), "added": [], "judged": []}
        if ends:
            record["ends"] = ends
        write_json(path, record)
    elif most > max((*found.planned, *found.added)):
        last = max((*found.planned, *found.added))
        more = [look for look in plan(max(2, min(last + batch, most)), batch, most) if look > last]
        record["added"] = [
            *record.get("added", ()),
            {"looks": more, "after": max(found.judged, default=0), "at": now()},
        ]
        write_json(path, record)
    raised = {
        system: ends.get(system, most)
        for system, (_, last) in of_record(record).ends.items()
        if ends.get(system, most) > last
    }
    if raised and record.get("judged"):
        record["raised"] = {**(record.get("raised") or {}), **raised}
        write_json(path, record)
    return of_record(record)


def judge(code: Path, seeds: int) -> None:
    """Record that rows were judged with this many seeds; a look that took place before is not written twice."""
    path = code / FILE
    record = read_json(path) or {"registered": now(), "planned": [seeds], "added": [], "judged": []}
    if seeds not in of_record(record).judged:
        record["judged"] = [*record.get("judged", ()), {"seeds": seeds, "at": now()}]
        write_json(path, record)
