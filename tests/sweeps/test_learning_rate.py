"""What a sweep of rates concludes, by hand-worked numbers."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from repro.findings import Outcome
from repro.phases.gauntlet import learning_rate_finding
from repro.sweeps.falling import fall
from repro.sweeps.learning_rate import conclusion, log_points, paper_rate


def test_log_points() -> None:
    assert log_points(1e-5, 1e-1, 9) == pytest.approx([10 ** (-5 + half / 2) for half in range(9)])
    assert log_points(1e-4, 1e-2, 1) == pytest.approx([1e-3])
    assert log_points(1e-4, 1e-2, 2) == [1e-4, 1e-2]


def test_a_fall_by_hand() -> None:
    """Ten values: windows of 1 and 2. Second differences of the zigzag 1, 0, 1, … are ±2, so noise = √(4/6)."""
    found = fall([11, 10, 1, 0, 1, 0, 1, 0, 1, 0])
    assert (found.initial, found.final, found.drop) == (11, 0.5, 10.5)
    zigzag = fall([1, 0] * 5)
    assert zigzag.noise == pytest.approx(math.sqrt(4 / 6))
    assert zigzag.standard_error == pytest.approx(math.sqrt(4 / 6) * math.sqrt(1 + 1 / 2))
    assert not zigzag.falls


def test_a_straight_line_is_all_trend_and_no_noise() -> None:
    found = fall([5 - 0.1 * step for step in range(40)])
    assert found.noise == pytest.approx(0, abs=1e-12) and found.falls


def test_noise_alone_falls_in_none_of_a_thousand_series() -> None:
    draw = random.Random(0)
    assert not any(fall([draw.gauss(3, 1) for _ in range(60)]).falls for _ in range(1000))


@pytest.mark.parametrize("losses", [[], [3.0], [3.0, 2.0, 1.0], [5.0, math.nan, 3.0, 2.0, 1.0], [math.inf] * 9])
def test_what_cannot_be_decided_does_not_fall(losses: list[float]) -> None:
    assert not fall(losses).falls


def rate(value: float, falls: bool, final: float = 1.0, state: str = "complete") -> dict[str, Any]:
    return {"rate": value, "falls": falls, "initial": 5.0, "final": final, "state": state}


RATES = [
    rate(1e-5, False),
    rate(1e-4, True, 2.0),
    rate(5e-4, False, 2.0, "pruned"),  # stopped before it could show: undecided
    rate(1e-3, True, 1.0),
    rate(1e-2, True, 3.0),
    rate(1e-1, False, state="diverged"),
    rate(1.0, True, 2.5),  # beyond a gap: not part of the range around the best
]


@pytest.mark.parametrize(
    ("paper", "inside", "factor", "words"),
    [
        (1e-3, True, None, "rates 0.0001 … 0.01 learn, the paper's 0.001 lies inside"),
        (1e-2, True, None, "rates 0.0001 … 0.01 learn, the paper's 0.01 lies inside"),
        (0.03, False, 3.0, "rates 0.0001 … 0.01 learn, the paper's 0.03 lies 3 times above"),
        (2e-5, False, 0.2, "rates 0.0001 … 0.01 learn, the paper's 2e-05 lies 5 times below"),
        (None, None, None, "rates 0.0001 … 0.01 learn"),
    ],
)
def test_where_the_papers_rate_lies(paper: float | None, inside: bool | None, factor: float | None, words: str) -> None:
    found = conclusion(RATES, paper)
    assert found["usable"] == [1e-4, 1e-2] and found["best_rate"] == 1e-3
    assert (found["paper_inside"], found["summary"]) == (inside, words)
    assert found["paper_factor"] == (None if factor is None else pytest.approx(factor))


def test_what_learns_beyond_a_gap_is_no_part_of_the_usable_range() -> None:
    below = rate(1e-6, True, 2.5)  # RATES has one above
    assert conclusion([below, *RATES], 1e-3)["usable"] == [1e-4, 1e-2]


def test_a_rate_far_too_low_makes_the_loss_fall_but_does_not_learn() -> None:
    # 5 → 4.7 is far more than noise, and 7 % of what the best rate gets in the same updates
    found = conclusion([rate(1e-5, True, 4.7), *RATES[1:]], 1e-3)
    assert found["usable"] == [1e-4, 1e-2]


def test_no_rate_learns() -> None:
    found = conclusion([rate(1e-3, False)], 1e-3)
    assert (found["usable"], found["paper_inside"]) == (None, None)
    assert found["summary"] == "no rate makes the loss fall clearly, the paper's 0.001 neither"
    assert conclusion([], 1e-3)["summary"] == "no rate tried yet"


def test_trials_that_could_not_show_a_fall_say_how_long_they_must_be() -> None:
    # a standard error of 2 in a loss of 5: to see it fall by half takes (5 · 2 / 2.5)² = 16 times as many updates
    noisy = [{**rate(value, False), "standard_error": 2.0, "updates": 60} for value in (1e-4, 1e-3)]
    found = conclusion(noisy, 1e-3)
    assert found["usable"] is None and found["needed_updates"] == 960
    assert found["summary"] == "trials too short to see the loss fall: its noise would hide a fall to zero"
    quiet = {**rate(1e-2, False), "standard_error": 0.01, "updates": 60}
    found = conclusion([*noisy, quiet], 1e-3)
    assert found["needed_updates"] is None and found["summary"].startswith("no rate makes")
    record = {**conclusion(noisy, 1e-3), "trials": [{"number": 0, "state": "complete", "error": None}]}
    finding = learning_rate_finding(record)
    assert finding.outcome is Outcome.WARNED and "sweep learning_rate sweep.updates=960" in finding.observed


def test_a_loss_that_is_lost_at_every_rate_is_no_matter_of_the_rate() -> None:
    found = conclusion([rate(1e-5, False, state="diverged"), rate(1e-3, False, state="diverged")], 1e-3)
    assert found["summary"] == "the loss becomes NaN or infinite at every rate, down to 1e-05"
    trials = [
        {"number": n, "state": "diverged", "error": "learning_rate-000: loss became nan at update 48 of 60.\nTrace it"}
        for n in (0, 1)
    ]
    finding = learning_rate_finding({**found, "trials": trials})
    assert (
        finding.outcome is Outcome.FAILED
        and finding.observed == "learning_rate-000: loss became nan at update 48 of 60."
    )
    assert "logarithm of zero" in finding.likely[0]


SCHEDULE = {
    "learning_rate": "width**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)",
    "names": {"width": 512, "warmup_steps": 4000},
    "breaks": ["warmup_steps"],
}


@pytest.mark.parametrize(
    ("options", "schedule", "expected"),
    [
        ({}, SCHEDULE, 512**-0.5 * 4000**-0.5),  # 6.99e-4, the peak at the end of warm-up
        ({"paper_value": 3e-4}, SCHEDULE, 3e-4),
        ({"paper_value": "2 / width"}, SCHEDULE, 2 / 512),
        ({}, {"learning_rate": 0.1}, 0.1),
        ({"parameter": "training.rate"}, None, 0.05),
        ({"parameter": "training.other"}, None, None),
    ],
)
def test_the_papers_rate(options: dict[str, Any], schedule: dict[str, Any] | None, expected: float | None) -> None:
    settings = {
        "gauntlet": {"learning_rate": options},
        "schedule": schedule,
        "reproduction": {"updates": 100_000},
        "training": {"rate": 0.05},
    }
    assert paper_rate(settings) == (None if expected is None else pytest.approx(expected))
