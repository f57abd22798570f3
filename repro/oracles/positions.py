"""Sinusoidal positional encoding (Vaswani et al. 2017, section 3.5), entry by entry."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def positional_encoding(length: int, width: int) -> Array:
    """PE(pos, 2i) = sin(pos / 10000^(2i / width)), PE(pos, 2i + 1) = cos(the same); positions count from 0.

    Standard signature of the piece `positional_encoding`: (length, width) → [length, width].
    """
    table = np.empty((length, width))
    for position in range(length):
        for channel in range(width):
            i = channel // 2
            angle = position / 10000 ** (2 * i / width)
            table[position, channel] = math.sin(angle) if channel % 2 == 0 else math.cos(angle)
    return table


def positional_encoding_tensor2tensor(length: int, width: int) -> Array:
    """The authors' tensor2tensor: a block of sines, a block of cosines, exponent i / (width / 2 - 1), not i / (width /
    2).

    It differs from the paper's text and is a known equivalent (also in fairseq).
    """
    half = width // 2
    table = np.zeros((length, width))
    for position in range(length):
        for i in range(half):
            angle = position / 10000 ** (i / max(1, half - 1))
            table[position, i] = math.sin(angle)
            table[position, half + i] = math.cos(angle)
    return table


def positional_encoding_doubled_exponent(length: int, width: int) -> Array:
    """A mistake: the exponent is 2i / (width / 2), so that frequencies fall twice as fast."""
    table = np.empty((length, width))
    for position in range(length):
        for channel in range(width):
            angle = position / 10000 ** (2 * (channel // 2) / (width / 2))
            table[position, channel] = math.sin(angle) if channel % 2 == 0 else math.cos(angle)
    return table


def distance_up_to_channels(ours: Array, reference: Array) -> float:
    """Largest difference of two tables [length, width] when channels may be ordered differently.

    Each channel is matched with the nearest free one of the reference (columns, largest absolute difference).
    """
    from scipy.optimize import linear_sum_assignment

    if ours.shape != reference.shape:
        return math.inf
    cost = np.abs(ours[:, :, None] - reference[:, None, :]).max(axis=0)  # [width, width]
    rows, columns = linear_sum_assignment(cost)
    return float(cost[rows, columns].max(initial=0.0))
