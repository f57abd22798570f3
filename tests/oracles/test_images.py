"""Oracles of images against PyTorch's kernels and by their properties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from repro.oracles import images as oracle

RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (1, 1), (2, 1)])
def test_convolution_agrees_with_torch(stride: int, padding: int) -> None:
    x, weight, bias = RANDOM.normal(size=(2, 3, 6, 7)), RANDOM.normal(size=(4, 3, 3, 3)), RANDOM.normal(size=4)
    theirs = F.conv2d(*map(torch.tensor, (x, weight, bias)), stride=stride, padding=padding)
    np.testing.assert_allclose(oracle.convolution(x, weight, bias, stride, padding), theirs, atol=1e-12)


def test_shortcuts_agree_with_torch() -> None:
    x, weight = RANDOM.normal(size=(2, 3, 6, 6)), RANDOM.normal(size=(5, 3, 1, 1))
    padded = F.pad(torch.tensor(x)[:, :, ::2, ::2], (0, 0, 0, 0, 0, 2))
    np.testing.assert_array_equal(oracle.shortcut_a(x, 5, 2), padded)
    np.testing.assert_allclose(
        oracle.shortcut_b(x, weight, 2), F.conv2d(torch.tensor(x), torch.tensor(weight), stride=2), atol=1e-12
    )
    np.testing.assert_array_equal(oracle.shortcut_a(x, 3, 1), x)


def test_a_block_without_a_residual_is_the_activation() -> None:
    x = RANDOM.normal(size=(2, 3, 4, 4))
    np.testing.assert_array_equal(oracle.residual_block(x, np.zeros_like(x)), F.relu(torch.tensor(x)))


def test_pooling_agrees_with_torch() -> None:
    x = RANDOM.normal(size=(2, 3, 4, 5))
    theirs = F.adaptive_avg_pool2d(torch.tensor(x), 1).flatten(1)
    np.testing.assert_allclose(oracle.global_average_pool(x), theirs, atol=1e-12)


def test_mean_crop_and_flip_agree_with_torch() -> None:
    images = RANDOM.normal(size=(5, 3, 4, 6))
    np.testing.assert_allclose(oracle.per_pixel_mean(images), torch.tensor(images).mean(0), atol=1e-12)
    image = torch.tensor(images[0])
    np.testing.assert_array_equal(oracle.flip(images[0]), image.flip(-1))
    np.testing.assert_array_equal(oracle.flip(oracle.flip(images[0])), images[0])
    window = F.pad(image, (2, 2, 2, 2))[:, 1 : 1 + 4, 3 : 3 + 6]
    np.testing.assert_array_equal(oracle.crop(images[0], 1, 3, 2), window)
    np.testing.assert_array_equal(oracle.crop(images[0], 2, 2, 2), images[0])
    assert len(oracle.crops_and_flips(images[0], 2)) == 50
