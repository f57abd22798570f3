"""The annealed rate by hand, one update, clipping, and what is logged; what evaluation makes of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from repro.papers.ppo.data import Rollouts
from repro.papers.ppo.evaluation import evaluate, last_100_episodes
from repro.papers.ppo.loss import CategoricalPPO
from repro.papers.ppo.model import CategoricalActorCritic
from repro.papers.ppo.training import Training


def make(**changes: Any) -> tuple[CategoricalActorCritic, Training]:
    torch.manual_seed(0)
    model = CategoricalActorCritic(4, 2)
    settings: dict[str, Any] = {"learning_rate": 0.1, "updates": 20, "per_rollout": 4} | changes
    return model, Training(model, CategoricalPPO(), **settings)


def batch(n: int = 8) -> dict[str, torch.Tensor]:
    return Rollouts("CartPole-v1", environments=2, horizon=4, minibatches=1).synthetic(n, 0)


def test_the_rate_falls_a_step_each_rollout() -> None:
    _, training = make()
    assert [training.rate(update) for update in (1, 4, 5, 8, 9, 20)] == pytest.approx(
        [0.1, 0.1, 0.08, 0.08, 0.06, 0.02]
    )
    _, constant = make(anneal=False)
    assert constant.rate(20) == 0.1


def test_one_update_steps_by_the_rate_and_logs_its_terms() -> None:
    model, training = make(clip=None)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    logged = training.update(batch() | {"last_100_episodes": torch.tensor(21.5)})
    assert set(logged) == {"total", "policy", "value", "entropy", "kl", "last_100_episodes", "learning_rate"}
    assert logged["learning_rate"] == 0.1 and float(logged["last_100_episodes"]) == 21.5
    for old, parameter in zip(before, model.parameters(), strict=True):
        assert parameter.grad is not None
        large = parameter.grad.abs() > 1e-2  # far above Adam's epsilon: its first step is rate · sign
        step = (old - parameter.detach())[large]
        torch.testing.assert_close(step, 0.1 * parameter.grad[large].sign(), rtol=2e-3, atol=0)


def test_gradients_are_clipped_together() -> None:
    model, training = make(clip=0.01)
    training.update(batch())
    norms = [parameter.grad.norm() for parameter in model.parameters() if parameter.grad is not None]
    assert float(torch.stack(norms).norm()) == pytest.approx(0.01, rel=1e-3)


def test_the_last_hundred_episodes_are_read_off_the_trajectory() -> None:
    rows = [
        {"update": 1, "split": "train", "total": 0.1},
        {"update": 32, "split": "train", "last_100_episodes": 30.0},
        {"update": 16, "split": "train", "last_100_episodes": 20.0},
        {"update": 32, "split": "validation", "last_100_episodes": 99.0},
    ]
    assert last_100_episodes(rows) == 30.0
    assert last_100_episodes(rows[:1]) is None


def test_evaluation_plays_whole_episodes_and_restores_the_mode() -> None:
    model, _ = make()
    with torch.no_grad():
        model.actor.output.weight.zero_()
        model.actor.output.bias.copy_(torch.tensor([0.0, 1.0]))  # always to the right: the pole falls within 12 steps
    data = Rollouts("CartPole-v1", environments=2, horizon=4, minibatches=1)
    metrics = evaluate(model, data, "test", episodes=20)
    assert 8 <= metrics["episode_return"] <= 12 and 0 < metrics["episode_return_sd"] < 2
    assert "last_100_episodes" not in metrics
    assert model.training
