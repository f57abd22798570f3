"""Generator with batch normalisation, critic with none."""

from torch import nn


class Generator(nn.Module):
    def __init__(self, latent=4, width=32):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(latent, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            nn.Linear(width, 2),
        )

    def forward(self, noise):
        return self.net(noise)


class Critic(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(2, width),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(width, width),
            nn.LeakyReLU(0.2, True),
            nn.Linear(width, 1),
        )

    def forward(self, points):
        return self.net(points)
