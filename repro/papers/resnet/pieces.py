"""Adapters from this paper's modules to the signatures of the oracles."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from repro.papers.resnet import model
from repro.papers.resnet.data import preprocess as less_the_mean
from repro.papers.resnet.loss import cross_entropy as terms


def preprocess(images: Tensor, split: str) -> Tensor:
    """Raw images [n, r, c, 3] → [n, 3, r, c], with a mean that rises from the first channel and pixel to the last.

    Both splits go one way: what training adds to it is the piece `augment`.
    """
    _, rows, columns, colours = images.shape
    mean = torch.linspace(0.4, 0.6, colours * rows * columns).reshape(colours, rows, columns)
    return less_the_mean(images, mean)


@torch.no_grad()
def convolution(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
    """The 3 × 3 convolution of a block with given weights [o, k, 3, 3] and bias [o]; its padding is always 1."""
    layer = model.convolution(weight.size(1), weight.size(0), stride, bias=True).to(x.dtype)
    layer.weight.copy_(weight)
    assert layer.bias is not None
    layer.bias.copy_(bias)
    result: Tensor = layer(x)
    return result


@torch.no_grad()
def shortcut_b(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Option B with a given projection [o, k, 1, 1], before its normalisation."""
    block = model.Block(weight.size(1), weight.size(0), stride, "B", norm=True).to(x.dtype)
    assert isinstance(block.projection, nn.Sequential)
    layer = block.projection[0]
    assert isinstance(layer, nn.Conv2d)
    layer.weight.copy_(weight)
    result: Tensor = layer(x)
    return result


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The total of the loss."""
    return terms(logits, targets)["total"]
