"""A paper's own recurrent layer against the definition: MNIST-1D's passes, each known mistake of one is named."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from repro.checks.recurrent import recurrent_agrees
from repro.checks.registry import run_check
from repro.contract.bench import Bench
from repro.contract.paper import Paper
from repro.findings import Outcome
from repro.oracles import recurrent as oracle
from tests.planted_bugs.planting import settings_of


def bench_with(piece: str, form: str) -> Bench:
    """A bench whose piece is the oracle itself, in one of its forms."""
    bench = Bench(Paper.from_config(settings_of(paper="mnist1d")))

    def layer(x: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        kind = piece.rpartition("_")[2]
        given = [weight.double().numpy() for weight in weights]
        return torch.from_numpy(oracle.batch_of(kind, x.double().numpy(), given, form)).to(x.dtype)

    vars(bench)["piece"] = lambda name: layer if name == piece else None
    return bench


def found(bench: Bench, **options: Any) -> Any:
    (finding,) = recurrent_agrees(bench, **options)
    return finding


@pytest.mark.parametrize("piece", ["gru", "lstm", "bidirectional_gru", "bidirectional_lstm"])
def test_each_form_is_told(piece: str) -> None:
    kind = piece.rpartition("_")[2]
    assert found(bench_with(piece, ""), piece=piece).outcome is Outcome.PASSED
    for form, words in oracle.MISTAKES[kind].items():
        finding = found(bench_with(piece, form), piece=piece)
        assert finding.outcome is Outcome.FAILED and finding.likely[0] == words
    for form, words in oracle.CONVENTIONS[kind].items():
        finding = found(bench_with(piece, form), piece=piece)
        assert finding.outcome is Outcome.PASSED and words in finding.summary


def test_the_layer_of_mnist_1d_agrees_and_a_piece_that_is_not_declared_is_asked_for() -> None:
    bench = Bench(Paper.from_config(settings_of(paper="mnist1d")))
    (finding,) = run_check("recurrent_agrees", bench, {"piece": "bidirectional_gru", "inputs": 1})
    assert finding.outcome is Outcome.PASSED, finding
    (finding,) = run_check("recurrent_agrees", bench, {"piece": "lstm"})
    assert finding.outcome is Outcome.NOT_RUN and "pieces.lstm" in finding.reason
