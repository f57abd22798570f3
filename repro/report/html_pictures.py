"""What the paper's code drew: images, animations behind a fold, curves and clouds of points in the page's own style."""

from __future__ import annotations

from itertools import groupby

from repro.report import plots, tree
from repro.report.axes import Scale
from repro.report.html_parts import Section, fold, lines, section
from repro.report.markup import Content, Markup, Names, fragment, tag
from repro.report.numbers import count, duration
from repro.report.strips import pc

SMALL = 96  # pixels: an image below this is enlarged, its pixels kept square
ENLARGED = 192
HEIGHT, SQUARE = 110, 200  # px of curves, and of points


def pictures(report: tree.Report, names: Names) -> Section | None:
    """None where the paper draws nothing and nothing went wrong."""
    if not report.pictures and not report.picture_faults:
        return None
    seeds = sorted({one.seed for one in report.pictures})
    lede = "Drawn by the paper’s own code after the last update"
    lede += f", with {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}." if seeds else "."
    parts: list[Content] = []
    scales = {length: scale_of(report, length) for length in lengths(report)}
    for system, found in groupby(report.pictures, key=lambda one: one.system):
        drawn = [figure(one, scales) for one in found]
        parts += [tag("h3", system) if system else None, tag("div", drawn, class_="pictures")]
    for fault in report.picture_faults:
        parts += [tag("p", "Not drawn:", class_="note"), lines(fault)]
    return section(names, "Pictures", lede, parts)


def lengths(report: tree.Report) -> set[int]:
    return {len(one.values[0]) for one in report.pictures if one.kind == "lines" and one.values}


def scale_of(report: tree.Report, length: int) -> Scale:
    """One vertical axis for all curves of one length, so that they can be compared."""
    return Scale.linear(
        (value for one in report.pictures if one.kind == "lines" for line in one.values if len(line) == length
         for value in line), most=2,
    )  # fmt: skip


def figure(one: tree.Picture, scales: dict[int, Scale]) -> Markup:
    label = f"{one.name}. {one.caption}".rstrip(". ") + "."
    told = [text for text in (one.caption, one.note) if text]
    content: Content = None
    wide = False
    if one.kind == "lines" and one.values:
        content = curves(one, scales[len(one.values[0])], label)
    elif one.kind == "points" and one.values:
        content = cloud(one, label)
    elif one.kind == "frames" and one.data:
        wide = True
        told.insert(1 if one.caption else 0, f"{count(one.frames)} frames, {duration(one.seconds)}")
        chosen = "a few frames, first to last"
        still = tag("img", src=one.still, alt=f"{label} Side by side: {chosen}.")
        moving = tag("img", src=one.data, alt=f"{label} Moving.", **enlarged(one))
        content = fragment(still, tag("div", fold("play it, again and again", moving), class_="moving"))
    elif one.data:
        content = tag("img", src=one.data, alt=label, **enlarged(one))
    caption = tag("figcaption", tag("b", one.name), [tag("small", text) for text in told])
    return tag("figure", content, caption, class_="wide" if wide else None)


def enlarged(one: tree.Picture) -> dict[str, object]:
    """Size on the page: a small image larger, by a whole factor."""
    factor = max(1, ENLARGED // max(one.width, one.height, 1)) if max(one.width, one.height) < SMALL else 1
    return {"width": factor * one.width, "height": factor * one.height, "class_": "pixel" if factor > 1 else None}


def curves(one: tree.Picture, y: Scale, label: str) -> Markup:
    """Curves over their index; several share the plot, thin."""
    longest = max(len(line) for line in one.values)
    x = Scale.span(0, max(1, longest - 1))
    parts = plots.frame(x, y, [(tick, count(round(tick))) for tick in x.ticks], HEIGHT, gap=0.3)
    thick = "average" if len(one.values) == 1 else "run"
    drawn = [
        tag("path", class_=thick, d=plots.line([(x.at(i), y.at(v) if v == v else v) for i, v in enumerate(line)]))
        for line in one.values
    ]
    return tag("svg", parts, plots.stretched(drawn), class_="plot", height=HEIGHT, role="img", aria_label=label)


def cloud(one: tree.Picture, label: str) -> Markup:
    """Points in the plane; the axes have one scale where the two ranges are alike, so that a circle is round."""
    x, y = (Scale.linear((row[axis] for row in one.values), most=3) for axis in (0, 1))
    if 0.5 <= (x.high - x.low) / (y.high - y.low) <= 2:
        x = y = Scale.linear((value for row in one.values for value in row), most=3)
    parts = plots.frame(x, y, [(tick, plots.tick_text(tick, x)) for tick in x.ticks], SQUARE, gap=0.15)
    dots = [
        tag("circle", class_="seed", cx=pc(100 * x.at(a)), cy=pc(100 * (1 - y.at(b))), r="1.8")
        for a, b in one.values
        if a == a and b == b
    ]
    return tag("svg", parts, dots, class_="plot square", height=SQUARE, role="img", aria_label=label)
