"""The error rates, by a short version of scripts/calibration.py: 3,000 repeats, three Monte-Carlo errors of room."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from repro.verdict.methods import NORMAL
from repro.verdict.sequential import levels, plan
from repro.verdict.simulation import (
    NORMAL_LAW,
    Law,
    beta,
    errors,
    exponential,
    lognormal,
    peer_rates,
    rates,
)

REPEATS = 3000


def most(rate: float) -> float:
    return rate + 3 * math.sqrt(rate * (1 - rate) / REPEATS)


STUDENT3 = Law("t3", lambda g, shape: g.standard_t(3, shape), 0.0, math.sqrt(3))


@pytest.mark.parametrize("looks", [(2,), (5,), plan(2, 4, 14)], ids=str)
@pytest.mark.parametrize("law", [NORMAL_LAW, STUDENT3, beta(95, 5), lognormal(0.25)], ids=lambda law: law.name)
def test_error_rates(law: Law, looks: tuple[int, ...]) -> None:
    found = errors(law, looks, REPEATS, np.random.default_rng(11))
    assert max(found.false_match, found.false_mismatch_equal, found.false_mismatch_edge) <= most(0.05)


@pytest.mark.parametrize("law", [lognormal(1.0), exponential(), beta(99, 1)], ids=lambda law: law.name)
def test_stronger_skew(law: Law) -> None:
    found = errors(law, (5,), REPEATS, np.random.default_rng(12))
    assert max(found.false_match, found.false_mismatch_equal, found.false_mismatch_edge) <= most(0.075)


def test_a_plain_t_interval_errs_on_skew() -> None:
    found = errors(lognormal(1.0), (5,), REPEATS, np.random.default_rng(13), NORMAL)
    assert 0.20 < found.false_match < 0.27


def test_sequential_keeps_power_with_fewer_seeds() -> None:
    generator = np.random.default_rng(14)
    fixed = rates(NORMAL_LAW, (13,), 1.0, 0.0, REPEATS, generator)
    looks = plan(2, 2, 16)
    found = [rates(NORMAL_LAW, looks, 1.0, shift, REPEATS, generator) for shift in (0.0, 2.0, 3.0, 5.0)]
    assert fixed.match > 0.9
    assert found[0].match > fixed.match - 0.02 - 3 * math.sqrt(0.1 * 0.9 / REPEATS)
    assert np.mean([run.seeds for run in found]) <= 0.6 * 13


def test_peers_rules_say_fine_too_often() -> None:
    said = peer_rates(3, 2.0, 1.0, REPEATS, np.random.default_rng(15))
    assert said["t-test p ≥ .01"] == pytest.approx(0.88, abs=0.03)
    assert said["ranges overlap"] == pytest.approx(0.38, abs=0.03)
    assert said["95 % prediction"] == pytest.approx(0.84, abs=0.03)


def test_levels() -> None:
    assert levels((5,), 0.05) == (0.05,)
    nominal = levels((3, 6, 9), 0.05)
    assert all(0 < a < b < 0.05 for a, b in itertools.pairwise(nominal))
    assert sum(nominal) > 0.05  # looks overlap: cheaper than sharing the level out
    tiny = levels((3, 6, 9), 0.001)
    assert sum(tiny) == pytest.approx(0.001)
    for wrong in [(), (1, 2), (3, 3), (4, 2)]:
        with pytest.raises(ValueError, match="need increasing"):
            levels(wrong, 0.05)


def test_plans() -> None:
    assert plan(2, 2, 7) == (2, 4, 6, 7)
    assert plan(3, 8, 3) == (3,)
    assert plan(1, 1, 1) == (2,)
    assert plan(3, 4, 12) == (3, 7, 11, 12)
