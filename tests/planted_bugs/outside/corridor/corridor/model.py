"""A shared trunk, a head for the policy and one for the value."""

from __future__ import annotations

import torch.nn as nn


def layer_init(layer, std=2**0.5):
    nn.init.orthogonal_(layer.weight, std)
    nn.init.zeros_(layer.bias)
    return layer


class ActorCritic(nn.Module):
    def __init__(self, observations=3, hidden=32, actions=2):
        super().__init__()
        self.trunk = nn.Sequential(
            layer_init(nn.Linear(observations, hidden)),
            nn.Tanh(),
            layer_init(nn.Linear(hidden, hidden)),
            nn.Tanh(),
        )
        self.policy = layer_init(nn.Linear(hidden, actions), std=0.01)
        self.value = layer_init(nn.Linear(hidden, 1), std=1.0)

    def forward(self, observation):
        h = self.trunk(observation)
        return self.policy(h), self.value(h).squeeze(-1)
