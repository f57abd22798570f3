"""Two runs side by side: rows with their difference, where trajectories part, and what was configured differently."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from repro.configuration.identity import flat
from repro.report import tree
from repro.report.collect import collect
from repro.report.numbers import significant
from repro.report.words import clip
from repro.tracking.run_folder import RunFolder

MOST_SETTINGS = 40
#: Configured places and bookkeeping that differ between any two machines.
PLACES = ("runs_folder", "data.folder", "threads", "workers", "device", "tracking", "launcher")


@dataclass(frozen=True)
class RowDifference:
    """One row in both runs: `difference` is A − B with its interval (Welch; paired where the seeds are the same)."""

    id: str
    label: str
    a: float | None
    b: float | None
    a_verdict: str
    b_verdict: str
    difference: float | None
    interval: tuple[float, float] | None
    how: str


@dataclass(frozen=True)
class CourseDifference:
    """One metric on one split: the means at the last common update, and the update where they are farthest apart."""

    metric: str
    split: str
    update: int
    a: float
    b: float
    farthest: int
    distance: float
    system: str = ""


@dataclass(frozen=True)
class Comparison:
    a: str
    b: str
    rows: tuple[RowDifference, ...]
    courses: tuple[CourseDifference, ...]
    settings: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def compare(a: Path, b: Path) -> Comparison:
    """Compare two run folders; A is what is asked about, B what it is held against."""
    first, second = collect(a), collect(b)
    seeds = {path: seeds_by_row(path) for path in (a, b)}
    others = {row.id: row for row in second.rows}
    rows = tuple(
        row_difference(row, others[row.id], seeds[a].get(row.id, ()), seeds[b].get(row.id, ()))
        for row in first.rows
        if row.id in others and (row.ours is not None or others[row.id].ours is not None)
    )
    notes = []
    untrained = [name for name, report in (("A", first), ("B", second)) if not report.source]
    if untrained:
        # there is no code and no machine of it to compare
        notes.append(f"{' and '.join(untrained)} {'has' if len(untrained) == 1 else 'have'} trained nothing yet")
    elif first.source != second.source:
        notes.append(f"the paper's code differs: {first.source or 'none'} and {second.source or 'none'}")
    if first.header.paper != second.header.paper:
        notes.append(f"the papers differ: {first.header.paper} and {second.header.paper}")
    if not untrained:
        machines = [pair for pair in differing(dict(first.environment), dict(second.environment)) if pair[0] != "git"]
        packages = differing(dict(first.packages), dict(second.packages))
        notes += [f"{key}: {one} and {two}" for key, one, two in (*machines[:6], *packages[:6])]
    return Comparison(
        f"{first.header.paper}/{first.header.run}",
        f"{second.header.paper}/{second.header.run}",
        rows,
        courses(first, second),
        tuple(settings(a, b)),
        tuple(notes),
    )


def seeds_by_row(folder: Path) -> dict[str, tuple[int, ...]]:
    rows = RunFolder(folder).verdict.get("rows") or ()
    return {str(row["id"]): tuple(row.get("seeds") or ()) for row in rows}


def row_difference(
    a: tree.Row, b: tree.Row, seeds_a: tuple[int, ...], seeds_b: tuple[int, ...], confidence: float = 0.95
) -> RowDifference:
    difference = a.ours - b.ours if a.ours is not None and b.ours is not None else None
    interval, how = None, ""
    if difference is not None and a.kind == "fact":
        how = "exact: no seeds"
    elif difference is not None:
        interval, how = difference_interval(a.values, b.values, seeds_a, seeds_b, confidence)
    return RowDifference(a.id, a.label, a.ours, b.ours, a.word, b.word, difference, interval, how)


def difference_interval(
    a: tuple[float, ...], b: tuple[float, ...], seeds_a: tuple[int, ...], seeds_b: tuple[int, ...], confidence: float
) -> tuple[tuple[float, float] | None, str]:
    """The interval of mean(a) − mean(b), and by which pairing; None with fewer than two seeds on a side."""
    from repro.verdict.attribution import Mean, quantile

    if len(seeds_a) == len(a) > 1 and seeds_a == seeds_b and len(a) == len(b):
        return Mean.of([x - y for x, y in zip(a, b, strict=True)]).interval(confidence), "paired by seed"
    one, two = Mean.of(a), Mean.of(b)
    if one.n < 2 or two.n < 2:
        return None, "no interval: a single seed on one side"
    variance = one.error**2 + two.error**2
    middle = one.value - two.value
    if variance == 0:
        return (middle, middle), "no spread on either side"
    degrees = variance**2 / (one.error**4 / (one.n - 1) + two.error**4 / (two.n - 1))
    half = quantile(max(1.0, degrees), confidence) * math.sqrt(variance)
    return (middle - half, middle + half), f"{one.n} and {two.n} seeds"


def courses(a: tree.Report, b: tree.Report) -> tuple[CourseDifference, ...]:
    others = {(panel.metric, panel.split, panel.system): dict(panel.mean) for panel in b.panels}
    found = []
    for panel in a.panels:
        ours, theirs = dict(panel.mean), others.get((panel.metric, panel.split, panel.system), {})
        shared = sorted(at for at in set(ours) & set(theirs) if math.isfinite(ours[at]) and math.isfinite(theirs[at]))
        if len(shared) < 2:
            continue
        farthest = max(shared, key=lambda at: abs(ours[at] - theirs[at]))
        last = shared[-1]
        distance = ours[farthest] - theirs[farthest]
        found.append(
            CourseDifference(
                panel.metric, panel.split, last, ours[last], theirs[last], farthest, distance, panel.system
            )
        )
    return tuple(found)


def settings(a: Path, b: Path) -> list[tuple[str, str, str]]:
    """Every resolved setting that differs, places left out."""
    one, two = (dict(flat(RunFolder(path).settings)) for path in (a, b))
    found = differing({k: str(v) for k, v in one.items()}, {k: str(v) for k, v in two.items()})
    return [entry for entry in found if not entry[0].startswith(PLACES)]


def differing(a: Mapping[str, str], b: Mapping[str, str]) -> list[tuple[str, str, str]]:
    keys = [*a, *(key for key in b if key not in a)]
    return [(key, a.get(key, "absent"), b.get(key, "absent")) for key in keys if a.get(key) != b.get(key)]


def render(found: Comparison, width: int = 100) -> str:
    """The comparison as text."""
    lines = [f"A {found.a}   against   B {found.b}", "What differs is written B → A."]
    if found.settings:
        lines.append(f"Settings that differ ({len(found.settings)}):")
        shown = found.settings[:MOST_SETTINGS]
        lines += [clip(f"  {key}: {one} → {two}", width) for key, one, two in ((k, y, x) for k, x, y in shown)]
        if len(found.settings) > len(shown):
            lines.append(f"  … and {len(found.settings) - len(shown)} more: --json has all")
    else:
        lines.append("All settings are the same.")
    lines += [f"  note: {note}" for note in found.notes]
    if found.rows:
        cells = [("row", "A", "B", "A − B", "interval", "verdicts")]
        for row in found.rows:
            bounds = "–" if row.interval is None else "[{}, {}]".format(*map(signed, row.interval))
            same = row.a_verdict if row.a_verdict == row.b_verdict else f"{row.b_verdict} → {row.a_verdict}"
            how = f" ({row.how})" if row.how else ""
            cells.append(
                (
                    clip(row.label, 36),
                    shown_number(row.a),
                    shown_number(row.b),
                    signed(row.difference),
                    bounds + how,
                    same,
                )
            )
        lines += aligned(cells)
    else:
        lines.append("No row was measured in either run.")
    if found.courses:
        curves = [("trajectory", "A", "B", "at", "farthest apart")]
        for one in found.courses:
            curves.append(
                (f"{one.system} {one.split} {one.metric}".lstrip(), significant(one.a), significant(one.b),
                 f"{one.update:,}", f"{signed(one.distance)} at {one.farthest:,}")
            )  # fmt: skip
        lines += aligned(curves)
    return "\n".join(lines)


def aligned(cells: Sequence[tuple[str, ...]]) -> list[str]:
    sizes = [max(len(line[place]) for line in cells) for place in range(len(cells[0]))]
    return [
        ("  " + "  ".join(text.ljust(size) for text, size in zip(line, sizes, strict=True))).rstrip() for line in cells
    ]


def shown_number(value: float | None) -> str:
    return "–" if value is None else significant(value, 4)


def signed(value: float | None) -> str:
    if value is None:
        return "–"
    text = significant(value, 3)
    return text if value < 0 or float(f"{value:.3g}") == 0 else f"+{text}"
