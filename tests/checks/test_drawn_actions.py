"""Actions drawn from a policy are as likely as its entropy says; the likeliest, uniform and sharpened ones are not."""

from __future__ import annotations

import numpy as np
import pytest

from repro.checks.drawn_actions import of_categorical, of_gaussian
from repro.oracles.policies import probabilities

N = 2000


def logits_of(seed: int, actions: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(N, actions))


def drawn(p: np.ndarray, seed: int) -> np.ndarray:
    u = np.random.default_rng(seed + 1000).random((len(p), 1))
    return np.asarray((p.cumsum(axis=1) < u).sum(axis=1).clip(max=p.shape[1] - 1))


def test_draws_from_the_policy_stay_within_the_bound() -> None:
    for seed in range(50):
        logits = logits_of(seed)
        n, off, bound, _ = of_categorical(logits, drawn(probabilities(logits), seed))
        assert n > N / 2 and abs(off) <= bound


@pytest.mark.parametrize("sharper", [0.0, 0.5, 2.0, np.inf])
def test_another_temperature_does_not(sharper: float) -> None:
    logits = logits_of(1)
    taken = logits.argmax(axis=1) if np.isinf(sharper) else drawn(probabilities(sharper * logits), 1)
    _, off, bound, _ = of_categorical(logits, taken)
    assert abs(off) > bound
    assert (off > 0) is (sharper > 1)


@pytest.mark.parametrize(("scale", "right"), [(1.0, True), (0.8, False), (1.2, False)])
def test_the_deviation_of_a_gaussian_is_told(scale: float, right: bool) -> None:
    random = np.random.default_rng(3)
    mean, log_std = random.normal(size=(N, 2)), np.full((N, 2), -0.7)
    actions = mean + scale * np.exp(log_std) * random.normal(size=(N, 2))
    n, off, bound, _ = of_gaussian(mean, log_std, actions)
    assert n == N and (abs(off) <= bound) is right
