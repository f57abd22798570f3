"""The fenced blocks of a Markdown page: ```language key=value, with their text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


@dataclass(frozen=True)
class Block:
    language: str
    options: dict[str, str]
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Every fenced block, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in re.finditer(r"^```(\w+)([^\n]*)\n(.*?)^```$", text, re.M | re.S):
        options = dict(part.split("=", 1) for part in match[2].split())
        found.append(Block(match[1], options, match[3], text[: match.start()].count("\n") + 1))
    return found


def write(block: Block, folder: Path) -> None:
    """Write a block marked file=…, or append one marked append=…, below a folder."""
    for key, mode in (("file", "w"), ("append", "a")):
        if key in block.options:
            path = folder / block.options[key]
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open(mode, encoding="utf-8") as file:
                file.write(block.text)
