"""Parts that several sections share: a section with its id, a key, a list of pairs, a plain table, a fold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from repro.report.markup import Content, Markup, Names, tag


@dataclass(frozen=True)
class Section:
    id: str
    title: str
    markup: Markup


def section(names: Names, title: str, lede: Content, *content: Content, class_: str | None = None) -> Section:
    name = names("section", title)
    head = [tag("h2", title), tag("p", lede, class_="lede") if lede else None]
    return Section(name, title, tag("section", head, content, id=name, class_=class_))


def pairs(entries: Iterable[tuple[str, Content]], class_: str = "pairs") -> Markup:
    """A description list of the entries that say something."""
    return tag("dl", [(tag("dt", name), tag("dd", value)) for name, value in entries if value], class_=class_)


def fold(summary: Content, *content: Content, open_: bool = False, paper: bool = True) -> Markup:
    """Details behind a summary. In print they are open; without `paper` they are left out there, as the footer says."""
    return tag("details", tag("summary", summary), content, open=open_, class_=None if paper else "screen")


def plain_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Content]],
    caption: str = "",
    numeric: Sequence[int] = (),
    stack: bool = True,
) -> Markup:
    """A table; its rows `stack` on a phone unless they are narrow anyway; `numeric` columns align right."""
    body = []
    for row in rows:
        cells: list[Content] = [tag("th", row[0], scope="row")]
        for place, cell in enumerate(row[1:], 1):
            cells.append(tag("td", cell, class_="n" if place in numeric else None, data_head=columns[place]))
        body.append(tag("tr", cells))
    heads = [
        tag("th", name, scope="col", class_="n" if place in numeric else None) for place, name in enumerate(columns)
    ]
    return tag(
        "table",
        tag("caption", caption) if caption else None,
        tag("thead", tag("tr", heads)),
        tag("tbody", body),
        class_="plain stack" if stack else "plain",
    )


def key(*entries: tuple[Markup, str]) -> Markup:
    return tag("ul", [tag("li", drawing, text) for drawing, text in entries], class_="key", aria_label="Key")


def drawing(width: int, *content: Content, class_: str | None = None) -> Markup:
    return tag("svg", content, width=width, height=18, aria_hidden="true", class_=class_)


def key_band() -> Markup:
    return drawing(
        30,
        tag("rect", class_="band", x=1, y=0, width=28, height=18),
        tag("line", class_="edge", x1=1, x2=1, y1=0, y2=18),
        tag("line", class_="edge", x1=29, x2=29, y1=0, y2=18),
        tag("line", class_="paper", x1=15, x2=15, y1=0, y2=18),
    )


def key_mean() -> Markup:
    return drawing(
        38,
        tag("line", class_="ci", x1=3, x2=35, y1=9, y2=9),
        tag("line", class_="cap", x1=3, x2=3, y1=4, y2=14),
        tag("line", class_="cap", x1=35, x2=35, y1=4, y2=14),
        tag("circle", class_="mean", cx=19, cy=9, r="4.6"),
        class_="v-match",
    )


def key_seeds() -> Markup:
    return drawing(26, [tag("circle", class_="seed", cx=x, cy=9, r="3.2") for x in (5, 13, 21)], class_="v-match")


def command(text: str) -> Markup:
    return tag("code", text)


def lines(text: str) -> Markup:
    """Text with its line breaks kept, as arithmetic is written."""
    return tag("pre", text)
