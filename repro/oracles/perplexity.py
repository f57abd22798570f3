"""Perplexity and negative log-likelihood of discrete targets from logits, in float64 NumPy."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """log of exp(x) / Σ exp(x) over the last axis."""
    x = np.asarray(logits, dtype=np.float64)
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def negative_log_likelihood(logits: np.ndarray, targets: np.ndarray, padding: int | None = None) -> tuple[float, int]:
    """(sum in nats, number of targets that count). logits [..., classes], targets [...]; `padding` does not count."""
    log_p = log_softmax(logits).reshape(-1, np.asarray(logits).shape[-1])
    flat = np.asarray(targets).reshape(-1)
    real = np.ones(flat.shape, dtype=bool) if padding is None else flat != padding
    rows = np.flatnonzero(real)
    return float(-log_p[rows, flat[rows]].sum()), len(rows)


def mean_nll(batches: Iterable[tuple[np.ndarray, np.ndarray]], padding: int | None = None) -> float:
    """Mean over all targets of all batches of (logits, targets), in nats: every target counts the same."""
    sums = [negative_log_likelihood(logits, targets, padding) for logits, targets in batches]
    return sum(s for s, _ in sums) / sum(n for _, n in sums)


def perplexity(batches: Iterable[tuple[np.ndarray, np.ndarray]], padding: int | None = None) -> float:
    """exp of the mean negative log-likelihood a target; not the mean of the batches' perplexities (Jensen)."""
    return float(np.exp(mean_nll(batches, padding)))
