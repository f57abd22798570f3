from __future__ import annotations

import math
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.report.axes import Scale, Symmetric
from repro.report.strips import NARROWEST, lanes, ticks


@pytest.mark.parametrize(
    ("extents", "band", "half"),
    [
        ([0.7], 0.0, 1.0),
        ([-5.2, 0.1], 2.8, 6.0),
        ([6.1], 2.8, 10.0),  # 3 × 2.8 = 8.4 holds 6.1, the next round range is 10
        ([50.0], 2.8, 10.0),  # never more than three bands: 8.4 → 10
        ([0.0132], 0.0, 0.02),
        ([], 0.0, 1.0),
        ([math.nan, math.inf], 0.0, 1.0),
        ([0.5], 1.7, 2.0),
    ],
)
def test_the_range_is_the_smallest_round_one_up_to_three_bands(extents: list[float], band: float, half: float) -> None:
    assert Symmetric.holding(extents, band).half == pytest.approx(half)


@given(st.lists(st.floats(-1e9, 1e9), max_size=6), st.floats(0, 1e6))
def test_nothing_leaves_the_axis_silently(extents: list[float], band: float) -> None:
    axis = Symmetric.holding(extents, band)
    assert not axis.beyond(band)
    for value in extents:
        assert 0 <= axis.at(value) <= 100
        if not axis.beyond(value):
            assert axis.at(value) == pytest.approx(50 + 50 * value / axis.half)
        else:
            assert band > 0 and axis.half >= 3 * band * (1 - 1e-9)
    assert 0.0 in axis.ticks() and len(axis.ticks()) <= 7


def test_ticks_of_a_linear_scale_are_round() -> None:
    assert Scale.linear([31.0, 68.0]).ticks == (30.0, 40.0, 50.0, 60.0, 70.0)
    assert Scale.linear([0.99]).low < 0.99 < Scale.linear([0.99]).high


def test_a_log_scale_has_powers_of_ten() -> None:
    scale = Scale.logarithmic([1e-5, 1.0])
    assert scale.ticks == pytest.approx((1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0))
    assert scale.at(math.sqrt(scale.low * scale.high)) == pytest.approx(0.5)


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=8))
def test_a_linear_scale_holds_its_values(values: list[float]) -> None:
    scale = Scale.linear(values)
    room = (scale.high - scale.low) * 1e-6
    assert scale.low - room <= min(values) and max(values) <= scale.high + room


@given(st.lists(st.floats(0, 100), max_size=80))
def test_dots_in_a_lane_do_not_touch(places: list[float]) -> None:
    places.sort()
    distance = 100 * 6.8 / NARROWEST
    by_lane: dict[int, list[float]] = {}
    for place, lane in zip(places, lanes(places, distance), strict=True):
        by_lane.setdefault(lane, []).append(place)
    for lane in by_lane.values():
        assert all(right - left >= distance for left, right in pairwise(lane))


def test_labels_beside_the_ends_are_left_out_where_they_would_touch() -> None:
    def labels(half: float, step: float) -> list[str]:
        return re.findall(r">([^<>]+)</text>", str(ticks(Symmetric(half, step))))

    assert labels(6, 2) == ["−6", "−4", "−2", "paper", "+2", "+4", "+6"]
    assert labels(0.6, 0.2) == ["−0.6", "−0.2", "paper", "+0.2", "+0.6"]
    assert labels(0.1, 0.05) == ["−0.10", "−0.05", "paper", "+0.05", "+0.10"]
