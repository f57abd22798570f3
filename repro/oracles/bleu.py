"""Corpus BLEU (Papineni et al. 2002) from its definition, in plain Python floats. Sentences are lists of tokens."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

Tokens = Sequence[str]


def n_grams(tokens: Tokens, n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def bleu(hypotheses: Sequence[Tokens], references: Sequence[Tokens], order: int = 4, smooth: str = "exp") -> float:
    """BLEU of a corpus with one reference a sentence, from 0 to 100.

    Clipped n-gram matches are summed over the corpus (their section 2.1.1); the geometric mean of the precisions of
    orders 1 … `order` is multiplied by the brevity penalty exp(1 − r/c) for c < r (2.2). `smooth="exp"` halves, for
    each order without a match, what such an order counts (sacrebleu's default); "none" gives 0 then.
    """
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses, {len(references)} references")
    matches, totals = [0] * order, [0] * order
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        for n in range(1, order + 1):
            found, wanted = n_grams(hypothesis, n), n_grams(reference, n)
            matches[n - 1] += sum(min(count, wanted[gram]) for gram, count in found.items())
            totals[n - 1] += sum(found.values())
    c, r = sum(map(len, hypotheses)), sum(map(len, references))
    if not any(matches) or 0 in totals:
        return 0.0
    logs, halving = 0.0, 1.0
    for match, total in zip(matches, totals, strict=True):
        if match:
            precision = match / total
        elif smooth == "exp":
            halving *= 2
            precision = 1 / (halving * total)
        else:
            return 0.0
        logs += math.log(precision) / order
    brevity = 1.0 if c >= r else math.exp(1 - r / c)
    return 100 * brevity * math.exp(logs)
