"""A net whose mean over a class's examples is the class's prototype; the nearest prototype tells the class."""

import torch
from torch import nn


class ProtoNet(nn.Module):
    def __init__(self, features=12, width=32, embedding=8):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(features, width),
            nn.LayerNorm(width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.LayerNorm(width),
            nn.ReLU(),
            nn.Linear(width, embedding),
        )

    def forward(self, support, query):
        """support [batch, ways, shots, features], query [batch, queries, features] → [batch, queries, ways]."""
        prototypes = self.net(support).mean(2)
        distance = torch.cdist(self.net(query), prototypes).pow(2)
        return (-distance).log_softmax(-1)
