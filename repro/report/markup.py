"""HTML and SVG as nested calls; every text is escaped here and nowhere else, so that no user text becomes markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Any

#: Elements without content; SVG shapes are written the same way, which HTML parsers accept inside <svg>.
VOID = frozenset({"meta", "link", "br", "wbr", "col", "img"})
SHAPES = frozenset({"circle", "line", "path", "rect", "use", "polygon"})
#: What HTML forbids even as a character reference, and the marks that turn the direction of the text around them.
UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]|[\ud800-\udfff]"
)


class Markup(str):
    """Text that is markup already; everything else is escaped."""

    __slots__ = ()


Content = Any  # Markup, text, a number, None, or an iterable of these


def escape(value: object) -> str:
    return html.escape(UNPRINTABLE.sub("\ufffd", str(value)), quote=True)


def join(content: Content) -> str:
    """The content as markup: Markup as it is, None and False as nothing, iterables joined, all else escaped."""
    if content is None or content is False:
        return ""
    if isinstance(content, Markup):
        return str(content)
    if isinstance(content, Iterable) and not isinstance(content, str):
        return "".join(join(part) for part in content)
    return escape(content)


def tag(name: str, /, *content: Content, **attributes: Any) -> Markup:
    """One element: `class_` gives class, an underscore inside a name gives a hyphen, None and False leave one out."""
    parts = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        parts.append(key if value is True else f'{key}="{escape(value)}"')
    opening = " ".join(parts)
    if name in VOID:
        return Markup(f"<{opening}>")
    if name in SHAPES and not content:
        return Markup(f"<{opening}/>")
    return Markup(f"<{opening}>{join(content)}</{name}>")


def fragment(*content: Content) -> Markup:
    return Markup(join(content))


class Names:
    """Hands out ids for one page: readable, valid in a link, and unique."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def __call__(self, prefix: str, text: str) -> str:
        slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60]
        base = f"{prefix}-{slug}" if slug else prefix
        name, number = base, 1
        while name in self.taken:
            number += 1
            name = f"{base}-{number}"
        self.taken.add(name)
        return name
