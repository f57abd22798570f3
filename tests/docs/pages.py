"""A page of docs/ walked through as its reader would: files written, edits made, commands run, outputs compared."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from repro.commands import main
from repro.phases.fingerprints import module_file
from tests.docs.blocks import Block, blocks, write

#: What differs from one machine and moment to the next: seconds, run ids, dates.
MASKED = (
    (r"\b\d+:\d\d\b|\b\d+(\.\d+)? (s|min)\b", "<time>"),
    (r"\b(?=[0-9a-f]*\d)[0-9a-f]{12}\b", "<run>"),
    (r"\(\d+ %\)", "(<share>)"),
    (r"unchanged$", "<time>"),
)


@dataclass(frozen=True)
class Command:
    """One `$ python -m repro …` of a page: what the page shows below it, and what it printed."""

    line: int
    words: str
    shown: tuple[str, ...]
    printed: str
    code: int

    def missing(self) -> list[str]:
        """The shown lines that were not printed, in this order; `…` stands for anything, a line of it for any lines."""
        printed = [masked(line) for line in self.printed.splitlines()]
        place, found = 0, []
        for line in self.shown:
            pattern = re.compile(".*".join(map(re.escape, masked(line).split("…"))))
            ahead = next((i for i in range(place, len(printed)) if pattern.fullmatch(printed[i])), None)
            if ahead is None:
                found.append(line)
            else:
                place = ahead + 1
        return found


def masked(line: str) -> str:
    """A line without what differs from run to run, and with single spaces."""
    for pattern, name in MASKED:
        line = re.sub(pattern, name, line.rstrip())
    return " ".join(line.split())


def walk(page: Path, package: str) -> Iterator[Command]:
    """Write and run every block of the page in the current folder; `package` is the paper that it writes."""
    for block in blocks(page):
        if block.language == "diff":
            apply(block)
        elif block.language == "console":
            yield from run(block, package)
        else:
            write(block, Path())


def apply(block: Block) -> None:
    """Change a file as a diff shows it: the lines with - and two spaces stand there once, and become those with +."""
    path = Path(block.options["file"])
    lines = block.text.splitlines()
    old = "\n".join(line[2:] for line in lines if not line.startswith("+"))
    new = "\n".join(line[2:] for line in lines if not line.startswith("-"))
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"line {block.line} of the page: {path} holds this {text.count(old)} times:\n{old}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def run(block: Block, package: str) -> Iterator[Command]:
    """Every command of a console block; a `\\` at the end of a line, or an open quotation, goes on in the next."""
    text = re.sub(r"\\\n\s*", "", block.text)
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        words, *shown = part.splitlines()
        while words.count("'") % 2:
            words = f"{words}\n{shown.pop(0)}"
        command = shlex.split(words)
        assert command[:3] == ["python", "-m", "repro"], words
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            del sys.modules[name]  # a new process would import it anew
        module_file.cache_clear()
        output = StringIO()
        with redirect_stdout(output), redirect_stderr(output):
            code = main(command[3:])
        yield Command(block.line, words, tuple(line for line in shown if line.strip(" …")), output.getvalue(), code)
