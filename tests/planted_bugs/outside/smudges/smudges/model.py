"""Gaussian encoder and Bernoulli decoder, one hidden layer each (Kingma and Welling 2013, appendix C)."""

from __future__ import annotations

import torch
from torch import nn


def reparameterise(mean, log_variance, noise=None):
    std = torch.exp(0.5 * log_variance)
    eps = torch.randn_like(std) if noise is None else noise
    return mean + eps * std


class VAE(nn.Module):
    def __init__(self, pixels=64, hidden=48, latent=4):
        super().__init__()
        self.fc1 = nn.Linear(pixels, hidden)
        self.fc21 = nn.Linear(hidden, latent)
        self.fc22 = nn.Linear(hidden, latent)
        self.fc3 = nn.Linear(latent, hidden)
        self.fc4 = nn.Linear(hidden, pixels)

    def encode(self, x):
        h = torch.tanh(self.fc1(x))
        return self.fc21(h), self.fc22(h)

    def decode(self, z):
        return self.fc4(torch.tanh(self.fc3(z)))

    def forward(self, x, noise=None):
        mean, log_variance = self.encode(x)
        z = reparameterise(mean, log_variance, noise)
        return self.decode(z), mean, log_variance
