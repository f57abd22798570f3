from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.report.numbers import MINUS, Style, decimal, duration, p_value, percent, significant


@pytest.mark.parametrize(
    ("printed", "paper", "ours", "shown"),
    [
        ("27.3", 27.3, 26.94, "26.94"),
        ("65 M", 65e6, 63.05e6, "63.0 M"),  # 63.05 in binary lies below the half
        ("3.3e18", 3.3e18, 3.283e18, "3.28e18"),
        ("65 × 10^6", 65e6, 64.2e6, "64.2 × 10^6"),
        ("32 ± 1", 32.0, 31.74, "31.7"),
        ("> 99", 99.0, 99.61, "99.6"),
        ("5,210", 5210.0, 5210.0, "5,210.0"),
        ("hurts", None, 0.41, "0.410"),
    ],
)
def test_ours_is_written_like_the_paper_with_one_digit_more(
    printed: str, paper: float | None, ours: float, shown: str
) -> None:
    assert Style.of(printed, paper).show(ours) == shown


def test_minus_plus_and_a_rounded_zero() -> None:
    assert decimal(-3.94, 1, sign=True) == f"{MINUS}3.9"
    assert decimal(3.94, 1, sign=True) == "+3.9"
    assert decimal(-0.04, 1, sign=True) == "0.0"
    assert decimal(-0.04, 1) == "0.0"


def test_what_is_not_finite_is_named() -> None:
    assert [decimal(value, 1) for value in (math.nan, math.inf, -math.inf)] == ["NaN", "∞", f"{MINUS}∞"]
    assert significant(math.nan) == "NaN"
    assert Style.of("27.3", 27.3).show(math.nan) == "NaN"
    assert Style.of("65 M", 65e6).show(None) == "–"


def test_the_printed_number_is_never_rescaled_by_anything_but_a_power_of_ten() -> None:
    assert Style.of("27.3", 54.6).scale == 1.0


def test_times_levels_and_p() -> None:
    assert [duration(seconds) for seconds in (0.42, 12.0, 148.0, 8760.0, 276000.0)] == [
        "0.4 s",
        "12 s",
        "2 min 28 s",
        "2 h 26 min",
        "3 d 4 h",
    ]
    assert (percent(0.95), percent(0.995), p_value(0.004), p_value(0.07)) == ("95 %", "99.5 %", "p < 0.01", "p = 0.07")


@given(st.floats(allow_nan=True, allow_infinity=True), st.integers(0, 4))
def test_every_float_can_be_written(value: float, decimals: int) -> None:
    assert "-" not in decimal(value, decimals).replace("e-", "")
    assert significant(value)


@given(st.floats(-1e6, 1e6), st.integers(0, 3))
def test_a_written_number_is_within_half_a_digit(value: float, decimals: int) -> None:
    text = decimal(value, decimals).replace(MINUS, "-").replace(",", "")
    assert abs(float(text) - value) <= 0.5 * 10**-decimals * (1 + 1e-6) + 1e-9
