"""An actor and a critic on shared features."""

from __future__ import annotations

import torch
from torch import nn


class ActorCritic(nn.Module):
    def __init__(self, cells=7, width=16, actions=2):
        super().__init__()
        self.features = nn.Linear(cells, width)
        self.actor = nn.Linear(width, actions)
        self.critic = nn.Linear(width, 1)

    def forward(self, observation):
        hidden = torch.tanh(self.features(observation))
        return self.actor(hidden), self.critic(hidden).squeeze(-1)
