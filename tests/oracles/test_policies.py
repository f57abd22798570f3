"""Oracles of policies against torch.distributions, scipy's quadrature, autograd and hand-worked tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch.distributions import Categorical, Independent, Normal

from repro.oracles import policies as oracle

RANDOM = np.random.default_rng(1)


def test_categorical_agrees_with_torch() -> None:
    logits, actions = RANDOM.normal(size=(5, 4)), RANDOM.integers(0, 4, size=5)
    theirs = Categorical(logits=torch.tensor(logits))
    np.testing.assert_allclose(
        oracle.categorical_log_probability(logits, actions), theirs.log_prob(torch.tensor(actions)), atol=1e-12
    )
    np.testing.assert_allclose(oracle.categorical_entropy(logits), theirs.entropy(), atol=1e-12)


def test_gaussian_agrees_with_torch() -> None:
    mean, log_std, action = RANDOM.normal(size=(3, 5, 4))
    theirs = Independent(Normal(torch.tensor(mean), torch.tensor(np.exp(log_std))), 1)
    np.testing.assert_allclose(
        oracle.gaussian_log_probability(mean, log_std, action), theirs.log_prob(torch.tensor(action)), atol=1e-12
    )
    np.testing.assert_allclose(oracle.gaussian_entropy(log_std), theirs.entropy(), atol=1e-12)


def test_density_of_tanh_integrates_to_one() -> None:
    def density(a: float) -> float:
        one = np.array([[0.3]]), np.array([[-0.5]]), np.array([[math.atanh(a)]])
        return math.exp(float(oracle.tanh_gaussian_log_probability(*one)[0]))

    assert quad(density, -1 + 1e-9, 1 - 1e-9, limit=200)[0] == pytest.approx(1, abs=1e-5)


def test_uniform_policy_has_the_largest_entropy() -> None:
    assert oracle.categorical_entropy(np.zeros((1, 6)))[0] == pytest.approx(math.log(6))
    assert (oracle.categorical_entropy(RANDOM.normal(size=(20, 6))) < math.log(6)).all()


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss"),
    [(0.5, 1, -0.5), (0.5, -1, 0.8), (1, 1, -1), (1, -1, 1), (1.5, 1, -1.2), (1.5, -1, 1.5)],
)
def test_surrogate_by_hand(ratio: float, advantage: float, loss: float) -> None:
    found = oracle.ppo_surrogate(np.array([math.log(ratio)]), np.zeros(1), np.array([float(advantage)]), 0.2)
    assert found[0] == pytest.approx(loss)


def test_value_loss_by_hand() -> None:
    # |V - V_old| = 1 is cut to 0.2: (0.2 - 2)² = 3.24 > (1 - 2)² = 1
    arguments = np.array([1.0]), np.array([0.0]), np.array([2.0])
    assert oracle.value_loss(*arguments, 0.2)[0] == pytest.approx(3.24)
    assert oracle.value_loss(*arguments, None)[0] == pytest.approx(1)


def test_policy_gradient_is_the_definition() -> None:
    logits, actions, advantages = RANDOM.normal(size=(4, 3)), RANDOM.integers(0, 3, size=4), RANDOM.normal(size=4)
    theirs = Categorical(logits=torch.tensor(logits))
    expected = -(theirs.log_prob(torch.tensor(actions)) * torch.tensor(advantages) + 0.1 * theirs.entropy())
    np.testing.assert_allclose(oracle.policy_gradient_loss(logits, actions, advantages, 0.1), expected, atol=1e-12)
    log_probability = np.log([0.5, 0.25])
    found = oracle.reinforce_loss(log_probability, np.array([1.0, 2.0]), 0.5)  # rewards-to-go 2 and 2
    np.testing.assert_allclose(found, [2 * math.log(2), 2 * math.log(4)])


def test_every_known_mistake_changes_the_result() -> None:
    mean, log_std, action = RANDOM.normal(size=(3, 5, 4))
    wrong = oracle.log_probability_mistakes(mean, log_std, action)
    assert set(wrong) == set(oracle.LOG_PROBABILITY_MISTAKES)
    right = oracle.gaussian_log_probability(mean, log_std, action)
    assert all(value.shape != right.shape or np.abs(value - right).max() > 1e-2 for value in wrong.values())
