"""Dots of seeds never hide each other: those that would overlap are stacked, and each keeps its place."""

from __future__ import annotations

import pytest

from repro.report.strips import lanes


@pytest.mark.parametrize(
    ("positions", "stacked"),
    [
        ([], []),
        ([10.0, 11.0, 12.0], [0, 0, 0]),  # just far enough apart
        ([10.0, 10.5, 11.0, 11.2], [0, 1, 0, 2]),  # back to the first lane as soon as there is room
        ([10.0, 10.0, 10.0], [0, 1, 2]),
    ],
)
def test_a_dot_goes_to_the_first_lane_with_room(positions: list[float], stacked: list[int]) -> None:
    assert lanes(positions, 1.0) == stacked
