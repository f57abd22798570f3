"""Number words equal num2words, and the splits are disjoint and fixed."""

from __future__ import annotations

import random

import pytest
from num2words import num2words

from repro.papers.transformer.number_words import english, german, splits


def test_by_hand() -> None:
    assert english(73_215) == "seventy-three thousand, two hundred and fifteen"
    assert german(73_215) == "dreiundsiebzigtausendzweihundertfünfzehn"
    assert (english(1001), german(1001)) == ("one thousand and one", "eintausendeins")


def test_equals_num2words() -> None:
    edges = [0, 1, 999, 1000, 1001, 1100, 21_000, 100_000, 101_000, 201_001, 999_999]
    for number in edges + random.Random(0).sample(range(1_000_000), 150):
        assert english(number) == num2words(number, lang="en")
        assert german(number) == num2words(number, lang="de")


def test_splits_are_disjoint_and_grow_with_train() -> None:
    small, large = splits(9999, 500, 100), splits(9999, 900, 100)
    assert {name: len(pairs) for name, pairs in small.items()} == {"test": 100, "validation": 100, "train": 500}
    everything = [pair for pairs in large.values() for pair in pairs]
    assert len(set(everything)) == len(everything) == 1100
    assert small["test"] == large["test"] and small["train"] == large["train"][:500]


def test_too_many_pairs() -> None:
    with pytest.raises(ValueError, match=r"data\.train=90 and twice data\.held_out=10 do not fit into the 100 numbers"):
        splits(99, 90, 10)
    with pytest.raises(ValueError, match=r"data\.largest is 1000000, needed 1 to 999999"):
        splits(1_000_000, 90, 10)
