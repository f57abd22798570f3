"""Minibatches of rollouts: what they hold, how often a step comes, resuming in the middle, bad input."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from repro.papers.ppo.data import Rollouts, flatten
from repro.papers.ppo.environments import Environment
from repro.papers.ppo.evaluation import pictures
from repro.papers.ppo.loss import CategoricalPPO
from repro.papers.ppo.model import CategoricalActorCritic, GaussianActorCritic
from repro.papers.ppo.training import Training


def rollouts(**changes: Any) -> Rollouts:
    settings: dict[str, Any] = {"environments": 2, "horizon": 16, "epochs": 2, "minibatches": 4} | changes
    return Rollouts("CartPole-v1", **settings)


def model(seed: int = 0) -> CategoricalActorCritic:
    torch.manual_seed(seed)
    return CategoricalActorCritic(4, 2)


def test_every_step_comes_once_an_epoch_and_advantages_are_normalised() -> None:
    data, actor = rollouts(), model()
    batches = list(data.batches("train", actor))
    assert len(batches) == 2 * 4 and all(len(batch["action"]) == 2 * 16 // 4 for batch in batches)
    for batch in batches:
        assert batch["advantage"].mean().abs() < 1e-6 and batch["advantage"].std() == pytest.approx(1, abs=1e-4)
        torch.testing.assert_close(
            actor.log_probability(actor(batch["observation"]), batch["action"]), batch["old_log_probability"]
        )
    first, second = (torch.cat([batch["observation"] for batch in batches[i : i + 4]]) for i in (0, 4))
    assert not torch.equal(first, second)
    assert {tuple(row) for row in first.tolist()} == {tuple(row) for row in second.tolist()}
    assert len({tuple(row) for row in first.tolist()}) == 32


def test_the_next_rollout_goes_on_with_the_episodes_and_the_new_policy() -> None:
    data, actor = rollouts(epochs=1, minibatches=1), model()
    (first,) = data.batches("train", actor)
    with torch.no_grad():
        actor.actor.output.bias.copy_(torch.tensor([9.0, -9.0]))
    (second,) = data.batches("train", actor)
    assert second["action"].float().mean() < 0.1  # action 0 nearly always
    assert not torch.equal(first["observation"], second["observation"])


@pytest.mark.parametrize("truncation", ["bootstrap", "terminate"])
def test_a_time_limit_means_what_is_declared(truncation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data, actor = rollouts(truncation=truncation, normalise_advantages=None, epochs=1, minibatches=1, lam=0.0), model()
    for environment in data.acting.each:
        environment.limit = 4
    (batch,) = data.batches("train", actor)
    # λ = 0: V^targ = 1 + γ V(s'), and 1 where nothing comes after
    ended = batch["value_target"] == 1.0
    assert int(ended.sum()) == (8 if truncation == "terminate" else 0)  # 2 environments · 16 / 4 steps


def test_flattening_keeps_the_steps_of_a_moment_together() -> None:
    tags = torch.arange(6).view(3, 2)
    assert flatten({"tag": tags, "pair": tags[..., None].expand(3, 2, 2)})["tag"].tolist() == [0, 1, 2, 3, 4, 5]


def stream(data: Rollouts, actor: Any, training: Training) -> Iterator[dict[str, Tensor]]:
    while True:
        for batch in data.batches("train", actor):
            yield batch
            training.update(batch)


@pytest.mark.parametrize("made", [5, 8, 11])  # in the middle of the first rollout, at its end, in the second
@pytest.mark.parametrize("normalise", [False, True])
def test_resumes_in_the_middle_of_a_rollout_bit_for_bit(made: int, normalise: bool) -> None:
    def fresh(seed: int) -> tuple[Rollouts, CategoricalActorCritic, Training]:
        actor = model(seed)
        data = rollouts(seed=seed, normalise_observations=normalise, scale_rewards=normalise)
        return data, actor, Training(actor, CategoricalPPO(), updates=40, per_rollout=8)

    data, actor, training = fresh(0)
    reading = stream(data, actor, training)
    for _ in range(made):
        next(reading)
    training.update(
        next(reading)
    )  # the batch after `made` of them, updated with by hand: the state is saved in between
    buffer = io.BytesIO()
    torch.save({"data": data.state_dict(), "model": actor.state_dict(), "training": training.state_dict()}, buffer)
    buffer.seek(0)
    saved = torch.load(buffer, weights_only=True)
    other_data, other_actor, other_training = fresh(7)
    other_data.load_state_dict(saved["data"])
    other_actor.load_state_dict(saved["model"])
    other_training.load_state_dict(saved["training"])
    ours, theirs = stream(data, actor, training), stream(other_data, other_actor, other_training)
    for _ in range(20):
        a, b = next(ours), next(theirs)
        assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    assert data.acting.finished == other_data.acting.finished


def test_splits_play_elsewhere_and_leave_training_where_it_is() -> None:
    data, actor = rollouts(normalise_observations=True, scale_rewards=True), model()
    next(data.batches("train", actor))
    before = repr(data.state_dict())
    validation = list(data.batches("validation", actor))
    test = data.episodes("test", actor, 12, sample=True)
    assert repr(data.state_dict()) == before
    assert len(test) == 12 and test == data.episodes("test", actor, 12, sample=True)
    assert data.episodes("validation", actor, 3, sample=False) != data.episodes("test", actor, 3, sample=False)
    again = list(data.batches("validation", actor))
    assert all(torch.equal(a["observation"], b["observation"]) for a, b in zip(validation, again, strict=True))


def test_a_continuous_action_is_stored_as_drawn_and_executed_clipped() -> None:
    data = Rollouts("MountainCarContinuous-v0", environments=1, horizon=32, epochs=1, minibatches=1)
    torch.manual_seed(0)
    actor = GaussianActorCritic(2, 1)
    (batch,) = data.batches("train", actor)
    assert batch["action"].abs().max() > 1  # the bounds are ± 1, the first policy has σ = 1
    executed = torch.as_tensor(np.array(data.acting.each[0].done))
    drawn = batch["action"].flatten()  # in the order of a minibatch
    torch.testing.assert_close(executed.flatten().sort().values, drawn.clamp(-1, 1).sort().values)


def test_an_episode_is_filmed_or_the_report_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    data, actor = rollouts(), model()
    found = pictures(actor, data)
    assert found["episode"]["frames"].ndim == 4 and found["value"]["lines"].shape[0] == 2

    def broken(self: Environment) -> None:
        raise ValueError("no OpenGL")

    monkeypatch.setattr(Environment, "picture", broken)
    without = pictures(actor, data)
    assert without["episode"]["missing"] == "not rendered: no OpenGL" and "frames" not in without["episode"]
    assert np.array_equal(without["value"]["lines"], found["value"]["lines"])  # the episode was played all the same


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"truncation": "ignore"}, "data.truncation is 'ignore', needed bootstrap or terminate"),
        ({"normalise_advantages": "batch"}, "needed minibatch, rollout or null"),
        ({"minibatches": 5}, "data.minibatches is 5, which does not divide 2 · 16 steps"),
    ],
)
def test_bad_settings_are_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError) as raised:
        rollouts(**changes)
    assert words in str(raised.value)
