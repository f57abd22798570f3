"""A page read back with the standard parser: tags, attributes and text, strict about nesting."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from repro.report.markup import VOID


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    def text(self) -> str:
        return "".join(part if isinstance(part, str) else part.text() for part in self.children)

    def all(self, name: str = "", class_: str = "") -> list[Element]:
        """Every descendant with this name and this word in its class."""
        found = []
        for part in self.children:
            if isinstance(part, Element):
                words = part.attributes.get("class", "").split()
                if (not name or part.name == name) and (not class_ or class_ in words):
                    found.append(part)
                found += part.all(name, class_)
        return found


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].name == tag, f"</{tag}> closes <{self.open[-1].name}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read(html: str) -> Element:
    """The whole page; raises AssertionError where an element is not closed."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert len(reader.open) == 1, f"<{reader.open[-1].name}> is never closed"
    return reader.open[0]
