"""Affine coupling layers with alternating masks (Dinh et al. 2017)."""

import torch
from torch import nn


class Coupling(nn.Module):
    def __init__(self, dims, hidden, parity):
        super().__init__()
        self.register_buffer("mask", (torch.arange(dims) % 2 == parity).float(), persistent=False)
        self.net = nn.Sequential(
            nn.Linear(dims, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2 * dims)
        )
        self.scale = nn.Parameter(torch.ones(dims))

    def st(self, kept):
        s, t = self.net(kept).chunk(2, dim=1)
        return torch.tanh(s) * self.scale * (1 - self.mask), t * (1 - self.mask)

    def forward(self, x):
        kept = x * self.mask
        s, t = self.st(kept)
        return kept + (1 - self.mask) * (x * s.exp() + t), s.sum(1)

    def inverse(self, z):
        kept = z * self.mask
        s, t = self.st(kept)
        return kept + (1 - self.mask) * (z - t) * (-s).exp()


class RealNVP(nn.Module):
    def __init__(self, dims=2, hidden=24, layers=4):
        super().__init__()
        self.layers = nn.ModuleList(Coupling(dims, hidden, i % 2) for i in range(layers))

    def forward(self, x):
        log_det = x.new_zeros(len(x))
        for layer in self.layers:
            x, d = layer(x)
            log_det += d
        return x, log_det

    @torch.no_grad()
    def sample(self, n):
        z = torch.randn(n, 2)
        for layer in reversed(self.layers):
            z = layer.inverse(z)
        return z
