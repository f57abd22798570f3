"""The points of a digitised curve, from a CSV file beside the reference table.

    points: {file: curves/figure_3.csv, step: epoch, value: loss, updates: 391, every: 1955}

`file` is relative to the table; its first line names the columns. `step` and `value` are names of columns, `tolerance`
that of a third, where each point has its own. `updates` is how many updates one unit of the step column is (1 unless
given). A digitised point seldom lies where a run evaluates: with `every`, the curve is read off by linear interpolation
at the multiples of that many updates between its first point and its last.

Pure but for reading the file: faults are text, each with the file and its line.
"""

from __future__ import annotations

import csv
import itertools
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from repro.reference.printed import Printed, is_number

Point = tuple[float, ...]  # (step, value) or (step, value, tolerance)

#: Faults of one file that are told; a file of another format would have one a line.
MOST_FAULTS = 5


@dataclass(frozen=True)
class PointsFile:
    """Where the points of a curve stand; see the module's docstring."""

    file: str
    step: str
    value: str
    tolerance: str = ""
    updates: float = 1.0
    every: int | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.step, self.value, self.tolerance) if self.tolerance else (self.step, self.value)


def read_points(source: PointsFile, folder: Path) -> tuple[tuple[Point, ...], list[str]]:
    """The points, steps in updates and increasing, and what is wrong with the file; no points where anything is."""
    name = source.file
    if Path(name).is_absolute():
        return (), [f"{name} is absolute; need a path relative to the table's folder, so that the two travel together"]
    try:
        text = (folder / name).read_text(encoding="utf-8-sig")
    except OSError as error:
        return (), [f"{folder / name} cannot be read: {error.strerror}; the path is relative to the table's folder"]
    except UnicodeDecodeError as error:
        return (), [f"{folder / name} is not UTF-8 text: byte {error.start}"]
    points, faults = parsed(source, text)
    if len(faults) > MOST_FAULTS:
        faults = [*faults[:MOST_FAULTS], f"{name} has {len(faults) - MOST_FAULTS} more faults"]
    if faults:
        return (), faults
    if source.every is None:
        return tuple(points), []
    found = at_multiples(points, source.every)
    if not found:
        first, last = points[0][0], points[-1][0]
        return (), [f"{name} goes from update {first:g} to {last:g}, where no multiple of every={source.every} lies"]
    return found, []


def parsed(source: PointsFile, text: str) -> tuple[list[Point], list[str]]:
    """The points as the file gives them, and its faults."""
    reader = csv.reader(text.splitlines(), skipinitialspace=True)
    points: list[Point] = []
    faults: list[str] = []
    header: list[str] | None = None
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if header is None:
                header = cells
                faults = header_faults(source, header)
                if faults:
                    return [], faults
                continue
            where = f"{source.file} line {reader.line_num}"
            if len(cells) != len(header):
                faults.append(f"{where}: got {counted(len(cells))}, need the {len(header)} of the first line")
                continue
            point, wrong = point_of(source, dict(zip(header, cells, strict=True)), where)
            faults += wrong
            if not wrong:
                if points and point[0] <= points[-1][0]:
                    before, now = (one[0] / source.updates for one in (points[-1], point))
                    faults.append(f"{where}, column {source.step}: got {now:g} after {before:g}, need increasing steps")
                points.append(point)
    except csv.Error as error:
        return [], [f"{source.file} line {reader.line_num}: {error}"]
    if header is None:
        faults.append(f"{source.file} is empty; need a line that names the columns {', '.join(source.columns)}")
    elif not points and not faults:
        faults.append(f"{source.file} has no points below the line that names its columns")
    return points, faults


def header_faults(source: PointsFile, header: Sequence[str]) -> list[str]:
    return [
        f"{source.file} has {'two columns' if column in header else 'no column'} {column!r}; "
        f"its first line has {', '.join(header)}"
        for column in source.columns
        if header.count(column) != 1
    ]


def point_of(source: PointsFile, cells: dict[str, str], where: str) -> tuple[Point, list[str]]:
    """One line as a point, its step in updates."""
    numbers, faults = [], []
    for column in source.columns:
        need = "a number above 0" if column == source.tolerance else "a finite number"
        number = Printed(cells[column]).number if is_number(cells[column]) else math.nan
        if not math.isfinite(number) or (column == source.tolerance and number <= 0):
            faults.append(f"{where}, column {column}: got {cells[column]!r}, need {need}")
        numbers.append(number)
    step, *rest = numbers
    return (step * source.updates, *rest), faults


def counted(cells: int) -> str:
    return f"{cells} cell" + ("s" if cells != 1 else "")


def at_multiples(points: Sequence[Point], every: int) -> tuple[Point, ...]:
    """The curve at the multiples of `every` between its first point and its last, linear between neighbours.

    A tolerance of its own is interpolated with the value. Update 0 is left out: nothing has been trained there.
    """
    steps = [point[0] for point in points]
    first = max(1, math.ceil(steps[0] / every))
    found: list[Point] = []
    for step in itertools.takewhile(lambda at: at <= steps[-1], (every * i for i in itertools.count(first))):
        right = bisect_left(steps, step)
        if steps[right] == step:
            found.append((float(step), *points[right][1:]))
            continue
        left, share = points[right - 1], (step - steps[right - 1]) / (steps[right] - steps[right - 1])
        between = ((1 - share) * a + share * b for a, b in zip(left[1:], points[right][1:], strict=True))
        found.append((float(step), *between))
    return tuple(found)
