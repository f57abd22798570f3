"""The line of the reproduction: every seed that is judged is counted, in whichever pass it was trained."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from repro.phases.reproduction import summary_of


@pytest.mark.parametrize(
    ("systems", "seeds", "line"),
    [(1, [0, 1, 2], "5 seeds"), (1, [0, 5], "6 seeds"), (2, [0, 1, 2], "3 seeds of 2 systems")],
)
def test_seeds_of_earlier_passes_count(systems: int, seeds: list[int], line: str) -> None:
    stores = [SimpleNamespace(record={"seed": seed}) for seed in range(5)]
    context: Any = SimpleNamespace(folder=SimpleNamespace(processes=lambda kind: stores), table=None, settings={})
    assert summary_of(context, [SimpleNamespace(name="")] * systems, seeds) == line  # type: ignore[list-item]
