"""Parts of a batch, and how much each counts: by hand, the mean of the weighted means is that of the whole batch."""

from __future__ import annotations

import pytest
import torch

from repro.contract.declarations import read_tensors
from repro.errors import ComponentError
from repro.training.devices import shard, weight

DECLARED, FAULTS = read_tensors(
    {
        "target": {"axes": ["batch", "length"], "dtype": "int64", "padding": 0, "meaning": "ids"},
        "table": {"axes": [3], "dtype": "float32", "meaning": "the same for every example"},
    }
)
BATCH = {"target": torch.tensor([[5, 6, 0], [7, 0, 0], [8, 9, 1], [4, 0, 0], [3, 2, 0]]), "table": torch.arange(3.0)}


def test_parts_share_the_examples_and_all_else_is_whole() -> None:
    assert not FAULTS
    parts = [shard(BATCH, DECLARED, rank, 2) for rank in range(2)]
    assert [len(part["target"]) for part in parts] == [3, 2]
    assert torch.cat([part["target"] for part in parts]).equal(BATCH["target"])
    assert all(part["table"].equal(BATCH["table"]) for part in parts)
    with pytest.raises(ComponentError, match="5 examples in 'target', fewer than the 6 processes"):
        shard(BATCH, DECLARED, 0, 6)


def test_the_mean_of_weighted_means_is_that_of_the_whole_batch() -> None:
    parts = [shard(BATCH, DECLARED, rank, 2) for rank in range(2)]
    # 3 and 2 of 5 examples; 6 and 3 of the 9 entries that are no padding
    assert [weight(BATCH, part, DECLARED, None, 2) for part in parts] == pytest.approx([2 * 3 / 5, 2 * 2 / 5])
    by_entries = [weight(BATCH, part, DECLARED, "target", 2) for part in parts]
    assert by_entries == pytest.approx([2 * 6 / 9, 2 * 3 / 9])
    means = [part["target"][part["target"] != 0].double().mean().item() for part in parts]
    whole = BATCH["target"][BATCH["target"] != 0].double().mean().item()
    assert sum(w * mean for w, mean in zip(by_entries, means, strict=True)) / 2 == pytest.approx(whole)
    with pytest.raises(ComponentError, match="loss_mean_over names 'logits', but a batch has target, table"):
        weight(BATCH, parts[0], DECLARED, "logits", 2)
