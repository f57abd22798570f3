"""The negative evidence lower bound: both terms summed over their axes, averaged over pictures."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def gaussian_kl(mean, log_variance):
    return -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp(), dim=-1)


class ELBO:
    """bce: minus log p(x | z); kl: divergence from the prior; total: their sum, nats a picture"""

    def __init__(self, beta=1.0):
        self.beta = beta

    def __call__(self, logits, mean, log_variance, x):
        bce = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1).mean()
        kl = gaussian_kl(mean, log_variance).mean()
        return {"bce": bce, "kl": kl, "total": bce + self.beta * kl}
