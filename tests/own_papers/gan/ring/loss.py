"""The non-saturating losses of Goodfellow et al. 2014, section 3, of logits."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus


def generator_loss(generated_score: Tensor) -> dict[str, Tensor]:
    """total: -log D(G(z))"""
    return {"total": softplus(-generated_score).mean()}


def discriminator_loss(score: Tensor, generated_score: Tensor) -> dict[str, Tensor]:
    """real: -log D(x); generated: -log(1 - D(G(z))); total: their sum"""
    real, generated = softplus(-score).mean(), softplus(generated_score).mean()
    return {"total": real + generated, "real": real, "generated": generated}
