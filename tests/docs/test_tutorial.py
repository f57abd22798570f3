"""The tutorial, walked from its first command to its last: what it shows is what a reader gets."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from repro.phases.fingerprints import module_file
from tests.docs.blocks import DOCS, blocks
from tests.docs.pages import walk

PAGE = DOCS / "tutorial.md"
#: Exit codes of its commands, in order: files written; five mistakes and one fact to declare, each stopped at its gate,
#: with a step to do between; a verdict; a variation that passes its gates, its sweep, and how far all that is.
CODES = [0, 1, 1, 1, 4, 1, 1, 1, 0, 0, 0, 0]


@pytest.mark.slow
def test_every_command_prints_what_the_tutorial_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    done = list(walk(PAGE, "symmetry"))
    module_file.cache_clear()
    for command in done:
        assert not command.missing(), f"line {command.line}: {command.words}\n{command.printed}"
    assert [command.code for command in done] == CODES


def test_the_tutorial_is_short_and_every_command_shows_something() -> None:
    found = blocks(PAGE)
    assert sum(len(block.text.splitlines()) for block in found if block.options.get("file", "").endswith(".py")) < 120
    for block in found:
        if block.language == "console":
            assert [line for line in block.text.splitlines() if not line.startswith(("$", "…"))], block.line
