"""The tables of docs/reference_numbers.md are valid, and give what the page says."""

from __future__ import annotations

import textwrap
from pathlib import Path

from repro.reference import load_table, parse_table
from tests.docs.blocks import DOCS, blocks, write

PAGE = DOCS / "reference_numbers.md"


def test_the_record_of_the_page_is_whole() -> None:
    record = blocks(PAGE)[0].text
    table = parse_table("paper: mine\nrecords:\n" + textwrap.indent(record, "  "))
    (accuracy,) = table.records
    assert accuracy.printed is not None and accuracy.printed.half_width == 0.005
    assert accuracy.counts and accuracy.requires.scale == "paper"


def test_the_curve_of_the_page_is_read_off_at_every_epoch(tmp_path: Path) -> None:
    for block in blocks(PAGE):
        write(block, tmp_path)
    course = load_table(tmp_path / "reference_numbers" / "mine.yaml").record("figure_3").course
    assert list(course) == [391, 782, 1173]
    # epoch 1 lies half-way between 0.5 and 1.5, epoch 2 a third of the way from 1.5 to 3
    assert [round(value, 4) for value, _ in course.values()] == [1.865, 1.2967, 1.05]
