"""Evaluation with an oracle, cached against uncached greedy decoding, and what BLEU is called."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from repro.papers.transformer.data import EOS, PAD, Translation, numbers
from repro.papers.transformer.evaluation import bleu, evaluate, greedy, signatures
from repro.papers.transformer.model import Transformer


def data() -> Translation:
    return numbers(64, 400, largest=9999, train=300, held_out=40, evaluation_batch=15)


class Oracle(nn.Module):
    """Knows every target: scores of `height` for the right next piece and 0 for the others."""

    def __init__(self, translation: Translation, height: float) -> None:
        super().__init__()
        self.height = height
        self.vocabulary = translation.vocabulary
        self.targets = {tuple(source): [*target, EOS] for source, target in translation.ids["test"]}

    def forward(self, source: Tensor, target_input: Tensor) -> Tensor:
        logits = torch.zeros(*target_input.shape, self.vocabulary)
        for i, row in enumerate(source.tolist()):
            target = self.targets[tuple(row[: row.index(EOS)])]
            for t in range(min(len(target), target_input.size(1))):
                logits[i, t, target[t]] = self.height
        return logits


def test_oracle_is_perfect() -> None:
    metrics = evaluate(Oracle(data(), 30.0), data(), tokenize="char")
    assert metrics["exact_match"] == 1.0
    assert metrics["bleu"] == pytest.approx(100.0)
    assert metrics["perplexity"] == pytest.approx(1.0, abs=1e-6)


def test_perplexity_is_per_piece_over_the_whole_split() -> None:
    # every piece has probability e / (e + 63), whatever the batches are
    metrics = evaluate(Oracle(data(), 1.0), data(), max_examples=17)
    assert metrics["perplexity"] == pytest.approx((math.e + 63) / math.e, rel=1e-6)
    assert metrics["loss"] == pytest.approx(math.log(metrics["perplexity"]), rel=1e-9)


@pytest.mark.parametrize("training", [True, False])
def test_mode_is_restored(training: bool) -> None:
    model = Transformer(64, width=8, layers=1, heads=2, d_ff=16).train(training)
    evaluate(model, data(), max_examples=3)
    assert model.training is training


def test_cached_greedy_equals_recomputation() -> None:
    torch.manual_seed(2)
    model = Transformer(64, width=16, layers=2, heads=2, d_ff=16, max_length=128).double().eval()
    source = next(iter(data().batches("test")))["source"]
    cached, plain = greedy(model, source, longest=12), greedy(model, source, longest=12, cached=False)
    assert torch.equal(cached, plain)
    assert cached.size(1) <= 12


def test_greedy_stops_early_and_pads_after_the_end() -> None:
    translation = data()
    source = next(iter(translation.batches("test")))["source"]
    written = greedy(Oracle(translation, 1.0), source)
    ends = (written == EOS).int().argmax(dim=1).tolist()
    assert written.size(1) == max(ends) + 1  # far less than input + 50
    assert all((row[end + 1 :] == PAD).all() for row, end in zip(written, ends, strict=True))


def test_bleu_and_its_signature() -> None:
    score, signature = bleu(["the cat sat on the mat"], ["the cat sat on the mat"])
    assert score == pytest.approx(100.0)
    assert signature.startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2")
    assert signatures("char")["bleu"].split("|")[3] == "tok:char"
    assert signatures(tokenize="13a", max_examples=5)["bleu"] == signature
