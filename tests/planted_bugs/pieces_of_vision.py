"""Pieces of papers about images: correct lines, listed bugs (`V04`) and correct variants (`C22`)."""

# ruff: noqa: N802 (functions have the names of bugs, and the signatures of their pieces)

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

MEAN, STD = torch.tensor([0.491, 0.482, 0.447]), torch.tensor([0.247, 0.243, 0.262])


def normalise(x: Tensor, mean: Tensor = MEAN, std: Tensor = STD) -> Tensor:
    return (x - mean[:, None, None]) / std[:, None, None]


def to_tensor(images: Tensor) -> Tensor:
    return images.permute(0, 3, 1, 2) / 255


def preprocess(images: Tensor, split: str) -> Tensor:
    x = normalise(to_tensor(images))
    return augment(x, 2) if split == "train" else x


def unit_range(images: Tensor, split: str) -> Tensor:
    return to_tensor(images)


def V01(images: Tensor, split: str) -> Tensor:
    return normalise(to_tensor(images), torch.tensor([125.3, 123.0, 113.9]), torch.tensor([63.0, 62.1, 66.7]))


def V02(images: Tensor, split: str) -> Tensor:
    return normalise(to_tensor(images)) if split == "train" else to_tensor(images)


def V03(images: Tensor, split: str) -> Tensor:
    return normalise(to_tensor(images.flip(-1)))


def V04(images: Tensor, split: str) -> Tensor:
    n, h, w, _ = images.shape
    return normalise(images.reshape(n, 3, h, w) / 255)


def augment(images: Tensor, padding: int) -> Tensor:
    n, _, h, w = images.shape
    padded = F.pad(images, (padding,) * 4)
    top, left = torch.randint(0, 2 * padding + 1, (2, n)).tolist()
    rows = [padded[i, :, t : t + h, s : s + w] for i, (t, s) in enumerate(zip(top, left, strict=True))]
    return torch.stack([row.flip(-1) if torch.rand(()) < 0.5 else row for row in rows])


def augment_upside_down(images: Tensor, padding: int) -> Tensor:
    return torch.stack([row.flip(-2) if torch.rand(()) < 0.5 else row for row in images])


def augment_as_one(images: Tensor, padding: int) -> Tensor:
    _, _, h, w = images.shape
    top, left = torch.randint(0, 2 * padding + 1, (2,)).tolist()
    return F.pad(images, (padding,) * 4)[:, :, top : top + h, left : left + w]


def per_pixel(images: Tensor) -> Tensor:
    return images.mean(0)


def per_channel(images: Tensor) -> Tensor:
    return images.mean((0, 2, 3))


def option_a(x: Tensor, planes: int, stride: int) -> Tensor:
    return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, planes // 4, planes // 4))


def option_a_behind(x: Tensor, planes: int, stride: int) -> Tensor:
    return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, planes - x.shape[1]))


def V13(x: Tensor, planes: int, stride: int) -> Tensor:
    projection = torch.nn.Sequential(torch.nn.Conv2d(x.shape[1], planes, 1, stride), torch.nn.BatchNorm2d(planes))
    return projection(x)


def block(x: Tensor, sublayers: Any, shortcut: Any) -> Tensor:
    out = sublayers(x)
    out = out + shortcut(x)
    return F.relu(out)


def V15(x: Tensor, sublayers: Any, shortcut: Any) -> Tensor:
    out = sublayers(x)
    return F.relu(out)


def convolve(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
    return F.conv2d(x, weight, bias, stride, padding)


C22 = convolve  # a bias before batch normalisation is wasted, and the convolution with it is right


def flipped_kernel(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
    return F.conv2d(x, weight.flip(-1, -2), bias, stride, padding)


def cross_entropy(z: Tensor, y: Tensor) -> Tensor:
    return F.nll_loss(F.log_softmax(z, 1), y)


def V22(z: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(z.softmax(-1), y)


def V23(z: Tensor, y: Tensor) -> Tensor:
    return F.nll_loss(F.softmax(z, 1), y)
