"""Plots over updates and learning rates: paths stretch with the width, strokes, text and dots do not."""

from __future__ import annotations

import math
from collections.abc import Sequence

from repro.report import tree
from repro.report.axes import Scale
from repro.report.markup import Content, Markup, tag
from repro.report.numbers import count, significant
from repro.report.strips import pc

HEIGHT = 176


def stretched(*content: Content) -> Markup:
    return tag("svg", *content, viewBox="0 0 1000 1000", preserveAspectRatio="none", width="100%", height="100%")


def line(points: Sequence[tuple[float, float]]) -> str:
    """A path through points in 0 … 1 (y upwards); a point with NaN breaks the line."""
    parts = []
    move = True
    for x, y in points:
        if not (math.isfinite(x) and math.isfinite(y)):
            move = True
            continue
        parts.append(f"{'M' if move else 'L'}{round(x * 1000)} {round((1 - y) * 1000)}")
        move = False
    return "".join(parts)


def value_scale(panels: Sequence[tree.Panel]) -> Scale:
    """One axis for the panels of one metric and split."""
    values = [value for panel in panels for curve in panel.curves for _, value in curve.points]
    values += [value for panel in panels for _, value, _ in panel.printed]
    values += [value for panel in panels for _, value, _ in panel.reference]
    finite = [value for value in values if math.isfinite(value)]
    positive = bool(finite) and min(finite) > 0
    # a loss or a rate spans decades; an accuracy or a return does not become clearer on a log axis
    share = max(finite, default=0.0) <= 1.0 and panels[0].split != "train"
    if positive and max(finite) / min(finite) > 12 and not share and panels[0].direction != "higher":
        return Scale.logarithmic(finite)
    return Scale.linear(finite, most=4)


def frame(x: Scale, y: Scale, x_text: list[tuple[float, str]], height: int, gap: float = 0.2) -> list[Content]:
    """Grid and labels; y labels stand left of the plot, x labels below it."""
    parts: list[Content] = []
    for tick in y.ticks:
        height_of = pc(100 * (1 - y.at(tick)))
        parts.append(tag("line", class_="grid", x1=0, x2="100%", y1=height_of, y2=height_of))
        parts.append(tag("text", tick_text(tick, y), class_="t", x=-7, y=height_of, dy="0.34em", text_anchor="end"))
    parts.append(tag("line", class_="axisline", x1=0, x2="100%", y1="100%", y2="100%"))
    right = 9.0
    for value, text in reversed(x_text):
        at = x.at(value)
        # labels nearer than `gap` would touch in the narrowest panel; the one at the end lies wholly left of its tick
        if right - at < (1.5 * gap if right > 0.97 else gap):
            continue
        right = at
        anchor = "start" if at < 0.03 else "end" if at > 0.97 else "middle"
        parts.append(tag("text", text, class_="t", x=pc(100 * at), y=height + 17, text_anchor=anchor))
    return parts


def tick_text(value: float, scale: Scale) -> str:
    if scale.log or not scale.ticks or len(scale.ticks) < 2:
        return significant(value, 3) if not scale.log else significant(value, 1)
    step = scale.ticks[1] - scale.ticks[0]
    if abs(value) < step / 1e6:
        return "0"
    largest = max(map(abs, scale.ticks))
    if largest >= 1e6 or largest < 1e-3:
        return significant(value, 3)
    # 2.5 steps need one digit more than their power of ten
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    decimals += not math.isclose(step * 10**decimals, round(step * 10**decimals), abs_tol=1e-6)
    return f"{value:,.{decimals}f}".replace("-", "\u2212")


def trajectory(panel: tree.Panel, label: str, y: Scale) -> Markup:
    """Thin: seeds. Thick: their mean. A cross at the upper edge: the first value of a seed that is not finite.

    The printed number is a dashed line on the band of its tolerance; a curve to follow is diamonds with theirs.
    """
    updates = [at for curve in panel.curves for at, _ in curve.points]
    x = Scale.span(min([*updates, 0]), max(updates, default=1), most=4)
    # round steps of the axis that is declared, at the updates where they lie
    wide = Scale.span(x.low * panel.per_update, x.high * panel.per_update, most=4)
    labels = [(tick / panel.per_update, count(round(tick))) for tick in wide.ticks]
    parts: list[Content] = []
    for _, printed, tolerance in panel.printed:
        if tolerance:
            top, bottom = (100 * (1 - y.at(printed + side * tolerance)) for side in (1, -1))
            parts.append(tag("rect", class_="band", x=0, width="100%", y=pc(top), height=pc(max(bottom - top, 0.4))))
    parts += frame(x, y, labels, HEIGHT)
    paths: list[Content] = []
    for curve in panel.curves:
        points = [(x.at(at), y.at(value) if math.isfinite(value) else value) for at, value in curve.points]
        paths.append(tag("path", class_="run", d=line(points)))
    if len(panel.curves) > 1 and panel.mean:
        paths.append(
            tag(
                "path",
                class_="average",
                d=line([(x.at(at), y.at(v) if math.isfinite(v) else v) for at, v in panel.mean]),
            )
        )
    parts.append(stretched(paths))
    for _, printed, _ in panel.printed:
        at = pc(100 * (1 - y.at(printed)))
        parts.append(tag("line", class_="paperline", x1=0, x2="100%", y1=at, y2=at))
    for step, value, tolerance in panel.reference:
        across = pc(100 * x.at(step))
        ends = [pc(100 * (1 - y.at(value + side * tolerance))) for side in (1, -1)]
        parts.append(tag("line", class_="refbar", x1=across, x2=across, y1=ends[0], y2=ends[1]))
        parts.append(diamond(across, pc(100 * (1 - y.at(value)))))
    for curve in panel.curves:
        broken = next((at for at, value in curve.points if not math.isfinite(value)), None)
        if broken is not None:
            parts.append(cross(pc(100 * x.at(broken)), "7"))
    return tag("svg", parts, class_="plot", height=HEIGHT, role="img", aria_label=label)


def diamond(x: str, y: str) -> Markup:
    return tag(
        "svg", tag("path", d="M0-4.5 4.5 0 0 4.5-4.5 0z", class_="ref"), x=x, y=y, width=1, height=1, overflow="visible"
    )


def cross(x: str, y: str) -> Markup:
    return tag("svg", tag("path", d="M-4-4 4 4M4-4-4 4", class_="div"), x=x, y=y, width=1, height=1, overflow="visible")


def power(rate: float) -> str:
    """A learning rate that can be copied: 1e-5, 6.99e-4."""
    mantissa, _, exponent = f"{rate:.2e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def rates(study: tree.RateStudy, label: str, height: int = 236) -> Markup:
    """Learning rates on a log axis: filled dots learn, open ones do not, crosses in the strip above diverged."""
    every = [trial.rate for trial in study.trials] + ([study.paper] if study.paper else [])
    low = 10.0 ** math.floor(math.log10(min(every)) + 1e-9)
    high = 10.0 ** math.ceil(math.log10(max(every)) - 1e-9)
    if low == high:
        low, high = low / 10, high * 10
    powers = range(round(math.log10(low)), round(math.log10(high)) + 1)
    x = Scale(low, high, tuple(10.0**place for place in powers), log=True)
    values = [trial.value for trial in study.trials if trial.value is not None]
    decades = bool(values) and min(values) > 0 and max(values) / min(values) > 30
    y = (
        Scale.logarithmic(values)
        if decades
        else Scale.linear([*values, *([0.0] if values and min(values) >= 0 else [])], 5)
    )
    parts: list[Content] = []
    if study.usable:
        left, right = (100 * x.at(end) for end in study.usable)
        parts.append(tag("rect", class_="usable", x=pc(left), width=pc(max(right - left, 0.4)), y=0, height="100%"))
    parts += frame(x, y, [(tick, power(tick)) for tick in x.ticks], height, gap=0.12)
    if study.paper:
        at = 100 * x.at(study.paper)
        parts.append(tag("line", class_="paper", x1=pc(at), x2=pc(at), y1=-20, y2="100%"))
        side = "start" if at < 60 else "end"
        parts.append(
            tag(
                "text",
                f"the paper: {power(study.paper)}",
                class_="t b",
                x=pc(at),
                dx=7 if side == "start" else -7,
                y=-10,
                text_anchor=side,
            )
        )
    for trial in study.trials:
        place = pc(100 * x.at(trial.rate))
        told = significant(trial.value, 3) if trial.value is not None else trial.error or trial.state
        title = tag("title", f"{power(trial.rate)}: {told}")
        if trial.value is None:
            parts.append(tag("g", title, cross(place, "9")))
            continue
        inside = study.usable is not None and study.usable[0] * (1 - 5e-3) <= trial.rate <= study.usable[1] * (1 + 5e-3)
        parts.append(
            tag(
                "circle",
                title,
                class_="trial in" if inside else "trial",
                cx=place,
                cy=pc(100 * (1 - y.at(trial.value))),
                r="4.6",
            )
        )
    return tag("svg", parts, class_="plot rates", height=height, role="img", aria_label=label)
