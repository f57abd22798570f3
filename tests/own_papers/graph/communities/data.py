"""One graph of three communities; masks say which nodes train, validate and test, and every batch is the graph."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

CLASSES = 3


def graph(n: int, seed: int, features: int) -> dict[str, Tensor]:
    """Nodes are joined with probability 0.2 inside a community and 0.02 across; features are noisy one-hot classes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % CLASSES
    chance = torch.where(labels[:, None] == labels[None, :], 0.2, 0.02)
    joined = (torch.rand(n, n, generator=generator) < chance).triu(1)
    joined = joined | joined.T
    order = torch.randperm(n, generator=generator)
    place = torch.empty_like(order)
    place[order] = torch.arange(n)
    return {
        "features": torch.nn.functional.one_hot(labels, features) + torch.randn(n, features, generator=generator),
        "edges": joined.nonzero().T.contiguous(),  # [2, edge]: from, to
        "labels": labels,
        "train_mask": place < max(1, n // 2),
        "validation_mask": (place >= max(1, n // 2)) & (place < max(1, 3 * n // 4)),
        "test_mask": place >= max(1, 3 * n // 4),
    }


class Graph:
    def __init__(self, nodes: int = 120, features: int = 8) -> None:
        self.features = features
        self.whole = graph(nodes, 300, features)

    def batches(self, split: str) -> Iterator[dict[str, Tensor]]:
        yield dict(self.whole)

    def synthetic(self, n: int, seed: int) -> dict[str, Tensor]:
        return graph(n, seed, self.features)

    def state_dict(self) -> dict[str, object]:
        return {}

    def load_state_dict(self, state: dict) -> None:
        """Every batch is the whole graph: there is no position to restore."""
