"""Oracles of returns and advantages: by hand, against the recursion and scipy, and by their properties."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from repro.oracles import returns as oracle

RANDOM = np.random.default_rng(0)
NEVER = np.zeros((6, 2), bool)


def rollout(steps: int = 6, environments: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(RANDOM.normal(size=(steps, environments)) for _ in range(3))  # type: ignore[return-value]


def test_three_rewards_by_hand() -> None:
    np.testing.assert_allclose(oracle.returns(np.ones(3), 0.5), [1.75, 1.5, 1.0])


def test_returns_are_a_linear_filter() -> None:
    rewards = RANDOM.normal(size=20)
    theirs = scipy.signal.lfilter([1], [1, -0.9], rewards[::-1])[::-1]
    np.testing.assert_allclose(oracle.returns(rewards, 0.9), theirs, atol=1e-12)


def test_gae_agrees_with_the_recursion() -> None:
    rewards, values, after = rollout()
    terminated, truncated = NEVER.copy(), NEVER.copy()
    terminated[2, 0] = truncated[3, 1] = True
    expected, last = np.zeros_like(values), np.zeros(2)
    for t in reversed(range(6)):
        delta = rewards[t] + 0.9 * after[t] * ~terminated[t] - values[t]
        last = delta + 0.9 * 0.8 * ~(terminated | truncated)[t] * last
        expected[t] = last
    np.testing.assert_allclose(
        oracle.gae(rewards, values, after, terminated, truncated, 0.9, 0.8), expected, atol=1e-12
    )


def test_lambda_one_is_the_return_minus_the_value() -> None:
    rewards, values, _ = rollout()
    terminated = NEVER.copy()
    terminated[-1] = True
    after = np.concatenate([values[1:], values[:1]])
    expected = np.stack([oracle.returns(rewards[:, n], 0.9) for n in range(2)], axis=1) - values
    np.testing.assert_allclose(oracle.gae(rewards, values, after, terminated, NEVER, 0.9, 1.0), expected, atol=1e-12)


@pytest.mark.parametrize("cut", [None, 3])
def test_a_perfect_value_of_a_constant_reward_leaves_no_advantage(cut: int | None) -> None:
    truncated = NEVER.copy()
    if cut is not None:
        truncated[cut] = True
    worth = np.full((6, 2), 1 / (1 - 0.9))
    found = oracle.gae(np.ones((6, 2)), worth, worth, NEVER, truncated, 0.9, 0.95)
    np.testing.assert_allclose(found, 0, atol=1e-12)


def test_an_episode_does_not_see_the_next() -> None:
    rewards, values, after = rollout()
    for kind in ("terminated", "truncated"):
        ends = {"terminated": NEVER.copy(), "truncated": NEVER.copy()}
        ends[kind][2] = True
        changed = [x.copy() for x in (rewards, values, after)]
        for x in changed:
            x[3:] += 10
        first = oracle.gae(rewards, values, after, ends["terminated"], ends["truncated"], 0.9, 0.8)
        second = oracle.gae(*changed, ends["terminated"], ends["truncated"], 0.9, 0.8)
        np.testing.assert_allclose(first[:3], second[:3])


@pytest.mark.parametrize("correction", [0, 1])
def test_normalised_has_mean_zero_and_spread_one(correction: int) -> None:
    found = oracle.normalised(RANDOM.normal(3, 5, size=50), correction)
    assert found.mean() == pytest.approx(0, abs=1e-12)
    assert found.std(ddof=correction) == pytest.approx(1)


def test_every_known_mistake_changes_the_result() -> None:
    rewards, values, after = rollout(8, 3)
    terminated, truncated = np.zeros((2, 8, 3), bool)
    terminated[2, 0] = terminated[5, 1] = truncated[3, 2] = truncated[5, 0] = True
    arguments = (rewards, values, after, terminated, truncated, 0.9, 0.8)
    wrong = oracle.gae_as_mistaken(*arguments)
    assert set(wrong) == set(oracle.GAE_MISTAKES)
    for name, value in wrong.items():
        assert np.abs(value - oracle.gae(*arguments)).max() > 1e-2, name
    series = RANDOM.normal(size=7)
    mistaken = oracle.returns_as_mistaken(series, 0.8)
    assert set(mistaken) == set(oracle.RETURNS_MISTAKES)
    assert all(np.abs(value - oracle.returns(series, 0.8)).max() > 1e-2 for value in mistaken.values())
    assert set(oracle.normalised_as_mistaken(series)) == set(oracle.NORMALISED_MISTAKES)


def test_the_target_of_a_value_stops_at_the_end_and_each_mistake_differs() -> None:
    rewards, following, over = np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 30.0]), np.array([False, True, False])
    assert np.allclose(oracle.td_target(rewards, over, following, 0.5), [6.0, 2.0, 18.0])
    for mistake, wrong in oracle.td_target_as_mistaken(rewards, over, following, 0.5).items():
        assert not np.allclose(wrong, [6.0, 2.0, 18.0]), mistake
    assert oracle.td_target_as_mistaken(rewards, over, following, 0.5).keys() == oracle.TD_TARGET_MISTAKES.keys()
