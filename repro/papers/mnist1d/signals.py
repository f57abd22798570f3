"""The MNIST-1D signals: digit templates, padded, stretched, scaled, shifted, drowned in noise and sheared (Table 2).

NumPy's legacy generator is read in the order of the authors' code, number for number, so seed 42 gives the published
data set. What is drawn is drawn one signal after the other; what is computed is computed for all signals at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

TEMPLATES = Path(__file__).with_name("templates.yaml")
FILTER_WIDTH = 2  # of the Gaussian that correlates the noise, in points (Table 2)
EPSILON = 1e-8  # added to a template, so that its own zeros are told from the padding's


@dataclass(frozen=True)
class Generation:
    """How signals are made; the defaults are Table 2's, but for `scale`, which only the authors' code has.

    Lengths and shifts are in points, noise in units of the templates' amplitude.
    """

    samples: int = 5000
    train: int = 4000
    padding: tuple[int, int] = (36, 60)
    scale: float = 0.4
    max_translation: int = 48
    correlated_noise: float = 0.25
    white_noise: float = 0.02
    shear: float = 0.75
    length: int = 40
    seed: int = 42


@dataclass(frozen=True)
class Split:
    """Signals [n, 40] and their digits [n]."""

    signals: Array
    labels: Labels


@lru_cache(maxsize=1)
def templates() -> Array:
    """[10, 12]: each digit with mean 0 and standard deviation 1, moved to start and end at 0, divided by 6."""
    raw = yaml.safe_load(TEMPLATES.read_text(encoding="utf-8"))
    x = np.array([raw[digit] for digit in range(10)], dtype=np.float64)
    x -= x.mean(axis=1, keepdims=True)
    x /= x.std(axis=1, keepdims=True)
    x -= x[:, :1]
    return x / 6


def stretched(points: Array, length: int) -> Array:
    """[n] → [length]: the same curve, read at evenly spaced places by linear interpolation."""
    result: Array = np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(points)), points)
    return result


@lru_cache(maxsize=4)
def dilated(low: int, high: int) -> Array:
    """[10, high - low + 1, 12 + high]: each template with `low` … `high` zeros after it, stretched to one length.

    More padding makes a narrower digit: this is the dilation of Table 2.
    """
    digits = templates() + EPSILON
    long = digits.shape[1] + high
    return np.array([[stretched(np.append(x, np.zeros(p)), long) for p in range(low, high + 1)] for x in digits])


def draw_signals(labels: Labels, random: np.random.RandomState, how: Generation) -> Array:
    """[n] digits → [n, 40] signals, not yet standardised; `random` advances as in the authors' code."""
    low, high = how.padding
    table = dilated(low, high)
    n, long = len(labels), table.shape[-1]
    pad, shift = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    size, slope = np.empty(n), np.empty(n)
    correlated, white = np.empty((n, long)), np.empty((n, long))
    for i in range(n):
        pad[i] = int(random.rand() * (high - low + 1))
        size[i] = 1 + how.scale * (random.rand() - 0.5)
        shift[i] = random.randint(0, how.max_translation)
        correlated[i] = how.correlated_noise * random.randn(long)
        white[i] = how.white_noise * random.randn(long)
        slope[i] = how.shear * (random.rand() - 0.5)
    x = table[labels, pad] * size[:, None]  # [n, 72]
    x = np.take_along_axis(x, (np.arange(long) - shift[:, None]) % long, axis=1)  # moved right, around the end
    # correlated noise fills the padding only; the digit itself gets white noise
    x = np.where(x != 0, x, gaussian_filter1d(correlated, FILTER_WIDTH, axis=1)) + white
    x = x - slope[:, None] * np.linspace(-0.5, 0.5, long)
    return subsampled(x, how.length)


def subsampled(x: Array, length: int) -> Array:
    """[n, t] → [n, length] by linear interpolation; all rows at once, the arithmetic of `np.interp`."""
    old, new = np.linspace(0, 1, x.shape[1]), np.linspace(0, 1, length)
    left = np.clip(np.searchsorted(old, new, side="right") - 1, 0, len(old) - 2)
    slope = (x[:, left + 1] - x[:, left]) / (old[left + 1] - old[left])
    y: Array = slope * (new - old[left]) + x[:, left]
    y[:, -1] = x[:, -1]
    return y


@lru_cache(maxsize=4)
def published(how: Generation) -> tuple[Split, Split, float, float]:
    """Train and test of the data set that `how` describes, and the mean and standard deviation it was standardised by.

    Both are of all signals together, the test's included, as in the authors' code.
    """
    random = np.random.RandomState(how.seed)
    labels = np.repeat(np.arange(10), how.samples // 10)
    x = draw_signals(labels, random, how)
    order = random.permutation(len(labels))
    x, labels = x[order], labels[order]
    mean, std = float(x.mean()), float(x.std())
    x = (x - mean) / std
    cut = how.train
    return Split(x[:cut], labels[:cut]), Split(x[cut:], labels[cut:]), mean, std


@lru_cache(maxsize=4)
def further(how: Generation, samples: int, seed: int) -> Split:
    """`samples` more signals of another seed, standardised as the published ones are; the paper has no such split."""
    random = np.random.RandomState(seed)
    labels = random.permutation(np.arange(samples) % 10)
    _, _, mean, std = published(how)
    return Split((draw_signals(labels, random, how) - mean) / std, labels)
