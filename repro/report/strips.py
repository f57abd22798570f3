"""Interval strips: the paper's number and tolerance, our mean with its interval, one dot a seed.

x is in per cent and y in pixels, so text and dots keep their size at any width. Dots that would overlap at the
narrowest strip are stacked downwards in sorted order; their position is always exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from repro.report.axes import Symmetric
from repro.report.markup import Content, Markup, fragment, tag
from repro.report.numbers import decimal

NARROWEST = 322.0  # px: a strip on a 360 px phone
LETTER, APART = 7.5, 14.0  # px: a character of a label, and what keeps two apart in strips narrower still
ROOM = 56.0  # px: most height for stacked dots


def pc(share: float) -> str:
    """A position in per cent; three digits are 0.1 px on any screen."""
    return f"{share:.3f}".rstrip("0").rstrip(".") + "%"


def symbols() -> Markup:
    """The seven shapes, once a page."""
    ring = {"fill": "none", "stroke": "currentColor", "stroke_width": "1.6", "cx": 8, "cy": 8, "r": "6.7"}
    drawn = {
        "match": fragment(
            tag("circle", cx=8, cy=8, r="7.4", fill="currentColor"),
            tag("path", d="M4.5 8.4 7 10.8 11.6 5.6", fill="none", stroke="var(--page)", stroke_width=2),
        ),
        "mismatch_worse": tag("path", d="M.5 2h15L8 15z", fill="currentColor"),
        "mismatch_better": tag("path", d="M.5 14h15L8 1z", fill="currentColor"),
        "inconclusive": fragment(
            tag("circle", **ring), tag("path", d="M8 1.3a6.7 6.7 0 0 1 0 13.4z", fill="currentColor")
        ),
        "not_run": tag("circle", **ring, stroke_dasharray="2.63 2.63"),
        "not_testable": fragment(
            tag("circle", **ring), tag("path", d="M3.4 12.6 12.6 3.4", stroke="currentColor", stroke_width="1.6")
        ),
        "paper_inconsistent": tag("path", d="M6.9.8v14.4L.3 8zM9.1.8v14.4L15.7 8z", fill="currentColor"),
    }
    content = [tag("symbol", shape, id=f"s-{name}", viewBox="0 0 16 16") for name, shape in drawn.items()]
    return tag("svg", tag("defs", content), width=0, height=0, class_="defs", aria_hidden="true")


def shape(verdict: str, size: int = 14) -> Markup:
    use = tag("use", href=f"#s-{verdict}")
    return tag("svg", use, class_=f"shape v-{verdict}", width=size, height=size, aria_hidden="true")


def mark(verdict: str) -> Markup:
    """The mean's mark around the origin; its shape is the verdict's."""
    match verdict:
        case "mismatch_worse":
            return tag("path", d="M-6-4.5H6L0 6z", class_="mean")
        case "mismatch_better":
            return tag("path", d="M-6 4.5H6L0-6z", class_="mean")
        case "inconclusive":
            half = tag("path", d="M0-4.6a4.6 4.6 0 0 1 0 9.2z", class_="mean")
            return fragment(tag("circle", r="4.6", class_="hollow"), half)
        case "match" | "ours":
            return tag("circle", r="4.8", class_="mean")
    return tag("circle", r="4.6", class_="hollow")


def back(
    axis: Symmetric, band: float | None = None, center: float = 0.0, gap: tuple[float, float] | None = None
) -> Markup:
    """Grid, tolerance band or gap, and the zero line; fills the cell whatever its height."""
    parts: list[Content] = [
        tag("line", class_="grid", x1=pc(axis.at(tick)), x2=pc(axis.at(tick)), y1=0, y2="100%")
        for tick in axis.ticks()
        if tick
    ]
    for low, high, name in ((center - (band or 0), center + (band or 0), "band"), (*(gap or (0.0, 0.0)), "gap")):
        if high > low:
            left, right = axis.at(low), axis.at(high)
            parts.append(tag("rect", class_=name, x=pc(left), width=pc(right - left), y=0, height="100%"))
            if name == "band":
                for end in (low, high):
                    if not axis.beyond(end):
                        parts.append(
                            tag("line", class_="edge", x1=pc(axis.at(end)), x2=pc(axis.at(end)), y1=0, y2="100%")
                        )
    parts.append(tag("line", class_="zero", x1="50%", x2="50%", y1=0, y2="100%"))
    return tag("svg", parts, class_="back", aria_hidden="true")


def paper_line(axis: Symmetric, at: float = 0.0) -> Markup:
    return tag(
        "svg",
        tag("line", class_="paper", x1=pc(axis.at(at)), x2=pc(axis.at(at)), y1=0, y2="100%"),
        class_="back",
        aria_hidden="true",
    )


def lanes(positions: Sequence[float], distance: float) -> list[int]:
    """For each position (sorted, per cent) the first lane in which it keeps `distance` from its neighbour."""
    ends: list[float] = []
    result = []
    for position in positions:
        lane = next((place for place, end in enumerate(ends) if position - end >= distance), len(ends))
        if lane == len(ends):
            ends.append(position)
        else:
            ends[lane] = position
        result.append(lane)
    return result


def strip(
    axis: Symmetric,
    label: str,
    verdict: str,
    mean: float | None,
    interval: tuple[float, float] | None,
    seeds: Sequence[float],
    decimals: int = 1,
) -> Markup:
    """The marks of one row, all as differences in the unit of the axis.

    What lies beyond the axis is named with an arrow at that edge; seeds that are not finite are counted in words.
    """
    parts: list[Content] = []
    left: list[str] = []
    right: list[str] = []

    def outside(name: str, value: float) -> bool:
        side = axis.beyond(value)
        if side:
            (left if side < 0 else right).append(f"{name} {decimal(value, decimals, sign=True)}")
        return bool(side)

    if interval is not None and all(map(math.isfinite, interval)):
        low, high = interval
        parts.append(tag("line", class_="ci", x1=pc(axis.at(low)), x2=pc(axis.at(high)), y1=19, y2=19))
        for end, name in ((low, "from"), (high, "to")):
            if not outside(name, end):
                parts.append(tag("line", class_="cap", x1=pc(axis.at(end)), x2=pc(axis.at(end)), y1=14, y2=24))
    if mean is not None and math.isfinite(mean) and not outside("mean", mean):
        parts.append(tag("svg", mark(verdict), x=pc(axis.at(mean)), y=19, width=1, height=1, overflow="visible"))

    finite = sorted(value for value in seeds if math.isfinite(value))
    shown = [value for value in finite if not axis.beyond(value)]
    for side, names in ((-1, left), (1, right)):
        beyond = [value for value in finite if axis.beyond(value) == side]
        if beyond:
            listed = ", ".join(decimal(value, decimals, sign=True) for value in beyond[:3])
            names.append(("seed " if len(beyond) == 1 else "seeds ") + listed + (" …" if len(beyond) > 3 else ""))
    radius = 3.2 if len(shown) <= 24 else 2.2 if len(shown) <= 120 else 1.4
    places = [axis.at(value) for value in shown]
    rows = lanes(places, 100 * (2 * radius + 0.4) / NARROWEST)
    depth = max(rows, default=-1) + 1
    step = min(2 * radius + 0.5, ROOM / max(depth, 1))
    for place, lane in zip(places, rows, strict=True):
        parts.append(tag("circle", class_="seed", cx=pc(place), cy=f"{34 + lane * step:.1f}", r=radius))
    bottom = 34 + max(depth - 1, 0) * step + (radius if depth else -8)

    lost = len(seeds) - len(finite)
    remarks = [("\u25c2 " + "; ".join(left), "0", "start") if left else None]
    remarks.append(("; ".join(right) + " \u25b8", "100%", "end") if right else None)
    if lost:
        word = "seed" if len(seeds) == 1 else "seeds"
        remarks.append((f"{lost} of {len(seeds)} {word} not finite", "0", "start"))
    for remark in filter(None, remarks):
        bottom += 14
        parts.append(tag("text", remark[0], class_="t on", x=remark[1], y=f"{bottom:.1f}", text_anchor=remark[2]))
    height = max(38, math.ceil(bottom + 9))
    return tag(
        "svg", tag("g", parts, class_=f"v-{verdict}"), class_="strip", height=height, role="img", aria_label=label
    )


def ticks(axis: Symmetric, zero: str = "paper", sides: tuple[str, str] | None = None, below: bool = False) -> Markup:
    """The labels above a group of strips, or below a single one; `sides` names what left and right mean."""
    parts: list[Content] = []
    texts = [zero if abs(tick) < axis.step / 2 else decimal(tick, axis.decimals(), sign=True) for tick in axis.ticks()]
    # the label at an end lies wholly inside the axis: there its neighbour has half a label less room than elsewhere
    tight = 1.5 * LETTER * len(texts[-1]) + APART > NARROWEST / (len(texts) - 1)
    beside_ends = (1, len(texts) - 2) if tight and len(texts) > 3 else ()
    for place, (tick, text) in enumerate(zip(axis.ticks(), texts, strict=True)):
        at = axis.at(tick)
        anchor = "start" if at == 0 else "end" if at == 100 else "middle"
        if place in beside_ends:
            continue
        parts.append(tag("text", text, class_="t", x=pc(at), y=12 if below else 30, text_anchor=anchor))
    if sides:
        parts.append(tag("text", "\u2190 " + sides[0], class_="t dir", x="0", y=12))
        parts.append(tag("text", sides[1] + " \u2192", class_="t dir", x="100%", y=12, text_anchor="end"))
    return tag("svg", parts, class_="strip axis", height=20 if below else 36, aria_hidden="true")
