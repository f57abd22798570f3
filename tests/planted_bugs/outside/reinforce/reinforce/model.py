import torch
from torch import nn


class PolicyWithBaseline(nn.Module):
    def __init__(self, observations=4, actions=3, hidden=24):
        super().__init__()
        self.policy = nn.Sequential(nn.Linear(observations, hidden), nn.Tanh(), nn.Linear(hidden, actions))
        self.baseline = nn.Sequential(nn.Linear(observations, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def forward(self, observation):
        return self.policy(observation), torch.squeeze(self.baseline(observation), -1)
