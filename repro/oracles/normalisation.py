"""Layer normalisation (Ba et al. 2016, equation 3) and batch normalisation (Ioffe and Szegedy 2015, algorithm 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def layer_norm(x: Array, gain: Array | None = None, bias: Array | None = None, eps: float = 1e-5) -> Array:
    """(x - mean) / sqrt(variance + eps) over the last axis, times gain plus bias.

    Standard signature of the piece `layer_norm`: x [..., width], gain and bias [width]. The variance divides by width.
    """
    result = np.empty_like(x, dtype=np.float64)
    for index in np.ndindex(*x.shape[:-1]):
        row = x[index]
        mean = row.sum() / row.size
        variance = ((row - mean) ** 2).sum() / row.size
        result[index] = (row - mean) / np.sqrt(variance + eps)
    if gain is not None:
        result = result * gain
    return result if bias is None else result + bias


def batch_norm(x: Array, gain: Array | None = None, bias: Array | None = None, eps: float = 1e-5) -> Array:
    """Training-mode batch normalisation of x [batch, channels, ...] with the batch's own mean and (biased) variance."""
    result = np.empty_like(x, dtype=np.float64)
    for channel in range(x.shape[1]):
        values = x[:, channel]
        normal = (values - values.mean()) / np.sqrt(((values - values.mean()) ** 2).mean() + eps)
        scale = 1.0 if gain is None else gain[channel]
        shift = 0.0 if bias is None else bias[channel]
        result[:, channel] = scale * normal + shift
    return result
