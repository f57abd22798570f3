"""Tasks side by side, by hand: what is normalised, what is left out and why, and when there is no aggregate."""

from __future__ import annotations

import math

import numpy as np
import pytest

from repro.verdict.methods import Scale
from repro.verdict.side_by_side import Scores, SideBySide, side_by_side


def compared(*tasks: Scores) -> SideBySide:
    return side_by_side(tasks, np.random.default_rng(0))


def test_the_middle_half_of_all_normalised_scores() -> None:
    # 0.2, 0.4, 0.6 and 0.5, 1, 1.5: the middle three of six scores are half of 0.4, then 0.5, 0.6 and half of 1
    a = Scores("a", {0: 2.0, 1: 4.0, 2: 6.0}, 0.0, 10.0)
    b = Scores("b", {0: 5.0, 1: 10.0, 2: 15.0}, 0.0, 10.0)
    found = compared(a, b)
    assert found.aggregate is not None
    assert found.aggregate.value == pytest.approx((0.4 / 2 + 0.5 + 0.6 + 1.0 / 2) / 3)
    assert (found.aggregate.tasks, found.aggregate.seeds) == (2, 3)
    # the same generator gives the same interval
    assert compared(a, b).aggregate == found.aggregate
    # t(2, 0.975) = 4.303, standard error 2 / √3
    assert found.tasks[0].interval == pytest.approx((4 - 4.303 * 2 / 3**0.5, 4 + 4.303 * 2 / 3**0.5), abs=1e-3)


def test_lower_scores_that_are_better_count_upwards() -> None:
    (one, _) = compared(Scores("cost", {0: 30.0, 1: 20.0}, 50.0, 10.0), Scores("b", {0: 1.0, 1: 1.0}, 0.0, 1.0)).tasks
    assert one.normalised == pytest.approx({0: 0.5, 1: 0.75})


def test_an_interval_follows_the_law_that_the_documented_result_declares() -> None:
    share = Scale("logit", 0.0, 1.0)
    (one,) = compared(Scores("a", {0: 0.97, 1: 0.99, 2: 0.98}, 0.0, 1.0, share)).tasks
    (plain,) = compared(Scores("a", {0: 0.97, 1: 0.99, 2: 0.98}, 0.0, 1.0)).tasks
    assert one.interval is not None and plain.interval is not None
    assert one.interval[0] < plain.interval[0] and one.interval[1] <= max(1.0, plain.interval[1])


@pytest.mark.parametrize(
    ("task", "why"),
    [
        (Scores("x", {0: 1.0, 1: 2.0}), "the reference table gives no scale for it"),
        (Scores("x", {0: 1.0, 1: 2.0}, 3.0, 3.0), "a random policy and the documented result score the same"),
        (Scores("x", {0: 1.0, 1: math.nan}, 0.0, 3.0), "seed 1 gave a score that is not finite"),
        (Scores("x", {0: 1.0}, 0.0, 3.0, fault="seed 1 diverged"), "seed 1 diverged"),
    ],
)
def test_what_cannot_be_normalised_is_named_and_left_out(task: Scores, why: str) -> None:
    good = Scores("good", {0: 1.0, 1: 2.0}, 0.0, 3.0)
    found = compared(good, task)
    assert [one.why_not for one in found.tasks] == ["", why]
    assert (found.aggregate, found.why_none) == (None, "only good can be normalised, and an aggregate needs two")
    assert compared(good, Scores("other", {0: 1.0, 1: 1.0}, 0.0, 3.0), task).aggregate is not None


def test_seeds_that_only_one_task_has_are_left_out() -> None:
    a, b = Scores("a", {0: 1.0, 1: 2.0, 7: 3.0}, 0.0, 3.0), Scores("b", {0: 1.0, 1: 2.0}, 0.0, 3.0)
    found = compared(a, b).aggregate
    assert found is not None and found.seeds == 2 and "a: seed 7 left out, since other tasks lack it" in found.notes
    assert compared(a, Scores("c", {5: 1.0}, 0.0, 3.0)).why_none == "the tasks have no seed in common"
