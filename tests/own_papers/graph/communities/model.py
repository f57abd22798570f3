"""Two layers of graph convolution (Kipf and Welling 2017, equation 8) on a list of edges."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def spread(values: Tensor, edges: Tensor) -> Tensor:
    """D^-1/2 (A + I) D^-1/2 times the values [node, width]."""
    n = len(values)
    loops = torch.arange(n, device=edges.device)
    source, target = torch.cat([edges, torch.stack([loops, loops])], dim=1)
    degree = torch.zeros(n, dtype=values.dtype, device=values.device)
    degree = degree.index_add(0, target, torch.ones_like(target, dtype=values.dtype))
    weight = (degree[source] * degree[target]).rsqrt()
    return torch.zeros_like(values).index_add(0, target, weight[:, None] * values[source])


class Convolution(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Linear(inputs, outputs, bias=False)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, values: Tensor, edges: Tensor) -> Tensor:
        return spread(self.weight(values), edges) + self.bias


class Network(nn.Module):
    def __init__(self, features: int, width: int, classes: int) -> None:
        super().__init__()
        self.first = Convolution(features, width)
        self.second = Convolution(width, classes)

    def forward(self, features: Tensor, edges: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(features, edges)), edges)
