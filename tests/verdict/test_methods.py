"""Intervals of the mean: Student's by hand, transformed ones against what they claim to compute."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from repro.verdict.methods import NORMAL, Scale, summarise

SEEDS = np.array([27.1, 27.4, 27.5])


def test_student_by_hand() -> None:
    # mean 27.3333, sd 0.2082, t(.95, 2) = 2.9200: half-width 2.92 · 0.2082 / √3 = 0.3509
    low, high = summarise(SEEDS).interval(0.05)
    assert (low, high) == pytest.approx((26.9824, 27.6843), abs=1e-4)
    below, above = summarise(SEEDS).p_both(high)
    assert (float(below), float(above)) == pytest.approx((0.05, 0.95))


@pytest.mark.parametrize(
    ("scale", "values"),
    [
        (Scale("log", 0.0), [4.9, 5.0, 5.3]),
        (Scale("log", 1.0), [4.9, 5.0, 5.3]),
        (Scale("logit", 0.0, 1.0), [0.91, 0.95, 0.97]),
        (Scale("cube_root", None, 1.0), [0.91, 0.95, 0.97]),
        (Scale("cube_root", 0.0), [0.2, 0.5, 0.9]),
        (Scale("log", None, 1.0), [0.91, 0.95, 0.97]),
    ],
)
def test_interval_is_where_the_p_values_cross(scale: Scale, values: list[float]) -> None:
    summary = summarise(np.array(values), scale)
    low, high = summary.interval(0.05)
    assert low < np.mean(values) < high
    assert float(summary.p_above(low)) == pytest.approx(0.05, abs=1e-6)
    assert float(summary.p_below(high)) == pytest.approx(0.05, abs=1e-6)
    plain = summarise(np.array(values)).interval(0.05)
    assert low <= plain[0] + 1e-12  # the hull: never narrower than Student's
    assert high >= plain[1] - 1e-12


def test_centre_inverts_the_mean() -> None:
    spread = np.array([0.05, 0.3, 1.0])
    z = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    for scale, edge, back in [
        (Scale("log", 1.0), 5.0, lambda y: 1 + np.exp(y)),
        (Scale("logit", 0.0, 1.0), 0.93, lambda y: 1 / (1 + np.exp(-y))),
        (Scale("cube_root", 0.0), 0.7, lambda y: y**3),
        (Scale("cube_root", None, 1.0), 0.93, lambda y: 1 - y**3),
    ]:
        centre = scale.centre(edge, spread)
        assert back(centre[:, None] + spread[:, None] * z).mean(axis=1) == pytest.approx(edge, abs=3e-3)


def test_generalised_interval_of_a_lognormal_mean_against_simulation() -> None:
    # μ* + σ*²/2 with σ*² = (n−1)s²/χ², μ* = m − Z σ*/√n (Krishnamoorthy and Mathew 2003)
    y = np.log([4.9, 5.0, 5.3, 5.9])
    generator = np.random.default_rng(0)
    sigma2 = 3 * y.var(ddof=1) / generator.chisquare(3, 400_000)
    means = np.exp(y.mean() - generator.standard_normal(400_000) * np.sqrt(sigma2 / 4) + sigma2 / 2)
    ours = Scale("log", 0.0).interval(float(y.mean()), float(y.std(ddof=1)), 4, 0.05)
    assert ours == pytest.approx(np.quantile(means, [0.05, 0.95]), rel=5e-3)


def test_rows_are_independent_axes() -> None:
    samples = np.random.default_rng(1).lognormal(size=(3, 2, 5))
    together = summarise(samples, Scale("log", 0.0)).p_below(1.5)
    assert together.shape == (3, 2)
    assert float(together[2, 1]) == pytest.approx(float(summarise(samples[2, 1], Scale("log", 0.0)).p_below(1.5)))


def test_edges_of_what_can_be_told() -> None:
    with pytest.raises(ValueError, match="need at least 2"):
        summarise(np.array([1.0]))
    flat = summarise(np.array([0.1, 0.1, 0.1]))
    assert float(flat.spread) == 0
    assert [float(p) for p in flat.p_both(0.2)] == [0.0, 1.0]
    assert [float(p) for p in flat.p_both(0.1)] == [0.5, 0.5]
    assert flat.interval(0.05) == pytest.approx((0.1, 0.1))
    on_bound = summarise(np.array([1.0, 0.99, 0.98]), Scale("logit", 0.0, 1.0))
    assert [float(p) for p in on_bound.p_both(0.5)] == [1.0, 1.0]
    assert on_bound.interval(0.05) == (0.0, 1.0)
    assert math.isfinite(float(NORMAL.centre(0.5, np.array(1.0))))
