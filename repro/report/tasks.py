"""Several tasks side by side, as lines of a table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from repro.report import tree, words
from repro.report.numbers import percent, plural, significant

HEAD = ("task", "seeds", "mean", "interval", "low", "high", "normalised", "")


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
