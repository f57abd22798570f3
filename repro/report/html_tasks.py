"""Tasks side by side: a line a task with its normalised scores drawn, the aggregate below, and a trajectory each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from repro.report import strips, tree
from repro.report import tasks as side
from repro.report.axes import Scale
from repro.report.html_figures import line_key, panel_figure
from repro.report.html_parts import Section, drawing, fold, key, key_seeds, plain_table, section
from repro.report.markup import Content, Markup, Names, fragment, tag
from repro.report.numbers import plural, significant
from repro.report.plots import tick_text, value_scale
from repro.report.strips import pc

HEIGHT = 34  # px of a line of scores


def tasks(report: tree.Report, names: Names) -> Section | None:
    """None where the run is of one task."""
    found = report.tasks
    if found is None:
        return None
    x = Scale.linear([0.0, 1.0, *(value for one in found.tasks for value in one.normalised), *(found.interval or ())])
    drawn = [one.panel for one in found.tasks if one.panel is not None]
    legend = [(line_key("run"), "one seed"), (line_key("average"), "mean of the seeds")]
    legend.append((line_key("paperline"), "the documented result"))
    figures = [
        panel_figure(one.panel, value_scale([one.panel]), one.name) for one in found.tasks if one.panel is not None
    ]
    return section(
        names,
        "Tasks side by side",
        side.lede(found),
        chart(found, x),
        [tag("p", f"{note[:1].upper()}{note[1:]}.", class_="note") for note in found.notes],
        key(*legend) if drawn else None,
        tag("div", figures, class_="panels") if drawn else None,
        fold("where low, high and the scores come from", sources(found)),
    )


def chart(found: tree.Tasks, x: Scale) -> Markup:
    """A grid like that of the effects: task, normalised scores, mean with its interval, what is documented."""
    body: list[Content] = [
        tag(
            "div",
            tag("div", "Task"),
            tag("div", tag("span", "normalised score"), axis(x), class_="c-strip"),
            tag("div", "mean", class_="n"),
            tag("div", "random policy, documented", class_="why"),
            class_="effect head",
        )
    ]
    for one in found.tasks:
        ends = [f"{significant(end, 4)}" for end in (one.low, one.high) if end is not None]
        # a verdict on the documented result is shown where it was tested in this very setting
        said = fragment(
            strips.shape(one.verdict) if one.verdict else None,
            fragment(" ", tree.VERDICTS.get(one.verdict, one.verdict), ". ") if one.verdict else None,
            f"{ends[0]} and {ends[1]}. " if len(ends) == 2 else None,
            f"Left out of the aggregate: {one.why_not}." if one.why_not else None,
        )
        body.append(
            line(one.name, plural(len(one.values), "seed"), x, one.normalised, None, one.mean, one.interval, said)
        )
    if found.value is not None:
        told = f"of {found.counted} tasks, {plural(found.seeds, 'seed')} each"
        name = "Interquartile mean"
        body.append(line(name, "", x, (), found.interval, found.value, found.interval, told, at=found.value))
    return fragment(
        key((key_seeds(), "one seed"), (mean_key(), "mean of the seeds")),
        tag("div", body, class_="effects tasks"),
    )


def line(
    name: str,
    detail: str,
    x: Scale,
    seeds: Sequence[float],
    interval: tuple[float, float] | None,
    mean: float | None,
    bounds: tuple[float, float] | None,
    said: Content,
    at: float | None = None,
) -> Markup:
    middle = at if at is not None else math.fsum(seeds) / len(seeds) if seeds else None
    heard = "not normalised" if middle is None else f"normalised {significant(middle, 3)}"
    digits = 3 if at is not None else 4
    label = f"{name}: {heard}" + (f", interval {side.bounds(interval, 3)}" if interval else "")
    return tag(
        "div",
        tag("div", tag("b", name), tag("small", detail) if detail else None),
        tag("div", marks(x, label, seeds, middle, interval), class_="c-strip"),
        tag(
            "div",
            significant(mean, digits),
            " ",
            tag("span", side.bounds(bounds, digits), class_="unit") if bounds else None,
            class_="n",
            data_head="mean",
        ),
        tag("div", said, class_="why"),
        class_="effect",
    )


def marks(
    x: Scale, label: str, seeds: Sequence[float], mean: float | None, interval: tuple[float, float] | None
) -> Markup:
    """Grid, 0 and 1, one dot a seed, the mean above them with its interval."""
    parts: list[Content] = []
    for tick in x.ticks:
        place = pc(100 * x.at(tick))
        kind = "paper" if tick in (0.0, 1.0) else "grid"
        parts.append(tag("line", class_=kind, x1=place, x2=place, y1=0, y2="100%"))
    middle = 12
    if interval is not None:
        low, high = (pc(100 * x.at(end)) for end in interval)
        parts.append(tag("line", class_="ci", x1=low, x2=high, y1=middle, y2=middle))
        parts += [tag("line", class_="cap", x1=end, x2=end, y1=middle - 5, y2=middle + 5) for end in (low, high)]
    parts += [tag("circle", class_="seed", cx=pc(100 * x.at(one)), cy=25, r="3.2") for one in seeds]
    if mean is not None:
        parts.append(tag("circle", class_="mean", cx=pc(100 * x.at(mean)), cy=middle, r="4.6"))
    return tag("svg", tag("g", parts, class_="v-match"), class_="strip", height=HEIGHT, role="img", aria_label=label)


def axis(x: Scale) -> Markup:
    parts = []
    for tick in x.ticks:
        at = 100 * x.at(tick)
        anchor = "start" if at < 2 else "end" if at > 98 else "middle"
        parts.append(tag("text", tick_text(tick, x), class_="t", x=pc(at), y=30, text_anchor=anchor))
    return tag("svg", parts, class_="strip axis", height=36, aria_hidden="true")


def mean_key() -> Markup:
    return drawing(14, tag("circle", class_="mean", cx=7, cy=9, r="4.6"), class_="v-match")


def sources(found: tree.Tasks) -> Markup:
    rows = [
        (one.name, end, significant(value, 4), source)
        for one in found.tasks
        for end, value, source in (("low", one.low, one.low_source), ("high", one.high, one.high_source))
        if value is not None
    ]
    rows += [(one.name, "run", "", root) for one in found.tasks for root in one.runs]
    return plain_table(("Task", "What", "Score", "Source"), rows, numeric=(2,))
