"""The best sequence by trying every one, which beam search approximates, and the length penalty that ranks them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence


def length_penalty(length: int, alpha: float) -> float:
    """((5 + |Y|) / 6)^α: Wu et al. 2016, equation 14; Vaswani et al. 2017 use α = 0.6 (section 6.1)."""
    return ((5 + length) / 6) ** alpha


def penalised_score(log_probability: float, length: int, alpha: float) -> float:
    """log P(Y | X) divided by the length penalty: higher is better."""
    return log_probability / length_penalty(length, alpha)


def exhaustive_search(
    log_probabilities: Callable[[Sequence[int]], Sequence[float]],
    end: int,
    classes: int,
    longest: int,
    alpha: float = 0.0,
) -> tuple[tuple[int, ...], float]:
    """(best sequence, its score) among all that end in `end` within `longest` pieces, or are cut there.

    Args:
        log_probabilities: prefix → log-probability of each next piece [classes].
        end: the piece that ends a sequence; it counts in the length.
        classes: number of pieces.
        longest: most pieces, at most about 6 for a handful of classes: the cost is classes^longest.
        alpha: exponent of the length penalty; 0 ranks by log-probability alone.
    """
    best: tuple[tuple[int, ...], float] | None = None
    for length in range(1, longest + 1):
        for body in itertools.product(range(classes), repeat=length):
            ended = body[-1] == end
            if end in body[:-1] or (not ended and length < longest):
                continue
            total = sum(log_probabilities(body[:i])[body[i]] for i in range(length))
            score = penalised_score(total, length, alpha)
            if best is None or score > best[1]:
                best = (body, score)
    assert best is not None
    return best
