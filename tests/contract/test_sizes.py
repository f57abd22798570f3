"""Sizes of axes: what a batch holds, then whole numbers of the config by their names, then what outputs show."""

from __future__ import annotations

import torch

from repro.contract.paper import Paper
from repro.contract.sizes import flat, known_sizes

SETTINGS = {
    "paper": {"name": "mine"},
    "model": {"_target_": "mine.Model", "width": 8, "tied": True, "dropout": 0.5, "encoder": {"layers": 2, "width": 9}},
    "data": {"_target_": "mine.Data", "length": 40},
    "tensors": {
        "x": {"axes": ["batch", "length", "width", 3], "dtype": "float32", "meaning": "inputs"},
        "y": {"axes": ["batch"], "dtype": "int64", "meaning": "classes"},
        "h": {"axes": ["batch", "layers", "states"], "dtype": "float32", "output_of": "model", "meaning": "states"},
    },
}


def test_whole_numbers_of_the_config_are_sizes_and_flags_and_rates_are_none() -> None:
    assert known_sizes(Paper.from_config(SETTINGS)) == {"length": 40, "width": 8, "layers": 2}


def test_a_batch_is_believed_before_the_config_and_the_config_before_outputs() -> None:
    paper = Paper.from_config(SETTINGS)
    batch = {"x": torch.zeros(5, 7, 8, 3), "y": torch.zeros(6), "z": torch.zeros(2)}
    assert known_sizes(paper, batch) == {"length": 7, "width": 8, "layers": 2, "batch": 5}
    sizes = known_sizes(paper, batch, {"h": torch.zeros(4, 3, 9)})
    assert sizes == {"length": 7, "width": 8, "layers": 2, "batch": 5, "states": 9}
    # a tensor of another number of axes says nothing of any of them
    assert "batch" not in known_sizes(paper, {"y": torch.zeros(6, 1)})


def test_a_name_that_occurs_twice_keeps_its_first_value() -> None:
    assert flat({"a": {"width": 1, "b": {"depth": 2}}, "width": 3}) == {"width": 1, "depth": 2}
