"""The negative bound: squared error for a fixed variance, and the KL divergence in closed form (appendix B)."""

from __future__ import annotations

from torch import Tensor


def negative_bound(
    reconstruction: Tensor, mean: Tensor, log_variance: Tensor, x: Tensor, variance: float
) -> dict[str, Tensor]:
    """reconstruction: squared error over twice the variance; kl: to N(0, 1); total: their sum; means over the batch"""
    error = (reconstruction - x).square().sum(-1).mean() / (2 * variance)
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1).mean()
    return {"total": error + kl, "reconstruction": error, "kl": kl}
