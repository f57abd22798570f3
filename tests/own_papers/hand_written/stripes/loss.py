"""Cross entropy."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy


def loss(logits: Tensor, stripe: Tensor) -> dict[str, Tensor]:
    """total: mean cross entropy"""
    return {"total": cross_entropy(logits, stripe)}
