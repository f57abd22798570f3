"""Beam search against every sequence there is, against greedy decoding, and with and without its cache."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from repro.oracles.beam_search import exhaustive_search
from repro.oracles.beam_search import length_penalty as oracle_penalty
from repro.papers.transformer import pieces
from repro.papers.transformer.beam import EXTRA_LENGTH, beam_search, length_penalty
from repro.papers.transformer.data import BOS, EOS, PAD
from repro.papers.transformer.evaluation import greedy
from repro.papers.transformer.model import Transformer

VOCABULARY = 5  # the four specials and one piece: 5^4 sequences of up to 4 pieces
LONGEST = 4


def tiny(seed: int, vocabulary: int = VOCABULARY) -> Transformer:
    """A model with opinions: logits are stretched, so that sequences differ in probability."""
    torch.manual_seed(seed)
    model = Transformer(vocabulary, width=8, layers=2, heads=2, d_ff=16, max_length=80).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    return model


def sources() -> Tensor:
    return torch.tensor([[4, 3, 4, EOS], [3, EOS, PAD, PAD], [4, EOS, PAD, PAD]])


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("seed", range(2))
def test_a_full_beam_finds_the_best_of_all_sequences(seed: int, alpha: float) -> None:
    """The real model, batched, cached and with early stop, against the oracle that tries all 5 + 4·5 + … sequences."""
    model = tiny(seed)
    found = beam_search(model, sources(), beam=VOCABULARY**LONGEST, alpha=alpha, longest=LONGEST)
    for row, source in zip(found.tolist(), sources().tolist(), strict=True):
        alone = torch.tensor([[piece for piece in source if piece != PAD]])

        known: dict[tuple[int, ...], list[float]] = {}
        for n in range(LONGEST):  # each prefix once, without a cache of keys and values
            prefixes = list(itertools.product(range(VOCABULARY), repeat=n))
            with torch.no_grad():
                logits = model(alone.expand(len(prefixes), -1), torch.tensor([[BOS, *p] for p in prefixes]))[:, -1]
            known.update(zip(prefixes, logits.log_softmax(-1).tolist(), strict=True))
        expected, _ = exhaustive_search(lambda p, known=known: known[tuple(p)], EOS, VOCABULARY, LONGEST, alpha)
        assert tuple(row[: len(expected)]) == expected
        assert set(row[len(expected) :]) <= {PAD}


def test_hand_worked_search() -> None:
    # end = 0. First piece: 0 with 0.4, 1 with 0.35, 2 with 0.25; after 1 comes 0 with 0.9; after 2 comes 0 with 0.99
    table = {(): [0.4, 0.35, 0.25], (1,): [0.9, 0.05, 0.05], (2,): [0.99, 0.005, 0.005]}

    def log_probabilities(prefix: tuple[int, ...]) -> list[float]:
        return [math.log(p) for p in table.get(prefix, [0.98, 0.01, 0.01])]

    assert pieces.beam_search(log_probabilities, end=0, beam=1, longest=3, alpha=0.0) == [0]  # 0.4
    assert pieces.beam_search(log_probabilities, end=0, beam=3, longest=3, alpha=0.0) == [0]  # 0.4 > 0.315 > 0.2475
    # α = 2: log 0.4 / 1 = −0.916; log 0.315 / (7/6)² = −0.849; log 0.2475 / (7/6)² = −1.026
    assert pieces.beam_search(log_probabilities, end=0, beam=3, longest=3, alpha=2.0) == [1, 0]


def test_length_penalty_by_hand() -> None:
    scores = torch.tensor([-6.0, -6.0], dtype=torch.float64)
    # lengths 1 and 7: (6/6)^0.6 = 1 and (12/6)^0.6 = 1.5157
    assert length_penalty(scores, torch.tensor([1, 7]), 0.6).tolist() == pytest.approx([-6.0, -6.0 / 2**0.6])
    for length, alpha in itertools.product((1, 3, 20), (0.0, 0.6, 1.0)):
        assert float(length_penalty(scores[0], length, alpha)) == pytest.approx(-6.0 / oracle_penalty(length, alpha))


@pytest.mark.parametrize("seed", range(3))
def test_a_beam_of_one_without_penalty_is_greedy(seed: int) -> None:
    model = tiny(seed, 9)
    source = torch.randint(3, 9, (5, 6), generator=torch.Generator().manual_seed(seed))
    found = beam_search(model, source, beam=1, alpha=0.0, longest=10)
    expected = greedy(model, source, longest=10)
    assert torch.equal(found, expected[:, : found.size(1)])
    assert (expected[:, found.size(1) :] == PAD).all()


@pytest.mark.parametrize("beam", [2, 4])
def test_cache_changes_nothing(beam: int) -> None:
    model = tiny(5, 30)
    source = torch.randint(4, 30, (6, 7), generator=torch.Generator().manual_seed(0))
    source[2, 4:] = PAD
    cached = beam_search(model, source, beam, 0.6, longest=15)
    assert torch.equal(cached, beam_search(model, source, beam, 0.6, longest=15, cached=False))


def test_a_sentence_is_decoded_alike_alone_and_in_a_batch() -> None:
    """Outputs are limited by each sentence's own length, padding left out; nobody waits for another's end."""
    model = tiny(3, 12)
    batch = beam_search(model, sources(), 3, 0.6)
    for row, source in zip(batch, sources(), strict=True):
        alone = beam_search(model, source[source != PAD][None], 3, 0.6)[0]
        assert torch.equal(row[: len(alone)], alone)
        assert (row[len(alone) :] == PAD).all()
        assert len(alone) <= int((source != PAD).sum()) + EXTRA_LENGTH


class Counting(nn.Module):
    """Ends with probability 0.9 at every position, and counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, source: Tensor, target_input: Tensor) -> Tensor:
        self.calls += 1
        scores = torch.full((6,), math.log(0.02))
        scores[EOS] = math.log(0.9)
        return scores.expand(*target_input.shape, 6)


def test_search_stops_when_nothing_open_can_win() -> None:
    # ended after 1 piece: −0.105. Open: log 0.02 = −3.9, at best / (58/6)^0.6 = 3.9, so −1.0 < −0.105: one call
    model = Counting()
    assert beam_search(model, torch.tensor([[4, 4, EOS]]), 4, 0.6).tolist() == [[EOS]]
    assert model.calls == 1
