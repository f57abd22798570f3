"""Interquartile means by hand, intervals that know which axis holds seeds, and no interval where there can be none."""

from __future__ import annotations

import numpy as np
import pytest

from repro.verdict.aggregate import aggregate, by_task, interquartile_mean, normalised

AXES = ("seed", "task")


def scores(seeds: int = 10, tasks: int = 6) -> np.ndarray:
    return np.random.default_rng(0).normal(np.arange(tasks), 1.0, size=(seeds, tasks))


def test_interquartile_mean_by_hand() -> None:
    # of 8 the middle 4; of 6 the middle 3: 1.5 cut at each end, so the second and fifth count half
    assert float(interquartile_mean(np.array([9.0, 1, 2, 3, 4, 5, 6, 100]))) == pytest.approx((3 + 4 + 5 + 6) / 4)
    assert float(interquartile_mean(np.array([0.0, 1, 2, 3, 4, 100]))) == pytest.approx((0.5 * 1 + 2 + 3 + 0.5 * 4) / 3)
    assert float(interquartile_mean(np.array([5.0]))) == 5.0


def test_the_generator_decides_the_interval_and_the_order_of_axes_does_not() -> None:
    a = aggregate(scores(), np.random.default_rng(1), axes=AXES)
    assert a == aggregate(scores(), np.random.default_rng(1), axes=AXES)
    assert a == aggregate(scores().T, np.random.default_rng(1), axes=("task", "seed"))
    assert a.interval != aggregate(scores(), np.random.default_rng(2), axes=AXES).interval
    assert a.interval[0] < a.value < a.interval[1] and (a.seeds, a.tasks) == (10, 6)


def test_each_task_draws_its_own_seeds() -> None:
    # opposite tasks: seeds drawn once for both would always average to 0 and leave no width
    one = scores(10, 1)
    found = aggregate(np.hstack([one, -one]), np.random.default_rng(0), axes=AXES, statistic="mean")
    assert found.value == pytest.approx(0.0)
    assert found.interval[0] < -0.1 and found.interval[1] > 0.1


def test_seeds_on_the_axis_of_tasks_are_refused_instead_of_a_zero_width() -> None:
    one_task = scores(10, 1)
    with pytest.raises(ValueError, match=r"1 seed and 10 tasks.*the other way round"):
        aggregate(one_task.T, np.random.default_rng(0), axes=AXES)
    right = aggregate(one_task, np.random.default_rng(0), axes=AXES)
    assert right.interval[0] < right.interval[1]
    with pytest.raises(ValueError, match="need 'seed' and 'task'"):
        aggregate(one_task, np.random.default_rng(0), axes=("seed", "seed"))


def test_zero_spread_few_seeds_and_what_is_not_finite() -> None:
    same = aggregate(np.ones((6, 3)), np.random.default_rng(0), axes=AXES)
    assert same.interval == (1.0, 1.0) and "is the seed used?" in same.notes[0]
    assert any("too narrow" in note for note in aggregate(scores(3), np.random.default_rng(0), axes=AXES).notes)
    lost = scores()
    lost[0, 0] = np.nan
    with pytest.raises(ValueError, match="1 of 60 scores are not finite"):
        aggregate(lost, np.random.default_rng(0), axes=AXES)
    with pytest.raises(ValueError, match="no scores"):
        aggregate(np.zeros((0, 3)), np.random.default_rng(0), axes=AXES)


def test_coverage_of_the_interval_with_ten_seeds() -> None:
    # the true value from many scores; a percentile interval from 10 seeds covers a little less than it says
    rng = np.random.default_rng(5)
    truth = float(interquartile_mean(rng.normal(np.arange(4), 1.0, size=(100_000, 4)).reshape(-1)))
    hits = 0
    for _ in range(200):
        found = aggregate(rng.normal(np.arange(4), 1.0, size=(10, 4)), rng, axes=AXES, repeats=300)
        hits += found.interval[0] <= truth <= found.interval[1]
    assert 0.85 <= hits / 200 <= 0.99


def test_by_task_keeps_shared_seeds_and_names_the_others() -> None:
    array, tasks, seeds, notes = by_task({"pong": {0: 1.0, 1: 2.0}, "breakout": {1: 3.0, 0: 4.0, 7: 5.0}})
    assert array.tolist() == [[1.0, 4.0], [2.0, 3.0]] and tasks == ("pong", "breakout") and seeds == (0, 1)
    assert notes == ("breakout: seed 7 left out, since other tasks lack it",)
    assert by_task({})[0].shape == (0, 0)


def test_normalised() -> None:
    assert normalised(15.0, 10.0, 20.0) == 0.5
    with pytest.raises(ValueError, match="two different"):
        normalised(1.0, 2.0, 2.0)
