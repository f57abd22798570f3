"""BLEU against sacrebleu, perplexity against torch, the floor of a loss against entropies worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from repro.oracles.bleu import bleu
from repro.oracles.entropy_floor import conditional_entropy_floor, entropy, smoothed
from repro.oracles.perplexity import perplexity

SENTENCES = st.lists(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=9), min_size=1, max_size=4)


@given(SENTENCES, st.randoms(use_true_random=False))
def test_bleu_agrees_with_sacrebleu(references: list[list[str]], rng: object) -> None:
    from sacrebleu.metrics import BLEU

    hypotheses = [rng.sample(r, len(r)) + r[:1] for r in references]  # type: ignore[attr-defined]
    theirs = BLEU(tokenize="none").corpus_score([" ".join(h) for h in hypotheses], [[" ".join(r) for r in references]])
    assert bleu(hypotheses, references) == pytest.approx(theirs.score, abs=1e-9)


def test_bleu_of_the_reference_is_100() -> None:
    sentence = ["the", "cat", "sat", "on", "the", "mat"]
    assert bleu([sentence], [sentence]) == pytest.approx(100.0)


def test_perplexity_weighs_every_target_alike() -> None:
    rng = np.random.default_rng(0)
    batches = [(rng.normal(size=(n, 5)), rng.integers(0, 5, size=n)) for n in (2, 7)]
    logits, targets = (torch.tensor(np.concatenate([b[i] for b in batches])) for i in (0, 1))
    whole = math.exp(torch.nn.functional.cross_entropy(logits, targets).item())
    assert perplexity(batches) == pytest.approx(whole)
    assert perplexity([(np.zeros((3, 8)), np.array([1, 2, 3]))]) == pytest.approx(8.0)


def test_floor_of_colliding_contexts() -> None:
    # context x is followed by 0 and 1 equally often, y always by 2: (2 ln 2 + 0) / 3
    assert conditional_entropy_floor(["x", "x", "y"], [0, 1, 2], 4) == pytest.approx(2 * math.log(2) / 3)
    # smoothed labels of one class: their own entropy
    assert conditional_entropy_floor(["x"], [0], 10, 0.1) == pytest.approx(entropy(smoothed(0, 10, 0.1)))
    assert entropy(smoothed(0, 10, 0.1)) == pytest.approx(-(0.91 * math.log(0.91) + 9 * 0.01 * math.log(0.01)))
