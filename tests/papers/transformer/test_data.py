"""Batches: teacher forcing, padding, token budgets, and a training stream that resumes at any batch."""

from __future__ import annotations

import pytest
import torch

from repro.papers.transformer.data import BOS, EOS, PAD, Translation, collate, numbers


def make(seed: int = 0, **changes: int) -> Translation:
    settings = {"vocabulary": 64, "batch_tokens": 400, "largest": 9999, "train": 300, "held_out": 40} | changes
    return numbers(**settings, seed=seed)


def test_collate_by_hand() -> None:
    batch = collate([([5, 6, 7], [8, 9]), ([5], [8, 9, 4])])
    assert batch["source"].tolist() == [[5, 6, 7, EOS], [5, EOS, PAD, PAD]]
    assert batch["target_input"].tolist() == [[BOS, 8, 9, EOS], [BOS, 8, 9, 4]]
    assert batch["target_output"].tolist() == [[8, 9, EOS, PAD], [8, 9, 4, EOS]]
    assert all(tensor.dtype == torch.int64 for tensor in batch.values())


def test_text_survives_encoding() -> None:
    data = make()
    rows = torch.cat([batch["target_output"] for batch in make(evaluation_batch=40).batches("test")]).tolist()
    assert [data.decode(row) for row in rows] == data.references("test")


def test_batches_keep_the_token_budget_and_cover_the_split_once() -> None:
    data = make()
    batches = list(data.batches("train"))
    assert all(tensor.numel() <= 400 + 2 * tensor.size(0) for batch in batches for tensor in batch.values())
    assert sum(batch["source"].size(0) for batch in batches) == 300
    assert len({tuple(row) for batch in batches for row in batch["source"].tolist()}) == 300


def test_narrow_buckets_waste_less_padding() -> None:
    def padding(bucket: int) -> float:
        batches = list(make(bucket=bucket).batches("train"))
        empty = sum(int((batch["target_output"] == PAD).sum()) for batch in batches)
        return empty / sum(batch["target_output"].numel() for batch in batches)

    assert padding(2) < 0.75 * padding(100)


def test_stream_resumes_at_any_batch_even_in_another_pass() -> None:
    def stream(data: Translation, n: int) -> list[list[list[int]]]:
        out: list[list[list[int]]] = []
        while len(out) < n:
            for batch in data.batches("train"):
                out.append(batch["source"].tolist())
                if len(out) == n:
                    break
        return out

    length = len(list(make().batches("train")))
    whole = stream(make(seed=1), 2 * length + 3)
    for stop in (1, length - 1, length, length + 1, 2 * length):
        data = make(seed=1)
        assert stream(data, stop) == whole[:stop]
        resumed = make(seed=5)
        resumed.load_state_dict(data.state_dict())
        assert stream(resumed, len(whole) - stop) == whole[stop:]


def test_seed_decides_the_order_only() -> None:
    first, again, other = ([b["source"].tolist() for b in make(seed).batches("train")] for seed in (0, 0, 1))
    assert first == again != other
    assert make(0).references("test") == make(1).references("test")


def test_synthetic_has_padding_and_repeats() -> None:
    batch = make().synthetic(6, seed=3)
    again = make().synthetic(6, seed=3)
    assert all(torch.equal(batch[name], again[name]) for name in batch)
    assert all((batch[name] == PAD).any() for name in ("source", "target_output"))
    assert batch["source"].max() < 64


def test_vocabulary_that_the_text_cannot_fill() -> None:
    with pytest.raises(ValueError, match=r"data\.vocabulary is 9000, but this text yields \d+ pieces"):
        make(vocabulary=9000)
