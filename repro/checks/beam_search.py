"""Beam search and its length penalty, against every sequence there is."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

from repro.checks.metrics import RELATIVE
from repro.checks.registry import check, failed, not_run, passed
from repro.contract.bench import Bench
from repro.contract.components import location_of
from repro.findings import Finding
from repro.oracles import perplexity as perplexity_oracle
from repro.oracles.beam_search import exhaustive_search, length_penalty


@check(phase="evaluation", family="oracle", component="length_penalty")
def length_penalty_piece(bench: Bench) -> Finding:
    """The declared piece `length_penalty(scores, lengths, alpha)` gives log P / ((5 + length) / 6)^alpha.

    Standard signature: scores [n] float64, log-probabilities; lengths [n] int64; alpha float → [n], higher is better.

    Broken: beam search prefers very short or very long outputs.
    Likely: the length penalty is multiplied instead of divided by | the 5 or the 6 of the formula is missing |
    length counts the end marker twice
    """
    piece = bench.piece("length_penalty")
    if piece is None:
        return not_run("declare pieces.length_penalty: a function (scores, lengths, alpha) → penalised scores")
    generator = random.Random(bench.seed)
    scores = [-generator.uniform(0.5, 20) for _ in range(16)]
    lengths = [generator.randint(1, 30) for _ in range(16)]
    for alpha in (0.0, 0.6, 1.0):
        got = piece(scores=torch.tensor(scores, dtype=torch.float64), lengths=torch.tensor(lengths), alpha=alpha)
        for score, length, value in zip(scores, lengths, torch.as_tensor(got).tolist(), strict=True):
            expected = score / length_penalty(length, alpha)
            if abs(value - expected) > RELATIVE * abs(expected):
                multiplied = abs(value - score * length_penalty(length, alpha)) <= RELATIVE * abs(value)
                return failed(
                    f"log P {score:.4g} of length {length} becomes {value:.6g} (alpha {alpha})",
                    expected=f"{expected:.9g} = log P / ((5 + length) / 6)^alpha (Wu et al. 2016, equation 14)",
                    observed=f"{value:.9g}",
                    threshold=f"{RELATIVE:.1e} relative (float32 rounding)",
                    location=location_of(piece),
                    likely=("the length penalty is multiplied instead of divided by",)
                    if multiplied
                    else (
                        "the 5 or the 6 of the formula is missing",
                        "length counts the end marker otherwise",
                    ),
                )
    return passed("16 hypotheses at three exponents have the scores of the formula")


@check(phase="evaluation", family="oracle", component="beam_search")
def beam_search_piece(bench: Bench) -> Finding:
    """The declared piece `beam_search`, with a beam that holds everything, finds the best sequence of all.

    Standard signature: beam_search(log_probabilities, end, beam, longest, alpha) → list of pieces; `log_probabilities`
    maps a tuple of pieces to the log-probabilities [classes] of the next.

    Broken: the search ranks finished hypotheses wrongly, or loses them.
    Likely: the length penalty is multiplied instead of divided by | finished hypotheses are expanded further or
    dropped | scores are summed over probabilities instead of their logarithms
    """
    piece = bench.piece("beam_search")
    if piece is None:
        return not_run("declare pieces.beam_search: a function (log_probabilities, end, beam, longest, alpha) → pieces")
    classes, longest, end = 3, 4, 0
    for seed in range(10):

        def log_probabilities(prefix: Any, seed: int = seed) -> list[float]:
            rng = np.random.default_rng([seed, *(int(p) + 1 for p in prefix)])
            return [float(v) for v in perplexity_oracle.log_softmax(2 * rng.normal(size=classes))]

        for alpha in (0.0, 0.6, 2.0):
            expected, score = exhaustive_search(log_probabilities, end, classes, longest, alpha)
            got = tuple(
                int(p) for p in piece(log_probabilities, end=end, beam=classes**longest, longest=longest, alpha=alpha)
            )
            if got != expected:
                return failed(
                    f"beam search returns {list(got)}, the best of all sequences is {list(expected)}",
                    expected=f"{list(expected)}, score {score:.6g}"
                    f" (every sequence of up to {longest} pieces tried, alpha {alpha})",
                    observed=str(list(got)),
                    threshold=f"a beam of {classes**longest} holds every hypothesis, so the search must be exact",
                    location=location_of(piece),
                )
    return passed("thirty searches with a full beam find the best sequence of all")
