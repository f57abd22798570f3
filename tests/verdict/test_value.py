"""One row's decision: inside, outside, or not yet; and everything that is none of these."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from repro.verdict import Scale, Verdict, decide_value
from repro.verdict.methods import summarise
from repro.verdict.value import further_seeds, p_values


def test_inside_is_a_match() -> None:
    # interval 26.982 … 27.684 (tests/verdict/test_methods.py) inside 26.8 … 27.8
    result = decide_value([27.1, 27.4, 27.5], 27.3, 0.5, "higher")
    assert result.verdict is Verdict.MATCH
    assert result.interval == pytest.approx((26.9824, 27.6843), abs=1e-4)
    assert (result.n, result.confidence, result.more_seeds) == (3, pytest.approx(0.9), None)
    assert result.difference == pytest.approx(0.0333, abs=1e-4)


@pytest.mark.parametrize(
    ("direction", "up", "down"),
    [
        ("higher", Verdict.MISMATCH_BETTER, Verdict.MISMATCH_WORSE),
        ("lower", Verdict.MISMATCH_WORSE, Verdict.MISMATCH_BETTER),
        ("none", Verdict.MISMATCH_WORSE, Verdict.MISMATCH_WORSE),
    ],
)
def test_wholly_outside_is_a_mismatch_with_a_side(direction: str, up: Verdict, down: Verdict) -> None:
    assert decide_value([29.1, 29.4, 29.5], 27.3, 0.5, direction).verdict is up
    assert decide_value([25.1, 25.4, 25.5], 27.3, 0.5, direction).verdict is down


def test_between_is_inconclusive_with_the_seeds_it_needs() -> None:
    result = decide_value([27.0, 27.9, 27.6], 27.3, 0.5, "higher")
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.more_seeds == further_seeds(27.5, result_spread([27.0, 27.9, 27.6]), 3, 26.8, 27.8, 0.05)
    assert result.more_seeds is not None
    assert str(result.more_seeds) in result.reason


def result_spread(values: list[float]) -> float:
    return float(np.std(values, ddof=1))


def test_further_seeds_by_hand() -> None:
    # mean 1 sd above the upper edge: (t(.95, m−1) + 0.8416) / √m ≤ 1 first at m = 8: (1.8946 + 0.8416) / 2.8284 = 0.967
    assert further_seeds(2.0, 1.0, 3, -1.0, 1.0, 0.05) == 5
    assert further_seeds(1.0, 1.0, 3, -1.0, 1.0, 0.05) is None  # on the edge nothing decides
    assert further_seeds(1.0001, 1.0, 3, -1.0, 1.0, 0.05) is None  # nor do a thousand seeds here


def test_a_narrow_tolerance_blames_no_more_than_the_level() -> None:
    # beyond both edges counts, so at tolerance → 0 the test is the two-sided one
    samples = np.random.default_rng(3).standard_normal((20_000, 4))
    _, above, below = p_values(summarise(samples), -1e-6, 1e-6)
    assert np.mean(np.minimum(above, below) <= 0.05) == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / 20_000))


def test_one_seed_is_inconclusive_unless_the_record_has_a_spread() -> None:
    alone = decide_value([27.3], 27.3, 0.5)
    assert alone.verdict is Verdict.INCONCLUSIVE
    assert alone.more_seeds == 2
    assert decide_value([27.3], 27.3, 0.5, paper_spread=0.1).verdict is Verdict.MATCH
    assert decide_value([29.3], 27.3, 0.5, "higher", paper_spread=0.1).verdict is Verdict.MISMATCH_BETTER
    # the spread of three runs is itself uncertain: t(.95, 2) = 2.92 instead of 1.645
    assert decide_value([27.3], 27.3, 0.25, paper_spread=0.1, paper_seeds=3).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite(bad: float) -> None:
    result = decide_value([1.0, bad, 1.0], 1.0, 0.5)
    assert result.verdict is Verdict.NOT_TESTABLE
    assert "1 of 3 seeds" in result.reason


def test_no_seed_at_all() -> None:
    assert decide_value([], 1.0, 0.5).verdict is Verdict.NOT_TESTABLE


def test_no_spread_is_decided_and_said() -> None:
    result = decide_value([-200.0] * 3, -200.0, 5.0, "higher")
    assert result.verdict is Verdict.MATCH
    assert result.p_one_distribution == 1.0
    assert "is the seed used?" in result.notes[0]
    assert decide_value([-200.0] * 3, -100.0, 5.0, "higher").verdict is Verdict.MISMATCH_WORSE
    # rounding of a mean of equal numbers must not make a spread
    assert decide_value([0.1] * 3, 0.1, 0.01).verdict is Verdict.MATCH


def test_a_thousand_seeds() -> None:
    samples = list(np.random.default_rng(0).normal(27.3, 0.2, 1000))
    result = decide_value(samples, 27.3, 0.1)
    assert result.verdict is Verdict.MATCH
    assert result.interval[1] - result.interval[0] < 0.03


def test_second_question() -> None:
    ours = [10.0, 11.0, 12.0]
    # |11 − 14| / (1 · √(1/3 + 1)) = 2.5981, t with 2 degrees
    one, three = (decide_value(ours, 14.0, 1.0, paper_seeds=runs).p_one_distribution for runs in (None, 3))
    assert one == pytest.approx(2 * stats.t.sf(2.5981, 2), abs=1e-4)
    assert three < one  # three runs of the paper leave less room than one
    welch = stats.ttest_ind_from_stats(11, 1, 3, 14, 2, 5, equal_var=False).pvalue
    assert decide_value(ours, 14.0, 1.0, paper_spread=2.0, paper_seeds=5).p_one_distribution == pytest.approx(welch)


def test_stricter_than_the_papers_own_error() -> None:
    assert decide_value([10.0, 11.0, 12.0], 11.0, 0.5, paper_spread=2.0, paper_seeds=4).stricter
    # t(3) 3.1824 · 2 / √4 = 3.18
    assert decide_value([10.0, 11.0, 12.0], 11.0, 3.1, paper_spread=2.0, paper_seeds=4).stricter
    assert not decide_value([10.0, 11.0, 12.0], 11.0, 3.3, paper_spread=2.0, paper_seeds=4).stricter
    # no spread printed: ours is 1, and one run
    assert decide_value([10.0, 11.0, 12.0], 11.0, 1.9).stricter
    assert not decide_value([10.0, 11.0, 12.0], 11.0, 2.0).stricter


def test_sequential_needs_more_at_each_look_and_stops_when_it_is_hopeless() -> None:
    samples = [27.1, 27.4, 27.5]
    once = decide_value(samples, 27.3, 0.5)
    first = decide_value(samples, 27.3, 0.5, looks=(3, 6, 9))
    assert first.interval[0] < once.interval[0]
    assert first.interval[1] > once.interval[1]
    on_edge = decide_value([0.9, 1.1, 1.0, 0.8, 1.2, 1.0, 0.9, 1.1], 0.0, 1.0, looks=(4, 8, 9))
    assert (on_edge.verdict, on_edge.futile, on_edge.more_seeds) == (Verdict.INCONCLUSIVE, True, None)


def test_a_used_budget_says_what_a_larger_one_would_need() -> None:
    values = [1.7 + 0.4 * (-1) ** i for i in range(6)]
    last = decide_value(values, 0.0, 2.0, looks=(3, 6))
    assert (last.verdict, last.futile) == (Verdict.INCONCLUSIVE, False)
    assert last.more_seeds is not None and f"{last.more_seeds} more seed" in last.reason


def test_more_rows_widen() -> None:
    one, ten = (decide_value([27.1, 27.4, 27.5], 27.3, 5.0, rows=rows).interval for rows in (1, 10))
    assert ten[0] < one[0] < one[1] < ten[1]


@given(
    st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=2, max_size=8),
    st.floats(-50, 50),
    st.floats(0.01, 50),
    st.sampled_from(["higher", "lower"]),
)
def test_verdict_follows_the_interval(values: list[float], printed: float, tolerance: float, direction: str) -> None:
    result = decide_value(values, printed, tolerance, direction)
    low, high = printed - tolerance, printed + tolerance
    if result.verdict is Verdict.MATCH:
        assert low - 1e-6 <= result.interval[0] <= result.interval[1] <= high + 1e-6
    elif result.verdict in (Verdict.MISMATCH_WORSE, Verdict.MISMATCH_BETTER):
        assert result.interval[0] >= high - 1e-6 or result.interval[1] <= low + 1e-6
        above = result.mean > printed
        assert (result.verdict is Verdict.MISMATCH_BETTER) == (above == (direction == "higher"))
    # the p-values say the same: at a single look the claim holds whose p-value is at most 1 − confidence
    assert (result.verdict is Verdict.MATCH) == (result.p_match <= 1 - 0.95)
    if result.verdict is not Verdict.MATCH:
        assert (result.verdict is not Verdict.INCONCLUSIVE) == (result.p_mismatch <= 1 - 0.95)
    # mirrored, the sides change places
    mirrored = decide_value([-value for value in values], -printed, tolerance, direction)
    swap = {Verdict.MISMATCH_WORSE: Verdict.MISMATCH_BETTER, Verdict.MISMATCH_BETTER: Verdict.MISMATCH_WORSE}
    assert mirrored.verdict is swap.get(result.verdict, result.verdict)


def test_a_value_on_a_bound_cannot_be_transformed() -> None:
    result = decide_value([1.0, 0.99, 0.98], 0.99, 0.1, "higher", scale=Scale("logit", 0.0, 1.0))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "lies on a bound" in result.notes[0]
