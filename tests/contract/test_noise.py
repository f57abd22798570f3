"""Noise is drawn as it is declared, and a declaration that cannot be drawn is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from repro.contract.bench import Bench
from repro.contract.declarations import read_tensors
from repro.contract.paper import Paper

WHOLE = {"axes": ["batch"], "dtype": "int64", "random": "uniform", "range": [1, 3]}


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"dtype": "float32", "random": "gaussian"}, "random: got 'gaussian', need one of normal, uniform"),
        ({"random": "normal"}, "need random: uniform, range: [1, 1000]"),
        ({"range": None}, "need random: uniform, range: [1, 1000]"),
        ({"range": [0, 0.5]}, "need random: uniform, range: [1, 1000]"),
        ({"dtype": "bool"}, "bool noise cannot be drawn"),
    ],
)
def test_noise_that_cannot_be_drawn(changes: dict[str, Any], said: str) -> None:
    declared, (fault,) = read_tensors({"step": WHOLE | changes})
    assert not declared and fault.startswith("tensors.step.random: ") and said in fault


def test_whole_numbers_are_drawn_evenly_with_both_ends() -> None:
    paper = Paper.from_config({"paper": {"name": "p"}, "tensors": {"x": {"axes": ["batch"]}, "step": WHOLE}})
    drawn = Bench(paper).with_noise({"x": torch.zeros(3000)})["step"]
    assert drawn.dtype == torch.int64 and drawn.shape == (3000,)
    counts = torch.bincount(drawn, minlength=4).tolist()
    assert counts[0] == 0 and len(counts) == 4
    assert all(
        abs(count - 1000) < 5 * (3000 * 1 / 3 * 2 / 3) ** 0.5 for count in counts[1:]
    )  # five standard deviations
