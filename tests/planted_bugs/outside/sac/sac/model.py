"""An actor whose actions are squashed Gaussians, and twin critics."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn


def mlp(*sizes):
    layers = []
    for i, o in pairwise(sizes):
        layers += [nn.Linear(i, o), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def squashed_log_probability(mean, log_std, pre_tanh):
    """Log density of tanh(pre_tanh), each [batch, actions], summed over actions → [batch]."""
    z = (pre_tanh - mean) / log_std.exp()
    gaussian = (-0.5 * z**2 - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)
    return gaussian - (2 * (math.log(2) - pre_tanh - F.softplus(-2 * pre_tanh))).sum(-1)


class Actor(nn.Module):
    def __init__(self, observations=2, actions=1, hidden=32):
        super().__init__()
        self.body = nn.Sequential(mlp(observations, hidden, hidden), nn.ReLU())
        self.mean = nn.Linear(hidden, actions)
        self.log_std = nn.Linear(hidden, actions)

    def forward(self, observation, noise=None):
        """→ action in (-1, 1) [batch, actions] and its log-probability [batch]."""
        h = self.body(observation)
        mean, log_std = self.mean(h), self.log_std(h).clamp(-5, 2)
        if noise is None:
            noise = torch.randn_like(mean)
        u = mean + log_std.exp() * noise
        return u.tanh(), squashed_log_probability(mean, log_std, u)

    def greedy(self, observation):
        return self.mean(self.body(observation)).tanh()


class TwinCritic(nn.Module):
    def __init__(self, observations=2, actions=1, hidden=32):
        super().__init__()
        self.q1 = mlp(observations + actions, hidden, hidden, 1)
        self.q2 = mlp(observations + actions, hidden, hidden, 1)

    def forward(self, observation, action):
        x = torch.cat([observation, action], -1)
        return self.q1(x).squeeze(-1), self.q2(x).squeeze(-1)
