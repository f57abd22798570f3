"""Encoder and projection head with batch normalisation."""

from torch import nn


class Encoder(nn.Module):
    def __init__(self, features=16, width=32, projection=8):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(features, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.projector = nn.Sequential(
            nn.Linear(width, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Linear(width, projection, bias=False),
        )

    def embed(self, x):
        return self.encoder(x)

    def forward(self, view1, view2):
        return self.projector(self.embed(view1)), self.projector(self.embed(view2))
