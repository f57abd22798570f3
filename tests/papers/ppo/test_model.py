"""Actor and critic: initial weights, draws from the policy, log-probabilities."""

from __future__ import annotations

import math

import pytest
import torch

from repro.papers.ppo.model import CategoricalActorCritic, GaussianActorCritic


def test_first_policy_is_nearly_uniform_and_weights_are_orthogonal() -> None:
    torch.manual_seed(0)
    model = CategoricalActorCritic(4, 3)
    logits, value = model(torch.randn(50, 4))
    assert logits.abs().max() < 0.1 and value.shape == (50,)
    weight = model.actor.hidden2.weight  # 64 × 64, gain √2
    torch.testing.assert_close(weight @ weight.T, 2 * torch.eye(64), atol=1e-4, rtol=0)
    assert torch.linalg.svdvals(model.actor.output.weight).tolist() == pytest.approx([0.01] * 3, rel=1e-4)
    assert torch.linalg.svdvals(model.critic.output.weight).tolist() == pytest.approx([1.0], rel=1e-4)


def test_draws_follow_the_softmax() -> None:
    torch.manual_seed(0)
    model = CategoricalActorCritic(2, 3)
    with torch.no_grad():
        model.actor.output.bias.copy_(torch.tensor([0.2, 0.3, 0.5]).log())
        model.actor.output.weight.zero_()
        observation = torch.zeros(1, 2).expand(20_000, 2)
        noise = model.noise(1, 20_000, torch.Generator().manual_seed(1))[0]
        drawn = model.act(observation, noise)
        assert model.act(observation[:3]).tolist() == [2, 2, 2]
    shares = torch.bincount(drawn, minlength=3) / 20_000
    # five standard errors of a share: 5 · sqrt(0.25 / 20,000) = 0.018
    assert (shares - torch.tensor([0.2, 0.3, 0.5])).abs().max() < 0.018


def test_gaussian_draws_and_their_density() -> None:
    torch.manual_seed(0)
    model = GaussianActorCritic(2, 2)
    with torch.no_grad():
        model.log_std.fill_(math.log(0.5))
        model.actor.output.weight.zero_()
        model.actor.output.bias.copy_(torch.tensor([1.0, -1.0]))
        observation = torch.zeros(10_000, 2)
        action = model.act(observation, model.noise(1, 10_000, torch.Generator().manual_seed(1))[0])
        assert model.act(observation[:1]).tolist() == [[1.0, -1.0]]
        outputs = model(observation)
        assert len(outputs) == 3
        density = model.log_probability(outputs, action)
    assert (action.mean(0) - torch.tensor([1.0, -1.0])).abs().max() < 5 * 0.5 / 100  # five standard errors
    expected = torch.distributions.Normal(outputs[0], 0.5).log_prob(action).sum(-1)
    torch.testing.assert_close(density, expected)


def test_unknown_initialisation_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.initialisation is 'xavier', needed orthogonal or default"):
        CategoricalActorCritic(2, 2, initialisation="xavier")
