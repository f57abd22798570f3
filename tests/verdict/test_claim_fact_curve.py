"""Claims by pairs, facts by digits, curves at all steps at once."""

from __future__ import annotations

import math

import numpy as np
import pytest

from repro.reference.printed import Printed
from repro.verdict import Verdict, decide_claim, decide_curve, decide_fact

FULL = {0: 0.10, 1: 0.30, 2: 0.50}
WORSE = {0: 0.21, 1: 0.40, 2: 0.62}  # 0.11, 0.10, 0.12 more, though seeds differ by far more


def test_pairs_see_what_means_cannot() -> None:
    result = decide_claim(WORSE, FULL, "hurts", "lower")
    assert result.verdict is Verdict.MATCH
    assert result.mean == pytest.approx(0.11)
    # t(.95, 2) · 0.01 / √3 = 0.01686
    assert result.interval == pytest.approx((0.11 - 0.01686, 0.11 + 0.01686), abs=1e-4)


def test_the_opposite_is_a_mismatch() -> None:
    assert decide_claim(WORSE, FULL, "helps", "lower").verdict is Verdict.MISMATCH_WORSE
    assert decide_claim(WORSE, FULL, "helps", "higher").verdict is Verdict.MATCH


def test_only_shared_seeds_count() -> None:
    result = decide_claim({**WORSE, 7: 99.0}, {**FULL, 8: -99.0}, "hurts", "lower")
    assert (result.n, result.mean) == (3, pytest.approx(0.11))
    assert decide_claim({1: 0.0}, {2: 0.0}, "hurts", "lower").verdict is Verdict.NOT_TESTABLE


def test_undecided_claims() -> None:
    assert decide_claim({0: 0.2}, {0: 0.1}, "hurts", "lower").verdict is Verdict.INCONCLUSIVE
    ties = decide_claim({0: 1.0, 1: 1.0}, {0: 1.0, 1: 1.0}, "hurts", "higher")
    assert (ties.verdict, ties.more_seeds) == (Verdict.INCONCLUSIVE, None)
    assert "does not tell the variants apart" in ties.reason
    noisy = decide_claim({0: 0.2, 1: 0.2, 2: 0.7}, FULL, "hurts", "lower")
    assert noisy.verdict is Verdict.INCONCLUSIVE
    assert noisy.more_seeds
    assert decide_claim({0: math.nan, 1: 1.0}, {0: 1.0, 1: 1.0}, "hurts", "higher").verdict is Verdict.NOT_TESTABLE


def test_claims_of_a_size() -> None:
    assert decide_claim(WORSE, FULL, "hurts", "lower", difference=0.1, tolerance=0.05).verdict is Verdict.MATCH
    assert decide_claim(WORSE, FULL, "hurts", "lower", difference=0.3, tolerance=0.05).verdict is Verdict.MISMATCH_WORSE
    assert decide_claim(WORSE, FULL, "same", "lower", tolerance=0.2).verdict is Verdict.MATCH
    with pytest.raises(ValueError, match="needs a tolerance"):
        decide_claim(WORSE, FULL, "same", "lower")


def test_facts_round_to_the_printed_digits() -> None:
    assert decide_fact(64.7, Printed("65")).verdict is Verdict.MATCH
    assert decide_fact(64.4, Printed("65")).verdict is Verdict.MISMATCH_WORSE
    assert decide_fact(3.2832e18, Printed("3.3e18")).verdict is Verdict.MATCH
    assert decide_fact(6.98771e-4, Printed("6.99e-4")).verdict is Verdict.MATCH
    assert decide_fact(64.4, Printed("65"), tolerance=1.0).verdict is Verdict.MATCH
    assert decide_fact(math.nan, Printed("65")).verdict is Verdict.NOT_TESTABLE


STEPS = [100.0, 200.0, 300.0]
REFERENCE = [3.0, 2.0, 1.0]


def curves(shift: list[float]) -> np.ndarray:
    seeds = np.array([[-0.01], [0.0], [0.01], [0.005], [-0.005]])
    return np.array(REFERENCE) + np.array(shift) + seeds


def test_curve_inside_at_all_steps() -> None:
    result = decide_curve(STEPS, curves([0.0, 0.02, -0.02]), REFERENCE, 0.1, "lower")
    assert (result.verdict, result.off_course, len(result.band)) == (Verdict.MATCH, None, 3)


def test_curve_off_course_names_the_first_step_and_side() -> None:
    result = decide_curve(STEPS, curves([0.0, 0.5, 0.5]), REFERENCE, 0.1, "lower")
    assert (result.verdict, result.off_course) == (Verdict.MISMATCH_WORSE, 200.0)
    assert decide_curve(STEPS, curves([0.0, -0.5, 0.0]), REFERENCE, 0.1, "lower").verdict is Verdict.MISMATCH_BETTER


def test_each_step_may_have_a_tolerance_of_its_own() -> None:
    shifted = curves([0.4, 0.0, 0.0])
    assert decide_curve(STEPS, shifted, REFERENCE, [0.5, 0.05, 0.05], "lower").verdict is Verdict.MATCH
    tight = decide_curve(STEPS, shifted, REFERENCE, [0.1, 0.5, 0.5], "lower")
    assert (tight.verdict, tight.off_course) == (Verdict.MISMATCH_WORSE, 100.0) and "± 0.1" in tight.reason


def test_curves_that_cannot_be_told() -> None:
    assert decide_curve(STEPS, curves([0.0, 0.1, 0.0]), REFERENCE, 0.1).verdict is Verdict.INCONCLUSIVE
    assert decide_curve(STEPS, curves([0, 0, 0])[:1], REFERENCE, 0.1).verdict is Verdict.INCONCLUSIVE
    broken = curves([0.0, 0.0, 0.0])
    broken[1, 2] = math.nan
    assert "step 300" in decide_curve(STEPS, broken, REFERENCE, 0.1).reason
    assert decide_curve([], np.zeros((3, 0)), [], 0.1).verdict is Verdict.NOT_TESTABLE
    with pytest.raises(ValueError, match="need ours"):
        decide_curve(STEPS, curves([0, 0, 0])[:, :2], REFERENCE, 0.1)


def test_the_band_holds_at_all_steps_at_once() -> None:
    generator = np.random.default_rng(4)
    steps = list(range(20))
    wrong = [
        decide_curve(steps, generator.standard_normal((4, 20)), [0.0] * 20, 1e-9).off_course is not None
        for _ in range(400)
    ]
    assert np.mean(wrong) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)
