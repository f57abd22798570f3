"""Convolution, shortcuts and preprocessing of images, one pixel at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def convolution(x: Array, weight: Array, bias: Array | None = None, stride: int = 1, padding: int = 0) -> Array:
    """Cross-correlation, as every framework calls convolution (Goodfellow et al. 2016, equation 9.6).

    Standard signature of the piece `convolution`: x [N, C, H, W], weight [O, C, K, K], bias [O] or None, stride,
    padding. Returns [N, O, (H + 2 padding - K) // stride + 1, …].
    """
    size = weight.shape[2]
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    rows, columns = ((side - size) // stride + 1 for side in padded.shape[2:])
    result = np.zeros((len(x), len(weight), rows, columns))
    for n, o, i, j in np.ndindex(*result.shape):
        window = padded[n, :, i * stride : i * stride + size, j * stride : j * stride + size]
        result[n, o, i, j] = (window * weight[o]).sum() + (0.0 if bias is None else bias[o])
    return result


def shortcut_a(x: Array, channels: int, stride: int) -> Array:
    """Identity with every `stride`-th row and column and zeros for new channels (He et al. 2015, option A).

    Standard signature of the piece `shortcut_a`: x [N, C, H, W], channels, stride. Returns [N, channels, H / stride,
    …]. The paper does not say on which side the zeros go; here they come last.
    """
    result = np.zeros((len(x), channels, -(-x.shape[2] // stride), -(-x.shape[3] // stride)))
    for n, c, i, j in np.ndindex(len(x), x.shape[1], *result.shape[2:]):
        result[n, c, i, j] = x[n, c, i * stride, j * stride]
    return result


def shortcut_b(x: Array, weight: Array, stride: int) -> Array:
    """Projection by a 1 × 1 convolution with stride and no bias (He et al. 2015, option B), before any normalisation.

    Standard signature of the piece `shortcut_b`: x [N, C, H, W], weight [O, C, 1, 1], stride.
    """
    return convolution(x, weight, stride=stride)


def residual_block(x: Array, residual: Array) -> Array:
    """max(0, F(x) + x): the sum before the last activation (He et al. 2015, equation 1 and figure 2).

    Standard signature of the piece `residual_block`: x [N, C, H, W], sublayers (a function of x: F), shortcut (a
    function of x). `residual` here is F(x), and x what the shortcut returns.
    """
    return np.maximum(residual + x, 0.0)


def global_average_pool(x: Array) -> Array:
    """Mean over all places of a map: [N, C, H, W] → [N, C] (Lin et al. 2013, section 3.2; He et al. 2015, section 3.3).

    Standard signature of the piece `global_average_pool`: x [N, C, H, W].
    """
    n, channels, height, width = x.shape
    result = np.zeros((n, channels))
    for row in range(height):
        for column in range(width):
            result += x[:, :, row, column]
    return result / (height * width)


def per_pixel_mean(images: Array) -> Array:
    """Mean over images of each pixel of each channel (He et al. 2015, section 4.2; Krizhevsky et al. 2012, section 2).

    Standard signature of the piece `per_pixel_mean`: images [N, C, H, W]. Returns [C, H, W].
    """
    result = np.zeros(images.shape[1:])
    for image in images:
        result += image
    return result / len(images)


def flip(image: Array) -> Array:
    """Left and right exchanged: [C, H, W]."""
    result = np.empty_like(image)
    for column in range(image.shape[2]):
        result[:, :, column] = image[:, :, image.shape[2] - 1 - column]
    return result


def crop(image: Array, top: int, left: int, padding: int) -> Array:
    """The window at (top, left), each from 0 to 2 padding, of the image padded with zeros; of the image's own size."""
    channels, height, width = image.shape
    result = np.zeros_like(image)
    for c, i, j in np.ndindex(channels, height, width):
        row, column = i + top - padding, j + left - padding
        if 0 <= row < height and 0 <= column < width:
            result[c, i, j] = image[c, row, column]
    return result


def crops_and_flips(image: Array, padding: int) -> dict[tuple[int, int, bool], Array]:
    """Every image that padding, random crop and random flip can give (He et al. 2015, section 4.2)."""
    places = range(2 * padding + 1)
    found: dict[tuple[int, int, bool], Any] = {}
    for top in places:
        for left in places:
            cut = crop(image, top, left, padding)
            found[(top, left, False)], found[(top, left, True)] = cut, flip(cut)
    return found
