"""Batches: shapes, the order of training, one permutation of positions, and a stream that resumes."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from repro.papers.mnist1d.data import MNIST1D


def test_a_pass_is_forty_batches_of_a_hundred() -> None:
    batches = list(MNIST1D().batches("train"))
    assert [tuple(batch["signal"].shape) for batch in batches] == [(100, 40)] * 40
    assert batches[0]["signal"].dtype == torch.float32 and batches[0]["digit"].dtype == torch.int64
    assert sum(len(batch["digit"]) for batch in MNIST1D(evaluation_batch=300).batches("test")) == 1000


def test_fixed_order_repeats_and_shuffled_order_does_not() -> None:
    fixed = MNIST1D(seed=1)
    first, second = list(fixed.batches("train")), list(fixed.batches("train"))
    assert all(torch.equal(a["signal"], b["signal"]) for a, b in zip(first, second, strict=True))
    shuffled = MNIST1D(order="shuffled", seed=1)
    one, two = list(shuffled.batches("train")), list(shuffled.batches("train"))
    assert not torch.equal(one[0]["signal"], two[0]["signal"])
    digits = torch.cat([batch["digit"] for batch in one])
    assert torch.equal(digits.bincount(), torch.cat([batch["digit"] for batch in first]).bincount())


@pytest.mark.parametrize("order", ["fixed", "shuffled"])
def test_the_stream_resumes_anywhere(order: str) -> None:
    data = MNIST1D(order=order, seed=3)
    list(data.batches("train"))
    list(islice(data.batches("train"), 7))
    other = MNIST1D(order=order, seed=9)
    other.load_state_dict(data.state_dict())
    ours, theirs = list(data.batches("train")), list(other.batches("train"))
    assert len(ours) == len(theirs) == 33
    assert all(torch.equal(a["signal"], b["signal"]) for a, b in zip(ours, theirs, strict=True))


def test_shuffled_positions_are_one_permutation_for_all_splits() -> None:
    plain, shuffled = MNIST1D(), MNIST1D(positions="shuffled")
    order = np.random.RandomState(42).permutation(40)  # the authors' notebook
    for split in ("train", "validation", "test"):
        a, b = next(iter(plain.batches(split))), next(iter(shuffled.batches(split)))
        assert torch.equal(a["signal"][:, order], b["signal"]) and torch.equal(a["digit"], b["digit"])
    assert not torch.equal(a["signal"], b["signal"])


def test_the_seed_of_training_leaves_the_data_set_alone() -> None:
    a, b = next(MNIST1D(seed=0).batches("train")), next(MNIST1D(seed=5).batches("train"))
    assert torch.equal(a["signal"], b["signal"])


def test_unknown_orders_are_named() -> None:
    with pytest.raises(ValueError, match=r"data\.positions is 'random', needed fixed or shuffled"):
        MNIST1D(positions="random")
