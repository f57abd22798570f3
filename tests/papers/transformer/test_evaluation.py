"""Evaluation with an oracle, cached against uncached greedy decoding, and what BLEU is called."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from repro.papers.transformer.data import EOS, PAD, Translation, numbers
from repro.papers.transformer.evaluation import (
    averaged,
    bleu,
    bleu_tokenised,
    compounds_split,
    evaluate,
    greedy,
    signatures,
    statistic,
)
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


def test_compounds_split_like_the_authors_script() -> None:
    # perl -ple 's{(\S)-(\S)}{$1 ##AT##-##AT## $2}g': matches do not overlap, so "a-b-c" is split once
    assert compounds_split("rich-text format") == "rich ##AT##-##AT## text format"
    assert compounds_split("a-b-c") == "a ##AT##-##AT## b-c"
    assert compounds_split("- no -5 5-") == "- no -5 5-"


def test_tokenised_bleu_by_hand() -> None:
    reference = "Der Zug-Unfall war schlimm."
    # Moses: Der Zug-Unfall war schlimm .   →   Der Zug ##AT##-##AT## Unfall war schlimm .  (7 tokens)
    # hypothesis with another last word: precisions 6/7, 4/6, 3/5, 2/4 of orders 1 to 4
    score, signature = bleu_tokenised(["Der Zug-Unfall war gut."], [reference], "de")
    assert score == pytest.approx(100 * (6 / 7 * 4 / 6 * 3 / 5 * 2 / 4) ** 0.25)
    assert signature.startswith("nrefs:1|case:mixed|eff:no|tok:none|smooth:none|version:2")
    assert signature.endswith("|moses:de|compounds:split")
    assert bleu_tokenised([reference], [reference], "de")[0] == pytest.approx(100.0)
    assert bleu_tokenised(["Der Zug."], [reference], "de")[0] == 0.0  # multi-bleu does not smooth


def test_metrics_named_as_in_the_table() -> None:
    metrics = evaluate(Oracle(data(), 30.0), data(), tokenize="char", tokenised="de", beam=3, length_penalty=0.6)
    assert metrics["exact_match"] == 1.0
    assert list(metrics) == ["bleu_tokenised", "exact_match", "bleu", "perplexity", "loss"]
    said = signatures(tokenize="13a", tokenised="de", beam=4, length_penalty=0.6, average=5)
    assert said["decoding"] == "beam 4, length penalty 0.6"
    assert said["model"] == "average of the last 5 checkpoints (test only)"
    assert set(said) == {"bleu", "bleu_tokenised", "decoding", "model"}


def test_statistic_is_what_the_table_calls_it() -> None:
    assert statistic("test", average=5, beam=4) == "last_5_checkpoints_averaged"
    assert statistic("validation", average=5) == statistic("test") == "last"


def test_average_of_checkpoints() -> None:
    model = Transformer(64, width=8, layers=1, heads=2, d_ff=16)
    states = [{name: value + shift for name, value in model.state_dict().items()} for shift in (0.0, 1.0, 5.0)]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    mean = averaged(model, states)
    for name, value in mean.state_dict().items():
        assert torch.allclose(value, before[name] + 2.0, atol=1e-6)
    assert mean.output.weight is mean.source_embedding.pieces.weight  # still tied
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_average_is_of_the_newest_and_of_the_test_split_only() -> None:
    torch.manual_seed(0)
    model = Transformer(64, width=8, layers=1, heads=2, d_ff=16)
    far = {name: torch.full_like(value, 9.0) for name, value in model.state_dict().items()}
    states = [far, model.state_dict(), model.state_dict()]
    plain = evaluate(model, data(), max_examples=5)
    assert evaluate(model, data(), max_examples=5, average=2, checkpoints=states) == pytest.approx(plain)
    assert evaluate(model, data(), max_examples=5, average=3, checkpoints=states)["loss"] != pytest.approx(
        plain["loss"]
    )
    on_validation = evaluate(model, data(), "validation", max_examples=5)
    assert evaluate(model, data(), "validation", max_examples=5, average=3, checkpoints=states) == on_validation
    with pytest.raises(ValueError, match="no checkpoint is kept"):
        evaluate(model, data(), max_examples=5, average=3)
