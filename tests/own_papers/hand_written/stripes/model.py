"""A network of one hidden layer, its matrices written out."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Network(nn.Module):
    def __init__(self, width: int, stripes: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(2, width) / 2**0.5)
        self.first_bias = nn.Parameter(torch.zeros(width))
        self.second = nn.Parameter(torch.randn(width, stripes) / width**0.5)
        self.second_bias = nn.Parameter(torch.zeros(stripes))

    def forward(self, points: Tensor) -> Tensor:
        hidden = torch.tanh(points @ self.first + self.first_bias)
        return hidden @ self.second + self.second_bias
