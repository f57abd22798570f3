from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.configuration.overrides import expand
from repro.errors import ConfigError


def test_expand_is_the_product_in_order() -> None:
    assert expand(["a=1,2", "b=x", "c=u,v"]) == [
        ["a=1", "b=x", "c=u"],
        ["a=1", "b=x", "c=v"],
        ["a=2", "b=x", "c=u"],
        ["a=2", "b=x", "c=v"],
    ]


def test_expand_knows_ranges_choices_and_globs(folder: Path) -> None:
    assert expand(["a=range(1,4)"]) == [["a=1"], ["a=2"], ["a=3"]]
    assert expand(["+a=choice(x,y)"]) == [["+a=x"], ["+a=y"]]
    assert expand(["data=glob(*ines)"]) == [["data=lines"]]


def test_a_list_is_one_value() -> None:
    assert expand(["phases=[data,model]"]) == [["phases=[data,model]"]]


def test_an_interval_has_no_end_of_values() -> None:
    with pytest.raises(ConfigError, match="interval"):
        expand(["a=interval(0,1)"])


@given(st.lists(st.lists(st.integers(-50, 50), min_size=1, max_size=3), min_size=1, max_size=3))
def test_expand_matches_the_cartesian_product(columns: list[list[int]]) -> None:
    overrides = [f"k{index}={','.join(map(str, values))}" for index, values in enumerate(columns)]
    expected = [[f"k{index}={value}" for index, value in enumerate(row)] for row in product(*columns)]
    assert expand(overrides) == expected
