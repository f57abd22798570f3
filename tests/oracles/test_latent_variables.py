"""Oracles of latent-variable models against torch.distributions, quadrature and by their properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from repro.oracles import latent_variables as oracle

RANDOM = np.random.default_rng(2)


def test_kl_agrees_with_torch_and_is_zero_at_equality() -> None:
    mean, log_variance = RANDOM.normal(size=(2, 5, 3))
    theirs = kl_divergence(Normal(torch.tensor(mean), torch.tensor(np.exp(0.5 * log_variance))), Normal(0.0, 1.0)).sum(
        -1
    )
    np.testing.assert_allclose(oracle.gaussian_kl(mean, log_variance), theirs, atol=1e-12)
    assert (oracle.gaussian_kl(mean, log_variance) > 0).all()
    assert oracle.gaussian_kl(np.zeros((1, 3)), np.zeros((1, 3)))[0] == 0


def test_likelihood_agrees_with_torch() -> None:
    logits, x = 3 * RANDOM.normal(size=(4, 6)), RANDOM.integers(0, 2, size=(4, 6)).astype(float)
    theirs = Bernoulli(logits=torch.tensor(logits)).log_prob(torch.tensor(x)).sum(-1)
    np.testing.assert_allclose(oracle.bernoulli_log_likelihood(logits, x), theirs, atol=1e-12)
    # a constant model, p = 1/2: D ln 2
    assert oracle.bernoulli_log_likelihood(np.zeros((1, 6)), x[:1])[0] == pytest.approx(-6 * math.log(2))


def test_the_bound_of_a_linear_gaussian_model_nears_its_likelihood() -> None:
    # z ~ N(0, 1), x = z + N(0, 1): p(x) = N(0, 2); proposals from the prior
    x, random = 0.7, np.random.default_rng(3)
    z = random.normal(size=(1, 20_000))
    weights = -0.5 * (x - z) ** 2 - 0.5 * math.log(2 * math.pi)
    exact = -0.25 * x**2 - 0.5 * math.log(4 * math.pi)
    assert oracle.importance_weighted_bound(weights)[0] == pytest.approx(exact, abs=0.02)


def test_bound_properties() -> None:
    weights = RANDOM.normal(size=(6, 5))
    assert (oracle.importance_weighted_bound(weights) > weights.mean(1)).all()
    np.testing.assert_allclose(oracle.importance_weighted_bound(weights[:, :1]), weights[:, 0])
    np.testing.assert_allclose(oracle.importance_weighted_bound(np.full((2, 9), -3.0)), -3.0)
    theirs = torch.logsumexp(torch.tensor(weights), 1) - math.log(5)
    np.testing.assert_allclose(oracle.importance_weighted_bound(weights), theirs, atol=1e-12)


def test_negative_elbo_is_the_sum_of_its_terms() -> None:
    logits, x, mean, log_variance = RANDOM.normal(size=(3, 4)), RANDOM.random((3, 4)), *RANDOM.normal(size=(2, 3, 2))
    bce = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.tensor(logits), torch.tensor(x), reduction="none"
    ).sum(-1)
    found = oracle.negative_elbo(logits, x, mean, log_variance)
    np.testing.assert_allclose(found, bce.numpy() + oracle.gaussian_kl(mean, log_variance), atol=1e-12)


def test_weight_of_the_divergence() -> None:
    assert [oracle.kl_weight(update, 4) for update in (1, 2, 4, 9)] == [0.25, 0.5, 1.0, 1.0]


def test_every_known_mistake_changes_the_result() -> None:
    logits, x, mean, log_variance = RANDOM.normal(size=(3, 4)), RANDOM.random((3, 4)), *RANDOM.normal(size=(2, 3, 2))
    for right, wrong, words in (
        (oracle.gaussian_kl(mean, log_variance), oracle.kl_as_mistaken(mean, log_variance), oracle.KL_MISTAKES),
        (
            oracle.bernoulli_log_likelihood(logits, x),
            oracle.likelihood_as_mistaken(logits, x),
            oracle.LIKELIHOOD_MISTAKES,
        ),
        (
            oracle.negative_elbo(logits, x, mean, log_variance),
            oracle.negative_elbo_as_mistaken(logits, x, mean, log_variance),
            oracle.ELBO_MISTAKES,
        ),
        (oracle.importance_weighted_bound(logits), oracle.bound_as_mistaken(logits), oracle.BOUND_MISTAKES),
    ):
        assert set(wrong) == set(words)
        for name, value in wrong.items():
            assert value.shape != right.shape or np.abs(value - right).max() > 1e-2, name
