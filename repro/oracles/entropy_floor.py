"""The lowest loss that any predictor of discrete targets can reach, from counts alone, in float64 NumPy."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

import numpy as np


def entropy(probabilities: np.ndarray) -> float:
    """Shannon entropy in nats of a distribution [classes]; 0 log 0 = 0."""
    p = np.asarray(probabilities, dtype=np.float64)
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def smoothed(target: int, classes: int, smoothing: float) -> np.ndarray:
    """(1 − ε) one-hot + ε uniform over all classes (Szegedy et al. 2015, section 7): [classes]."""
    labels = np.full(classes, smoothing / classes)
    labels[target] += 1 - smoothing
    return labels


def conditional_entropy_floor(
    contexts: Sequence[Hashable], targets: Sequence[int], classes: int, smoothing: float = 0.0
) -> float:
    """Mean cross entropy, in nats a target, of the best predictor that sees only the context.

    The best prediction for a context is the mean of the (smoothed) labels that follow it, and its loss their entropy.
    Equal contexts with different targets ("colliding prefixes") cannot be told apart, so the floor lies above 0.
    """
    by_context: dict[Hashable, Counter[int]] = defaultdict(Counter)
    for context, target in zip(contexts, targets, strict=True):
        by_context[context][target] += 1
    total = 0.0
    for counts in by_context.values():
        n = sum(counts.values())
        mean = sum(count / n * smoothed(target, classes, smoothing) for target, count in counts.items())
        total += n * entropy(np.asarray(mean))
    return total / len(targets)
