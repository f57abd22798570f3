"""The digits of a printed number say how far it was rounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.reference.printed import Printed, is_number, rounding_half_width


@pytest.mark.parametrize(
    ("text", "number", "half"),
    [
        ("27.3", 27.3, 0.05),
        ("27.30", 27.3, 0.005),
        ("65", 65, 0.5),
        ("3.3e18", 3.3e18, 5e16),
        ("6.99e-4", 6.99e-4, 5e-7),
        ("-0.39", -0.39, 0.005),
        ("−200.00", -200, 0.005),
        ("25,000", 25000, 0.5),
    ],
)
def test_half_width_by_digits(text: str, number: float, half: float) -> None:
    assert Printed(text).number == pytest.approx(number)
    assert rounding_half_width(text) == pytest.approx(half)


@given(st.decimals(-1000, 1000, places=3), st.integers(0, 2))
def test_what_rounds_to_it_agrees(value: object, places: int) -> None:
    printed = Printed(f"{value:.{places}f}")
    assert printed.agrees(float(value))  # type: ignore[arg-type]
    assert not printed.agrees(printed.number + 1.01 * 2 * printed.half_width)


def test_what_is_no_number() -> None:
    assert not any(map(is_number, ["about 1", "", "nan", "inf", "1e", "1.2.3", "0x10", "1e99999", "."]))
    with pytest.raises(ValueError, match="about 1"):
        Printed("about 1")


def test_about_widens() -> None:
    assert Printed("37000", 500).interval == (36500, 37500)
