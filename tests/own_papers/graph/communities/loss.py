"""Cross entropy over the nodes that the training mask names."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy


def masked_cross_entropy(logits: Tensor, labels: Tensor, train_mask: Tensor) -> dict[str, Tensor]:
    """total: mean cross entropy over training nodes"""
    return {"total": cross_entropy(logits[train_mask], labels[train_mask])}
