"""Spectral normalisation on every layer of the discriminator (Miyato et al. 2018)."""

import torch
from torch import nn
from torch.nn.utils import spectral_norm


class Generator(nn.Module):
    def __init__(self, latent=4, width=32):
        super().__init__()
        self.fc1 = nn.Linear(latent, width)
        self.bn1 = nn.BatchNorm1d(width)
        self.fc2 = nn.Linear(width, width)
        self.bn2 = nn.BatchNorm1d(width)
        self.out = nn.Linear(width, 2)

    def forward(self, noise):
        h = torch.relu_(self.bn1(self.fc1(noise)))
        h = torch.relu_(self.bn2(self.fc2(h)))
        return self.out(h)


class Discriminator(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.l1 = spectral_norm(nn.Linear(2, width))
        self.l2 = spectral_norm(nn.Linear(width, width))
        self.l3 = spectral_norm(nn.Linear(width, 1))

    def forward(self, points):
        h = nn.functional.leaky_relu(self.l1(points), 0.1)
        h = nn.functional.leaky_relu(self.l2(h), 0.1)
        return self.l3(h)[:, 0]
