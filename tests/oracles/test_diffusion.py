"""Oracles of diffusion: by simulation of the chain, by Bayes' rule on Gaussians, and by their properties."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from repro.oracles import diffusion as oracle

BETAS = np.linspace(1e-4, 0.02, 1000)
SHORT = np.array([0.1, 0.3, 0.2, 0.4])
RANDOM = np.random.default_rng(4)


def test_table_agrees_with_torch_and_ends_in_noise() -> None:
    table = oracle.alpha_bar(BETAS)
    np.testing.assert_allclose(table, torch.cumprod(1 - torch.tensor(BETAS), 0), rtol=1e-10)
    assert table[0] == pytest.approx(1 - BETAS[0])
    assert (np.diff(table) < 0).all()
    assert table[-1] < 1e-4


def test_forward_process_is_the_chain_of_single_steps() -> None:
    """x_t = sqrt(1 - beta) x_(t-1) + sqrt(beta) noise: mean and variance by recursion."""
    scale, variance = 1.0, 0.0
    table = oracle.alpha_bar(SHORT)
    for t, beta in enumerate(SHORT):
        scale, variance = scale * np.sqrt(1 - beta), variance * (1 - beta) + beta
        one = oracle.q_sample(np.ones((1, 1)), np.array([t]), np.zeros((1, 1)), table)[0, 0]
        noise = oracle.q_sample(np.zeros((1, 1)), np.array([t]), np.ones((1, 1)), table)[0, 0]
        assert one == pytest.approx(scale)
        assert noise**2 == pytest.approx(variance)
        assert one**2 + noise**2 == pytest.approx(1)


@pytest.mark.parametrize("t", [1, 2, 3])
def test_posterior_is_bayes_rule(t: int) -> None:
    """q(x_(t-1) | x_t, x_0) ∝ N(x_(t-1); sqrt(ab_prev) x_0, 1 - ab_prev) N(x_t; sqrt(1 - beta) x_(t-1), beta)."""
    table, beta, x0, xt = oracle.alpha_bar(SHORT), SHORT[t], 0.7, -0.4
    precision = 1 / (1 - table[t - 1]) + (1 - beta) / beta
    mean = (np.sqrt(table[t - 1]) * x0 / (1 - table[t - 1]) + np.sqrt(1 - beta) * xt / beta) / precision
    assert oracle.posterior_variance(SHORT)[t] == pytest.approx(1 / precision)
    found = oracle.posterior_mean(np.array([[x0]]), np.array([[xt]]), np.array([t]), SHORT)
    assert found[0, 0] == pytest.approx(mean)


def test_first_step_has_no_posterior_variance_and_returns_the_data() -> None:
    assert oracle.posterior_variance(SHORT)[0] == 0
    assert oracle.posterior_mean(np.array([[0.7]]), np.array([[5.0]]), np.array([0]), SHORT)[0, 0] == pytest.approx(0.7)
    np.testing.assert_allclose(oracle.alpha_bar_previous(SHORT), [1, *oracle.alpha_bar(SHORT)[:-1]])


def test_moving_average_agrees_with_torch() -> None:
    average, weights = RANDOM.normal(size=(2, 3, 4))
    theirs = torch.tensor(average).mul(0.9).add(torch.tensor(weights), alpha=0.1)
    np.testing.assert_allclose(oracle.exponential_moving_average(average, weights, 0.9), theirs, atol=1e-12)


def test_every_known_mistake_changes_the_result() -> None:
    x0, noise, t = *RANDOM.normal(size=(2, 3, 2)), np.array([0, 1, 3])
    table = oracle.alpha_bar(SHORT)
    for right, wrong, words in (
        (table, oracle.alpha_bar_as_mistaken(SHORT), oracle.ALPHA_BAR_MISTAKES),
        (oracle.posterior_variance(SHORT), oracle.posterior_variance_as_mistaken(SHORT), oracle.POSTERIOR_MISTAKES),
        (
            oracle.q_sample(x0, t, noise, table),
            oracle.q_sample_as_mistaken(x0, t, noise, table),
            oracle.Q_SAMPLE_MISTAKES,
        ),
    ):
        assert set(wrong) == set(words)
        for name, value in wrong.items():
            assert np.abs(value - right).max() > 1e-2, name
