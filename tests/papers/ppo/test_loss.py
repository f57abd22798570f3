"""Advantages, surrogate and value loss against numbers worked by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from repro.papers.ppo.loss import CategoricalPPO, GaussianPPO, clipped_surrogate, gae, normalise, value_loss


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def test_advantages_of_three_steps_by_hand() -> None:
    # gamma = 0.5, lam = 0.5: delta = r + V'/2 - V = 1 + 2/2 - 1, 1 + 3/2 - 2, 1 + 4/2 - 3 = 1, 0.5, 0
    # A_3 = 0, A_2 = 0.5 + 0 / 4, A_1 = 1 + 0.5 / 4
    flags = torch.zeros(3, 1)
    found = gae(column(1, 1, 1), column(1, 2, 3), column(2, 3, 4), flags, flags, 0.5, 0.5)
    assert found[:, 0].tolist() == [1.125, 0.5, 0.0]


def test_a_terminal_state_is_worth_nothing_and_a_truncated_one_its_value() -> None:
    ended, flags = torch.tensor([[0.0], [1.0], [0.0]]), torch.zeros(3, 1)
    # the second step ends an episode: delta_2 = 1 - 2 = -1, or 1 + 3/2 - 2 = 0.5; the third step counts for neither
    terminated = gae(column(1, 1, 1), column(1, 2, 3), column(2, 3, 4), ended, flags, 0.5, 0.5)
    assert terminated[:, 0].tolist() == [1 - 1 / 4, -1.0, 0.0]
    truncated = gae(column(1, 1, 1), column(1, 2, 3), column(2, 3, 4), flags, ended, 0.5, 0.5)
    assert truncated[:, 0].tolist() == [1 + 0.5 / 4, 0.5, 0.0]


def test_a_right_critic_of_a_constant_reward_has_no_advantage() -> None:
    # reward 1 for ever is worth 1 / (1 - 0.9) = 10; at a time limit and at the end of the rollout as well
    values = torch.full((6, 2), 10.0, dtype=torch.float64)
    cut = torch.zeros(6, 2)
    cut[2, 0] = cut[5, 1] = 1
    found = gae(torch.ones_like(values), values, values, torch.zeros(6, 2), cut, 0.9, 0.95)
    torch.testing.assert_close(found, torch.zeros_like(values), atol=1e-12, rtol=0)


def test_two_episodes_in_one_rollout_do_not_touch_each_other() -> None:
    ended, flags = torch.tensor([[0.0], [1.0], [0.0], [0.0]]), torch.zeros(4, 1)
    one = gae(column(1, 2, 3, 4), column(1, 1, 1, 1), column(1, 1, 1, 1), ended, flags, 0.9, 0.9)
    other = gae(column(1, 2, -9, 70), column(1, 1, 8, 8), column(1, 5, 8, 8), ended, flags, 0.9, 0.9)
    assert torch.equal(one[:2], other[:2])
    assert not torch.equal(one[2:], other[2:])


def test_advantages_normalised_by_hand() -> None:
    # mean 2, deviations -1, 0, 1, unbiased standard deviation 1
    torch.testing.assert_close(normalise(torch.tensor([1.0, 2.0, 3.0])), torch.tensor([-1.0, 0.0, 1.0]))


@pytest.mark.parametrize(
    ("ratio", "advantage", "objective", "slope"),
    [
        (0.5, 1.0, 0.5, 0.5),  # moved the wrong way: pulled back
        (1.0, 1.0, 1.0, 1.0),
        (1.5, 1.0, 1.2, 0.0),  # moved as far as is rewarded
        (0.5, -1.0, -0.8, 0.0),
        (1.0, -1.0, -1.0, -1.0),
        (1.5, -1.0, -1.5, -1.5),
    ],
)
def test_the_six_cases_of_figure_1(ratio: float, advantage: float, objective: float, slope: float) -> None:
    new = torch.tensor([math.log(ratio)], dtype=torch.float64, requires_grad=True)
    loss = clipped_surrogate(new, torch.zeros(1), torch.tensor([advantage], dtype=torch.float64), 0.2)
    loss.backward()
    assert loss.item() == pytest.approx(-objective)
    assert new.grad is not None and new.grad.item() == pytest.approx(-slope)  # d (r A) / d log r = r A


def test_without_clip_the_surrogate_is_ratio_times_advantage() -> None:
    new = torch.tensor([math.log(3.0), math.log(0.25)])
    assert clipped_surrogate(new, torch.zeros(2), torch.tensor([1.0, -4.0]), None).item() == pytest.approx(-(3 - 1) / 2)


def test_value_loss_by_hand() -> None:
    value, old, target = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.9]), torch.tensor([2.0, 2.0])
    # half the mean of 1 and 1
    assert value_loss(value, old, target, None).item() == pytest.approx(0.5)
    # clipped values 0.2 and 3.0: errors 3.24 and 1, the larger of each pair is 3.24 and 1
    assert value_loss(value, old, target, 0.2).item() == pytest.approx((3.24 + 1) / 4)


def minibatch() -> dict[str, Tensor]:
    return {
        "action": torch.tensor([0, 1]),
        "old_log_probability": torch.tensor([math.log(0.5), math.log(0.5)]),
        "old_value": torch.tensor([0.0, 0.0]),
        "advantage": torch.tensor([1.0, -1.0]),
        "value_target": torch.tensor([0.0, 2.0]),
    }


def test_terms_of_a_uniform_policy() -> None:
    # ratio 1: policy - (1 - 1) / 2 = 0; value (0 + 4) / 4 = 1; entropy ln 2; no divergence
    loss = CategoricalPPO(clip_value=None, entropy_coefficient=0.01)
    terms = loss(torch.zeros(2, 2), torch.zeros(2), **minibatch())
    assert terms["policy"].item() == pytest.approx(0.0)
    assert terms["value"].item() == pytest.approx(1.0)
    assert terms["entropy"].item() == pytest.approx(math.log(2))
    assert terms["kl"].item() == pytest.approx(0.0, abs=1e-7)
    assert terms["total"].item() == pytest.approx(0.5 - 0.01 * math.log(2))


def test_a_step_makes_the_better_action_likelier_and_the_worse_less_likely() -> None:
    logits = torch.zeros(2, 2, requires_grad=True)
    CategoricalPPO()(logits, torch.zeros(2), **minibatch())["total"].backward()
    assert logits.grad is not None
    assert logits.grad[0, 0] < 0 < logits.grad[0, 1]  # action 0, advantage +1
    assert logits.grad[1, 0] < 0 < logits.grad[1, 1]  # action 1, advantage -1


def test_gaussian_terms_by_hand() -> None:
    # two dimensions, standard normal, action at its mean: log density - ln 2π, entropy ln 2πe
    batch = minibatch() | {"action": torch.zeros(2, 2), "old_log_probability": torch.full((2,), -math.log(2 * math.pi))}
    terms = GaussianPPO(entropy_coefficient=1.0)(torch.zeros(2, 2), torch.zeros(2, 2), torch.zeros(2), **batch)
    assert terms["policy"].item() == pytest.approx(0.0, abs=1e-6)
    assert terms["entropy"].item() == pytest.approx(math.log(2 * math.pi * math.e))
    assert terms["kl"].item() == pytest.approx(0.0, abs=1e-6)
